"""The outbox: what this clinic sent, how far each has come, and why something still waits."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from consortium import words
from consortium.desk import service as desk
from consortium.exchange import timeline
from consortium.exchange.timeline import CaseEntry
from consortium.kernel.actor import PATIENT_READERS, Actor
from consortium.web.deps import Node, PageRoute, Reading, SignedIn
from consortium.web.errors import refused_code
from consortium.web.names import member_name
from consortium.web.pages import look_of, render
from consortium.web.shell import strip_of
from consortium.web.unsent import reason
from consortium.web.views import Strip, Tone
from consortium.web.wording import t, written
from consortium.web.worklist import Tab

router = APIRouter(route_class=PageRoute)
STATES: Final = ("", "pending", "refused")
LOOK: Final[dict[str, tuple[str, Tone]]] = {
    "queued": ("hard-drive", ""),
    "held": ("hourglass", "amber"),
    "sent": ("send", "blue"),
    "delivered": ("circle-check", "blue"),
    "read": ("eye", "green"),
    "refused": ("ban", "red"),
    "received": ("inbox", "blue"),
    "kept": ("archive", "amber"),
    "newer": ("archive", "amber"),
    "alarm": ("triangle-alert", "red"),
}
"""Icon and colour of each state of an exchange; its words are `outbox.state.STATE`."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One exchange of the list."""

    id: str
    what: str
    to: str
    at: datetime
    state: str
    icon: str
    tone: Tone
    index: int | None
    patient: str = ""
    why: str = ""
    clause: str = ""


@dataclass(frozen=True, slots=True)
class Outbox:
    """The page: tabs, exchanges newest first, where the older ones are."""

    tabs: list[Tab]
    items: list[Sent]
    strip: Strip
    why: str = ""
    older: str = ""


@router.get("/outbox")
def show(
    request: Request,
    session: Reading,
    actor: SignedIn,
    node: Node,
    state: Annotated[str, Query(max_length=16)] = "",
    after: Annotated[str, Query(max_length=120)] = "",
) -> Response:
    """What the actor's member sent, fifty at a time."""
    chosen = state if state in STATES else ""
    found = timeline.outbox(session, members=(actor.member,), state=chosen, after=after)
    strip = strip_of(session, node=node, actor=actor)
    why = reason(session, node=node, member=actor.member) if strip.outbox else ""
    with written(look_of(request)):
        view = Outbox(
            tabs=_tabs(chosen, strip.outbox),
            items=[sent(session, entry, actor=actor) for entry in found.rows],
            strip=strip,
            why=t(why) if why else "",
            older=f"/outbox?state={chosen}&after={found.after}" if found.after else "",
        )
    return render(request, "outbox.html", page="outbox", view=view)


def sent(session: Session, entry: CaseEntry, *, actor: Actor) -> Sent:
    """An exchange as a list shows it, in the language being written."""
    icon, tone = LOOK[entry.state]
    why = refused_code(entry.code, entry.clause).happened if entry.code else ""
    line = None
    if entry.case and actor.may(*PATIENT_READERS):
        line = desk.row(session, member=actor.member, case=entry.case)
    others = entry.to if entry.sender == actor.member else (entry.sender,)
    return Sent(
        id=entry.id,
        what=entry_words(entry),
        to=t("shell.list_comma").join(member_name(session, one) for one in others),
        at=entry.at,
        state=t(f"outbox.state.{entry.state}"),
        icon=icon,
        tone=tone,
        index=entry.index,
        patient=line.row.patient_name if line is not None else "",
        why=why,
        clause=entry.clause,
    )


def entry_words(entry: CaseEntry) -> str:
    """What an exchange is, in words: its own hint, else those of its kind."""
    if entry.hint and words.known(entry.hint):
        return t(entry.hint)
    return kind_words(entry.kind)


def kind_words(kind: str) -> str:
    """What exchanges of a kind are, in words; the kind itself where there are none."""
    name = kind.partition("/")[0]
    key = f"kind.{name}"
    return t(key) if words.known(key) else name


def _tabs(chosen: str, waiting: int) -> list[Tab]:
    counts = {"pending": waiting}
    return [
        Tab(
            key=state,
            word=t(f"outbox.tab.{state or 'all'}"),
            href=f"/outbox?state={state}" if state else "/outbox",
            count=counts.get(state, -1),
            current=state == chosen,
        )
        for state in STATES
    ]
