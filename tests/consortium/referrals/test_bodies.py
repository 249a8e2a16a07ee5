"""Bodies: what is written is read again, and facts that differ from resources are seen."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from consortium.fhir import gate, message, signature
from consortium.fhir.message import Message
from consortium.kernel.time import from_ms
from consortium.referrals import content, fhir, model, reading
from consortium.referrals.content import Content, Note, ReportText
from consortium.referrals.model import Action, State
from tests.consortium.referrals.factory import (
    BY_NAME,
    CASE,
    CONTENT,
    DATED,
    NOW,
    PATIENT,
    REQUEST,
    SLOT,
    SLOTTED,
    START,
    Key,
    frame,
)

KEY = Key()
EXPECTED = from_ms(DATED["date"])
WAITLIST = fhir.waitlist(frame("referral.accept/1", sender="lead"), expected=EXPECTED, place="")


def request(told: Content = CONTENT, **changes: Any) -> Message:
    one = frame("referral.request/1", urgency=told.urgency, **changes)
    return message.read(fhir.request(one, told, patient=PATIENT, signer=KEY), now=NOW)


def answer(action: Action, state: State, facts: dict[str, Any], **parts: Any) -> Message:
    one = frame(f"referral.{action}/1", sender="lead")
    return message.read(fhir.answer(one, state, facts=facts, **parts), now=NOW)


def test_a_request_is_read_as_it_was_written() -> None:
    body = request()
    assert reading.content_of(body) == CONTENT
    assert BY_NAME["referral.request/1"].facts_of(body) == REQUEST
    assert reading.author_of(body) == "韩素云"
    assert reading.patient_reference(body) == "Patient/p-wu"
    assert reading.inspect(Action.REQUEST, body, REQUEST, case=CASE) is None


def test_a_short_emergency_is_whole() -> None:
    told = Content(service="cardiology", urgency="emergency", question="胸痛 40 分钟")
    body = request(told)
    facts = BY_NAME["referral.request/1"].facts_of(body)
    assert facts == {"service": "cardiology", "urgency": "emergency", "filled": 5}
    assert reading.inspect(Action.REQUEST, body, facts, case=CASE) is None
    assert reading.content_of(body) == told


def test_a_routine_request_without_its_required_fields_is_not() -> None:
    told = Content(service="cardiology", urgency="routine", question="请会诊")
    body = request(told)
    facts = BY_NAME["referral.request/1"].facts_of(body)
    refusal = reading.inspect(Action.REQUEST, body, facts, case=CASE)
    assert refusal is not None
    assert refusal.facts["part"] == "required"


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        ({"service": "neurology"}, "service"),
        ({"urgency": "routine"}, "urgency"),
        ({"types": ["Condition"]}, "types"),
        ({"consent": "statutory"}, "consent"),
        ({"filled": 7}, "filled"),
    ],
)
def test_facts_that_say_something_else_are_seen(changed: dict[str, Any], part: str) -> None:
    refusal = reading.inspect(Action.REQUEST, request(), {**REQUEST, **changed}, case=CASE)
    assert refusal is not None
    assert (refusal.code, refusal.facts["part"]) == ("referral.body", part)


def test_a_body_of_another_case_is_seen() -> None:
    refusal = reading.inspect(Action.REQUEST, request(), REQUEST, case="c2")
    assert refusal is not None
    assert refusal.facts["part"] == "case"


def test_the_doctors_signature_covers_everything_clinical() -> None:
    body = request()
    key = signature.KeyInfo(KEY.key_id, KEY.public, member="shiqiao", person="u-shiqiao")
    signed = signature.verify(body, key_of={KEY.key_id: key}.get)
    plain = {"Parameters", "Provenance"}
    assert all(signed.covers(one) or one["resourceType"] in plain for one in body.resources)


def test_a_decimal_keeps_its_last_nought() -> None:
    assert b"36.50" in request().raw


@pytest.mark.parametrize(
    ("action", "state", "facts", "parts"),
    [
        (Action.CLAIM, State.TRIAGE, {}, {}),
        (
            Action.RETURN,
            State.RETURNED,
            {"urgency": "urgent", "missing": ["labs", "ecg"]},
            {"reasons": ["labs", "ecg"]},
        ),
        (
            Action.DECLINE,
            State.DECLINED,
            {"urgency": "urgent", "reason": "no_capacity"},
            {"reasons": ["no_capacity"], "signer": KEY},
        ),
        (
            Action.ACCEPT,
            State.WAITING,
            dict(DATED),
            {"signer": KEY, "until": START, "extra": [WAITLIST]},
        ),
        (Action.CANCEL, State.CANCELLED, {"reason": "improved"}, {"reasons": ["improved"]}),
        (Action.ARRIVE, State.ARRIVED, {}, {}),
        (Action.NO_SHOW, State.NO_SHOW, {}, {}),
        (Action.ACKNOWLEDGE, State.CLOSED, {"adoption": "adopted"}, {}),
    ],
)
def test_an_answer_is_read_as_it_was_written(
    action: Action, state: State, facts: dict[str, Any], parts: dict[str, Any]
) -> None:
    note = Note(author="陆怀安", text="请带旧片子", at=NOW)
    body = answer(action, state, facts, note=note, **parts)
    kind = BY_NAME[f"referral.{action}/1"]
    assert kind.facts_of(body) == facts
    assert reading.inspect(action, body, facts, case=CASE) is None
    assert reading.note_of(body) == note
    # who acted is told with a note and without one
    assert reading.author_of(answer(action, state, facts, **parts)) == "陆怀安"
    other = State.CLOSED if state is not State.CLOSED else State.TRIAGE
    wrong = answer(action, other, facts, note=note, **parts)
    assert reading.inspect(action, wrong, facts, case=CASE) is not None
    assert reading.inspect(action, body, facts, case="c2") is not None
    if "reason" in facts or "missing" in facts:
        bare = answer(action, state, facts, note=note)
        assert reading.inspect(action, bare, facts, case=CASE) is not None


def test_a_booked_time_is_an_appointment() -> None:
    one = frame("referral.accept/1", sender="lead")
    end = START + timedelta(minutes=20)
    extra = [fhir.appointment(one, slot=SLOT, start=START, end=end, place="门诊楼 3 诊室")]
    raw = fhir.answer(one, State.BOOKED, facts=SLOTTED, extra=extra, signer=KEY)
    body = message.read(raw, now=NOW)
    assert BY_NAME["referral.accept/1"].facts_of(body) == SLOTTED
    assert reading.inspect(Action.ACCEPT, body, SLOTTED, case=CASE) is None
    assert reading.place_of(body) == "门诊楼 3 诊室"
    assert reading.inspect(Action.ACCEPT, body, DATED, case=CASE) is not None


@pytest.mark.parametrize("advice", ["继续双抗，1 月后复查", ""])
def test_a_report_is_read_as_it_was_written(advice: str) -> None:
    text = ReportText("冠心病 不稳定型心绞痛", "造影示前降支狭窄 70%", advice, author="韩素云")
    raw = fhir.report(frame("referral.report/1"), text, signer=KEY)
    body = message.read(raw, now=NOW)
    assert reading.report_text(body) == text
    assert reading.inspect(Action.REPORT, body, {}, case=CASE) is None
    assert BY_NAME["referral.report/1"].facts_of(body) == {}


def test_a_report_without_findings_is_none() -> None:
    text = ReportText("冠心病", "见附件", "", author="韩素云")
    raw = fhir.report(frame("referral.report/1"), text, signer=KEY)
    empty = raw.replace("见附件".encode(), b"-")
    assert reading.inspect(Action.REPORT, message.read(empty, now=NOW), {}, case=CASE) is None
    without = gate.parse(raw)
    for entry in without["entry"]:
        entry["resource"].pop("conclusion", None)
    body = message.read(gate.dump(without), now=NOW)
    refusal = reading.inspect(Action.REPORT, body, {}, case=CASE)
    assert refusal is not None
    assert refusal.facts["part"] == "report"


def test_a_correction_names_the_exchange_it_is_about() -> None:
    one = frame("referral.correct/1")
    raw = fhir.correction(one, of="x1", what="diagnosis", text="应为高血压 2 级", signer=KEY)
    body = message.read(raw, now=NOW)
    facts = {"of": "x1", "what": "diagnosis"}
    assert BY_NAME["referral.correct/1"].facts_of(body) == facts
    assert reading.inspect(Action.CORRECT, body, facts, case=CASE) is None
    assert reading.message_text(body) == "应为高血压 2 级"
    assert reading.inspect(Action.CORRECT, body, {**facts, "of": "x2"}, case=CASE) is not None


def test_content_survives_its_json() -> None:
    assert content.from_json(gate.parse(gate.dump(CONTENT.json()))) == CONTENT


def test_the_form_has_eight_required_fields_and_an_emergency_fewer() -> None:
    assert len(content.REQUIRED) == 8
    empty = Content()
    assert empty.missing(patient=False, signature=False) == list(content.REQUIRED)
    assert CONTENT.missing(patient=True) == []
    assert CONTENT.filled() == 8
    urgent = Content(urgency="emergency")
    assert urgent.missing(patient=True) == ["service", "question"]


@pytest.mark.parametrize("state", State)
def test_every_state_has_its_fhir_status(state: State) -> None:
    assert fhir.task(frame("referral.claim/1"), state)["status"] == fhir.TASK_STATUS[state]
    assert state in fhir.REQUEST_STATUS
    assert model.TURNS.keys() == fhir.TASK_STATUS.keys()


def different(action: Action, body: Message, facts: Mapping[str, Any], patient: str) -> str:
    refusal = reading.inspect(action, body, facts, case=CASE, patient=patient)
    return "" if refusal is None else str(refusal.facts["part"])


def changed(raw: bytes, kind: str, **elements: Any) -> Message:
    bundle = gate.parse(raw)
    for entry in bundle["entry"]:
        if entry["resource"]["resourceType"] == kind:
            entry["resource"] |= elements
            for name in [name for name, value in elements.items() if value is None]:
                del entry["resource"][name]
    return message.read(gate.dump(bundle), now=NOW)


def test_an_answer_about_another_patient_is_seen() -> None:
    text = ReportText("冠心病", "造影示前降支狭窄 70%", "复查", author="韩素云")
    raw = fhir.report(frame("referral.report/1"), text, signer=KEY)
    body = message.read(raw, now=NOW)
    assert different(Action.REPORT, body, {}, "Patient/p-wu") == ""
    assert different(Action.REPORT, body, {}, "Patient/p-li") == "patient"
    for kind, element in (
        ("Task", "for"),
        ("DiagnosticReport", "subject"),
        ("CarePlan", "subject"),
    ):
        other = changed(raw, kind, **{element: {"reference": "Patient/p-li"}})
        assert different(Action.REPORT, other, {}, "Patient/p-wu") == "patient", kind
    nobody = changed(raw, "DiagnosticReport", subject=None)
    assert different(Action.REPORT, nobody, {}, "Patient/p-wu") == "patient"


def test_a_request_is_about_its_own_patient_and_a_resend_about_the_same() -> None:
    assert different(Action.RESEND, request(), REQUEST, "Patient/p-wu") == ""
    assert different(Action.RESEND, request(), REQUEST, "Patient/p-li") == "patient"
    mixed: Any = request()
    mixed.one("Condition")["subject"] = {"reference": "Patient/p-li"}
    assert different(Action.REQUEST, mixed, REQUEST, "") == "patient"


@pytest.mark.parametrize(
    ("elements", "part"),
    [
        ({}, ""),
        ({"start": "2026-11-26T05:12:00Z", "end": "2026-11-26T05:32:00Z"}, "start"),
        ({"slot": [{"identifier": {"value": "slot:s1/1"}}]}, "slot"),
        ({"slot": None}, "slot"),
        ({"status": "proposed"}, "slot"),
        ({"participant": [{"actor": {"reference": "Patient/p-li"}, "status": "accepted"}]},
         "patient"),
    ],
)  # fmt: skip
def test_the_signed_appointment_is_at_the_time_that_is_taken(
    elements: dict[str, Any], part: str
) -> None:
    one = frame("referral.accept/1", sender="lead")
    extra = [
        fhir.appointment(
            one, slot=SLOT, start=START, end=START + timedelta(minutes=20), place="门诊楼"
        )
    ]
    raw = fhir.answer(one, State.BOOKED, facts=SLOTTED, extra=extra, signer=KEY)
    body = changed(raw, "Appointment", **elements)
    assert different(Action.ACCEPT, body, dict(SLOTTED), "Patient/p-wu") == part


def test_a_day_expected_that_the_appointment_does_not_say_is_seen() -> None:
    one = frame("referral.accept/1", sender="lead")
    raw = fhir.answer(one, State.WAITING, facts=DATED, extra=[WAITLIST], signer=KEY)
    later = changed(raw, "Appointment", requestedPeriod=[{"start": "2026-12-24T02:12:00Z"}])
    assert different(Action.ACCEPT, later, dict(DATED), "Patient/p-wu") == "start"


def test_odd_but_valid_bodies_are_refused_not_broken() -> None:
    one = frame("referral.claim/1", sender="lead")
    raw = fhir.answer(one, State.TRIAGE, facts={}, note=Note("陆", "请带旧片子", NOW))
    silent = [{"authorString": "陆", "time": "2026-11-24", "_text": {"extension": []}}]
    for note, part in ((silent, "note"), ([{"text": "x", "time": "2026"}], "")):
        body: Any = message.read(raw, now=NOW)
        body.one("Task")["note"] = note
        assert different(Action.CLAIM, body, {}, "Patient/p-wu") == part
    body = request()
    body.one("DocumentReference")["content"] = [{"format": {"code": "x"}}]
    assert different(Action.REQUEST, body, REQUEST, "") == "papers"


def test_a_vital_sign_of_a_month_is_kept_in_that_month() -> None:
    body: Any = request()
    for found in body.all("Observation"):
        found["effectiveDateTime"] = "2026-11"
    assert {vital.at for vital in reading.content_of(body).vitals} == {"2026-11"}
    found["effectiveDateTime"] = "soon"
    assert different(Action.REQUEST, body, REQUEST, "") == "vitals"
