"""Bodies about records: Patient and Consent of a request, copies and Provenance of a release."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from consortium import audit
from consortium.fhir import gate, message, parts, signature, systems, types
from consortium.fhir.face import Query, Resource
from consortium.kernel.actor import Actor, Role
from consortium.kernel.errors import forbidden
from consortium.kernel.ids import new_id
from consortium.patients import looks
from consortium.patients import service as patients
from consortium.ports import Signer
from consortium.records import store
from consortium.records.model import Asked, Identity

ASKED: Final = "asked"
"""The part that says for which days records are asked for, and why."""
READERS: Final = (Role.TOWNSHIP_DOCTOR, Role.SPECIALIST, Role.CONSULT_DESK)
_AGENT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


@dataclass(frozen=True, slots=True)
class Act:
    """What every body of one exchange needs. `actor` is None where the node acts by itself."""

    event: str
    exchange: str
    case: str
    sender: str
    to: str
    actor: Actor | None
    now: datetime


def request(act: Act, told: Asked, *, facts: Mapping[str, Any], signer: Signer) -> bytes:
    """The body of a request: whom it is about, what is asked, what the patient allowed.

    The patient is told by who it is and nothing more: no telephone number, no address.
    """
    person, consent = f"Patient/{told.patient_id}", told.consent
    allowed = types.consent(
        id_=new_id(act.now),
        patient=person,
        given=act.now,
        basis=consent.basis.value,
        members=[consent.party],
        purpose=consent.purpose,
        until=consent.until,
        types=sorted(consent.scope.types),
        data_period=(consent.scope.start, consent.scope.end),
        image=told.image,
    )
    said = parts.parameters(
        ASKED,
        types=sorted(told.scope.types),
        start=told.scope.start,
        end=told.scope.end,
        question=told.question,
        author=told.author_name,
    )
    said = {"resourceType": "Parameters", "id": new_id(act.now), **said}
    who = echo(told.patient_id, told.identity)
    signed = [gate.dump(one) for one in (who, allowed, said)]
    return _body(act, [*signed, _signature(act, signed, signer), parts.parameters(**dict(facts))])


def release(
    act: Act,
    *,
    patient: Mapping[str, Any],
    copies: Sequence[Mapping[str, Any]],
    facts: Mapping[str, Any],
    signer: Signer | None,
) -> bytes:
    """The body of a release: copies, where they come from, and whom they are about.

    `patient` repeats what the asker said of its patient, nothing more. With a `signer` a person
    stands for it.
    """
    raws = [gate.dump(dict(one)) for one in copies]
    resources: list[Mapping[str, Any] | bytes] = [dict(patient), *raws]
    if copies:
        resources.append(_source(act, copies))
    if signer is not None:
        resources.append(_signature(act, [gate.dump(dict(patient)), *raws], signer))
    resources.append(parts.parameters(**dict(facts)))
    return _body(act, resources)


def answer(act: Act, *, facts: Mapping[str, Any], text: str, signer: Signer | None) -> bytes:
    """The body of a refusal or a withdrawal: its coded reason, and words where there are some."""
    said = parts.parameters(ASKED, text=text, at=act.now)
    said = {"resourceType": "Parameters", "id": new_id(act.now), **said}
    raw = gate.dump(said)
    resources: list[Mapping[str, Any] | bytes] = [raw]
    if signer is not None:
        resources.append(_signature(act, [raw], signer))
    resources.append(parts.parameters(**dict(facts)))
    return _body(act, resources)


def echo(patient_id: str, identity: Identity) -> dict[str, Any]:
    """The patient as the asker told it."""
    return types.patient(
        id_=patient_id,
        name=identity.name,
        sex=identity.sex or "unknown",
        birth_date=identity.birth,
        number=identity.number,
    )


def identifiers(resource: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Business identifiers of a resource, (system, value), those that can be searched by."""
    found = resource.get("identifier", [])
    all_ = found if isinstance(found, list) else [found]
    pairs = [(str(one.get("system", ""))[:255], str(one.get("value", ""))) for one in all_]
    return list(dict.fromkeys(pair for pair in pairs if 0 < len(pair[1]) <= 255))


def resources(session: Session, *, actor: Actor, query: Query, now: datetime) -> list[Resource]:
    """Records that the actor may see, for the FHIR door (`consortium.fhir.face.Resources`).

    Those of the actor's member, and of others on this node who granted it access to the patient.
    Counted as a look-up; for each patient whose records go out it is written down who read them.

    Raises:
        Refusal: `patients.too_many_looks`; `record.suppressed` for one by its id that a withdrawn
            consent hides.
    """
    if not actor.may(*READERS):
        return []
    looks.count(session, actor=actor, now=now)
    patient = query.patient
    if patient and (own := patients.find(session, member=actor.member, patient=patient)):
        patient = own.id
    rows = store.search(
        session,
        party=actor.member,
        kind=query.type,
        fhir_id=query.id,
        patient=patient,
        identifier=query.identifier,
        after=query.after,
        limit=query.limit,
        now=now,
    )
    if query.id and not rows and store.suppressed(session, member=actor.member, fhir_id=query.id):
        raise forbidden("record.suppressed")
    first = {row.fhir_id: row for row in reversed(rows)}
    found = sorted(first.values(), key=lambda row: row.fhir_id)
    for (member, person), count in sorted(Counter((r.member, r.patient) for r in found).items()):
        audit.record(
            session,
            actor=actor,
            action="records.read",
            subject=f"{query.type}:{query.id or 'search'}",
            patient=person,
            member=member,
            now=now,
            count=count,
        )
    return [Resource(row.type, row.fhir_id, row.version, row.received_at, row.raw) for row in found]


def _source(act: Act, copies: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Where the copies come from: the holder's own resources (hl7.org/fhir/R4/provenance.html)."""
    custodian = {
        "type": {"coding": [{"system": _AGENT, "code": "custodian"}]},
        "who": {"reference": f"Organization/{act.sender}"},
    }
    return {
        "resourceType": "Provenance",
        "id": new_id(act.now),
        "target": [{"reference": f"{one['resourceType']}/{one['id']}"} for one in copies],
        "recorded": message.instant(act.now),
        "agent": [custodian],
        "entity": [
            {
                "role": "source",
                "what": {"identifier": {"system": systems.CASE, "value": act.case}},
            }
        ],
    }


def _signature(act: Act, raws: Sequence[bytes], signer: Signer) -> bytes:
    actor = act.actor
    if actor is None:
        raise ValueError("only a person signs")
    return signature.sign(
        raws,
        event=act.event,
        exchange_id=act.exchange,
        key_id=signer.key_id,
        role=min(role.value for role in actor.roles),
        who=f"Practitioner/{actor.user}",
        now=act.now,
        sign=signer.sign,
    )


def _body(act: Act, resources: Sequence[Mapping[str, Any] | bytes]) -> bytes:
    return message.build(
        act.event,
        source=act.sender,
        destinations=[act.to],
        resources=resources,
        exchange_id=act.exchange,
        now=act.now,
    )
