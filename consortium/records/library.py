"""The record itself: FHIR resources by their original bytes, who may see them, who was granted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session

from consortium import audit
from consortium.exchange import blobs
from consortium.fhir import bindings, gate
from consortium.kernel.actor import Actor
from consortium.kernel.errors import Refusal, RefusalKind, conflict, forbidden, invalid, missing
from consortium.kernel.ids import new_id
from consortium.kernel.paging import Page
from consortium.patients import service as patients
from consortium.records import disclosure, fhir, store
from consortium.records.fhir import READERS
from consortium.records.model import RELEASABLE
from consortium.records.tables import ConsentTable, GrantTable, IdentifierTable, ResourceTable

RAW_MAX_BYTES = 300 * 1024
"""A resource must fit into one sealed body; what is larger goes as a file beside it."""


@dataclass(frozen=True, slots=True)
class Record:
    """One stored version of a resource, and where it came from."""

    id: str
    type: str
    fhir_id: str
    version: int
    patient: str
    source: str
    exchange: str
    case: str
    own: bool
    start: datetime | None
    end: datetime | None
    received_at: datetime
    raw: bytes

    @property
    def resource(self) -> Mapping[str, Any]:
        """The resource as parsed JSON."""
        parsed: Mapping[str, Any] = gate.parse(self.raw)
        return parsed


def add(
    session: Session, resource: Mapping[str, Any], *, member: str, patient: str, now: datetime
) -> Record:
    """Keep a resource made here as the next version of its kind and id.

    `patient` is the member's own id; the resource's subject must be that patient.

    Raises:
        Refusal: `record.type`, `record.patient` when it is about somebody else, `record.too_large`
            above 300 KiB, or what `bindings.check` says.
    """
    bindings.check(resource, now=now)
    raw = gate.dump(dict(resource))
    return _keep(
        session, resource, raw, member=member, source=member, patient=patient, exchange="",
        case="", now=now,
    )  # fmt: skip


def received(
    session: Session,
    resource: Mapping[str, Any],
    raw: bytes,
    *,
    member: str,
    source: str,
    patient: str,
    exchange: str,
    case: str,
    now: datetime,
) -> Record:
    """Keep a resource that another member released, by the bytes in which it came.

    A member with two rows for one person may get the same resource for each: each keeps its own.

    Raises:
        Refusal: as `fits`, which the recipient of a body asks before.
    """
    return _keep(
        session, resource, raw, member=member, source=source, patient=patient, exchange=exchange,
        case=case, now=now,
    )  # fmt: skip


def _keep(
    session: Session,
    resource: Mapping[str, Any],
    raw: bytes,
    *,
    member: str,
    source: str,
    patient: str,
    exchange: str,
    case: str,
    now: datetime,
) -> Record:
    if refusal := fits(session, resource, raw, member=member, patient=patient):
        raise refusal
    kind, fhir_id = str(resource["resourceType"]), str(resource["id"])
    held = store.newest(session, member=member, source=source, kind=kind, fhir_id=fhir_id)
    if source == member and any(one.patient != patient for one in held):
        raise conflict("record.patient")
    old = next((one for one in held if one.patient == patient), None)
    if old is not None:
        if old.raw == raw and old.case_id == case:
            return _record(old)
        old.latest = 0
        session.execute(delete(IdentifierTable).where(IdentifierTable.resource == old.id))
        session.flush()
    stretch = disclosure.when(resource)
    last = store.last_version(session, member=member, source=source, kind=kind, fhir_id=fhir_id)
    row = ResourceTable(
        id=new_id(now),
        member=member,
        source=source,
        type=kind,
        fhir_id=fhir_id,
        version=1 + last,
        latest=1,
        patient=patient,
        exchange=exchange,
        case_id=case,
        raw=raw,
        start_at=stretch[0] if stretch else None,
        end_at=stretch[1] if stretch else None,
        received_at=now,
    )
    session.add(row)
    session.flush()
    _index(session, row, resource)
    if store.hidden(session, row):
        _show_newest(session, row)
    patients.keep_own(session, member=member, patient=patient, by=source)
    return _record(row)


def _show_newest(session: Session, one: ResourceTable) -> None:
    """Of all versions of a resource, let the newest be shown that no withdrawn consent hides."""
    versions = store.versions(session, one)
    seen = [row for row in versions if not store.hidden(session, row)]
    newest = (seen or versions)[0]
    if newest.latest:
        return
    for row in versions:
        if row.latest:
            row.latest = 0
            session.execute(delete(IdentifierTable).where(IdentifierTable.resource == row.id))
    newest.latest = 1
    session.flush()
    _index(session, newest, gate.parse(newest.raw))


def _index(session: Session, row: ResourceTable, resource: Mapping[str, Any]) -> None:
    session.add_all(
        IdentifierTable(resource=row.id, system=system, value=value)
        for system, value in fhir.identifiers(resource)
    )
    session.flush()


def fits(
    session: Session, resource: Mapping[str, Any], raw: bytes, *, member: str, patient: str
) -> Refusal | None:
    """Why a resource cannot be kept for a patient, None when it can.

    Codes: `record.type`, `record.too_large` above 300 KiB, `record.patient` when it is about
    somebody else.
    """
    if resource["resourceType"] not in RELEASABLE:
        return invalid("record.type", type=str(resource["resourceType"]))
    if len(raw) > RAW_MAX_BYTES:
        return Refusal(RefusalKind.TOO_LARGE, "record.too_large", limit_kb=RAW_MAX_BYTES // 1024)
    known = patients.aliases(session, member=member, patient=patient)
    if disclosure.subject_of(resource) not in known:
        return conflict("record.patient")
    return None


# ---------------------------------------------------------------- reading


def of_patient(
    session: Session,
    *,
    actor: Actor,
    patient: str,
    kinds: Sequence[str] = (),
    after: str | None = None,
    limit: int = 20,
) -> Page[Record]:
    """Newest versions of a patient's records at the actor's member, latest first.

    What came on a consent that was withdrawn is left out. The page that shows them writes `viewed`.
    """
    actor.require(*READERS)
    found = store.of_patient(
        session, member=actor.member, patient=patient, kinds=kinds, after=after, limit=limit
    )
    return Page([_record(row) for row in found.rows], found.after)


def one(session: Session, record: str, *, actor: Actor, now: datetime) -> Record:
    """One stored version for a person to read; who reads it is written down.

    Raises:
        Refusal: `record.unknown` alike for one that is not there and one that is not to be seen.
    """
    actor.require(*READERS)
    row = store.one(session, record, member=actor.member)
    if row is None and store.suppressed(session, member=actor.member, row_id=record):
        raise forbidden("record.suppressed")
    if row is None:
        raise missing("record.unknown")
    audit.record(
        session,
        actor=actor,
        action="records.view",
        subject=f"{row.type}:{row.fhir_id}",
        patient=row.patient,
        now=now,
        version=row.version,
        source=row.source,
    )
    return _record(row)


def file(
    session: Session, record: str, *, sealed: str, actor: Actor, now: datetime
) -> Mapping[str, Any]:
    """The FHIR Attachment of a record's file, to be opened with `blobs.open_attachment`.

    Who opens it is written down.

    Raises:
        Refusal: `record.unknown` for a record or a file that is not there or not to be seen.
    """
    actor.require(*READERS)
    row = store.one(session, record, member=actor.member)
    named = () if row is None else blobs.attachments_of(gate.parse(row.raw))
    found = next((one for one in named if blobs.digest_of(one) == sealed), None)
    if row is None or found is None:
        raise missing("record.unknown")
    audit.record(
        session,
        actor=actor,
        action="records.file",
        subject=f"{row.type}:{row.fhir_id}",
        patient=row.patient,
        now=now,
        file=sealed,
    )
    return found


def viewed(session: Session, records: Sequence[Record], *, actor: Actor, now: datetime) -> None:
    """Write down that a person saw these records of one patient in a list."""
    if not records:
        return
    audit.record(
        session,
        actor=actor,
        action="records.list",
        subject=f"patient:{records[0].patient}",
        patient=records[0].patient,
        now=now,
        count=len(records),
    )


def _record(row: ResourceTable) -> Record:
    return Record(
        id=row.id,
        type=row.type,
        fhir_id=row.fhir_id,
        version=row.version,
        patient=row.patient,
        source=row.source,
        exchange=row.exchange,
        case=row.case_id,
        own=row.source == row.member,
        start=row.start_at,
        end=row.end_at,
        received_at=row.received_at,
        raw=row.raw,
    )


# ---------------------------------------------------------------- grants and consents


def grant(
    session: Session,
    *,
    member: str,
    case: str,
    party: str,
    patient: str,
    until: datetime,
) -> None:
    """Let another member read a patient's records here, while a case lasts; again: only longer."""
    row = session.get(GrantTable, (member, case, party, patient))
    if row is None:
        row = GrantTable(
            member=member, case_id=case, party=party, patient=patient, until_at=until, ended_at=None
        )
        session.add(row)
    elif row.ended_at is None:
        row.until_at = max(row.until_at, until)
    session.flush()


def granted(session: Session, *, member: str, party: str, patient: str, now: datetime) -> bool:
    """Whether another member may read a patient's records here now."""
    return store.granted(session, member=member, party=party, patient=patient, now=now)


def end_grants(session: Session, *, member: str, case: str, now: datetime) -> int:
    """End every grant of a case: it is closed, or the patient withdrew. Returns how many."""
    ended = 0
    for row in store.grants_of_case(session, case, member=member):
        if row.ended_at is None:
            row.ended_at = now
            ended += 1
    session.flush()
    return ended


def withdrawn(session: Session, *, member: str, case: str, now: datetime) -> None:
    """The patient has withdrawn the consent of a case: what it brought is seen no longer.

    What an earlier case brought of the same, on a consent that holds, is seen again.
    """
    row = session.get(ConsentTable, (member, case))
    if row is not None and row.withdrawn_at is None:
        row.withdrawn_at = now
    end_grants(session, member=member, case=case, now=now)
    _show_case(session, member=member, case=case)


def restored(session: Session, *, member: str, case: str) -> None:
    """The consent of a case was not withdrawn after all: what `withdrawn` did is undone."""
    row = session.get(ConsentTable, (member, case))
    if row is None or row.withdrawn_at is None:
        return
    for grant_ in store.grants_of_case(session, case, member=member):
        if grant_.ended_at == row.withdrawn_at:
            grant_.ended_at = None
    row.withdrawn_at = None
    _show_case(session, member=member, case=case)


def _show_case(session: Session, *, member: str, case: str) -> None:
    session.flush()
    for one in store.brought_by(session, case, member=member):
        _show_newest(session, one)
