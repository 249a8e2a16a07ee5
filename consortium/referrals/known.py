"""What a referral form takes from what is known of a patient, and what it adds to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from consortium.exchange.kinds import Opened
from consortium.fhir.primitives import bounds
from consortium.kernel.actor import Actor
from consortium.kernel.errors import Refusal
from consortium.kernel.time import ZONE
from consortium.patients import snapshot
from consortium.patients.model import Fact, FactKind, checked_fact
from consortium.records import library
from consortium.records.model import RELEASABLE
from consortium.referrals.content import VITALS, Content, Vital

FIELDS = tuple(VITALS)
"""Vital signs that the form asks for, in its order."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a prefilled field is from: a member's id, empty for this one, and when."""

    member: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Prefilled:
    """Content that is known already, with the source of each field."""

    content: Content
    sources: dict[str, Source]


def prefill(session: Session, *, member: str, patient: str) -> Prefilled:
    """What a new form begins with: diagnoses, vitals, medicines, allergies as last known."""
    now_known = snapshot.latest(session, member=member, patient=patient)
    vitals = tuple(
        Vital(name, one.fact.text, one.at.astimezone(ZONE).isoformat(timespec="seconds"))
        for name in VITALS
        if (one := now_known.vital(name)) is not None
    )
    content = Content(
        diagnosis="；".join(one.fact.text for one in now_known.diagnoses[:3]),
        diagnosis_code=now_known.diagnoses[0].fact.code if now_known.diagnoses else "",
        medication=tuple(one.fact.text for one in now_known.medications),
        allergies=tuple(one.fact.text for one in now_known.allergies),
        vitals=vitals,
    )
    lists = {
        "diagnosis": now_known.diagnoses,
        "medication": now_known.medications,
        "allergies": now_known.allergies,
        "vitals": now_known.vitals,
    }
    return Prefilled(content, {name: _source(all_of) for name, all_of in lists.items() if all_of})


def learn(
    session: Session,
    content: Content,
    *,
    actor: Actor | str,
    member: str,
    patient: str,
    source: str,
    case: str,
    at: datetime,
    now: datetime,
) -> None:
    """Add what a form says to what is known of its patient.

    What the index cannot take (a text too long for a fact) stays in the referral alone.
    """
    told = [Fact(FactKind.DIAGNOSIS, content.diagnosis, content.diagnosis_code)]
    told += [Fact(FactKind.MEDICATION, text) for text in content.medication]
    told += [Fact(FactKind.ALLERGY, text) for text in content.allergies]
    by_time = {at: told}
    for vital in content.vitals:
        taken = bounds(vital.at)[0] if vital.at else at
        by_time.setdefault(taken, []).append(Fact(FactKind.VITAL, vital.value, vital.code))
    for moment, facts in by_time.items():
        if good := [fact for fact in facts if _fits(fact)]:
            snapshot.note(
                session,
                actor=actor,
                member=member,
                patient=patient,
                facts=good,
                source=source,
                case=case,
                at=moment,
                now=now,
            )


def _fits(fact: Fact) -> bool:
    try:
        checked_fact(fact)
    except Refusal:
        return False
    return True


def file(session: Session, opened: Opened, *, patient: str) -> None:
    """Put the clinical resources of a body into the patient's record at this member.

    Files stay out: their secrets belong into sealed bodies only. What the record cannot take stays
    in the referral alone.
    """
    if opened.message is None:
        return
    for resource in opened.message.resources:
        kind = resource["resourceType"]
        if kind not in RELEASABLE or kind == "DocumentReference":
            continue
        try:
            library.received(
                session,
                resource,
                opened.message.original(resource),
                member=opened.member,
                source=opened.header.sender,
                patient=patient,
                exchange=opened.header.id,
                case=opened.header.case,
                now=opened.now,
            )
        except Refusal:
            continue


def _source(all_of: Sequence[snapshot.Noted]) -> Source:
    return Source(all_of[0].source, all_of[0].at)
