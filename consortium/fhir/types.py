"""Resources of the workflow as plain dicts: people, requests, work, appointments, consent.

One function a type, keyword-only, giving what R4 requires and what this program uses; all pass
`bindings.check`. References are `Type/id`. How the workflow is modelled: research/fhir.md, 4.
"""

import base64
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from consortium.fhir import systems
from consortium.fhir.elements import (
    address,
    coding,
    concept,
    day,
    human_names,
    identifier,
    kept,
    moment,
    note,
    optional,
    period,
    phone,
    reference,
    references,
    resource,
)


def patient(  # noqa: PLR0913 - the resource's own list
    *,
    id_: str,
    name: str,
    sex: str,
    birth_date: date | str | None,
    number: str = "",
    number_system: str = systems.ID_NUMBER,
    local_number: str = "",
    member: str = "",
    phone_number: str = "",
    address_text: str = "",
    no_number_reason: str = "",
) -> dict[str, Any]:
    """A Patient after the Chinese core profile: active, name, gender, identifiers.

    `sex` is male, female, other or unknown. `local_number` is the number that `member` gave.
    `no_number_reason` is a code that stands where the identity number would.
    """
    identifiers = []
    if number:
        identifiers.append(identifier(number_system, number, use="official"))
    if local_number:
        given = identifier(systems.LOCAL_NUMBER, local_number, use="usual")
        if member:
            given["assigner"] = reference(f"Organization/{member}")
        identifiers.append(given)
    extension = []
    if no_number_reason:
        extension.append({"url": systems.NO_NUMBER_REASON, "valueCode": no_number_reason})
    return resource(
        "Patient",
        id_=id_,
        extension=extension,
        identifier=identifiers,
        active=True,
        name=human_names(name),
        telecom=phone(phone_number),
        gender=sex,
        birthDate=day(birth_date),
        address=address(address_text),
        managingOrganization=optional(f"Organization/{member}" if member else ""),
    )


def organization(
    *,
    id_: str,
    name: str,
    credit_code: str = "",
    phone_number: str = "",
    address_text: str = "",
) -> dict[str, Any]:
    """A member of the consortium."""
    codes = [identifier(systems.CREDIT_CODE, credit_code)] if credit_code else []
    return resource(
        "Organization",
        id_=id_,
        identifier=[identifier(systems.MEMBER, id_), *codes],
        active=True,
        name=name,
        telecom=phone(phone_number),
        address=address(address_text),
    )


def practitioner_role(
    *,
    id_: str,
    person: str,
    name: str,
    member: str,
    role: str,
    specialty: str = "",
    phone_number: str = "",
) -> dict[str, Any]:
    """A person of a member in a role; `person` is the account's id, `role` our code."""
    who = {"identifier": identifier(systems.PERSON, person), "display": name}
    return resource(
        "PractitionerRole",
        id_=id_,
        active=True,
        practitioner=who,
        organization=reference(f"Organization/{member}"),
        code=[concept(coding(systems.ROLE, role))],
        specialty=[concept(text=specialty)] if specialty else [],
        telecom=phone(phone_number),
    )


def service_request(  # noqa: PLR0913 - the resource's own list
    *,
    id_: str,
    patient: str,
    requester: str,
    authored: datetime,
    category: str,
    service: str,
    service_text: str,
    priority: str = "routine",
    status: str = "active",
    performer: str = "",
    reason: str = "",
    diagnoses: Sequence[str] = (),
    supporting: Sequence[str] = (),
    based_on: str = "",
    replaces: str = "",
    note_text: str = "",
    case: str = "",
) -> dict[str, Any]:
    """A referral, a question or a request for a session: what is asked.

    `category` is up, down or advice; `service` our code; `priority` routine, urgent, asap or stat;
    `diagnoses` and `supporting` are references.
    """
    return resource(
        "ServiceRequest",
        id_=id_,
        identifier=[identifier(systems.CASE, case)] if case else [],
        basedOn=references([based_on]) if based_on else [],
        replaces=references([replaces]) if replaces else [],
        status=status,
        intent="order",
        category=[concept(coding(systems.SERVICE, category))],
        priority=priority,
        code=concept(coding(systems.SERVICE, service), text=service_text),
        subject=reference(patient),
        authoredOn=moment(authored),
        requester=reference(requester),
        performer=references([performer]) if performer else [],
        reasonCode=[concept(text=reason)] if reason else [],
        reasonReference=references(diagnoses),
        supportingInfo=references(supporting),
        note=note(note_text),
    )


def task(  # noqa: PLR0913 - the resource's own list
    *,
    id_: str,
    status: str,
    focus: str,
    authored: datetime,
    modified: datetime,
    business_status: str,
    patient: str = "",
    requester: str = "",
    owner: str = "",
    priority: str = "routine",
    reason: str = "",
    reason_text: str = "",
    outputs: Mapping[str, str] | None = None,
    note_text: str = "",
    case: str = "",
) -> dict[str, Any]:
    """The work of answering a ServiceRequest.

    `status` is one of FHIR's; `business_status` and `reason` are our codes; `outputs` maps a name
    to the reference of what came out.
    """
    produced = [
        {"type": {"text": name}, "valueReference": reference(target)}
        for name, target in (outputs or {}).items()
    ]
    return resource(
        "Task",
        id_=id_,
        identifier=[identifier(systems.CASE, case)] if case else [],
        status=status,
        statusReason=concept(coding(systems.REASON, reason), text=reason_text) if reason else None,
        businessStatus=concept(coding(systems.CASE_STATE, business_status)),
        intent="order",
        priority=priority,
        focus=reference(focus),
        for_=optional(patient),
        authoredOn=moment(authored),
        lastModified=moment(modified),
        requester=optional(requester),
        owner=optional(owner),
        note=note(note_text),
        output=produced,
    )


def appointment(  # noqa: PLR0913 - the resource's own list
    *,
    id_: str,
    status: str,
    start: datetime | None,
    end: datetime | None,
    actors: Mapping[str, str],
    created: datetime,
    service: str = "",
    slot: str = "",
    based_on: str = "",
    comment: str = "",
    case: str = "",
) -> dict[str, Any]:
    """A booked, proposed or cancelled time. `actors` maps a reference to its answer."""
    participants = [
        {"actor": reference(actor), "status": answer} for actor, answer in actors.items()
    ]
    return resource(
        "Appointment",
        id_=id_,
        identifier=[identifier(systems.CASE, case)] if case else [],
        status=status,
        serviceType=[concept(coding(systems.SERVICE, service))] if service else [],
        start=moment(start) if start else None,
        end=moment(end) if end else None,
        slot=references([slot]) if slot else [],
        created=moment(created),
        comment=comment,
        basedOn=references([based_on]) if based_on else [],
        participant=participants,
    )


def schedule(
    *,
    id_: str,
    actors: Sequence[str],
    service: str,
    start: datetime,
    end: datetime,
    active: bool = True,
) -> dict[str, Any]:
    """A session: one stretch of a specialist's or a service's time that holds slots."""
    return resource(
        "Schedule",
        id_=id_,
        active=active,
        serviceType=[concept(coding(systems.SERVICE, service))],
        actor=references(actors),
        planningHorizon=period(start, end),
    )


def slot(
    *,
    id_: str,
    schedule: str,
    status: str,
    start: datetime,
    end: datetime,
) -> dict[str, Any]:
    """One time of a session: free, busy, busy-tentative or busy-unavailable."""
    return resource(
        "Slot",
        id_=id_,
        schedule=reference(schedule),
        status=status,
        start=moment(start),
        end=moment(end),
    )


def consent(  # noqa: PLR0913 - the resource's own list
    *,
    id_: str,
    patient: str,
    given: datetime,
    basis: str,
    members: Sequence[str],
    purpose: str,
    until: datetime | None = None,
    types: Sequence[str] = (),
    data_period: tuple[datetime | None, datetime | None] = (None, None),
    image: Mapping[str, Any] | None = None,
    status: str = "active",
) -> dict[str, Any]:
    """Consent to share with `members` (ids), fresh for one case.

    `basis` is explicit, emergency or statutory; `types` are the FHIR types that may go, none means
    all; `data_period` bounds the dates of the data; `image` an Attachment of the signed form.
    """
    party = concept(coding("http://terminology.hl7.org/CodeSystem/v3-RoleClass", "AGNT"))
    provision = kept(
        type="permit",
        period=period(given, until),
        actor=[
            {"role": party, "reference": reference(f"Organization/{member}")} for member in members
        ],
        purpose=[coding(systems.PURPOSE, purpose)],
        class_=[coding("http://hl7.org/fhir/resource-types", one) for one in types],
        dataPeriod=period(*data_period),
    )
    return resource(
        "Consent",
        id_=id_,
        status=status,
        scope=concept(coding(systems.CONSENT_SCOPE, "patient-privacy")),
        category=[concept(coding(systems.LOINC, systems.LOINC_CONSENT))],
        patient=reference(patient),
        dateTime=moment(given),
        sourceAttachment=dict(image) if image else None,
        policyRule=concept(coding(systems.CONSENT_BASIS, basis)),
        provision=provision,
    )


def communication(
    *,
    id_: str,
    text: str,
    sent: datetime,
    sender: str,
    recipients: Sequence[str],
    about: Sequence[str] = (),
    patient: str = "",
) -> dict[str, Any]:
    """A message in a case; `about` are references to what it speaks of."""
    return resource(
        "Communication",
        id_=id_,
        status="completed",
        subject=optional(patient),
        about=references(about),
        sent=moment(sent),
        recipient=references(recipients),
        sender=reference(sender),
        payload=[{"contentString": text}],
    )


def attachment(
    *, content_type: str, data: bytes, title: str = "", created: datetime | None = None
) -> dict[str, Any]:
    """Bytes inside a resource (a photographed form, a preview); larger files travel as parts."""
    return kept(
        contentType=content_type,
        data=base64.b64encode(data).decode("ascii"),
        title=title,
        creation=moment(created) if created else None,
    )
