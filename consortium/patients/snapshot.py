"""What is known of a patient now: diagnoses, vitals, medicines, allergies, each with its source.

Forms prefill from here and name the source; the records themselves stay in the records room.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from consortium import audit
from consortium.kernel.actor import Actor
from consortium.kernel.errors import missing
from consortium.kernel.ids import new_id
from consortium.patients import model, store, writing
from consortium.patients.model import Fact, FactKind
from consortium.patients.tables import FactTable

FACTS_MAX = 100
_ENDS = ("over", "wrong")


@dataclass(frozen=True, slots=True)
class Noted:
    """A fact with where and when it is from. `source` is a member's id, empty for this one."""

    id: str
    fact: Fact
    source: str
    case: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known now, newest first. `none_known` is the stated absence of allergies."""

    diagnoses: tuple[Noted, ...] = ()
    vitals: tuple[Noted, ...] = ()
    medications: tuple[Noted, ...] = ()
    allergies: tuple[Noted, ...] = ()
    none_known: Noted | None = None

    def vital(self, name: str) -> Noted | None:
        """The newest value of one vital sign."""
        return next((one for one in self.vitals if one.fact.code == name), None)


def latest(session: Session, *, member: str, patient: str) -> Snapshot:
    """What is known of a patient now; empty for one who is not the member's."""
    own = store.get(session, member=member, patient=patient)
    if own is None:
        return Snapshot()
    query = (
        select(FactTable)
        .where(FactTable.member == member, FactTable.patient == own.id, FactTable.current == 1)
        .order_by(FactTable.known_at.desc(), FactTable.id.desc())
        .limit(FACTS_MAX)
    )
    kept: dict[FactKind, list[Noted]] = {kind: [] for kind in FactKind}
    for row in session.scalars(query):
        fact = Fact(FactKind(row.kind), row.text, row.code)
        kept[fact.kind].append(Noted(row.id, fact, row.source, row.case_id, row.known_at))
    allergies = kept[FactKind.ALLERGY]
    return Snapshot(
        diagnoses=tuple(kept[FactKind.DIAGNOSIS]),
        vitals=tuple(kept[FactKind.VITAL]),
        medications=tuple(kept[FactKind.MEDICATION]),
        allergies=tuple(one for one in allergies if one.fact.code != "none"),
        none_known=next((one for one in allergies if one.fact.code == "none"), None),
    )


def note(
    session: Session,
    *,
    actor: Actor | str,
    member: str,
    patient: str,
    facts: Sequence[Fact],
    at: datetime,
    now: datetime,
    source: str = "",
    case: str = "",
) -> None:
    """Add what became known `at` a moment; newer takes the place of older of the same.

    An allergy takes the place of "none known" and the other way round. `actor` is a person, or the
    member from whose exchange the facts were read.

    Raises:
        Refusal: `patients.missing`, `patients.fact`, `patients.vital`; nothing is written then.
    """
    own = store.get(session, member=member, patient=patient)
    if own is None:
        raise missing("patients.missing")
    checked = [model.checked_fact(fact) for fact in facts]
    if checked:
        writing.take_over(session, own, by=source or member)
    for fact in checked:
        row = FactTable(
            id=new_id(now),
            member=member,
            patient=own.id,
            kind=fact.kind.value,
            key=model.fact_key(fact),
            text=fact.text,
            code=fact.code,
            source=source,
            case_id=case,
            known_at=at,
            written_by=actor.user if isinstance(actor, Actor) else actor,
            current=1,
            ended_at=None,
            ended_why="",
        )
        _put(session, fact, row, now=now)
    if checked:
        _record(session, actor, own.id, now=now, member=member, facts=len(checked))


def end(session: Session, *, actor: Actor, fact_id: str, why: str, now: datetime) -> None:
    """Say that a fact holds no longer: `over` (healed, stopped) or `wrong`. It stays readable.

    Raises:
        Refusal: `patients.missing`.
    """
    actor.require(*model.READERS)
    row = session.get(FactTable, fact_id)
    if row is None or row.member != actor.member or not row.current:
        raise missing("patients.missing")
    if why not in _ENDS:
        raise ValueError("a fact ends because it is over or was wrong")
    row.current, row.ended_at, row.ended_why = 0, now, why
    session.flush()
    _record(session, actor, row.patient, now=now, why=why)


def _record(
    session: Session,
    actor: Actor | str,
    patient: str,
    *,
    now: datetime,
    member: str = "",
    **facts: object,
) -> None:
    audit.record(
        session,
        actor=actor,
        action="patients.note",
        subject=f"patient:{patient}",
        patient=patient,
        member=member,
        now=now,
        **facts,
    )


def _put(session: Session, fact: Fact, row: FactTable, *, now: datetime) -> None:
    """Write a fact; what it replaces, or what is newer than it, decides which is current."""
    query = select(FactTable).where(
        FactTable.member == row.member,
        FactTable.patient == row.patient,
        FactTable.kind == row.kind,
        FactTable.current == 1,
    )
    for old in session.scalars(query):
        if old.key != row.key and not _contradicts(fact, old):
            continue
        if old.known_at > row.known_at:
            # a measurement that arrives late is history already
            row.current, row.ended_at, row.ended_why = 0, now, "newer"
        else:
            old.current, old.ended_at, old.ended_why = 0, now, "newer"
    session.add(row)
    session.flush()


def _contradicts(fact: Fact, old: FactTable) -> bool:
    return fact.kind is FactKind.ALLERGY and (fact.code == "none") != (old.code == "none")
