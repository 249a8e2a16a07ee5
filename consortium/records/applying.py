"""What the ledger makes of a request for records: rows of both members, and their worklists."""

from datetime import date, datetime

import orjson
from sqlalchemy.orm import Session

from consortium import audit
from consortium.desk import drafts
from consortium.desk import service as desk
from consortium.desk.model import DeskRow
from consortium.exchange import blobs
from consortium.exchange import state as shared
from consortium.exchange.kinds import Opened
from consortium.kernel.actor import Role
from consortium.kernel.ids import CaseId, MemberId, PatientId
from consortium.kernel.time import from_ms
from consortium.members import directory
from consortium.records import library, reading, store
from consortium.records.model import TOPIC, Action, Asked, Basis, Side
from consortium.records.tables import ConsentTable, RequestTable

PENDING, REFUSED_HERE, SENT_BACK, ANSWERING = "pending", "not_sent", "sent_back", "answering"
REQUESTED, RELEASED, REFUSED, WITHDRAWN = "requested", "released", "refused", "withdrawn"
WITHDRAWING = "withdrawing"
"""Withdrawn here, and not yet on the ledger."""
_NEEDS = {
    (Side.ASKER, PENDING): "record.need.pending",
    (Side.ASKER, REQUESTED): "record.need.waiting",
    (Side.ASKER, REFUSED_HERE): "record.need.not_sent",
    (Side.ASKER, SENT_BACK): "record.need.sent_back",
    (Side.ASKER, RELEASED): "record.need.read",
    (Side.ASKER, REFUSED): "record.need.refused",
    (Side.HOLDER, REQUESTED): "record.need.decide",
}
_MINE = frozenset(
    {
        (Side.ASKER, REFUSED_HERE),
        (Side.ASKER, SENT_BACK),
        (Side.ASKER, RELEASED),
        (Side.ASKER, REFUSED),
        (Side.HOLDER, REQUESTED),
    }
)


def form_name(patient: str) -> str:
    """The name of the draft of a request about a patient."""
    return f"record:{patient}"


def apply(session: Session, action: Action, opened: Opened) -> None:
    """An exchange about records stands on the ledger."""
    from consortium.records import alone

    row = store.find_request(session, opened.header.case, member=opened.member)
    if action is Action.REQUEST:
        row = _requested(session, row, opened)
        if row is not None and row.side == Side.HOLDER:
            alone.arrived(session, row, opened)
    elif row is not None:
        _answered(session, row, action, opened)
    if row is None:
        return
    row.changed_at = opened.now
    session.flush()
    show(session, row, now=opened.now)


def refused(session: Session, action: Action, opened: Opened) -> None:
    """An own exchange was refused. A request gives its form back; an answer waits for a person."""
    row = store.find_request(session, opened.header.case, member=opened.member)
    if row is None:
        return
    row.code, row.clause, row.changed_at = opened.code[:64], opened.clause[:16], opened.now
    if action is Action.REQUEST and row.exchange == opened.header.id:
        row.state = REFUSED_HERE
        give_back(session, row, now=opened.now)
    elif action is Action.WITHDRAW:
        _not_withdrawn(session, row)
    elif action in (Action.RELEASE, Action.REFUSE):
        _as_shared(session, row)
    session.flush()
    show(session, row, now=opened.now)


def put_back(session: Session, opened: Opened) -> None:
    """The other side could not take a body."""
    row = store.find_request(session, opened.header.case, member=opened.member)
    if row is None:
        return
    row.code, row.changed_at = str(opened.facts["code"])[:64], opened.now
    if row.side == Side.ASKER and row.exchange == opened.facts["of"]:
        row.state = SENT_BACK
        give_back(session, row, now=opened.now)
    else:
        _as_shared(session, row)
    session.flush()
    show(session, row, now=opened.now)


def _as_shared(session: Session, row: RequestTable) -> None:
    """Follow shared state: an answer that did not hold leaves the request open."""
    value = shared.read(session, f"case:{row.case_id}")
    if value is not None and row.state != WITHDRAWING:
        row.state = value["state"]


def _not_withdrawn(session: Session, row: RequestTable) -> None:
    """A withdrawal was refused: unless the other side's stands, what it took away is back."""
    if row.state != WITHDRAWING:
        return
    value = shared.read(session, f"case:{row.case_id}")
    row.state = REQUESTED if value is None else value["state"]
    if row.state != WITHDRAWN:
        library.restored(session, member=row.member, case=row.case_id)


def _requested(session: Session, row: RequestTable | None, opened: Opened) -> RequestTable | None:
    if row is None:
        if opened.message is None:
            return None
        asked = reading.asked_of(opened.message)
        row = _row(opened, asked)
        session.add(row)
        session.flush()
        keep_consent(session, asked, row=row)
    row.state = REQUESTED
    value = shared.read(session, f"case:{row.case_id}")
    if value is not None and value.get("due") is not None:
        row.due_at = from_ms(value["due"])
    session.flush()
    return row


def _row(opened: Opened, asked: Asked) -> RequestTable:
    mine = opened.mine
    row = own_row(
        opened.header.case,
        asked,
        member=opened.member,
        other=opened.header.to[0] if mine else opened.header.sender,
        exchange=opened.header.id,
        contract=opened.header.contract,
        months=opened.facts["months"],
        now=opened.now,
    )
    row.side = (Side.ASKER if mine else Side.HOLDER).value
    row.patient = asked.patient_id if mine else ""
    row.urgency, row.purpose = opened.facts["urgency"], opened.header.purpose
    row.opened_at = opened.time
    return row


def own_row(
    case: str,
    asked: Asked,
    *,
    member: str,
    other: str,
    exchange: str,
    contract: str,
    months: int,
    now: datetime,
) -> RequestTable:
    """The row of a request that this member makes."""
    who, emergency = asked.identity, asked.consent.basis is Basis.EMERGENCY
    return RequestTable(
        member=member,
        case_id=case,
        exchange=exchange,
        side=Side.ASKER.value,
        other=other,
        contract=contract,
        purpose=asked.consent.purpose,
        urgency="emergency" if emergency else "routine",
        types=orjson.dumps(sorted(asked.scope.types)).decode(),
        start_at=asked.scope.start,
        end_at=asked.scope.end,
        months=months,
        state=PENDING,
        why="",
        reason="",
        by="",
        count=0,
        answer="",
        code="",
        clause="",
        question=asked.question,
        said="",
        author=asked.author,
        author_name=asked.author_name[:200],
        patient=asked.patient_id,
        patient_ref=asked.patient_id,
        patient_name=who.name[:200],
        patient_sex=who.sex,
        patient_birth=who.birth.isoformat() if who.birth else "",
        patient_number=who.number[:64],
        opened_at=now,
        due_at=None,
        changed_at=now,
    )


def keep_consent(session: Session, asked: Asked, *, row: RequestTable) -> None:
    """Keep the consent on which a request rests."""
    consent = asked.consent
    session.add(
        ConsentTable(
            member=row.member,
            case_id=row.case_id,
            patient=row.patient,
            basis=consent.basis.value,
            party=consent.party[:64],
            purpose=consent.purpose[:16],
            types=orjson.dumps(sorted(consent.scope.types)).decode(),
            start_at=consent.scope.start,
            end_at=consent.scope.end,
            until_at=consent.until,
            image=orjson.dumps(asked.image).decode() if asked.image else "",
            given_at=row.opened_at,
            withdrawn_at=None,
        )
    )
    session.flush()


def _answered(session: Session, row: RequestTable, action: Action, opened: Opened) -> None:
    match action:
        case Action.RELEASE:
            _released(session, row, opened)
        case Action.REFUSE:
            _answer(row, REFUSED)
            row.reason = opened.facts["reason"]
            if opened.message is not None:
                row.said = reading.words_of(opened.message)[: reading.QUESTION_MAX]
        case Action.WITHDRAW:
            row.state, row.reason = WITHDRAWN, opened.facts["reason"]
            library.withdrawn(session, member=row.member, case=row.case_id, now=opened.now)
        case Action.REQUEST:
            return


def _answer(row: RequestTable, state: str) -> None:
    """An answer stands; it changes nothing for who has withdrawn meanwhile."""
    if row.state != WITHDRAWING:
        row.state = state


def _released(session: Session, row: RequestTable, opened: Opened) -> None:
    row.by = opened.facts["by"]
    row.count += opened.facts["count"]
    _answer(row, REQUESTED if opened.facts["more"] else RELEASED)
    if row.side == Side.HOLDER or opened.message is None:
        return
    for resource, raw in reading.released(opened.message):
        library.received(
            session,
            resource,
            raw,
            member=row.member,
            source=opened.header.sender,
            patient=row.patient,
            exchange=opened.header.id,
            case=row.case_id,
            now=opened.now,
        )
    for part in blobs.parts_of(opened.message):
        blobs.want(session, part.sha256, exchange=opened.header.id, now=opened.now)
    audit.record(
        session,
        actor=opened.header.sender,
        action="records.receive",
        subject=f"case:{row.case_id}",
        patient=row.patient,
        member=row.member,
        now=opened.now,
        count=opened.facts["count"],
    )


def give_back(session: Session, row: RequestTable, *, now: datetime) -> None:
    """Put a request that did not pass back on its author's desk."""
    drafts.give_back(
        session,
        user=row.author,
        member=row.member,
        form=form_name(row.patient),
        fields={
            "patient": row.patient,
            "to": row.other,
            "types": orjson.loads(row.types),
            "months": str(row.months),
            "question": row.question,
        },
        code=row.code,
        clause=row.clause,
        now=now,
    )


# ---------------------------------------------------------------- worklist


def show(session: Session, row: RequestTable, *, now: datetime) -> None:
    """Write the row's line of the worklist, or take it out."""
    side = Side(row.side)
    lost = part_lost(side, row.state, row.code)
    need = "record.need.part_lost" if lost else _NEEDS.get((side, row.state))
    if need is None:
        desk.close(session, member=row.member, case=row.case_id, now=now)
        return
    mine = lost or (side, row.state) in _MINE
    waits = row.state == REQUESTED
    desk.put(
        session,
        DeskRow(
            member=MemberId(row.member),
            case=CaseId(row.case_id),
            topic=TOPIC,
            urgency=row.urgency,
            patient=PatientId(row.patient) if row.patient else None,
            patient_name=row.patient_name,
            patient_sex=row.patient_sex,
            patient_birth=birth(row.patient_birth),
            need=need,
            need_params={
                "n": row.count,
                "reason": f"@record.reason.{row.reason}" if row.reason else "",
                "why": f"@record.why.{row.why}" if row.why else "",
            },
            source="record.source",
            source_params={
                "member": directory.names(session, row.other),
                "person": row.author_name,
            },
            state=state_word(side, row.state),
            turn="mine" if mine else "theirs" if waits else "none",
            turn_name="$member",
            roles=_roles(side),
            due_at=row.due_at if waits else None,
            started_at=row.opened_at,
            link=_link(row),
        ),
        now=now,
    )


def part_lost(side: Side, state: str, code: str) -> bool:
    """Whether a part of a release was refused although its last part stands.

    An answer begins without a code, so one that is there came with a part of this answer.
    """
    return side is Side.HOLDER and state == RELEASED and bool(code)


def state_word(side: Side, state: str) -> str:
    """The word key of a state, as the member on this side says it."""
    if side is Side.HOLDER and state == REQUESTED:
        return "record.state.to_answer"
    return f"record.state.{state}"


def _link(row: RequestTable) -> str:
    if row.state in (REFUSED_HERE, SENT_BACK):
        return f"/records/new?about={row.patient}"
    return f"/records/requests/{row.case_id}"


def _roles(side: Side) -> frozenset[Role]:
    if side is Side.ASKER:
        return frozenset({Role.TOWNSHIP_DOCTOR, Role.SPECIALIST})
    return frozenset({Role.CONSULT_DESK, Role.SPECIALIST, Role.TOWNSHIP_DOCTOR})


def birth(text: str) -> date | None:
    """The day of birth, None when it is not known to the day."""
    return date.fromisoformat(text) if len(text) == 10 else None
