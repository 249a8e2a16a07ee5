"""The kinds of a referral over shared state alone: judged and folded as the hub does."""

from typing import Any

import pytest

from consortium.exchange.header import Lane
from consortium.kernel.time import to_ms
from consortium.referrals import model
from consortium.referrals.kinds import KINDS
from consortium.referrals.model import Action, State
from tests.consortium.referrals.factory import (
    BY_NAME,
    CASE,
    CONTRACT,
    DATED,
    DAY,
    HOUR,
    NOW,
    REQUEST,
    SESSION,
    SLOT,
    SLOTTED,
    START,
    Fold,
    begun,
    contract,
    session,
)


def test_every_action_has_one_kind() -> None:
    actions = [kind.action for kind in KINDS]  # type: ignore[attr-defined]
    assert sorted(actions) == sorted(Action)


def test_a_request_opens_a_case_with_the_contracts_time_to_answer() -> None:
    fold = Fold({f"contract:{CONTRACT}": contract(answer_urgent=90)})
    assert fold.send("request", REQUEST) == "ok v1 a90"
    case = fold.case
    assert (case["state"], case["turn"], case["version"]) == ("requested", "lead", 1)
    assert case["due"] == to_ms(NOW) + 90 * 60_000
    assert case["quota"] == f"quota:{CONTRACT}/cardiology/shiqiao/lead/2026-11"
    assert fold.used == 1


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"contract_id": ""}, "contract.none S"),
        ({"contract_id": "ct-9"}, "contract.none S"),
        ({"purpose": "HRESCH"}, "contract.purpose P1"),
        ({"to": ("lead", "yunling")}, "contract.not_party B1"),
        ({"to": ("shiqiao",)}, "contract.service S"),
    ],
)
def test_without_its_clause_a_request_is_refused(changes: dict[str, Any], verdict: str) -> None:
    fold = Fold({f"contract:{CONTRACT}": contract()})
    assert fold.send("request", REQUEST, **changes) == verdict
    assert f"case:{CASE}" not in fold.values


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        ({"service": "neurology"}, "contract.service S"),
        ({"types": ["Condition", "ImagingStudy"]}, "contract.types T1"),
        ({"consent": "none"}, "exchange.consent"),
        ({"consent": "emergency"}, "exchange.consent"),
    ],
)
def test_what_the_contract_or_consent_does_not_cover_is_refused(
    facts: dict[str, Any], verdict: str
) -> None:
    fold = Fold({f"contract:{CONTRACT}": contract()})
    assert fold.send("request", {**REQUEST, **facts}) == verdict


def test_an_emergency_goes_through_without_contract_and_takes_no_quota() -> None:
    fold = Fold()
    facts = {"service": "cardiology", "urgency": "emergency", "filled": 4}
    assert fold.send("request", facts, contract_id="") == "ok uncovered a30"
    assert (fold.case["quota"], fold.case["version"], fold.used) == ("", 0, 0)
    assert fold.send("arrive", contract_id="") == "ok"
    assert fold.case["state"] == "arrived"
    assert fold.send("cancel", {"reason": "mistake"}, contract_id="").startswith("referral.state")


def test_an_emergency_over_the_quota_is_flagged_and_still_counted() -> None:
    fold = Fold({f"contract:{CONTRACT}": contract(quota=1)})
    assert fold.send("request", REQUEST).startswith("ok")
    assert fold.send("request", REQUEST, case="c2") == "contract.quota Q1"
    facts = {**REQUEST, "urgency": "emergency"}
    assert fold.send("request", facts, case="c3") == "ok v1 over_quota a30"
    assert fold.used == 2


@pytest.mark.parametrize(
    ("acts", "used"),
    [
        ([("decline", {"urgency": "urgent", "reason": "no_capacity"})], 0),
        ([("cancel", {"reason": "improved"})], 0),
        ([("accept", SLOTTED), ("cancel", {"reason": "patient_refused"})], 0),
        ([("accept", SLOTTED), ("no_show", {})], 1),
        ([("accept", SLOTTED), ("no_show", {}), ("acknowledge", {"adoption": "absent"})], 1),
        ([("accept", DATED), ("arrive", {}), ("report", {})], 1),
    ],
)
def test_quota_comes_back_before_arrival_and_not_by_a_no_show(
    acts: list[tuple[str, dict[str, Any]]], used: int
) -> None:
    fold = begun()
    for kind, facts in acts:
        time = START + HOUR if kind == "no_show" else NOW
        assert fold.send(kind, facts, time=time).startswith("ok"), kind
    assert fold.used == used


def test_the_quota_goes_back_to_the_month_it_was_taken_from() -> None:
    fold = begun()
    later = NOW + 10 * DAY
    assert fold.send("decline", {"urgency": "urgent", "reason": "other"}, time=later) == "ok v1"
    assert fold.values[f"quota:{CONTRACT}/cardiology/shiqiao/lead/2026-11"]["used"] == 0
    assert f"quota:{CONTRACT}/cardiology/shiqiao/lead/2026-12" not in fold.values


def test_the_whole_walk_to_a_closed_case() -> None:
    fold = begun()
    walk = [
        ("claim", {}, "triage", "lead"),
        ("return", {"urgency": "urgent", "missing": ["labs", "ecg"]}, "returned", "shiqiao"),
        ("resend", REQUEST, "requested", "lead"),
        ("accept", SLOTTED, "booked", "lead"),
        ("arrive", {}, "arrived", "lead"),
        ("report", {}, "reported", "shiqiao"),
        ("acknowledge", {"adoption": "partly"}, "closed", ""),
    ]
    for kind, facts, state, turn in walk:
        assert fold.send(kind, facts) == "ok v1", kind
        assert (fold.case["state"], fold.case["turn"]) == (state, turn)
    assert fold.case["adoption"] == "partly"
    assert fold.values[SLOT]["state"] == "booked"
    assert fold.send("return", {"urgency": "urgent", "missing": ["labs"]}).startswith(
        "referral.state"
    )


def test_case_and_slot_move_together_or_not_at_all() -> None:
    fold = begun()
    assert fold.send("accept", SLOTTED) == "ok v1"
    assert fold.values[SLOT] == {
        "parties": ["lead"],
        "state": "booked",
        "case": CASE,
        "holder": "shiqiao",
        "allotted": None,
        "frozen": False,
        "until": None,
    }
    assert (fold.case["slot"], fold.case["start"], fold.case["due"]) == (
        SLOT,
        to_ms(START),
        to_ms(START),
    )
    assert fold.send("request", REQUEST, case="c2").startswith("ok")
    before = fold.values["case:c2"]
    assert fold.send("accept", SLOTTED, case="c2") == "slot.taken"
    assert fold.values["case:c2"] == before


def test_another_slot_frees_the_first_and_a_cancel_frees_the_last() -> None:
    fold = begun()
    other = {"urgency": "urgent", "slot": f"slot:{SESSION}/1", "start": to_ms(START) - 20 * 60_000}
    assert fold.send("accept", SLOTTED).startswith("ok")
    assert fold.send("accept", SLOTTED).startswith("ok")
    assert fold.values[SLOT]["case"] == CASE
    assert fold.send("accept", other).startswith("ok")
    assert (fold.values[SLOT]["state"], fold.values[SLOT]["case"]) == ("free", "")
    assert fold.send("accept", DATED).startswith("ok")
    assert fold.values[f"slot:{SESSION}/1"]["state"] == "free"
    assert (fold.case["state"], fold.case["slot"]) == ("waiting", "")
    assert fold.send("accept", SLOTTED).startswith("ok")
    assert fold.send("cancel", {"reason": "improved"}).startswith("ok")
    assert (fold.values[SLOT]["state"], fold.case["slot"]) == ("free", "")


@pytest.mark.parametrize(
    ("facts", "changes", "verdict"),
    [
        ({"urgency": "urgent"}, {}, "referral.when"),
        ({**SLOTTED, "date": to_ms(NOW)}, {}, "referral.when"),
        ({"urgency": "urgent", "slot": SLOT}, {}, "referral.when"),
        ({"urgency": "urgent", "start": to_ms(START)}, {}, "referral.when"),
        ({**SLOTTED, "start": to_ms(START) + 1}, {}, "referral.when"),
        ({**SLOTTED, "slot": f"slot:{SESSION}/3"}, {}, "slot.unknown"),
        ({**SLOTTED, "slot": "slot:other/2"}, {}, "slot.unknown"),
        ({**SLOTTED, "slot": "case:x"}, {}, "slot.unknown"),
        (SLOTTED, {"provider": "county"}, "slot.unknown"),
        (SLOTTED, {"state": "cancelled"}, "slot.cancelled"),
        (SLOTTED, {"kind": "teleconsult"}, "referral.slot_kind"),
        (SLOTTED, {"service": "neurology"}, "referral.slot_service"),
        ({**DATED, "date": to_ms(NOW + 400 * DAY)}, {}, "referral.date"),
        ({**SLOTTED, "urgency": "routine"}, {}, "referral.urgency"),
    ],
)
def test_an_accept_needs_one_time_that_can_be_had(
    facts: dict[str, Any], changes: dict[str, Any], verdict: str
) -> None:
    fold = begun()
    fold.values[f"session:{SESSION}"] = session(**changes)
    assert fold.send("accept", facts) == verdict
    assert fold.case["state"] == "requested"


def test_a_past_slot_is_not_given() -> None:
    fold = begun()
    assert fold.send("accept", SLOTTED, time=START) == "slot.past"


def test_a_return_names_what_is_missing() -> None:
    fold = begun()
    assert fold.send("return", {"urgency": "urgent", "missing": []}) == "referral.missing"


def test_a_resend_keeps_service_and_urgency() -> None:
    fold = begun()
    assert fold.send("return", {"urgency": "urgent", "missing": ["labs"]}).startswith("ok")
    assert fold.send("resend", {**REQUEST, "service": "neurology"}) == "referral.service"
    assert fold.send("resend", {**REQUEST, "urgency": "emergency"}) == "referral.urgency"
    refused = fold.send("resend", {**REQUEST, "types": ["ImagingStudy"]})
    assert refused == "contract.types T1"
    assert fold.send("resend", REQUEST).startswith("ok")
    assert fold.case["turn"] == "lead"


def test_a_body_that_could_not_be_taken_leaves_the_clinic_with_a_case_to_send_again() -> None:
    fold = begun()
    # what body.refuse/1 does to any case (exchange/own_kinds)
    fold.values[f"case:{CASE}"] = {
        **fold.case,
        "state": fold.case["prior"],
        "prior": fold.case["state"],
        "turn": "shiqiao",
    }
    assert fold.case["state"] == State.UNREADABLE
    assert model.allowed(fold.case, side=model.Side.TAKER) == {
        Action.RESEND,
        Action.CANCEL,
        Action.CORRECT,
    }
    assert fold.send("resend", REQUEST) == "ok v1"


def test_an_open_case_goes_on_after_the_contract_was_suspended() -> None:
    fold = begun()
    fold.values[f"contract:{CONTRACT}"]["state"] = "suspended"
    assert fold.send("accept", SLOTTED) == "ok v1"
    assert fold.send("request", REQUEST, case="c2") == "contract.suspended N1"


def test_urgent_cases_travel_in_the_urgent_lane_and_bookings_by_the_clinic_do_not() -> None:
    request, cancel = BY_NAME["referral.request/1"], BY_NAME["referral.cancel/1"]
    assert request.lane(REQUEST) is Lane.URGENT
    assert request.lane({**REQUEST, "urgency": "routine"}) is Lane.ROUTINE
    assert cancel.lane({"reason": "mistake"}) is Lane.ROUTINE


def test_a_stranger_cannot_act_in_a_case() -> None:
    fold = begun()
    fold.values[f"contract:{CONTRACT}"]["parties"].append("yunling")
    assert fold.send("claim", sender="yunling", to=("shiqiao",)) == "referral.side"
    assert fold.send("accept", SLOTTED, sender="shiqiao", to=("lead",)) == "referral.side"
    assert fold.send("claim", case="nothing") == "referral.state"


def test_the_audience_of_a_case_is_its_parties() -> None:
    assert set(begun().case["parties"]) == {"shiqiao", "lead"}


def test_a_resend_needs_a_consent_as_the_request_did() -> None:
    fold = begun()
    assert fold.send("return", {"urgency": "urgent", "missing": ["labs"]}).startswith("ok")
    bare = {name: one for name, one in REQUEST.items() if name != "consent"}
    assert fold.send("resend", bare) == "exchange.consent"
    assert fold.send("resend", {**REQUEST, "consent": "emergency"}) == "exchange.consent"
    assert fold.case["consent"] == "explicit"
    assert fold.send("resend", {**REQUEST, "consent": "statutory"}) == "ok v1"
    assert fold.case["consent"] == "statutory"
