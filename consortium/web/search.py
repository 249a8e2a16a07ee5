"""Search: cases by name, pinyin initials or number; pages by their name. Rooms add sources."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from consortium.desk import service as desk
from consortium.desk.model import Line
from consortium.kernel.actor import Actor
from consortium.web.deps import PageRoute, Reading, SignedIn
from consortium.web.pages import look_of, render, said
from consortium.web.rail import ENTRIES, FOOT
from consortium.web.wording import t, written

router = APIRouter(route_class=PageRoute)
TEXT_MAX: Final = 64
MORE: Final = (("receipt.check_page.title", "/receipts/check"),)
"""Pages for everybody that have no entry in the rail."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing found. `name` is a person's, `what` a sentence."""

    name: str
    what: str
    href: str
    note: str = ""


Source = Callable[[Session, Actor, str], Sequence[Hit]]
SOURCES: Final[dict[str, Source]] = {}
"""Further places to look, by the word key of their heading: the patients' page adds its index."""


@router.get("/search")
def search(
    request: Request,
    session: Reading,
    actor: SignedIn,
    q: Annotated[str, Query(max_length=TEXT_MAX)] = "",
) -> Response:
    """What the member's desk and the sources know under this text."""
    text = q.strip()
    with written(look_of(request)):
        found = _found(session, actor, text) if text else []
    return render(request, "search.html", q=text, groups=found)


def _found(session: Session, actor: Actor, text: str) -> list[tuple[str, Sequence[Hit]]]:
    groups: list[tuple[str, Sequence[Hit]]] = [
        (t(heading), source(session, actor, text)) for heading, source in SOURCES.items()
    ]
    cases = [_case(line) for line in desk.find(session, actor=actor, text=text)]
    groups += [(t("web.search.cases"), cases), (t("web.search.pages"), _pages(actor, text))]
    return [(heading, hits) for heading, hits in groups if hits]


def _case(line: Line) -> Hit:
    row = line.row
    what = said(row.need, row.need_params) if line.open else t("shell.work.closed")
    return Hit(row.patient_name, what, row.link, t(f"shell.topic.{row.topic}"))


def _pages(actor: Actor, text: str) -> list[Hit]:
    folded = text.casefold()
    named = [
        (t(f"shell.rail.{entry.page}"), entry.href)
        for entry in (*ENTRIES, *FOOT)
        if not actor.roles.isdisjoint(entry.roles)
    ]
    named += [(t(key), href) for key, href in MORE]
    return [Hit("", word, href) for word, href in named if folded in word.casefold()]
