"""What the ledger makes of a referral: local rows of both members, their worklists, notices."""

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.orm import Session

from consortium.desk import drafts
from consortium.desk import service as desk
from consortium.exchange import blobs, timeline
from consortium.exchange import state as shared
from consortium.exchange.kinds import Opened
from consortium.fhir.message import Message
from consortium.kernel.actor import Role
from consortium.kernel.errors import Refusal, forbidden
from consortium.kernel.time import from_ms
from consortium.members import directory
from consortium.patients import adoption
from consortium.patients import service as patients
from consortium.records import library
from consortium.referrals import form, known, model, number, reading, rows, standing, store
from consortium.referrals.content import from_json
from consortium.referrals.model import Action, Side, State
from consortium.referrals.tables import ActTable, CaseTable

_GRANT: Final = timedelta(days=model.WAITING_DAYS_MAX)
DONE, QUEUED, REFUSED = "done", "queued", "refused"
_TOLD: Final = {
    Action.ACCEPT: "referral.notice.accepted",
    Action.RETURN: "referral.notice.returned",
    Action.DECLINE: "referral.notice.declined",
    Action.REPORT: "referral.notice.reported",
    Action.CORRECT: "referral.notice.corrected",
    Action.CANCEL: "referral.notice.cancelled",
}
"""Acts of the other side that a person is told of (product.md 4.8: few interruptions)."""


def apply(session: Session, action: Action, opened: Opened) -> None:
    """An exchange of a referral stands on the ledger."""
    row = store.find(session, opened.header.case, member=opened.member)
    if row is None:
        row = _received(session, opened)
    if action in (Action.REQUEST, Action.RESEND) and opened.message is not None:
        _content(session, row, opened, opened.message)
    _keep(session, row, opened)
    if row.patient:
        known.file(session, opened, patient=row.patient)
    _remember(session, row, action, opened)
    _settle(session, row, action, opened)
    show(session, row, now=opened.now)
    if not opened.mine:
        _tell(session, row, action, opened)


def refused(session: Session, action: Action, opened: Opened) -> None:
    """An own exchange was refused: its form goes back to its author, with the reason."""
    row = store.find(session, opened.header.case, member=opened.member)
    if row is None:
        return
    act = store.act(session, opened.header.id, member=opened.member)
    if act is not None:
        act.state, act.code, act.at = REFUSED, opened.code[:64], opened.time
    row.code, row.clause, row.changed_at = opened.code[:64], opened.clause[:64], opened.now
    if row.pending == opened.header.id:
        row.pending = row.pending_action = ""
    fields = store.load(row.form)
    if action is Action.REQUEST:
        row.state, row.open_key = rows.REFUSED, None
        name = form.name(row.patient or "")
    else:
        name = draft_name(action, row.case_id)
        fields = store.load(act.data).get("fields", {}) if act is not None else {}
    drafts.give_back(
        session,
        user=row.author_user if act is None else store.load(act.data).get("user", row.author_user),
        member=row.member,
        form=name,
        fields=fields,
        code=opened.code,
        clause=opened.clause,
        now=opened.now,
    )
    session.flush()
    show(session, row, now=opened.now)
    notify(
        session,
        row,
        "referral.notice.refused",
        about=opened.header.id,
        now=opened.now,
        act=f"@kind.referral.{action.value}",
    )


def put_back(session: Session, opened: Opened) -> None:
    """The other side could not take a body: the case is where it was, at its sender's turn."""
    row = store.find(session, opened.header.case, member=opened.member)
    if row is None:
        return
    row.code, row.changed_at = str(opened.facts.get("code", ""))[:64], opened.now
    standing.follow_case(session, row)
    session.flush()
    show(session, row, now=opened.now)


def not_the_author(session: Session, opened: Opened) -> Refusal | None:
    """A correction is about an exchange of its own sender in the same case."""
    of = str(opened.facts["of"])
    for entry in timeline.of_case(session, member=opened.member, case=opened.header.case):
        if entry.id == of:
            return (
                None if entry.sender == opened.header.sender else forbidden("referral.not_author")
            )
    return forbidden("referral.not_author")


def draft_name(action: Action, case_id: str) -> str:
    """The name of the draft of an act on a case."""
    return f"referral-{action.value.replace('_', '-')}:{case_id}"


def show(session: Session, row: CaseTable, *, now: datetime) -> None:
    """Write the case's line of the worklist, or take it out."""
    facts = facts_of(session, row)
    line = None if row.seen else rows.line(facts, card_of(session, row))
    if line is None:
        desk.close(session, member=row.member, case=row.case_id, now=now)
    else:
        desk.put(session, line, now=now)


def facts_of(session: Session, row: CaseTable) -> rows.Facts:
    """What the line of a case is made from."""
    value = shared.read(session, f"case:{row.case_id}") or {}
    answer = _last(session, row, Action.ACCEPT)
    returned = _last(session, row, Action.RETURN)
    due, start = value.get("due"), value.get("start")
    return rows.Facts(
        member=row.member,
        case=row.case_id,
        side=Side(row.side),
        state=standing.shown(session, row.state, value),
        other=directory.names(session, row.other),
        service=row.service,
        urgency=row.urgency,
        number=row.number,
        author=row.author,
        author_user=row.author_user,
        question=from_json(store.load(row.content)).question,
        claimed_by=row.claimed_by,
        missing=tuple(returned.get("missing", ())),
        reason=str(value.get("reason", "")),
        place=str(answer.get("place", "")),
        start=None if start is None else from_ms(start),
        due=None if due is None else from_ms(due),
        opened=row.opened_at,
        sending=bool(row.pending),
        link=_link(row),
    )


def card_of(session: Session, row: CaseTable) -> rows.Card:
    """The patient of a case as a line shows them."""
    found = patients.find(session, member=row.member, patient=row.patient) if row.patient else None
    if found is None:
        return rows.Card(None, "", "", None)
    return rows.Card(found.id, found.name, found.sex, found.born)


def _link(row: CaseTable) -> str:
    if row.state == rows.REFUSED:
        return f"/referrals/new?about={row.patient}"
    return f"/referrals/{row.case_id}"


def _last(session: Session, row: CaseTable, action: Action) -> dict[str, Any]:
    """What the newest act of a kind on the ledger said; empty when there was none."""
    for act in store.acts(session, row.case_id, member=row.member):
        if act.action == action and act.state == DONE:
            return store.load(act.data)
    return {}


def _received(session: Session, opened: Opened) -> CaseTable:
    """A case that another member opened with this one, or another node of this one."""
    header, value = opened.header, shared.read(session, f"case:{opened.header.case}") or {}
    taker = str(value.get("taker", header.sender))
    mine = opened.member == taker
    row = CaseTable(
        member=opened.member,
        case_id=header.case,
        side=(Side.TAKER if mine else Side.PROVIDER).value,
        other=str(value.get("provider", header.to[0])) if mine else taker,
        number=number.of_case(header.case),
        open_key=None,
        patient=None,
        patient_ref="",
        service=str(value.get("service", opened.facts.get("service", ""))),
        urgency=str(value.get("urgency", opened.facts.get("urgency", "routine"))),
        contract=header.contract,
        author="",
        author_user="",
        claimed_by="",
        content=store.dump({}),
        form=store.dump({}),
        state=State.REQUESTED.value,
        session="",
        pending="",
        pending_action="",
        code="",
        clause="",
        seen=0,
        opened_at=from_ms(value["opened"]) if "opened" in value else opened.time,
        changed_at=opened.now,
    )
    session.add(row)
    session.flush()
    return row


def _content(session: Session, row: CaseTable, opened: Opened, message: Message) -> None:
    """Take over what a request says; at the hospital its patient is taken into the index."""
    row.content = store.dump(reading.content_of(message).json())
    row.patient_ref = reading.patient_reference(message)[:80]
    if opened.mine:
        return
    row.author = reading.author_of(message)[:200]
    for paper in reading.content_of(message).papers:
        blobs.want(session, paper.sealed, exchange=opened.header.id, now=opened.now)
    patient = message.one("Patient")
    row.patient = adoption.adopt(
        session,
        member=opened.member,
        resource=patient,
        raw=message.original(patient),
        source=opened.header.sender,
        now=opened.now,
    ).patient.id
    known.learn(
        session,
        reading.content_of(message),
        actor=opened.header.sender,
        member=opened.member,
        patient=row.patient,
        source=opened.header.sender,
        case=row.case_id,
        at=opened.time,
        now=opened.now,
    )


def _keep(session: Session, row: CaseTable, opened: Opened) -> None:
    """The case's ServiceRequest and Task as the body has them, for the FHIR door."""
    for kind in ("ServiceRequest", "Task"):
        found = None if opened.message is None else opened.message.first(kind)
        if found is not None and opened.message is not None and found["id"] == row.case_id:
            raw = opened.message.original(found)
            store.keep_resource(session, row, kind=kind, raw=raw, now=opened.time)


def _remember(session: Session, row: CaseTable, action: Action, opened: Opened) -> None:
    """What the exchange says, for the case's page."""
    act = store.act(session, opened.header.id, member=opened.member)
    if act is not None:
        act.state, act.at = DONE, opened.time
        return
    message = opened.message
    session.add(
        ActTable(
            member=opened.member,
            exchange=opened.header.id,
            case_id=row.case_id,
            action=action.value,
            sender=opened.header.sender,
            author=reading.author_of(message)[:200] if message else "",
            text=_text(action, message) if message else "",
            data=store.dump(_data(action, opened)),
            state=DONE,
            code="",
            at=opened.time,
        )
    )
    session.flush()


def _text(action: Action, message: Message) -> str:
    if action is Action.CORRECT:
        return reading.message_text(message)
    note = reading.note_of(message)
    return "" if note is None else note.text


def _data(action: Action, opened: Opened) -> dict[str, Any]:
    told = {name: opened.facts[name] for name in opened.facts if name not in ("types", "filled")}
    if opened.message is None:
        return told
    if action is Action.ACCEPT:
        told["place"] = reading.place_of(opened.message)
    if action is Action.REPORT:
        text = reading.report_text(opened.message)
        told |= {"diagnosis": text.diagnosis, "findings": text.findings, "advice": text.advice}
    return told


def _settle(session: Session, row: CaseTable, action: Action, opened: Opened) -> None:
    """The row follows shared state; an own act of this case is no longer on its way."""
    standing.follow_case(session, row)
    if row.pending == opened.header.id:
        row.pending = row.pending_action = ""
    if action is not Action.CORRECT:
        row.code = row.clause = ""
    if action is Action.CLAIM:
        act = store.act(session, opened.header.id, member=opened.member)
        row.claimed_by = act.author if act is not None else ""
    if row.state not in model.OPEN:
        row.open_key = None
        library.end_grants(session, member=row.member, case=row.case_id, now=opened.time)
    elif action is Action.REQUEST and opened.mine and row.patient:
        # the referral itself opens the clinic's record to the hospital, for as long as it lasts
        library.grant(
            session,
            member=row.member,
            case=row.case_id,
            party=row.other,
            patient=row.patient,
            until=opened.time + _GRANT,
        )
    row.changed_at = opened.now
    session.flush()


def _tell(session: Session, row: CaseTable, action: Action, opened: Opened) -> None:
    word = _TOLD.get(action, "")
    if action in (Action.REQUEST, Action.RESEND) and row.urgency == "emergency":
        word = "referral.notice.urgent"
    if word:
        notify(session, row, word, about=opened.header.id, now=opened.now)


def notify(
    session: Session, row: CaseTable, word: str, *, about: str, now: datetime, **params: str
) -> None:
    """Tell the people of a case's side something, once for a word and what it is about."""
    taker = row.side == Side.TAKER
    roles = {Role.TOWNSHIP_DOCTOR} if taker else {Role.SPECIALIST, Role.CONSULT_DESK}
    desk.notify(
        session,
        member=row.member,
        case=row.case_id,
        word=word,
        params={"name": card_of(session, row).name, **params},
        link=_link(row),
        roles=frozenset(roles),
        owner=row.author_user if taker else "",
        about=about,
        now=now,
    )
