"""Scoped queries of records. Private to the room."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.orm import Session

from consortium.kernel.errors import missing
from consortium.kernel.paging import Page, bounded, moment_of
from consortium.kernel.time import to_ms
from consortium.records.tables import (
    ConsentTable,
    GrantTable,
    IdentifierTable,
    RequestTable,
    ResourceTable,
)

RELEASE_MOST = 2_000
"""Resources that one release may hold; what is more is asked for in narrower days."""
PATIENTS_MOST = 200
"""Rows of one person among which a resource is looked for."""


def find_request(session: Session, case: str, *, member: str) -> RequestTable | None:
    """A request as a member sees it, None when it has none."""
    return session.get(RequestTable, (member, case))


def get_request(session: Session, case: str, *, member: str) -> RequestTable:
    """A request as a member sees it. Raises Refusal `record.unknown`."""
    row = session.get(RequestTable, (member, case))
    if row is None:
        raise missing("record.unknown")
    return row


def by_exchange(session: Session, exchange: str, *, member: str) -> RequestTable | None:
    """The request that a form sent, None when it has not been sent."""
    table = RequestTable
    return session.scalar(select(table).where(table.member == member, table.exchange == exchange))


def requests(
    session: Session, *, member: str, side: str, after: str | None, limit: int
) -> Page[RequestTable]:
    """Requests of a member on one side, the newest first; `after` is `OPENED_MS/CASE`."""
    table = RequestTable
    query = select(table).where(table.member == member, table.side == side)
    if after:
        at, case = _key(after)
        query = query.where(
            or_(table.opened_at < at, and_(table.opened_at == at, table.case_id < case))
        )
    most = bounded(limit)
    order = (table.opened_at.desc(), table.case_id.desc())
    rows = session.scalars(query.order_by(*order).limit(most + 1)).all()
    shown = rows[:most]
    more = f"{to_ms(shown[-1].opened_at)}/{shown[-1].case_id}" if len(rows) > most else None
    return Page(shown, more)


def waiting(session: Session, *, member: str, state: str, why: str) -> Sequence[str]:
    """Cases of a holder in a state for a reason, the oldest first, at most 50."""
    table = RequestTable
    query = select(table.case_id).where(
        table.member == member, table.side == "holder", table.state == state, table.why == why
    )
    return session.scalars(query.order_by(table.opened_at, table.case_id).limit(50)).all()


def consent(session: Session, case: str, *, member: str) -> ConsentTable | None:
    """The consent of a case, None when there is none."""
    return session.get(ConsentTable, (member, case))


# ---------------------------------------------------------------- resources


def newest(
    session: Session, *, member: str, source: str, kind: str, fhir_id: str
) -> Sequence[ResourceTable]:
    """The newest version of a resource of one source, one for each patient it is filed under."""
    table = ResourceTable
    return session.scalars(
        select(table)
        .where(
            table.member == member,
            table.source == source,
            table.type == kind,
            table.fhir_id == fhir_id,
            table.latest == 1,
        )
        .order_by(table.version.desc())
        .limit(PATIENTS_MOST)
    ).all()


def versions(session: Session, one: ResourceTable) -> Sequence[ResourceTable]:
    """Every version of a resource that is filed under the same patient, the newest first."""
    table = ResourceTable
    return session.scalars(
        select(table)
        .where(
            table.member == one.member,
            table.source == one.source,
            table.type == one.type,
            table.fhir_id == one.fhir_id,
            table.patient == one.patient,
        )
        .order_by(table.version.desc())
        .limit(PATIENTS_MOST)
    ).all()


def hidden(session: Session, row: ResourceTable) -> bool:
    """Whether the case that brought a version rests on a consent that was withdrawn."""
    kept = session.get(ConsentTable, (row.member, row.case_id)) if row.case_id else None
    return kept is not None and kept.withdrawn_at is not None


def brought_by(session: Session, case: str, *, member: str) -> Sequence[ResourceTable]:
    """What a case brought to a member, every resource once for each patient it is filed under."""
    table = ResourceTable
    rows = session.scalars(
        select(table)
        .join(RequestTable, RequestTable.patient == table.patient)
        .where(
            RequestTable.member == member,
            RequestTable.case_id == case,
            table.member == member,
            table.case_id == case,
        )
        .order_by(table.version)
        .limit(2 * RELEASE_MOST)
    )
    found = {(row.source, row.type, row.fhir_id, row.patient): row for row in rows}
    return list(found.values())


def last_version(session: Session, *, member: str, source: str, kind: str, fhir_id: str) -> int:
    """The last number that a resource of one source was kept under, 0 for a new one."""
    table = ResourceTable
    return (
        session.scalar(
            select(func.max(table.version)).where(
                table.member == member,
                table.source == source,
                table.type == kind,
                table.fhir_id == fhir_id,
            )
        )
        or 0
    )


def own_of_patient(
    session: Session, *, member: str, patient: str, kinds: Sequence[str], start: datetime,
    end: datetime,
) -> Sequence[ResourceTable]:  # fmt: skip
    """A member's own records of a patient, of these types, wholly in [start, end).

    At most one more than a release may hold, which tells that there are too many.
    """
    table = ResourceTable
    return session.scalars(
        select(table)
        .where(
            table.member == member,
            table.source == member,
            table.patient == patient,
            table.latest == 1,
            table.type.in_(kinds),
            table.start_at >= start,
            table.end_at <= end,
        )
        .order_by(table.start_at, table.id)
        .limit(RELEASE_MOST + 1)
    ).all()


def of_patient(
    session: Session,
    *,
    member: str,
    patient: str,
    kinds: Sequence[str],
    after: str | None,
    limit: int,
) -> Page[ResourceTable]:
    """Newest versions of a patient's records that may be seen, latest first."""
    table = ResourceTable
    query = select(table).where(
        table.member == member, table.patient == patient, table.latest == 1, _visible()
    )
    if kinds:
        query = query.where(table.type.in_(kinds))
    if after:
        at, row_id = _key(after)
        query = query.where(
            or_(table.received_at < at, and_(table.received_at == at, table.id < row_id))
        )
    most = bounded(limit)
    order = (table.received_at.desc(), table.id.desc())
    rows = session.scalars(query.order_by(*order).limit(most + 1)).all()
    shown = rows[:most]
    more = f"{to_ms(shown[-1].received_at)}/{shown[-1].id}" if len(rows) > most else None
    return Page(shown, more)


def one(session: Session, row_id: str, *, member: str) -> ResourceTable | None:
    """One stored version that a member may see."""
    table = ResourceTable
    return session.scalar(
        select(table).where(table.id == row_id, table.member == member, _visible())
    )


def suppressed(session: Session, *, member: str, row_id: str = "", fhir_id: str = "") -> bool:
    """Whether a member has such a version and a withdrawn consent hides it."""
    table = ResourceTable
    own = table.id == row_id if row_id else table.fhir_id == fhir_id
    query = select(table.id).where(table.member == member, own, ~_visible()).limit(1)
    return session.scalar(query) is not None


def search(
    session: Session,
    *,
    party: str,
    kind: str,
    fhir_id: str,
    patient: str,
    identifier: tuple[str, str],
    after: str,
    limit: int,
    now: datetime,
) -> Sequence[ResourceTable]:
    """Newest versions of one type that a party may see: its own node's, or granted to it."""
    table = ResourceTable
    query = select(table).where(
        table.type == kind, table.latest == 1, _visible(), _readable(party, now=now)
    )
    if fhir_id:
        query = query.where(table.fhir_id == fhir_id)
    if patient:
        query = query.where(table.patient == patient)
    system, value = identifier
    if value:
        wanted = [IdentifierTable.resource == table.id, IdentifierTable.value == value]
        if system:
            wanted.append(IdentifierTable.system == system)
        query = query.where(exists().where(*wanted))
    if after:
        query = query.where(table.fhir_id > after)
    # own before others', where two members gave the same id
    order = (table.fhir_id, (table.source != table.member), table.source)
    return session.scalars(query.order_by(*order).limit(bounded(limit, most=101))).all()


def _visible() -> ColumnElement[bool]:
    """Not brought by a case whose consent was withdrawn."""
    consent_, table = ConsentTable, ResourceTable
    return ~exists().where(
        consent_.member == table.member,
        consent_.case_id == table.case_id,
        consent_.withdrawn_at.is_not(None),
    )


def _readable(party: str, *, now: datetime) -> ColumnElement[bool]:
    table, grant = ResourceTable, GrantTable
    granted = exists().where(
        grant.member == table.member,
        grant.party == party,
        grant.patient == table.patient,
        grant.until_at > now,
        grant.ended_at.is_(None),
    )
    return or_(table.member == party, granted)


def granted(session: Session, *, member: str, party: str, patient: str, now: datetime) -> bool:
    """Whether a live grant gives a party access to a patient of a member."""
    grant = GrantTable
    return (
        session.scalar(
            select(grant.case_id)
            .where(
                grant.member == member,
                grant.party == party,
                grant.patient == patient,
                grant.until_at > now,
                grant.ended_at.is_(None),
            )
            .limit(1)
        )
        is not None
    )


def grants_of_case(session: Session, case: str, *, member: str) -> Sequence[GrantTable]:
    """Every grant that a case gave at a member."""
    grant = GrantTable
    return session.scalars(
        select(grant).where(grant.member == member, grant.case_id == case).limit(100)
    ).all()


def _key(after: str) -> tuple[datetime, str]:
    at, _, rest = after.partition("/")
    return moment_of(at), rest
