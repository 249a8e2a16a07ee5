"""Queries over a member's referrals, each scoped to the member. Private to the room."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from consortium.kernel.errors import invalid, missing
from consortium.kernel.paging import Page, bounded
from consortium.kernel.time import from_ms, to_ms
from consortium.referrals.model import State
from consortium.referrals.tables import ActTable, CaseTable, ResourceTable
from consortium.scheduling.model import STARTS_MOST

_IN_SESSION_MOST = 2 * STARTS_MOST
"""A slot has one case, and a case at most two rows in one database."""
_NEWEST = (CaseTable.opened_at, CaseTable.case_id)


def find(session: Session, case_id: str, *, member: str) -> CaseTable | None:
    """A member's row of a case."""
    return session.get(CaseTable, (member, case_id))


def need(session: Session, case_id: str, *, member: str) -> CaseTable:
    """A member's row of a case. Raises Refusal `referral.missing_case`."""
    found = find(session, case_id, member=member)
    if found is None:
        raise missing("referral.missing_case")
    return found


def hold(session: Session, case_id: str, *, member: str) -> CaseTable:
    """The row of a case, held until the transaction ends: one act at a time decides on it.

    Raises:
        Refusal: `referral.missing_case`.
    """
    key = (member, case_id)
    found = session.get(CaseTable, key, with_for_update=True, populate_existing=True)
    if found is None:
        raise missing("referral.missing_case")
    return found


def by_number(session: Session, number: str, *, member: str) -> CaseTable | None:
    """The row whose number stands on a slip."""
    return session.scalar(
        select(CaseTable).where(CaseTable.member == member, CaseTable.number == number)
    )


def by_open_key(session: Session, key: str, *, member: str) -> CaseTable | None:
    """The open referral of a patient to a service."""
    return session.scalar(
        select(CaseTable).where(CaseTable.member == member, CaseTable.open_key == key)
    )


def refused_of(session: Session, *, member: str, patient: str) -> Sequence[CaseTable]:
    """Requests for a patient that were refused and stand in the worklist."""
    return session.scalars(
        select(CaseTable)
        .where(
            CaseTable.member == member,
            CaseTable.patient == patient,
            CaseTable.state == "refused",
            CaseTable.seen == 0,
        )
        .limit(20)
    ).all()


def booked_sessions(session: Session, *, after: str, limit: int) -> Sequence[str]:
    """Sessions in which a case of any member here is booked, by rising id."""
    table = CaseTable
    return session.scalars(
        select(table.session)
        .where(table.state == State.BOOKED.value, table.session > after)
        .distinct()
        .order_by(table.session)
        .limit(bounded(limit))
    ).all()


def booked_in(session: Session, one: str) -> Sequence[CaseTable]:
    """Cases that are booked in a session, which has at most 48 slots."""
    table = CaseTable
    return session.scalars(
        select(table)
        .where(table.state == State.BOOKED.value, table.session == one)
        .order_by(table.member, table.case_id)
        .limit(_IN_SESSION_MOST)
    ).all()


def page(
    session: Session, *, member: str, patient: str = "", after: str = "", limit: int = 50
) -> Page[CaseTable]:
    """A member's referrals, newest first."""
    limit = bounded(limit)
    query = select(CaseTable).where(CaseTable.member == member)
    if patient:
        query = query.where(CaseTable.patient == patient)
    if after:
        place = tuple_(*_place(after), types=[column.type for column in _NEWEST])
        query = query.where(tuple_(*_NEWEST) < place)
    order = [column.desc() for column in _NEWEST]
    rows = session.scalars(query.order_by(*order).limit(limit + 1)).all()
    more = (
        f"{to_ms(rows[limit - 1].opened_at)}.{rows[limit - 1].case_id}"[:120]
        if (len(rows) > limit)
        else None
    )
    return Page(rows[:limit], more)


def act(session: Session, exchange: str, *, member: str) -> ActTable | None:
    """What one exchange says at a member."""
    return session.get(ActTable, (member, exchange))


def acts(session: Session, case_id: str, *, member: str, limit: int = 100) -> Sequence[ActTable]:
    """What the exchanges of a case say, newest first."""
    return session.scalars(
        select(ActTable)
        .where(ActTable.member == member, ActTable.case_id == case_id)
        .order_by(ActTable.at.desc(), ActTable.exchange.desc())
        .limit(bounded(limit))
    ).all()


def keep_resource(
    session: Session, row: CaseTable, *, kind: str, raw: bytes, now: datetime
) -> None:
    """Keep the newest ServiceRequest or Task of a case; the same bytes change nothing."""
    found = session.get(ResourceTable, (row.member, kind, row.case_id))
    if found is None:
        found = ResourceTable(
            member=row.member, type=kind, id=row.case_id, version=0, raw=b"", updated_at=now,
            patient="", number=row.number,
        )  # fmt: skip
        session.add(found)
    found.patient = row.patient or ""
    if found.raw != raw:
        found.raw, found.version, found.updated_at = raw, found.version + 1, now
    session.flush()


def resources(
    session: Session,
    *,
    member: str,
    kind: str,
    one: str,
    patients: Collection[str],
    after: str,
    limit: int,
) -> Sequence[ResourceTable]:
    """ServiceRequests or Tasks by rising id: one, those of patients, or all."""
    query = select(ResourceTable).where(
        ResourceTable.member == member, ResourceTable.type == kind, ResourceTable.id > after
    )
    if one:
        query = query.where(ResourceTable.id == one)
    if patients:
        query = query.where(ResourceTable.patient.in_(patients))
    return session.scalars(query.order_by(ResourceTable.id).limit(limit)).all()


def dump(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def load(text: str) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(text) if text else {}
    return found


def _place(after: str) -> tuple[datetime, str]:
    try:
        opened, case_id = after.split(".", 1)
        return from_ms(int(opened)), case_id
    except (ValueError, OverflowError) as error:
        raise invalid("paging.after") from error
