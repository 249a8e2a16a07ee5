"""A referral as its page draws it (picture 03): what is asked, vitals, files, the thread, acts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from consortium.desk import messages
from consortium.desk import service as desk
from consortium.desk.messages import Said
from consortium.desk.model import Line
from consortium.exchange import blobs
from consortium.kernel.actor import Actor
from consortium.kernel.errors import Refusal, conflict
from consortium.kernel.time import from_ms
from consortium.members import directory
from consortium.referrals.model import Action, Side, State
from consortium.referrals.rows import TO_MOVE
from consortium.referrals.viewing import CaseView, Happened
from consortium.web import patient_views
from consortium.web.errors import refused, refused_code
from consortium.web.names import member_name
from consortium.web.outbox import entry_words
from consortium.web.pages import said
from consortium.web.referral_vitals import Measured, measured
from consortium.web.views import Attachment, Due, Knot, KnotState, Patient, Refused, Tone
from consortium.web.wording import day, t, when
from consortium.web.worklist import due_of

LOOK: Final[Mapping[str, tuple[str, Tone]]] = {
    "queued": ("hard-drive", ""),
    "refused": ("ban", "red"),
    State.REQUESTED: ("circle-check", "blue"),
    State.TRIAGE: ("stethoscope", "blue"),
    State.RETURNED: ("undo-2", "amber"),
    State.UNREADABLE: ("undo-2", "amber"),
    State.WAITING: ("hourglass", "blue"),
    State.BOOKED: ("calendar-check", "blue"),
    TO_MOVE: ("circle-alert", "amber"),
    State.ARRIVED: ("log-in", "blue"),
    State.NO_SHOW: ("user-x", "red"),
    State.REPORTED: ("file-check", "amber"),
    State.CLOSED: ("check", "green"),
    State.DECLINED: ("ban", "red"),
    State.CANCELLED: ("x", ""),
}
"""Icon and colour of each state; its words are `referral.state.STATE`."""
DRAWN: Final = "drawn"
"""The field of a form that tells on which exchange of the case its page stood."""
_KEYS: Final[Mapping[Side, Sequence[tuple[Action, str, str]]]] = {
    Side.PROVIDER: (
        (Action.CLAIM, "hand", "0"),
        (Action.ACCEPT, "check", "1"),
        (Action.ARRIVE, "log-in", "6"),
        (Action.REPORT, "file-pen-line", "1"),
        (Action.RETURN, "undo-2", "2"),
        (Action.NO_SHOW, "user-x", "2"),
        (Action.DECLINE, "ban", "5"),
        (Action.CORRECT, "pencil-line", "9"),
    ),
    Side.TAKER: (
        (Action.RESEND, "send", "1"),
        (Action.ACKNOWLEDGE, "check", "1"),
        (Action.CANCEL, "x", "8"),
        (Action.CORRECT, "pencil-line", "9"),
    ),
}
_ANSWERS: Final = frozenset({Action.ACCEPT, Action.RETURN, Action.DECLINE})
_PAGES: Final = {Action.RESEND: "resend", Action.REPORT: "report"}
"""Acts with a page of their own; the others open a row in the case's page."""


@dataclass(frozen=True, slots=True)
class Key:
    """A decision key of the bar."""

    action: str
    word: str
    href: str
    icon: str
    key: str
    main: bool
    danger: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """A case of the queue at the left."""

    case: str
    href: str
    urgency: str
    name: str
    sex: str
    birth: object
    due: Due | None
    line: str
    current: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Everything on the page of a case."""

    seen: CaseView
    banner: Patient | None
    state: str
    icon: str
    tone: Tone
    due: Due | None
    vitals: Sequence[Measured]
    papers: Sequence[Attachment]
    pictures: Sequence[str]
    knots: Sequence[Knot]
    taker: str
    provider: str
    keys: Sequence[Key]
    queue: Sequence[Waiting]
    said: Sequence[Said]
    answer: str
    appointment: str
    absent: str
    """What a returned case lacks, at the clinic that is to supply it; else empty."""
    cancelled: str
    """What to do about a booked time that was cancelled; empty where none was."""
    place: str
    code: str
    clause: str
    why: str
    corrections: Sequence[tuple[str, str]]
    phone: str
    """Whom to call while an urgent case is still on this machine; else empty."""


def build(session: Session, seen: CaseView, *, actor: Actor, now: datetime) -> Page:
    """The page of a case, in the language being written."""
    icon, tone = LOOK[seen.state]
    line = desk.row(session, member=actor.member, case=seen.case)
    banner = None
    if seen.patient is not None:
        banner = patient_views.banner(session, seen.patient)
    return Page(
        seen=seen,
        banner=banner,
        state=t(f"referral.state.{seen.state}"),
        icon=icon,
        tone=tone,
        due=due_of(line.row, now=now) if line is not None and line.open else None,
        vitals=measured(seen.content.vitals),
        papers=_papers(session, seen),
        pictures=_pictures(session, seen),
        knots=knots(session, seen),
        taker=member_name(session, seen.taker),
        provider=member_name(session, seen.provider),
        keys=keys(seen),
        queue=_queue(session, seen, actor=actor, now=now),
        said=messages.of_case(session, actor=actor, case=seen.case),
        answer=_answer(seen),
        appointment=_appointment(seen),
        absent=_absent(seen),
        cancelled=_cancelled(seen),
        place=seen.facts.place if _placed(seen) else "",
        code=seen.code,
        clause=seen.clause,
        why=refused_code(seen.code).happened if seen.code else "",
        corrections=_corrections(seen),
        phone=_phone(session, seen),
    )


def told(session: Session, seen: CaseView, refusal: Refusal) -> Refused:
    """The three lines of a refused act; where the case had moved on, with what happened."""
    moved = next((one for one in seen.happened if one.entry.id == seen.moved_by), None)
    if refusal.code != "referral.moved_on" or moved is None:
        return refused(refusal)
    entry = moved.entry
    who = f"{member_name(session, entry.sender)} {moved.author}".strip()
    at = when(entry.time or entry.at)
    return refused(conflict("referral.moved_on", act=entry_words(entry), who=who, at=at))


def _phone(session: Session, seen: CaseView) -> str:
    waits = seen.state == "queued" and seen.urgency in ("emergency", "urgent")
    return directory.emergency_phone(session) if waits else ""


def keys(seen: CaseView) -> list[Key]:
    """The keys of what may be done now; the first that moves the case on is the main one."""
    found: list[Key] = []
    for action, icon, key in _KEYS[seen.side]:
        if action not in seen.can:
            continue
        danger = action in (Action.DECLINE, Action.CANCEL, Action.NO_SHOW)
        aside = danger or action in (Action.CLAIM, Action.CORRECT)
        tail = f"/{_PAGES[action]}" if action in _PAGES else f"?act={action.value}#act"
        found.append(
            Key(
                action=action.value,
                word=t(word(seen, action)),
                href=f"/referrals/{seen.case}{tail}",
                icon=icon,
                key=key,
                main=not aside and not any(one.main for one in found),
                danger=danger,
            )
        )
    return found


def word(seen: CaseView, action: Action) -> str:
    """The word key of an act in the state of a case; `_confirm` and `_why` belong to it."""
    placed = (State.WAITING, State.BOOKED, TO_MOVE, State.NO_SHOW)
    if action is Action.ACCEPT and seen.state in placed:
        return "referral.do.schedule"
    if action is Action.ACKNOWLEDGE and seen.state == State.NO_SHOW:
        return "referral.do.close"
    return f"referral.do.{action.value}"


def knots(session: Session, seen: CaseView) -> list[Knot]:
    """The thread, newest first: where it stands now, then every exchange with its receipt."""
    found = []
    if seen.side is Side.PROVIDER or seen.state not in ("queued", "refused"):
        whose = _turn(seen)
        if whose:
            found.append(Knot(title=whose, state="now"))
    return found + [_knot(session, one) for one in seen.happened]


def _turn(seen: CaseView) -> str:
    key = f"referral.turn.{seen.side.value}.{seen.state}"
    names = {"service": t(f"contract.service.{seen.service}"), "name": seen.claimed_by}
    if seen.state in (State.CLOSED, State.CANCELLED, State.DECLINED, "queued", "refused"):
        return ""
    if seen.state == State.TRIAGE and not seen.claimed_by:
        key = f"referral.turn.{seen.side.value}.requested"
    return t(key, **names)


def _knot(session: Session, one: Happened) -> Knot:
    entry = one.entry
    state: KnotState = "on"
    if entry.state in ("queued", "held"):
        state = "wait"
    elif entry.state in ("refused", "kept", "alarm"):
        state = "refuse"
    return Knot(
        title=entry_words(entry),
        state=state,
        at=entry.time or entry.at,
        who=f"{member_name(session, entry.sender)} {one.author}".strip(),
        lines=[line for line in (*_lines(one), _reached(one)) if line],
        exchange=entry.id,
        index=entry.index,
        signer=one.author,
    )


def _lines(one: Happened) -> list[str]:
    """What an exchange said, in a few words."""
    lines = []
    data = one.data
    match one.action:
        case Action.RETURN:
            lines.append(t("referral.line.missing", what=_listed(data.get("missing", ()))))
        case Action.DECLINE:
            lines.append(t(f"referral.decline.{data.get('reason', 'other')}"))
        case Action.CANCEL:
            lines.append(t(f"referral.cancel.{data.get('reason', 'other')}"))
        case Action.ACCEPT:
            lines.append(_when(data))
        case Action.ACKNOWLEDGE:
            lines.append(t(f"referral.adoption.{data.get('adoption', 'adopted')}"))
        case Action.CORRECT:
            what = t(f"referral.corrected.{data.get('what', 'other')}")
            lines.append(t("referral.line.corrected", what=what))
        case _:
            pass
    return [*lines, one.text]


def _when(data: Mapping[str, object]) -> str:
    start, date = data.get("start"), data.get("date")
    place = str(data.get("place") or "")
    if isinstance(start, int):
        return t("referral.line.booked", when=when(from_ms(start)), place=place).strip()
    if isinstance(date, int):
        return t("referral.line.waiting", day=day(from_ms(date)))
    return place


def _reached(one: Happened) -> str:
    """How far an own exchange has come, or why one was refused."""
    entry = one.entry
    if entry.code:
        return refused_code(entry.code).happened
    if entry.alarm:
        return t(f"outbox.state.{entry.state}")
    return t(f"outbox.state.{entry.state}") if entry.mine else ""


def _placed(seen: CaseView) -> bool:
    return seen.state in (State.BOOKED, State.WAITING, State.NO_SHOW)


def _cancelled(seen: CaseView) -> str:
    if seen.state != TO_MOVE:
        return ""
    word = "to_move" if seen.side is Side.TAKER else "to_move_desk"
    start = seen.facts.start
    return t(f"referral.case.{word}", when=when(start) if start is not None else "")


def _appointment(seen: CaseView) -> str:
    """When the patient is to come; of a place on the waiting list the day, which is no hour."""
    start = seen.facts.start
    if start is None or not _placed(seen):
        return ""
    if seen.state == State.WAITING:
        return t("referral.line.waiting", day=day(start))
    return when(start)


def _absent(seen: CaseView) -> str:
    if seen.state != State.RETURNED or seen.side is not Side.TAKER:
        return ""
    return _listed(seen.facts.missing)


def _listed(missing: Sequence[str]) -> str:
    return t("shell.list_comma").join(t(f"referral.missing.{code}") for code in missing)


def _answer(seen: CaseView) -> str:
    """The words of the answer that stands: one before it, or on its way, speaks of other things."""
    for one in seen.happened:
        on_ledger = one.entry.index is not None and one.entry.state != "refused"
        if one.action in _ANSWERS and on_ledger:
            return one.text
    return ""


def _corrections(seen: CaseView) -> list[tuple[str, str]]:
    return [
        (t(f"referral.corrected.{one.data.get('what', 'other')}"), one.text)
        for one in seen.happened
        if one.action == Action.CORRECT and one.entry.state != "refused"
    ]


def _papers(session: Session, seen: CaseView) -> list[Attachment]:
    coming = blobs.coming(session, [one.sealed for one in seen.content.papers])
    return [
        Attachment(
            id=one.sealed,
            name=one.title,
            size_bytes=one.size,
            href="" if one.sealed in coming else f"/referrals/{seen.case}/files/{one.sealed}",
            state=t("referral.line.coming") if one.sealed in coming else "",
        )
        for one in seen.content.papers
    ]


def _pictures(session: Session, seen: CaseView) -> list[str]:
    """Addresses of the files that the page can show by itself."""
    there = {one.id: one.href for one in _papers(session, seen)}
    return [
        there[one.sealed]
        for one in seen.content.papers
        if one.content_type.startswith("image/") and there[one.sealed]
    ]


def _queue(session: Session, seen: CaseView, *, actor: Actor, now: datetime) -> list[Waiting]:
    """What waits for this person at a hospital, urgent first; nothing at a clinic."""
    if seen.side is Side.TAKER:
        return []
    rows = desk.worklist(session, actor=actor, topic="referral").rows
    return [waiting(one, now=now, current=seen.case) for one in rows if one.row.turn == "mine"]


def waiting(line: Line, *, now: datetime, current: str = "") -> Waiting:
    """A line of the desk as the queue shows it."""
    row = line.row
    return Waiting(
        case=row.case,
        href=row.link,
        urgency=row.urgency,
        name=row.patient_name,
        sex=row.patient_sex,
        birth=row.patient_birth,
        due=due_of(row, now=now),
        line=said(row.source, row.source_params) if row.source else said(row.need, row.need_params),
        current=row.case == current,
    )
