"""Alarms of this node: the page that lists them, and the banner over every page."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from consortium import words
from consortium.exchange import alarms
from consortium.exchange.alarms import Alarm
from consortium.web.deps import Now, PageRoute, Reading, SignedIn, Writing
from consortium.web.names import member_name
from consortium.web.pages import after, look_of, render
from consortium.web.signed import signed
from consortium.web.views import Act, Banner
from consortium.web.wording import t, written

router = APIRouter(route_class=PageRoute)
_FACTS = (
    "after", "aspect", "entry", "found", "member", "mine", "minutes", "number", "upto", "verdict",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """One alarm in words."""

    id: str
    code: str
    since: datetime
    happened: str
    safe: str
    do: str
    member: str
    seen_by: str
    seen_at: datetime | None


@router.get("/alarms", dependencies=[Depends(signed)])
def show(request: Request, session: Reading) -> Response:
    """Every alarm of this node, newest first."""
    with written(look_of(request)):
        return render(request, "alarms.html", page="ledger", alarms=in_words(session))


@router.post("/alarms")
def see(
    request: Request,
    session: Writing,
    actor: SignedIn,
    now: Now,
    alarm: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """This person has looked at one; it stands on."""
    alarms.acknowledge(session, alarm, actor=actor, now=now)
    return after(request, "/alarms", toast="alarm.page.seen_toast")


def banner(session: Session) -> Banner | None:
    """Red while somebody must still look, amber while what was seen is not mended."""
    standing = alarms.of_node(session)
    new = [one for one in standing if one.seen_at is None]
    act = Act(t("alarm.page.banner_act"), "/alarms")
    text = t("alarm.page.banner_text")
    if new:
        return Banner("red", "siren", t("alarm.page.banner", n=len(new)), text, act)
    if standing:
        lead = t("alarm.page.banner_seen", n=len(standing))
        return Banner("amber", "siren", lead, text, act)
    return None


def in_words(session: Session) -> list[Told]:
    """Every alarm of this node, newest first, in the language being written."""
    return [_told(session, one) for one in alarms.of_node(session)]


def _told(session: Session, one: Alarm) -> Told:
    code = one.code if words.known(f"alarm.{one.code}.happened") else "other"
    member = one.about.partition(":")[0]
    facts = {**dict.fromkeys(_FACTS, words.UNTOLD), **one.facts}
    if facts["member"] != words.UNTOLD:
        facts["member"] = member_name(session, str(facts["member"]))
    happened, safe, do = (t(f"alarm.{code}.{part}", **facts) for part in ("happened", "safe", "do"))
    return Told(
        id=one.id,
        code=one.code,
        since=one.since,
        happened=happened,
        safe=safe,
        do=do,
        member=member_name(session, member) if member else "",
        seen_by=one.seen_by,
        seen_at=one.seen_at,
    )
