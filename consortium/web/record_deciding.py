"""What a person sees who decides on a request: both sides' identity data, and what would leave."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from consortium.kernel.actor import Actor
from consortium.patients import service as patients
from consortium.records import answering
from consortium.records.answering import Candidate, Review
from consortium.records.model import Match, Reason
from consortium.web.views import Option, Tone
from consortium.web.wording import t

MATCHES: Final[dict[Match, tuple[str, Tone]]] = {
    Match.EXACT: ("circle-check", "green"),
    Match.CONFLICT: ("triangle-alert", "red"),
    Match.POSSIBLE: ("circle-help", "amber"),
    Match.NONE: ("ban", ""),
}


@dataclass(frozen=True, slots=True)
class CandidateView:
    """A patient of ours beside the one who is asked for: pairs of (label, theirs, ours, same)."""

    id: str
    lines: Sequence[tuple[str, str, str, bool]]
    match: str
    icon: str
    tone: Tone
    leaving: str


@dataclass(frozen=True, slots=True)
class Deciding:
    """What a person needs to decide."""

    candidates: Sequence[CandidateView]
    asked: Sequence[tuple[str, str]]
    limited: bool
    reasons: Sequence[Option]
    q: str
    found: Sequence[Any]


def build(
    session: Session, case: str, *, actor: Actor, q: str, chosen: str, now: datetime
) -> Deciding:
    """Both sides' data of everybody who could be meant, in the language being written."""
    seen_ = answering.review(session, case, actor=actor, chosen=chosen, now=now)
    found = patients.search(session, actor=actor, text=q, now=now) if q else []
    return Deciding(
        candidates=[_candidate(one, seen_) for one in seen_.candidates],
        asked=[
            (t("records.decide.name"), seen_.asked.name),
            (t("records.decide.id_number"), seen_.asked.number or t("records.decide.unknown")),
            (t("records.decide.sex"), _sex(seen_.asked.sex)),
            (t("records.decide.birth"), _birth(seen_.asked.birth)),
        ],
        limited=seen_.limited != seen_.scope,
        reasons=[Option(one.value, t(f"record.reason.{one.value}")) for one in Reason],
        q=q,
        found=found,
    )


def _candidate(one: Candidate, seen_: Review) -> CandidateView:
    ours, theirs = answering.identity_of(one.patient), seen_.asked
    icon, tone = MATCHES[one.match]
    number, name, birth, sex = (
        t(f"records.decide.{word}") for word in ("id_number", "name", "birth", "sex")
    )
    unknown = t("records.decide.unknown")
    return CandidateView(
        id=one.patient.id,
        lines=[
            (name, theirs.name, ours.name, theirs.name == ours.name),
            (number, theirs.number or unknown, ours.number or unknown,
             theirs.number == ours.number),
            (sex, _sex(theirs.sex), _sex(ours.sex), theirs.sex == ours.sex),
            (birth, _birth(theirs.birth), _birth(ours.birth), theirs.birth == ours.birth),
        ],
        match=t(f"record.match.{one.match.value}"),
        icon=icon,
        tone=tone,
        leaving=_leaving(one.leaving),
    )  # fmt: skip


def _leaving(counts: Mapping[str, int]) -> str:
    if not counts:
        return t("records.decide.leaving_none")
    what = t("shell.list_comma").join(
        t("records.decide.leaving_item", type=t(f"contract.type.{kind}"), n=n)
        for kind, n in counts.items()
    )
    return t("records.decide.leaving", n=sum(counts.values()), what=what)


def _sex(sex: str) -> str:
    if sex in ("male", "female"):
        return t(f"shell.sex.{sex}")
    return t("records.decide.unknown")


def _birth(birth: date | None) -> str:
    return birth.isoformat() if birth else t("records.decide.unknown")
