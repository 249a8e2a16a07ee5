"""A body that its recipient cannot take: what goes back with the case, and what stands."""

from typing import Any

import pytest

from consortium.kernel.time import to_ms
from tests.consortium.referrals.factory import (
    DATED,
    HOUR,
    NOW,
    REQUEST,
    SESSION,
    SLOT,
    SLOTTED,
    START,
    Fold,
    begun,
)

DECLINE = {"urgency": "urgent", "reason": "no_capacity"}
FIRST = f"slot:{SESSION}/1"
EARLIER: dict[str, Any] = {**SLOTTED, "slot": FIRST, "start": to_ms(START) - 20 * 60_000}


def held(fold: Fold, slot: str = SLOT) -> str:
    return str((fold.get(slot) or {}).get("case", ""))


def test_a_refused_decline_stands_and_gives_its_quota_back_once() -> None:
    fold = begun()
    other = fold.send("request", REQUEST, case="c2")
    assert (other, fold.used) == ("ok v1 a240", 2)
    assert fold.send("decline", DECLINE) == "ok v1"
    of = fold.case["last"]["id"]
    assert fold.refuse() == "ok"
    assert (fold.case["state"], fold.case["turn"], fold.used) == ("declined", "", 1)
    assert fold.case["body_refused"] == {"of": of, "code": "fhir.value"}
    assert fold.send("decline", DECLINE) == "referral.state"
    assert fold.refuse(of=of) == "ok"
    assert (fold.case["state"], fold.used) == ("declined", 1)


@pytest.mark.parametrize(
    ("acts", "by", "state"),
    [
        ([("accept", SLOTTED), ("cancel", {"reason": "improved"})], "lead", "cancelled"),
        (
            [("accept", SLOTTED), ("no_show", {}), ("acknowledge", {"adoption": "absent"})],
            "lead",
            "closed",
        ),
    ],
)
def test_every_act_that_ends_a_referral_stands(
    acts: list[tuple[str, dict[str, Any]]], by: str, state: str
) -> None:
    fold = begun()
    for kind, facts in acts:
        time = START + HOUR if kind == "no_show" else NOW
        assert fold.send(kind, facts, time=time).startswith("ok"), kind
    used = fold.used
    assert fold.refuse(by=by) == "ok"
    assert (fold.case["state"], fold.used) == (state, used)


def test_a_refused_acceptance_frees_its_slot_and_the_case_is_as_it_was() -> None:
    fold = begun()
    fold.send("claim")
    before = fold.case
    fold.send("accept", SLOTTED)
    assert held(fold) == "0193a1b2-0000-7000-8000-00000000c001"
    assert fold.refuse() == "ok freed"
    assert held(fold) == ""
    same = ("state", "turn", "due", "slot", "start")
    assert [fold.case[name] for name in same] == [before[name] for name in same]
    # and another patient can have the time
    assert fold.send("request", REQUEST, case="c2").startswith("ok")
    assert fold.send("accept", SLOTTED, case="c2") == "ok v1"
    assert fold.send("decline", DECLINE) == "ok v1"
    assert held(fold) == "c2"


def test_a_time_that_replaced_another_stays() -> None:
    fold = begun()
    fold.send("accept", SLOTTED)
    fold.send("accept", EARLIER)
    assert fold.refuse() == "ok"
    assert (fold.case["state"], fold.case["slot"]) == ("booked", FIRST)
    assert (held(fold), held(fold, FIRST) != "") == ("", True)
    fold.send("accept", DATED)
    assert fold.refuse() == "ok"
    assert (fold.case["state"], fold.case["slot"], held(fold, FIRST)) == ("waiting", "", "")


def test_a_refused_return_may_be_sent_again() -> None:
    fold = begun()
    missing = {"urgency": "urgent", "missing": ["labs"]}
    fold.send("return", missing)
    fold.refuse()
    assert (fold.case["state"], fold.case["turn"]) == ("requested", "lead")
    assert fold.send("return", missing) == "ok v1"


def test_a_refusal_is_not_refused() -> None:
    fold = begun()
    fold.send("accept", DATED)
    fold.refuse()
    assert fold.refuse(by="lead") == "ok"
    assert fold.case["state"] == "requested"


def test_only_the_last_step_of_the_one_it_is_sent_to_goes_back() -> None:
    fold = begun()
    first = fold.case["last"]["id"]
    fold.send("claim")
    assert fold.refuse(by="lead", of=first) == "ok"
    assert fold.refuse(by="lead") == "ok"
    assert (fold.case["state"], "body_refused" in fold.case) == ("triage", False)
