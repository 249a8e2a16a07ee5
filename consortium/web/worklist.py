"""The first screen: what waits for me, by when, and whose turn it is (picture 01)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from consortium.desk import service as desk
from consortium.desk.model import Counts, DeskRow, Line, deadline
from consortium.kernel.actor import Actor, Role
from consortium.kernel.time import end_of_day
from consortium.web.deps import Node, Now, PageRoute, SignedIn, Writing
from consortium.web.drafts import Kept, kept
from consortium.web.pages import after, look_of, render, said
from consortium.web.unsent import Unsent, unsent
from consortium.web.views import Due
from consortium.web.wording import day, length, t, when, written

router = APIRouter(route_class=PageRoute)
CHANGES_SHOWN = 5
SOON = timedelta(minutes=30)
Scope = Literal["mine", "member"]
TABS_MAX = 6
STATE_MAX = 120


@dataclass(frozen=True, slots=True)
class View:
    """Which rows a page shows; travels in its address and in that of its event stream."""

    scope: Scope = "mine"
    state: str = ""
    after: str = ""

    @property
    def query(self) -> str:
        chosen = {
            "scope": self.scope if self.scope != "mine" else "",
            "state": self.state,
            "after": self.after,
        }
        return urlencode({name: value for name, value in chosen.items() if value})

    @property
    def href(self) -> str:
        return f"/?{self.query}" if self.query else "/"

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> "View":
        """The view of a query; what it does not know is left out."""
        scope: Scope = "member" if given.get("scope") == "member" else "mine"
        return cls(scope, given.get("state", "")[:STATE_MAX], given.get("after", "")[:STATE_MAX])


@dataclass(frozen=True, slots=True)
class Item:
    """A row with its deadline. `solid`: late, or it starts within half an hour."""

    row: DeskRow
    due: Due | None
    solid: bool
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    key: str
    rows: Sequence[Item]
    more: bool = False


@dataclass(frozen=True, slots=True)
class Tab:
    key: str
    word: str
    href: str
    count: int
    current: bool


@dataclass(frozen=True, slots=True)
class Change:
    name: str
    what: str
    href: str


@dataclass(frozen=True, slots=True)
class Worklist:
    """Everything on the first screen."""

    groups: Sequence[Group]
    tabs: Sequence[Tab]
    scopes: Sequence[Tab]
    query: str
    version: int = -1
    older: str = ""
    filtered: bool = False
    may_refer: bool = False
    since: datetime | None = None
    changes: Sequence[Change] = ()
    more_changes: int = 0
    unsent: int = 0
    unsent_why: str = ""
    notices: Sequence[desk.Notice] = ()
    drafts: Sequence[Kept] = ()


@router.get("/")
def todo(
    request: Request,
    actor: SignedIn,
    now: Now,
    node: Node,
    scope: Annotated[str, Query()] = "mine",
    state: Annotated[str, Query()] = "",
    after: Annotated[str, Query()] = "",
) -> Response:
    """The first screen; notes that the person looks at it."""
    view = View.parse({"scope": scope, "state": state, "after": after})
    with node.database.write() as session:
        since = desk.visit(session, actor=actor, now=now)
    with node.database.read() as session, written(look_of(request)):
        waiting = unsent(session, node=node, actor=actor)
        shown = build(session, actor=actor, view=view, now=now, since=since, waiting=waiting)
    return render(request, "worklist.html", page="todo", view=shown)


@router.post("/caught-up")
def caught_up(request: Request, session: Writing, actor: SignedIn) -> Response:
    """The person has read what changed."""
    desk.caught_up(session, actor=actor)
    return after(request, "/")


@router.post("/notices/{notice}/read")
def notice_read(request: Request, notice: str, session: Writing, actor: SignedIn) -> Response:
    """Put a reminder aside."""
    desk.dismiss(session, actor=actor, notice=notice)
    return after(request, "/")


def build(
    session: Session,
    *,
    actor: Actor,
    view: View,
    now: datetime,
    since: desk.Since | None = None,
    waiting: Unsent | None = None,
    seen: int | None = None,
) -> Worklist:
    """The screen of a person, in the language being written. `seen`: rows newer than it are new."""
    counts = desk.counts(session, actor=actor, now=now)
    rows = desk.worklist(
        session,
        actor=actor,
        scope=view.scope,
        state=view.state or None,
        after=view.after or None,
    )
    changed = _changes(session, actor, since) if since else []
    return Worklist(
        groups=_groups(rows.rows, now=now, more=rows.after is not None, seen=seen),
        tabs=_tabs(counts, view),
        scopes=_scopes(counts, view),
        query=view.query,
        version=desk.version(session),
        older=View(view.scope, view.state, rows.after).href if rows.after else "",
        filtered=bool(view.state or view.after),
        may_refer=actor.may(Role.TOWNSHIP_DOCTOR),
        since=since.at if since else None,
        changes=changed[:CHANGES_SHOWN],
        more_changes=max(0, len(changed) - CHANGES_SHOWN),
        unsent=waiting.count if waiting else 0,
        unsent_why=waiting.why if waiting else "",
        notices=desk.notices(session, actor=actor),
        drafts=kept(session, actor=actor),
    )


def due_of(row: DeskRow, *, now: datetime) -> Due | None:
    """A row's deadline in words: relative, a bar of the time used, the absolute time."""
    found = deadline(row, now=now)
    if found is None:
        return None
    mine, used = row.turn == "mine", round(found.used * 100)
    if found.tone == "late":
        word = "shell.due.late" if mine else "shell.due.theirs_late"
        note = t("shell.due.was", at=_moment(found.due_at))
        return Due(t(word, span=length(-found.left)), note, "late", 100)
    word = "shell.due.left" if mine else "shell.due.theirs"
    note = t("shell.due.by", at=_moment(found.due_at))
    tone: Literal["", "soon"] = "soon" if found.tone == "amber" and mine else ""
    return Due(t(word, span=length(found.left)), note, tone, used)


def _moment(due: datetime) -> str:
    """A deadline that is a day's end is that day, without an hour that nobody named."""
    return day(due) if due == end_of_day(due) else when(due)


def _groups(
    lines: Iterable[Line], *, now: datetime, more: bool, seen: int | None
) -> Sequence[Group]:
    grouped: dict[str, list[Item]] = {}
    for line in lines:
        due = due_of(line.row, now=now)
        late = due is not None and due.tone == "late"
        near = line.row.due_at is not None and line.row.due_at - now <= SOON
        solid = line.row.turn == "mine" and (late or near)
        fresh = seen is not None and line.version > seen
        grouped.setdefault(line.row.turn, []).append(Item(line.row, due, solid, fresh))
    last = list(grouped)[-1] if grouped else ""
    return [Group(key, rows, more and key == last) for key, rows in grouped.items()]


def _tabs(counts: Counts, view: View) -> Sequence[Tab]:
    """All, then the states of my rows, the commonest first."""
    found = [Tab("", t("shell.work.all"), View(view.scope).href, counts.mine, not view.state)]
    common = sorted(counts.states.items(), key=lambda pair: (-pair[1], pair[0]))[:TABS_MAX]
    for state, count in common:
        here = View(view.scope, state)
        found.append(Tab(state, t(state), here.href, count, view.state == state))
    return found


def _scopes(counts: Counts, view: View) -> Sequence[Tab]:
    mine, whole = View("mine", view.state), View("member", view.state)
    return [
        Tab("mine", t("shell.work.mine"), mine.href, counts.mine, view.scope == "mine"),
        Tab("member", t("shell.work.whole"), whole.href, counts.member, view.scope == "member"),
    ]


def _changes(session: Session, actor: Actor, since: desk.Since) -> list[Change]:
    found = desk.changed_since(session, actor=actor, version=since.version)
    return [_change(line) for line in reversed(found)]


def _change(line: Line) -> Change:
    row = line.row
    what = said(row.need, row.need_params) if line.open else t("shell.work.closed")
    return Change(row.patient_name or t(f"shell.topic.{row.topic}"), what, row.link)
