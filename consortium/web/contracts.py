"""Contracts: the list, and one to review (picture 06)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from consortium.contracts import drafting, service
from consortium.contracts.drafting import DraftView
from consortium.contracts.overview import overview
from consortium.contracts.service import Row
from consortium.desk import service as desk
from consortium.kernel.actor import Actor, Role
from consortium.kernel.errors import Refusal
from consortium.web import contract_views, events
from consortium.web.contract_views import LOOK, ContractView, Names
from consortium.web.deps import Now, PageRoute, Reading, SignedIn
from consortium.web.events import Moment
from consortium.web.pages import environment, look_of, render
from consortium.web.reading import whole
from consortium.web.views import Tone
from consortium.web.wording import t, written

router = APIRouter(route_class=PageRoute)
ROWS: Final = 50


@dataclass(frozen=True, slots=True)
class Item:
    """A contract in the list."""

    row: Row
    state: str
    icon: str
    tone: Tone
    waiting: str
    last_day: datetime | None
    parties: str


@dataclass(frozen=True, slots=True)
class Listing:
    """The list: what waits for me, the others, drafts of the office."""

    mine: Sequence[Item]
    others: Sequence[Item]
    drafts: Sequence[DraftView]
    older: str
    may_draft: bool
    version: int

    @property
    def groups(self) -> list[tuple[str, Sequence[Item]]]:
        """Groups that are not empty, by the key of their heading."""
        return [(key, rows) for key, rows in (("mine", self.mine), ("others", self.others)) if rows]


# ---------------------------------------------------------------- list and review


@router.get("/contracts")
def listing(
    request: Request,
    session: Reading,
    actor: SignedIn,
    now: Now,
    after: Annotated[str, Query(max_length=120)] = "",
) -> Response:
    """Contracts of the actor's member."""
    with written(look_of(request)):
        view = _listing(session, actor=actor, now=now, after=after)
    return render(request, "contracts/list.html", page="contracts", view=view)


@router.get("/contracts/{contract}")
def show(
    request: Request,
    contract: str,
    session: Reading,
    actor: SignedIn,
    now: Now,
    only: Annotated[int, Query(ge=0, le=1)] = 0,
    version: Annotated[int | None, Query(ge=1, le=10_000)] = None,
) -> Response:
    """One contract in plain words, or how far its proposal has come."""
    with written(look_of(request)):
        view = _view(session, contract, actor=actor, now=now, only=bool(only), version=version)
    return render(
        request,
        "contracts/review.html",
        page="contracts",
        view=view,
        contract=contract,
        part=f"{contract} {version or 0} {only}",
        seen=desk.version(session),
    )


def _view(
    session: Session,
    contract: str,
    *,
    actor: Actor,
    now: datetime,
    only: bool = False,
    version: int | None = None,
) -> ContractView | None:
    """The contract; None while its first proposal is on its way.

    Raises:
        Refusal: `contract.missing`.
    """
    try:
        seen = service.review(session, actor=actor, contract=contract, now=now, version=version)
    except Refusal:
        if not actor.may(Role.CONSORTIUM_ADMIN):
            raise
        if not drafting.show(session, actor=actor, contract=contract).sent:
            raise
        return None
    return contract_views.build(session, actor=actor, seen=seen, now=now, only=only)


def _listing(session: Session, *, actor: Actor, now: datetime, after: str) -> Listing:
    listed = overview if actor.may(Role.REGULATOR) else service.listing
    found = listed(session, actor=actor, now=now, after=after, limit=ROWS)
    name = Names(session)
    items = [_item(row, name) for row in found.rows]
    return Listing(
        mine=[one for one in items if one.row.mine],
        others=[one for one in items if not one.row.mine],
        drafts=() if after else drafting.listing(session, actor=actor),
        older=found.after or "",
        may_draft=actor.may(Role.CONSORTIUM_ADMIN),
        version=desk.version(session),
    )


def _item(row: Row, name: Names) -> Item:
    icon, tone = LOOK[row.state]
    waiting = name.listed(row.unsigned)
    if not waiting and row.mine:
        waiting = t("contract.page.second")
    last = None if row.end is None else row.end - timedelta(milliseconds=1)
    parties = name.listed(row.parties)
    return Item(row, t(f"contract.state.{row.state}"), icon, tone, waiting, last, parties)


# ---------------------------------------------------------------- what an event brings


def _live_contract(moment: Moment, argument: str) -> str:
    contract, _, rest = argument.partition(" ")
    version, _, only = rest.partition(" ")
    try:
        view = _view(
            moment.session,
            contract,
            actor=moment.actor,
            now=moment.look.now,
            only=only == "1",
            version=whole(version) or None,
        )
    except Refusal:
        return ""
    return environment().get_template("contracts/live.html").render(view=view, contract=contract)


def _live_list(moment: Moment, argument: str) -> str:
    view = _listing(moment.session, actor=moment.actor, now=moment.look.now, after=argument)
    return environment().get_template("contracts/live_list.html").render(view=view)


events.PARTS["contract"] = _live_contract
events.PARTS["contracts"] = _live_list
