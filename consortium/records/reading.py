"""Reading bodies about records, and whether they say what the facts say."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from consortium.exchange import blobs, bodies
from consortium.exchange.kinds import Opened
from consortium.fhir import parts, systems
from consortium.fhir.message import Message
from consortium.fhir.primitives import bounds
from consortium.kernel.errors import Refusal, invalid
from consortium.records import disclosure, library, store
from consortium.records.fhir import ASKED
from consortium.records.model import (
    DECIDERS,
    RELEASABLE,
    Action,
    Asked,
    Basis,
    By,
    Consent,
    Identity,
    Scope,
)

_LATE = timedelta(days=2)
"""A request asks to the end of its day, and the asker's clock may be wrong by a little."""
QUESTION_MAX = 1000
_PICTURE = re.compile("[0-9a-f]{64}")


def asked_of(message: Message) -> Asked:
    """Read a request, by what its author signed.

    Raises:
        Refusal: `fhir.expected`, `fhir.part` or `record.body`.
    """
    person, allowed = message.one("Patient"), message.one("Consent")
    said = parts.parameters_of(message, ASKED)
    start, end = said.get("start"), said.get("end")
    if not isinstance(start, datetime) or not isinstance(end, datetime) or start >= end:
        raise invalid("record.body", part="asked")
    types = said.get("types")
    if not isinstance(types, list) or not all(one in RELEASABLE for one in types):
        raise invalid("record.body", part="types")
    author = _signer(message)
    return Asked(
        patient_id=str(person["id"]),
        identity=identity_of(person),
        scope=Scope(frozenset(types), start, end),
        consent=_consent(allowed),
        image=allowed.get("sourceAttachment"),
        question=str(said.get("question", "")),
        author=str(author.get("reference", "")).removeprefix("Practitioner/")[:64],
        author_name=str(said.get("author", "")),
    )


def identity_of(person: Mapping[str, Any]) -> Identity:
    """What a Patient says of who it is."""
    names = [str(one["text"]) for one in person.get("name", ()) if one.get("text")]
    numbers = [
        str(one["value"])
        for one in person.get("identifier", ())
        if one.get("system") == systems.ID_NUMBER and one.get("value")
    ]
    born = str(person.get("birthDate", ""))
    return Identity(
        number=numbers[0] if numbers else "",
        name=names[0] if names else "",
        birth=date.fromisoformat(born) if len(born) == 10 else None,
        sex=str(person.get("gender", "")),
    )


def _consent(allowed: Mapping[str, Any]) -> Consent:
    provision = allowed.get("provision", {})
    days, valid = provision.get("dataPeriod", {}), provision.get("period", {})
    try:
        basis = Basis(_code(allowed.get("policyRule"), systems.CONSENT_BASIS))
        start, end = bounds(days["start"])[0], bounds(days["end"])[0]
        until = bounds(valid["end"])[0]
        party = provision["actor"][0]["reference"]["reference"]
    except (KeyError, IndexError, ValueError):
        raise invalid("record.body", part="consent") from None
    kinds = frozenset(str(one.get("code", "")) for one in provision.get("class", ()))
    purposes = [str(one.get("code", "")) for one in provision.get("purpose", ())]
    permits = provision.get("type") == "permit" and allowed["status"] == "active"
    return Consent(
        basis=basis,
        scope=Scope(kinds if permits else frozenset(), start, end),
        party=str(party).removeprefix("Organization/"),
        purpose=purposes[0] if purposes else "",
        until=until,
        evidence=_PICTURE.fullmatch(blobs.digest_of(allowed.get("sourceAttachment", {})))
        is not None,
    )


def released(message: Message) -> list[tuple[Mapping[str, Any], bytes]]:
    """The resources that a release holds, with their bytes as they came."""
    return [
        (one, message.bytes_of(number))
        for number, one in enumerate(message.resources)
        if one["resourceType"] in RELEASABLE
    ]


def words_of(message: Message) -> str:
    """The words of a refusal or a withdrawal, "" when there are none."""
    return str(parts.parameters_of(message, ASKED).get("text", ""))


# ---------------------------------------------------------------- what only the body shows


def inspect(session: Session, action: Action, opened: Opened) -> Refusal | None:
    """What speaks against a body at its recipient, None when nothing does.

    Codes: `record.body` (with the part that differs), `record.outside`, `record.other_patient`,
    `record.unsigned`, `record.consent_missing`, and those of the person's signature.
    """
    message = opened.message
    if message is None:
        return None
    try:
        match action:
            case Action.REQUEST:
                return _request(message, opened)
            case Action.RELEASE:
                return _release(session, message, opened)
            case Action.REFUSE:
                return _unsigned(message, ["Parameters"])
            case Action.WITHDRAW:
                return None
    except Refusal as refusal:
        return refusal


def _request(message: Message, opened: Opened) -> Refusal | None:
    asked = asked_of(message)
    if part := next(_differences(asked, opened), ""):
        return invalid("record.body", part=part)
    if asked.consent.basis is Basis.EXPLICIT and not asked.consent.evidence:
        return invalid("record.consent_missing")
    return _unsigned(message, ["Patient", "Consent", "Parameters"])


def _differences(asked: Asked, opened: Opened) -> Iterator[str]:
    """Parts of a request that do not fit its facts, or that could mean nobody."""
    who = asked.identity
    if not who.name.strip() or not (who.number or who.birth):
        yield "identity"
    if asked.scope.types != set(opened.facts["types"]):
        yield "types"
    if asked.consent.basis != opened.facts["consent"]:
        yield "consent"
    if asked.consent.party != opened.header.sender:
        yield "party"
    days = timedelta(days=round(opened.facts["months"] * 365 / 12))
    if asked.scope.end - asked.scope.start != days:
        yield "months"
    if asked.scope.end > opened.time + _LATE:
        yield "asked"
    if len(asked.question) > QUESTION_MAX:
        yield "question"


def _release(session: Session, message: Message, opened: Opened) -> Refusal | None:
    """Only what this member asked for, about the patient whom it asked about."""
    row = store.find_request(session, opened.header.case, member=opened.member)
    if row is None:
        return invalid("record.unknown")
    scope = Scope(frozenset(json.loads(row.types)), row.start_at, row.end_at)
    if code := next(_strange(message, scope, patient=row.patient_ref), ""):
        return invalid(code)
    for one, raw in released(message):
        if refusal := library.fits(session, one, raw, member=opened.member, patient=row.patient):
            return refusal
    found = [one for one, _ in released(message)]
    if len(found) != opened.facts["count"]:
        return invalid("record.body", part="count")
    if sorted({one["resourceType"] for one in found}) != sorted(opened.facts.get("types", ())):
        return invalid("record.body", part="types")
    if opened.facts["by"] != By.PERSON:
        return None
    bodies.check_person(session, opened, signers=DECIDERS)
    return _unsigned(message, ["Patient", *RELEASABLE])


def _strange(message: Message, scope: Scope, *, patient: str) -> Iterator[str]:
    """What was not asked for, or is about somebody else."""
    known = {"Patient", "Parameters", "Provenance", *RELEASABLE}
    if any(one["resourceType"] not in known for one in message.resources):
        yield "record.outside"
    if message.one("Patient")["id"] != patient:
        yield "record.other_patient"
    for one, _ in released(message):
        if disclosure.subject_of(one) != patient:
            yield "record.other_patient"
        if not disclosure.leaves(one, scope):
            yield "record.outside"


def _unsigned(message: Message, kinds: Sequence[str]) -> Refusal | None:
    """Whether a person's signature covers these; the facts are tied to the header without it."""
    covered = {
        target.get("reference")
        for one in message.all("Provenance")
        if "signature" in one
        for target in one["target"]
    }
    for one in message.resources:
        tags = [tag.get("code") for tag in one.get("meta", {}).get("tag", ())]
        if one["resourceType"] not in kinds or parts.FACTS in tags:
            continue
        if f"{one['resourceType']}/{one['id']}" not in covered:
            return invalid("record.unsigned", element=one["resourceType"])
    return None


def _signer(message: Message) -> Mapping[str, Any]:
    for one in message.all("Provenance"):
        if "signature" in one:
            who: Mapping[str, Any] = one["agent"][0]["who"]
            return who
    return {}


def _code(value: Mapping[str, Any] | None, system: str) -> str:
    for coding in (value or {}).get("coding", ()):
        if coding.get("system") == system:
            return str(coding.get("code", ""))
    return ""
