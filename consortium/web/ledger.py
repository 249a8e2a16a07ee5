"""The ledger as this machine sees it: how far it was checked, who follows it, what is in it.

A member sees its own feed; the office at the hub and the regulator at a mirror see every entry.
Whoever holds a checkpoint from elsewhere can lay it beside the one seen here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from sqlalchemy.orm import Session
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from consortium.exchange import heads_watch, register, state
from consortium.exchange.register import Listed
from consortium.kernel.actor import Actor, Role
from consortium.kernel.errors import Refusal, invalid, missing
from consortium.ledger import cosignatures, gossip, policies, receipts, witness
from consortium.ledger.cosignatures import Latest
from consortium.settings import NodeRole
from consortium.web.alarms import in_words
from consortium.web.deps import Node, Now, PageRoute, Reading, SignedIn, Writing
from consortium.web.errors import refused, refused_code
from consortium.web.guard import Fields
from consortium.web.names import contract_name, member_name
from consortium.web.node import WebNode
from consortium.web.outbox import kind_words
from consortium.web.pages import look_of, render
from consortium.web.receipt_check import result
from consortium.web.shell import is_broken
from consortium.web.views import Refused
from consortium.web.wording import number, t, written

router = APIRouter(route_class=PageRoute)
FILE_BYTES_MAX: Final = 600 * 1024
OFFICE: Final = (Role.CONSORTIUM_ADMIN,)
"""Who sees every entry at the hub."""


@dataclass(frozen=True, slots=True)
class Row:
    """One entry as the list shows it."""

    index: int
    what: str
    sender: str
    to: str
    contract: str
    time: datetime
    href: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Follower:
    """A witness; without `at` nothing of it is known here."""

    name: str
    size: int = 0
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of a checkpoint from elsewhere: it fits, it waits for a proof, or it does not."""

    how: str
    refusal: Refused | None = None


@router.get("/ledger")
def show(
    request: Request,
    session: Reading,
    actor: SignedIn,
    node: Node,
    after: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """The newest checkpoint that fits what was seen before, its witnesses, the entries."""
    return _page(request, session, actor=actor, node=node, after=after)


@router.post("/ledger")
def compare(
    request: Request, session: Writing, actor: SignedIn, node: Node, now: Now, fields: Fields
) -> Response:
    """Lay a checkpoint from elsewhere beside what this node saw; what does not fit is kept."""
    rules = policies.in_force(session, node.policy)
    with written(look_of(request)):
        try:
            offered = gossip.checkpoint_in(_brought(fields))
            found = gossip.hear(session, offered, policy_bytes=rules, now=now)
        except Refusal as refusal:
            offered, found = b"", refusal
        if found is not None:
            came = Compared("no", refused(found))
        else:
            waits = _size(offered) in gossip.unproven(session)
            came = Compared("wait" if waits else "fits")
    status = 200 if came.refusal is None else 422
    return _page(request, session, actor=actor, node=node, came=came, status=status)


@router.get("/entries/{index}")
def entry(request: Request, index: int, session: Reading, actor: SignedIn, node: Node) -> Response:
    """Any entry with its receipt, for those who see them all."""
    if not _sees_all(node, actor):
        raise missing("rights.not_here")
    data = receipts.receipt(session, index)
    if data is None:
        raise missing("web.no_receipt")
    return result(request, session, data, actor=actor, node=node)


def _page(
    request: Request,
    session: Session,
    *,
    actor: Actor,
    node: WebNode,
    after: str = "",
    came: Compared | None = None,
    status: int = 200,
) -> Response:
    link = node.link_state(actor.member)
    every = _sees_all(node, actor)
    listed = (
        register.of_ledger(session, after=after)
        if every
        else register.of_member(session, member=actor.member, after=after)
    )
    view = witness.checkpoint_view(session)
    own = cosignatures.own(session, view.origin) if view is not None else None
    with written(look_of(request)):
        return render(
            request,
            "ledger.html",
            status=status,
            page="ledger",
            view=view,
            own=own,
            alarms=in_words(session),
            link=link,
            broken=is_broken(session, link),
            every=every,
            entries=_rows(session, listed.rows, actor=actor, every=every),
            older=f"/ledger?after={listed.after}" if listed.after else "",
            newest=not after,
            **_witnessing(session, node=node, actor=actor),
            feed=register.feed_end(session, member=actor.member),
            headed=heads_watch.known_entry(session, actor.member),
            came=came,
        )


def _sees_all(node: WebNode, actor: Actor) -> bool:
    seeing = {NodeRole.HUB: OFFICE, NodeRole.MIRROR: (Role.REGULATOR,)}
    return actor.may(*seeing.get(node.settings.role, ()))


def _rows(
    session: Session, listed: Sequence[Listed], *, actor: Actor, every: bool
) -> Sequence[Row]:
    titles: dict[str, str] = {}
    for one in listed:
        if one.contract and one.contract not in titles:
            titles[one.contract] = contract_name(session, actor, one.contract)
    comma = t("shell.list_comma")
    return [
        Row(
            index=one.index,
            what=kind_words(one.kind),
            sender=member_name(session, one.sender),
            to=comma.join(member_name(session, to) for to in one.to),
            contract=titles.get(one.contract, ""),
            time=one.time,
            href=f"/entries/{one.index}" if every else f"/receipts/{one.exchange}",
            why=refused_code(one.code, one.clause).happened if one.code else "",
        )
        for one in listed
    ]


# ---------------------------------------------------------------- witnesses


def _witnessing(session: Session, *, node: WebNode, actor: Actor) -> dict[str, Any]:
    """Who follows the ledger and how many are asked; where the policy is damaged, that it is."""
    text = policies.in_force(session, node.policy)
    try:
        followers = _followers(session, text, actor=actor)
        return {"followers": followers, "quorum": _quorum(text), "damaged": None}
    except Refusal as refusal:
        return {"followers": (), "quorum": "", "damaged": refused(refusal)}


def _followers(session: Session, text: bytes, *, actor: Actor) -> Sequence[Follower]:
    """The policy's witnesses first, as notes held here prove them; at the hub the others too."""
    notes = [gossip.own_newest(session)]
    notes += [gossip.checkpoint_in(one) for one in register.witnessed(session, member=actor.member)]
    proven: dict[str, Latest | None] = dict.fromkeys(policies.read_policy(text).witnesses)
    proven.update(cosignatures.on(notes, text))
    named = {key.name: name for name, key in policies.read_policy(text).witnesses.items()}
    for one in cosignatures.progress(session):
        name = named.get(one.witness) or _member_of(session, one.witness)
        held = proven.get(name)
        if held is None or held.size < one.size:
            proven[name] = one
    found = [
        Follower(member_name(session, name), one.size, one.at)
        if one is not None
        else Follower(member_name(session, name))
        for name, one in proven.items()
    ]
    return sorted(found, key=lambda one: (-one.size, one.name))


def _member_of(session: Session, cosigner: str) -> str:
    """The member behind a cosigner `ORIGIN/witness/NODE`; the name itself where it is unknown."""
    record = state.read(session, f"key:{cosigner.rpartition('/')[2]}")
    return cosigner if record is None else str(record["member"])


def _quorum(text: bytes) -> str:
    """How many witnesses the policy asks for, in words."""
    rules = policies.read_policy(text)
    if not policies.asks(rules):
        return t("web.ledger.quorum_none")
    group = rules.groups.get(rules.quorum)
    if group is None:
        return t("web.ledger.quorum_one", name=rules.quorum)
    return t("web.ledger.quorum", n=number(group.least), of=number(len(group.members)))


def _size(checkpoint: bytes) -> int:
    """The size of a checkpoint that was read already: its second line."""
    return int(checkpoint.split(b"\n", 2)[1])


def _brought(fields: FormData) -> bytes:
    """The file or the text of a form that holds a checkpoint."""
    text, upload = fields.get("text"), fields.get("file")
    if isinstance(upload, UploadFile) and upload.filename:
        raw = upload.file.read(FILE_BYTES_MAX + 1)
    else:
        raw = (text.strip() + "\n").encode() if isinstance(text, str) and text.strip() else b""
    if not raw or len(raw) > FILE_BYTES_MAX:
        raise invalid("ledger.nothing")
    return raw.replace(b"\r\n", b"\n")
