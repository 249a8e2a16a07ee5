"""Queries of patients, each scoped to a member. Private to the room."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from consortium.kernel.ids import PatientId
from consortium.kernel.paging import bounded
from consortium.patients import model, tables
from consortium.patients.model import Patient

_PATIENT = tables.PatientTable
_AFTER_ALL = b"\xff"  # no UTF-8 text holds this byte


def get(session: Session, *, member: str, patient: str) -> Patient | None:
    """A patient of the member by its own id, or by the id under which another member knows it."""
    found = session.get(_PATIENT, (member, patient))
    if found is None:
        alias = session.get(tables.AliasTable, (member, patient))
        found = session.get(_PATIENT, (member, alias.patient)) if alias else None
    if found is not None and found.replaced_by:
        found = session.get(_PATIENT, (member, found.replaced_by))
    return None if found is None else _patient(found)


def raw(session: Session, *, member: str, patient: str) -> bytes:
    """The bytes of the newest version. Raises NoResultFound for an id that `get` did not give."""
    return session.get_one(_PATIENT, (member, patient)).raw


def holder(session: Session, *, member: str, kind: str, value: str) -> Patient | None:
    """Who holds a number at the member."""
    found = session.get(tables.NumberTable, (member, kind, value))
    return None if found is None else get(session, member=member, patient=found.patient)


def alike(
    session: Session, *, member: str, word: str, birth: str = "", limit: int = 50
) -> list[Patient]:
    """Patients with exactly this search word; of a `birth`, those whose own may be the same day."""
    words = tables.WordTable
    query = (
        select(_PATIENT)
        .join(words, (words.member == _PATIENT.member) & (words.patient == _PATIENT.id))
        .where(words.member == member, words.word == word.encode(), _PATIENT.replaced_by == "")
    )
    if birth:
        # a date that says less says it by being shorter
        vaguer = ("", birth[:4], birth[:7], birth)
        closer = _PATIENT.birth.startswith(birth, autoescape=True)
        query = query.where(or_(_PATIENT.birth.in_(vaguer), closer))
    return [_patient(found) for found in session.scalars(query.order_by(_PATIENT.id).limit(limit))]


def find(session: Session, *, member: str, word: str, limit: int) -> list[Patient]:
    """Patients with a search word that begins so, newest change first."""
    words, start = tables.WordTable, word.encode()
    ids = (
        select(words.patient)
        .where(words.member == member, words.word >= start, words.word < start + _AFTER_ALL)
        .distinct()
    )
    query = (
        select(_PATIENT)
        .where(_PATIENT.member == member, _PATIENT.id.in_(ids), _PATIENT.replaced_by == "")
        .order_by(_PATIENT.updated_at.desc(), _PATIENT.id)
        .limit(bounded(limit))
    )
    return [_patient(found) for found in session.scalars(query)]


def listed(
    session: Session,
    *,
    member: str,
    patient: str,
    numbers: tuple[str, str] | None,
    after: str,
    limit: int,
) -> list[tuple[Patient, bytes]]:
    """Patients with their bytes by rising id; `numbers` is (kind or "" for any, value)."""
    query = select(_PATIENT).where(_PATIENT.member == member, _PATIENT.id > after)
    if patient:
        query = query.where(_PATIENT.id == patient)
    if numbers is not None:
        kind, value = numbers
        held = select(tables.NumberTable.patient).where(
            tables.NumberTable.member == member, tables.NumberTable.value == value
        )
        if kind:
            held = held.where(tables.NumberTable.kind == kind)
        query = query.where(_PATIENT.id.in_(held))
    # one more than a page: the door must know whether there is another
    query = query.order_by(_PATIENT.id).limit(bounded(limit, most=101))
    return [(_patient(found), found.raw) for found in session.scalars(query)]


def next_local_number(session: Session, *, member: str) -> str:
    """The member's next local number, six digits or more."""
    table = tables.CounterTable
    statement = (
        update(table)
        .where(table.member == member)
        .values(last=table.last + 1)
        .returning(table.last)
    )
    found = session.execute(statement).scalar()
    if found is None:
        try:
            with session.begin_nested():
                session.add(table(member=member, last=0))
        except IntegrityError:
            pass  # another process made the first row between the two statements
        found = session.execute(statement).scalar_one()
    return f"{found:06d}"


def create(session: Session, patient: Patient, *, raw: bytes, claims: bool) -> None:
    """A new row; with `claims` the number becomes this patient's alone at the member.

    Raises IntegrityError when somebody else holds the number or the id.
    """
    session.add(_PATIENT(raw=raw, replaced_by="", **_columns(patient)))
    session.flush()
    session.add(_number(patient, kind=model.LOCAL, value=patient.local_number))
    if claims and patient.number:
        session.add(_number(patient, kind=patient.number_kind, value=patient.number))
    session.flush()


def take_over(session: Session, *, member: str, patient: str) -> None:
    """Make a row the member's own to change: what its source sends corrects it no more."""
    session.get_one(_PATIENT, (member, patient)).updated_by = member
    session.flush()


def revise(session: Session, patient: Patient, *, raw: bytes) -> None:
    """Write the next version and keep the one before as it stood.

    Raises IntegrityError when somebody else holds the number.
    """
    found = session.get_one(_PATIENT, (patient.member, patient.id))
    session.add(
        tables.VersionTable(
            member=found.member,
            patient=found.id,
            version=found.version,
            raw=found.raw,
            written_at=found.updated_at,
            written_by=found.updated_by,
        )
    )
    for name, value in (_columns(patient) | {"raw": raw}).items():
        setattr(found, name, value)
    numbers = tables.NumberTable
    session.execute(
        delete(numbers).where(
            numbers.member == patient.member,
            numbers.patient == patient.id,
            numbers.kind != model.LOCAL,
        )
    )
    if patient.number and not patient.disputed_with:
        session.add(_number(patient, kind=patient.number_kind, value=patient.number))
    session.flush()


def versions(
    session: Session, *, member: str, patient: str, limit: int
) -> Sequence[tuple[int, datetime, str, bytes]]:
    """Earlier versions, newest first: number, when and by whom written, bytes."""
    table = tables.VersionTable
    query = (
        select(table.version, table.written_at, table.written_by, table.raw)
        .where(table.member == member, table.patient == patient)
        .order_by(table.version.desc())
        .limit(bounded(limit))
    )
    return [(version, at, by, raw) for version, at, by, raw in session.execute(query)]


def set_words(session: Session, *, member: str, patient: str, words: Iterable[str]) -> None:
    """Replace the search words of a patient."""
    table = tables.WordTable
    session.execute(delete(table).where(table.member == member, table.patient == patient))
    session.add_all(
        table(member=member, word=word.encode(), patient=patient) for word in sorted(set(words))
    )
    session.flush()


def add_alias(session: Session, *, member: str, alias: str, patient: str) -> None:
    """Remember the id under which another member knows a patient."""
    if session.get(tables.AliasTable, (member, alias)) is None:
        session.add(tables.AliasTable(member=member, alias=alias, patient=patient))
        session.flush()


def aliases(session: Session, *, member: str, patient: str) -> frozenset[str]:
    """Every id that stands for this patient at the member, its own among them."""
    table = tables.AliasTable
    query = select(table.alias).where(table.member == member, table.patient == patient)
    return frozenset({patient, *session.scalars(query)})


def count_look(session: Session, *, user: str, minute: int, window: int) -> int:
    """Count one look-up; how many there were in the last `window` minutes, this one included."""
    table = tables.LookTable
    found = session.get(table, (user, minute))
    if found is None:
        session.execute(delete(table).where(table.user_id == user, table.minute < minute - window))
        session.add(table(user_id=user, minute=minute, looks=1))
    else:
        found.looks += 1
    session.flush()
    query = select(func.sum(table.looks)).where(
        table.user_id == user, table.minute > minute - window
    )
    return session.scalar(query) or 0


def _number(patient: Patient, *, kind: str, value: str) -> tables.NumberTable:
    return tables.NumberTable(member=patient.member, kind=kind, value=value, patient=patient.id)


def _columns(patient: Patient) -> dict[str, object]:
    return {name: getattr(patient, name) for name in Patient.__dataclass_fields__}


def _patient(found: tables.PatientTable) -> Patient:
    values = {name: getattr(found, name) for name in Patient.__dataclass_fields__}
    return Patient(**(values | {"id": PatientId(found.id)}))
