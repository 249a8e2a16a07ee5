"""The printed slip (picture 13): what the patient takes along. Works offline; A5 or 80 mm.

The QR code holds the case's number and nothing else; the name is masked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

import segno
from fastapi import APIRouter, Query, Request
from markupsafe import Markup
from sqlalchemy.orm import Session
from starlette.responses import Response

from consortium.kernel.actor import Actor
from consortium.members import directory
from consortium.referrals import viewing
from consortium.referrals.acting import READERS
from consortium.referrals.model import Action, State
from consortium.referrals.rows import TO_MOVE
from consortium.referrals.viewing import CaseView
from consortium.web.deps import Now, PageRoute, Reading, SignedIn
from consortium.web.names import member_name
from consortium.web.pages import look_of, render
from consortium.web.wording import clock, full_day, t, written

router = APIRouter(route_class=PageRoute)
WIDTHS: Final = ("a5", "w80")
_QR_BORDER: Final = 2


@dataclass(frozen=True, slots=True)
class Slip:
    """What stands on a slip, in the order of its lines."""

    case: str
    clinic: str
    printed: datetime
    head: str
    place: str
    lines: Sequence[tuple[str, str]]
    number: str
    qr: Markup
    entry: int | None
    contract: str
    width: str


@router.get("/referrals/{case}/slip")
def show(
    request: Request,
    case: str,
    session: Reading,
    actor: SignedIn,
    now: Now,
    width: Annotated[str, Query(max_length=8)] = "",
) -> Response:
    """The slip of a case, ready to print."""
    actor.require(*READERS)
    seen = viewing.view(session, case, actor=actor)
    with written(look_of(request)):
        slip = _slip(session, seen, actor=actor, width=width, now=now)
    return render(request, "print/slip.html", page="referrals", slip=slip, widths=WIDTHS)


def masked(name: str) -> str:
    """A name of which one place is hidden: 钱玉梅 is 钱*梅, 李明 is 李*, Ann Lee is A** L**."""
    if name.isascii():
        return " ".join(f"{part[:1]}**" for part in name.split())
    if len(name) < 3:
        return f"{name[:1]}*" if len(name) > 1 else name
    return f"{name[0]}{'*' * (len(name) - 2)}{name[-1]}"


def _slip(session: Session, seen: CaseView, *, actor: Actor, width: str, now: datetime) -> Slip:
    sent = seen.last(Action.REQUEST)
    return Slip(
        case=seen.case,
        clinic=member_name(session, actor.member),
        printed=now,
        head=_head(seen),
        place=_place(session, seen),
        lines=_lines(session, seen, actor=actor),
        number=seen.number,
        qr=Markup(_qr(seen.number)),  # noqa: S704 - made here from ten letters and digits
        entry=sent.entry.index if sent is not None else None,
        contract=seen.contract[-6:].upper(),
        width=width if width in WIDTHS else WIDTHS[0],
    )


def _place(session: Session, seen: CaseView) -> str:
    service = t(f"contract.service.{seen.service}")
    # where to come was said of a time that no longer holds
    place = "" if seen.state == TO_MOVE else seen.facts.place
    return f"{member_name(session, seen.provider)} {service} {place}".strip()


def _head(seen: CaseView) -> str:
    """The largest line: when to come, or that the time is still to come."""
    start = seen.facts.start
    if seen.state == State.BOOKED and start is not None:
        return t("slip.at", day=full_day(start), time=clock(start))
    if seen.state == TO_MOVE:
        return t("slip.to_move")
    if seen.state == State.WAITING and start is not None:
        return t("slip.expected", day=full_day(start))
    if seen.urgency == "emergency":
        return t("slip.now")
    return t("slip.wait_for_call")


def _lines(session: Session, seen: CaseView, *, actor: Actor) -> list[tuple[str, str]]:
    lines = []
    if seen.patient is not None:
        name = masked(seen.patient.name)
        sex = t(f"patients.sex.{seen.patient.sex}") if seen.patient.sex else ""
        lines.append((t("slip.name"), f"{name} {sex}".strip()))
    lines.append((t("slip.bring"), t("slip.bring_what")))
    clinic, hospital = (directory.find(session, one) for one in (actor.member, _provider(seen)))
    phone = clinic.phone if clinic is not None else ""
    if seen.state == TO_MOVE:
        lines += [(t("slip.ask"), t("slip.ask_call", phone=phone))] if phone else []
    else:
        lines.append((t("slip.way"), _way(seen)))
        lines += [(t("slip.cannot"), t("slip.cannot_call", phone=phone))] if phone else []
    if hospital is not None and hospital.phone:
        lines.append((t("slip.emergency"), hospital.phone))
    return lines


def _way(seen: CaseView) -> str:
    accepted = seen.last(Action.ACCEPT)
    return (accepted.text if accepted is not None else "") or t("slip.way_default")


def _provider(seen: CaseView) -> str:
    sent = seen.last(Action.REQUEST)
    return sent.entry.to[0] if sent is not None and sent.entry.to else ""


def _qr(number: str) -> str:
    """The code as SVG; its size on paper is the style's, at least 25 mm."""
    made = segno.make(number, error="m", micro=False)
    return str(made.svg_inline(border=_QR_BORDER, omitsize=True, svgclass="qr"))
