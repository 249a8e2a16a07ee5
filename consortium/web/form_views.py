"""What the referral form shows beside its fields: meter, services, files, sources, ways out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.orm import Session

from consortium.contracts import service as contracts
from consortium.contracts.service import Covering
from consortium.contracts.terms import SERVICES
from consortium.exchange import blobs
from consortium.kernel.actor import Actor
from consortium.kernel.errors import Refusal
from consortium.members import directory
from consortium.referrals import form, known, model, reading, viewing
from consortium.referrals.content import REQUIRED, Content
from consortium.referrals.form import Typed
from consortium.web.names import member_name
from consortium.web.node import WebNode
from consortium.web.pages import environment
from consortium.web.views import Act, Attachment, Option, Service, Step
from consortium.web.wording import ago, length, t

if TYPE_CHECKING:
    from consortium.web.referral_form import Sheet

SECTIONS: Final = {"patient": "patient-line", "service": "target", "signature": "signature"}
"""Where a missing field is found, when its id is not its name."""
NAMED_FIELDS: Final = frozenset(
    (*REQUIRED, "diagnosis_code", "medication", "allergies", "consent_note", "vitals_at", "papers")
)


@dataclass(frozen=True, slots=True)
class Gauge:
    """How far the form has come: required fields filled, and what is missing of them."""

    done: int
    total: int
    missing: Sequence[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class FormView:
    """Everything that stands in and beside the form."""

    gauge: Gauge
    urgencies: Sequence[Option]
    consents: Sequence[Option]
    services: Sequence[Service]
    papers: Sequence[Attachment]
    papers_bytes: int
    sources: Mapping[str, str]
    errors: Mapping[str, str]
    vitals: Sequence[tuple[str, str, str]]
    steps: Sequence[Step]
    open_case: str
    offline: bool
    phone: str
    key: bool
    absent: Sequence[str]


def build(
    session: Session, sheet: "Sheet", typed: Typed, *, actor: Actor, node: WebNode, now: datetime
) -> FormView:
    """The form's surroundings, in the language being written."""
    content = typed.content
    link = node.link_state(actor.member)
    papers = _papers(session, typed.papers)
    whole = sum(one.size_bytes for one in papers)
    covering = contracts.covering(session, taker=actor.member, now=now)
    open_case = None
    if content.service and not sheet.case:
        open_case = viewing.open_of(
            session, actor=actor, patient=sheet.patient.id, service=content.service
        )
    return FormView(
        gauge=_gauge(content, actor=actor, node=node),
        urgencies=[_urgency(one, covering, content) for one in model.URGENCIES],
        consents=[
            Option(one, t(f"referral.consent.{one}"), t(f"referral.consent.{one}_note"))
            for one in model.CONSENTS
        ],
        services=_services(session, covering, content, typed.provider),
        papers=papers,
        papers_bytes=whole,
        sources=_sources(session, sheet, content, actor=actor),
        errors={name: t(key) for name, key in typed.errors.items()},
        vitals=[_vital(one) for one in known.FIELDS],
        steps=_steps(content, covering),
        open_case=open_case or "",
        offline=not link.online,
        phone=directory.emergency_phone(session),
        key=bool(actor.key),
        absent=[t(f"referral.missing.{one}") for one in sheet.absent],
    )


def gauge_drawn(fields: Mapping[str, Any], actor: Actor, node: WebNode, now: datetime) -> str:
    """How far the form has come with these fields, as elements with ids (`drafts.GAUGES`)."""
    gauge = _gauge(form.read(fields, now=now).content, actor=actor, node=node)
    return environment().get_template("referrals/gauge.html").render(gauge=gauge)


def _gauge(content: Content, *, actor: Actor, node: WebNode) -> Gauge:
    signs = bool(actor.key) and node.keyring.holds(actor.user)
    empty = content.missing(patient=True, signature=signs)
    missing = [_gap(one, signs=signs) for one in empty]
    return Gauge(len(REQUIRED) - len(empty), len(REQUIRED), missing)


def ways_out(refusal: Refusal, typed: Typed) -> tuple[Act, ...]:
    """What can be done about a refusal, the best first."""
    if refusal.code == "referral.duplicate":
        href = f"/referrals/{refusal.facts['case']}"
        return (Act(t("referral.form.see_open"), href, main=True, icon="eye"),)
    if refusal.code.startswith("contract."):
        ways = [Act(t("referral.form.other_service"), "#target", main=True)]
        if typed.content.urgency != "emergency":
            ways.append(Act(t("referral.form.if_emergency"), "#urgency"))
        return tuple(ways)
    if refusal.code in ("referral.form", "referral.incomplete"):
        field = str(refusal.facts.get("field", ""))
        return (Act(t("referral.form.to_gap"), f"#{SECTIONS.get(field, field)}", main=True),)
    return ()


def field_word(field: str) -> str:
    """The word key of a field's name."""
    if field in NAMED_FIELDS:
        return f"referral.field.{field}"
    return f"referral.vital.{field}" if field in known.FIELDS else "referral.field.papers"


def _gap(field: str, *, signs: bool) -> tuple[str, str, str]:
    asker = t("referral.form.asks_law") if field == "consent" else ""
    if field == "signature" and not signs:
        asker = t("referral.form.asks_key")
    return SECTIONS.get(field, field), t(f"referral.field.{field}"), asker


def _urgency(urgency: str, covering: Sequence[Covering], content: Content) -> Option:
    minutes = _answer_min(urgency, covering, content)
    span = length(timedelta(minutes=minutes))
    return Option(urgency, t(f"shell.urgency.{urgency}"), span, urgency=urgency)


def _answer_min(urgency: str, covering: Sequence[Covering], content: Content) -> int:
    """What the chosen service promises, else what any does, else the default."""
    for one in covering:
        if one.service.code == content.service and urgency in one.service.answer_min:
            return one.answer_min(urgency)
    return model.default_answer_min(urgency)


def _services(
    session: Session, covering: Sequence[Covering], content: Content, provider: str
) -> list[Service]:
    """Covered services, most left first; then what the hospitals offer and no contract covers."""
    found = [_covered(session, one, content) for one in covering]
    have = {one.value for one in found}
    for hospital in directory.members(session, kind="lead"):
        for code in hospital.services or SERVICES:
            value = f"{hospital.member}/{code}"
            if value not in have:
                found.append(_uncovered(session, hospital.member, code))
    chosen = f"{provider}/{content.service}"
    # what is chosen stays in sight, whatever became of its contract
    found.sort(key=lambda one: (one.off and one.value != chosen, one.off))
    return found


def _covered(session: Session, one: Covering, content: Content) -> Service:
    urgency = content.urgency or "routine"
    answer = length(timedelta(minutes=one.answer_min(urgency)))
    full = one.left == 0
    return Service(
        value=f"{one.provider}/{one.service.code}",
        name=_service_name(session, one.provider, one.service.code),
        first=t("referral.form.left", n=one.left, quota=one.quota),
        why=t("referral.form.covered", clause=one.clause, answer=answer),
        state=t("referral.form.full") if full else t("referral.form.can"),
        tone="amber" if full else "green",
        icon="circle-alert" if full else "handshake",
    )


def _uncovered(session: Session, member: str, code: str) -> Service:
    return Service(
        value=f"{member}/{code}",
        name=_service_name(session, member, code),
        why=t("referral.form.uncovered"),
        state=t("referral.form.not_covered"),
        icon="ban",
        off=True,
    )


def _service_name(session: Session, member: str, code: str) -> str:
    return f"{member_name(session, member)} {t(f'contract.service.{code}')}"


def _papers(session: Session, sealed: Sequence[str]) -> list[Attachment]:
    found = []
    for one in sealed:
        try:
            paper = reading.paper_of(blobs.attachment(session, one))
        except Refusal:
            continue  # a draft of long ago may name a file that is gone
        found.append(Attachment(id=one, name=paper.title, size_bytes=paper.size, chosen=True))
    return found


def _sources(session: Session, sheet: "Sheet", content: Content, *, actor: Actor) -> dict[str, str]:
    """For each field that stands as it was prefilled: where it is from and when."""
    prefilled = known.prefill(session, member=actor.member, patient=sheet.patient.id)
    found = {}
    for name, source in prefilled.sources.items():
        if getattr(prefilled.content, name) != getattr(content, name):
            continue
        who = member_name(session, source.member) if source.member else t("patient.own")
        found[name] = t("referral.form.taken_from", source=who, at=ago(source.at))
    return found


def _vital(name: str) -> tuple[str, str, str]:
    return name, t(f"referral.vital.{name}"), t(f"referral.unit.{name}")


def _steps(content: Content, covering: Sequence[Covering]) -> list[Step]:
    urgency = content.urgency or "routine"
    span = length(timedelta(minutes=_answer_min(urgency, covering, content)))
    return [
        Step(t("referral.form.step_sign"), t("referral.form.step_sign_note")),
        Step(t("referral.form.step_sent"), t("referral.form.step_sent_note", span=span)),
        Step(t("referral.form.step_answer"), t("referral.form.step_answer_note")),
        Step(t("referral.form.step_report"), t("referral.form.step_report_note")),
    ]
