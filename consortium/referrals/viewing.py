"""A referral as a person sees it: one timeline on both sides, and what may be done now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from consortium import audit
from consortium.desk import messages
from consortium.exchange import state as shared
from consortium.exchange import timeline
from consortium.exchange.outbox import Post
from consortium.exchange.timeline import CaseEntry
from consortium.fhir import systems
from consortium.fhir.face import Query, Resource
from consortium.kernel.actor import Actor
from consortium.kernel.errors import missing
from consortium.kernel.ids import CaseId, MemberId
from consortium.kernel.paging import Page
from consortium.patients import service as patients
from consortium.patients.model import Patient
from consortium.referrals import applying, model, number, rows, standing, store
from consortium.referrals.acting import READERS, ROLES, moved_by
from consortium.referrals.content import Content, Paper, from_json
from consortium.referrals.model import Action, Side
from consortium.referrals.tables import ActTable, CaseTable

_HIDDEN = ("case.read/1", "case.message/1")


@dataclass(frozen=True, slots=True)
class Happened:
    """One exchange of a case: what it said, where it stands, its receipt."""

    entry: CaseEntry
    action: str
    """The act of the table; empty for what belongs to no act (a body refused)."""
    author: str
    text: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CaseView:
    """A case with everything that its page shows."""

    case: CaseId
    number: str
    side: Side
    state: str
    """`queued`, `refused`, `to_move`, or the state on the ledger."""
    service: str
    urgency: str
    taker: MemberId
    provider: MemberId
    contract: str
    version: int
    author: str
    claimed_by: str
    content: Content
    patient: Patient | None
    facts: rows.Facts
    happened: Sequence[Happened]
    can: frozenset[Action]
    pending: str
    """The act that waits in the outbox; empty when none does."""
    code: str
    clause: str
    returned: bool
    adoption: str
    report: Happened | None
    slot: str
    moved_by: str
    """The exchange that moved the case last: what an act on this page stands on."""

    def last(self, action: Action) -> Happened | None:
        """The newest exchange of an act."""
        return next((one for one in self.happened if one.action == action), None)


@dataclass(frozen=True, slots=True)
class Listed:
    """A case in a list."""

    case: CaseId
    number: str
    state: str
    service: str
    urgency: str
    other: MemberId
    patient_name: str
    opened_at: datetime
    side: Side


def opening(session: Session, case_id: str, *, actor: Actor, post: Post, now: datetime) -> None:
    """A person opens a case: its senders are told once, and the audit keeps who looked.

    Raises:
        Refusal: `referral.missing_case` for a case that is not this member's.
    """
    actor.require(*READERS)
    row = store.need(session, case_id, member=actor.member)
    messages.person_opens(
        session,
        actor=actor,
        post=post,
        case=case_id,
        action="referral.view",
        patient=row.patient,
        now=now,
    )


def file(session: Session, case_id: str, *, sealed: str, actor: Actor, now: datetime) -> Paper:
    """A file of a case, to be opened with `blobs.open_attachment`; the audit keeps who looked.

    Raises:
        Refusal: `referral.missing_case` for a case or a file that is not this member's.
    """
    actor.require(*READERS)
    row = store.need(session, case_id, member=actor.member)
    papers = from_json(store.load(row.content)).papers
    found = next((one for one in papers if one.sealed == sealed), None)
    if found is None:
        raise missing("referral.missing_case")
    audit.record(
        session,
        actor=actor,
        action="referral.file",
        subject=f"case:{case_id}",
        patient=row.patient or None,
        now=now,
        file=sealed,
    )
    return found


def view(session: Session, case_id: str, *, actor: Actor) -> CaseView:
    """One case of the actor's member. Raises Refusal `referral.missing_case`."""
    actor.require(*READERS)
    row = store.need(session, case_id, member=actor.member)
    value = shared.read(session, f"case:{case_id}")
    happened = _happened(session, row)
    side = Side(row.side)
    members = (row.member, row.other) if side is Side.TAKER else (row.other, row.member)
    patient = None
    if row.patient:
        patient = patients.find(session, member=row.member, patient=row.patient)
    return CaseView(
        case=CaseId(case_id),
        number=row.number,
        side=side,
        state=standing.shown(session, row.state, value),
        service=row.service,
        urgency=row.urgency,
        taker=MemberId(members[0]),
        provider=MemberId(members[1]),
        contract=row.contract,
        version=0 if value is None else value["version"],
        author=row.author,
        claimed_by=row.claimed_by,
        content=from_json(store.load(row.content)),
        patient=patient,
        facts=applying.facts_of(session, row),
        happened=happened,
        can=_can(row, value, actor, off=standing.is_off(session, value)),
        pending=row.pending_action,
        code=row.code,
        clause=row.clause,
        returned=value is not None and value["returned"],
        adoption="" if value is None else value["adoption"],
        report=next((one for one in happened if one.action == Action.REPORT), None),
        slot="" if value is None else value["slot"],
        moved_by=moved_by(value),
    )


def fields(session: Session, case_id: str, *, actor: Actor) -> dict[str, Any]:
    """The form as it was last sent, to begin its supplement with."""
    actor.require(*ROLES[Action.RESEND])
    return store.load(store.need(session, case_id, member=actor.member).form)


def done(session: Session, exchange: str, *, actor: Actor) -> CaseId | None:
    """The case of an act that this very form has done before; None when it is new."""
    act = store.act(session, exchange, member=actor.member)
    return None if act is None else CaseId(act.case_id)


def draft_name(action: Action, case_id: str) -> str:
    """The name under which the draft of an act on a case is kept."""
    return applying.draft_name(action, case_id)


def listing(
    session: Session, *, actor: Actor, patient: str = "", after: str = "", limit: int = 50
) -> Page[Listed]:
    """Referrals of the actor's member, newest first.

    Raises:
        Refusal: `paging.after` for a key that no page gave.
    """
    actor.require(*READERS)
    found = store.page(session, member=actor.member, patient=patient, after=after, limit=limit)
    return Page([_listed(session, row) for row in found.rows], found.after)


def by_number(session: Session, text: str, *, actor: Actor) -> CaseId:
    """The case of a number from a slip. Raises Refusal `referral.missing_case`."""
    actor.require(*READERS)
    exact = number.read(text)
    row = store.by_number(session, exact, member=actor.member) if exact else None
    if row is None:
        raise missing("referral.missing_case")
    return CaseId(row.case_id)


def open_of(session: Session, *, actor: Actor, patient: str, service: str) -> CaseId | None:
    """The open referral of a patient to a service, if there is one already."""
    row = store.by_open_key(session, f"{patient}/{service}", member=actor.member)
    return None if row is None else CaseId(row.case_id)


def resources(session: Session, *, actor: Actor, query: Query, now: datetime) -> list[Resource]:
    """ServiceRequests and Tasks for the FHIR door (`consortium.fhir.face.Resources`); audited."""
    system, value = query.identifier
    if not actor.may(*READERS) or (value and system not in ("", systems.CASE)):
        return []
    patient = query.patient
    known = patients.aliases(session, member=actor.member, patient=patient) if patient else ()
    found = store.resources(
        session,
        member=actor.member,
        kind=query.type,
        one=query.id or value,
        patients=known,
        after=query.after,
        limit=query.limit,
    )
    if query.id and value and query.id != value:
        return []
    if found:
        audit.record(
            session,
            actor=actor,
            action="referral.read",
            subject=f"{query.type}:{query.id or 'search'}",
            patient=found[0].patient or None,
            now=now,
            count=len(found),
        )
    return [Resource(one.type, one.id, one.version, one.updated_at, one.raw) for one in found]


def _can(
    row: CaseTable, value: Mapping[str, Any] | None, actor: Actor, *, off: bool
) -> frozenset[Action]:
    if value is None:
        return frozenset()
    open_acts = model.allowed(value, side=Side(row.side), off=off)
    if row.pending:
        open_acts &= {Action.CORRECT}
    return frozenset(one for one in open_acts if actor.may(*ROLES[one]))


def _happened(session: Session, row: CaseTable) -> list[Happened]:
    said = {act.exchange: act for act in store.acts(session, row.case_id, member=row.member)}
    return [
        _one(entry, said.get(entry.id))
        for entry in timeline.of_case(session, member=row.member, case=row.case_id)
        if entry.kind not in _HIDDEN
    ]


def _one(entry: CaseEntry, act: ActTable | None) -> Happened:
    if act is None:
        return Happened(entry, "", "", "", {})
    return Happened(entry, act.action, act.author, act.text, store.load(act.data))


def _listed(session: Session, row: CaseTable) -> Listed:
    return Listed(
        case=CaseId(row.case_id),
        number=row.number,
        state=row.state,
        service=row.service,
        urgency=row.urgency,
        other=MemberId(row.other),
        patient_name=applying.card_of(session, row).name,
        opened_at=row.opened_at,
        side=Side(row.side),
    )
