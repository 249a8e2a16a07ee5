"""What stands round every page: rail with counts, chain strip, banners of conditions."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

from fastapi import Request
from sqlalchemy.orm import Session

from consortium.desk import service as desk
from consortium.exchange import restored, timeline
from consortium.exchange.links import LinkState
from consortium.kernel.actor import Actor, Role
from consortium.ledger import witness
from consortium.members import directory
from consortium.web import alarms
from consortium.web.names import member_name
from consortium.web.node import WebNode
from consortium.web.rail import entries, foot
from consortium.web.unsent import withdrawn
from consortium.web.views import Act, Banner, Shell, Strip
from consortium.web.wording import length, look, t

SLOW_MS = 1500
CLOCK_OFF_MAX_S = 300
BROKEN = frozenset(
    {
        "sync.feed", "sync.other_leaf", "sync.fork", "ledger.note", "ledger.receipt",
        "ledger.beyond", "ledger.smaller", "ledger.split", "ledger.unproven",
    }
)  # fmt: skip
"""Troubles that mean: what the hub says does not fit what it said."""


def shell_of(request: Request) -> Shell | None:
    """The shell of this request's person; None while nobody is signed in or the page is locked."""
    signed = getattr(request.state, "signed", None)
    if signed is None:
        return None
    node: WebNode = request.app.state.node
    with node.database.read() as session:
        return build(session, node=node, actor=signed.actor)


def build(session: Session, *, node: WebNode, actor: Actor) -> Shell:
    """The shell of a person, in the language being written."""
    link = node.link_state(actor.member)
    strip = strip_of(session, node=node, actor=actor)
    counts = desk.counts(session, actor=actor, now=look().now)
    rail = entries(
        actor.roles,
        topics=counts.topics,
        late_topics=counts.late_topics,
        mine=counts.mine,
        late=counts.late,
        outbox=strip.outbox,
    )
    return Shell(
        person=actor.name,
        member=member_name(session, actor.member),
        role=role_words(actor.roles),
        rail=rail,
        foot=foot(),
        strip=strip,
        banners=_banners(session, node=node, actor=actor, link=link, strip=strip),
        manages=actor.may(Role.MEMBER_ADMIN, Role.HEAD),
        idle_lock_s=node.settings.idle_lock_min * 60,
    )


def strip_of(session: Session, *, node: WebNode, actor: Actor) -> Strip:
    """The chain strip: this machine, the hub, the ledger."""
    link = node.link_state(actor.member)
    return Strip(
        link=_link_word(link),
        outbox=timeline.waiting_count(session, members=(actor.member,)),
        checked_to=checked_to(session),
        synced_at=link.last_sync,
        down_since=None if link.online else link.since,
        broken=is_broken(session, link),
    )


def checked_to(session: Session) -> int:
    """How many entries of the ledger this node has verified."""
    view = witness.checkpoint_view(session)
    return view.size if view is not None else 0


def is_broken(session: Session, link: LinkState) -> bool:
    """Whether the ledger check failed, now or ever: what was signed twice stays signed."""
    return link.trouble in BROKEN or bool(witness.evidence(session, limit=1))


def role_words(roles: frozenset[Role]) -> str:
    """A person's roles in words."""
    return t("shell.list_comma").join(
        t(f"shell.role.{role.value}") for role in Role if role in roles
    )


def _link_word(link: LinkState) -> Literal["online", "slow", "offline"]:
    if not link.online:
        return "offline"
    return "slow" if link.round_trip_ms > SLOW_MS else "online"


def _banners(
    session: Session, *, node: WebNode, actor: Actor, link: LinkState, strip: Strip
) -> Sequence[Banner]:
    found = []
    if (alarm := alarms.banner(session)) is not None:
        found.append(alarm)
    if strip.broken:
        act = Act(t("shell.banner.broken_act"), "/ledger")
        text = t("shell.banner.broken_text")
        found.append(Banner("red", "triangle-alert", t("shell.banner.broken"), text, act))
    if withdrawn(session, node=node, member=actor.member):
        lead, text = t("shell.banner.withdrawn"), t("shell.banner.withdrawn_text")
        found.append(Banner("red", "ban", lead, text))
    if restored.is_restored(session, node.identities.of(actor.member).node):
        lead, text = t("shell.banner.restored"), t("shell.banner.restored_text")
        found.append(Banner("amber", "archive-restore", lead, text))
    if abs(link.clock_off_s) > CLOCK_OFF_MAX_S:
        off = length(timedelta(seconds=abs(link.clock_off_s)))
        lead = t("shell.banner.clock", off=off)
        found.append(Banner("amber", "clock-alert", lead, t("shell.banner.clock_text")))
    if strip.link == "offline":
        found.append(_offline(emergency_phone(session, node)))
    return found


def emergency_phone(session: Session, node: WebNode) -> str:
    """Whom to call when there is no link: the directory's number, else the setting's."""
    return directory.emergency_phone(session) or node.settings.emergency_phone


def _offline(phone: str) -> Banner:
    if not phone:
        return Banner(
            "amber", "wifi-off", t("shell.banner.offline"), t("shell.banner.offline_text")
        )
    text = t("shell.banner.offline_phone", phone=phone)
    act = Act(t("shell.banner.call"), f"tel:{phone}", icon="phone")
    return Banner("amber", "wifi-off", t("shell.banner.offline"), text, act)
