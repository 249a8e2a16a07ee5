"""The life of a contract, every state with every action; contradictions in terms."""

from datetime import timedelta
from itertools import product

import pytest

from consortium.contracts import model
from consortium.contracts.model import TABLE, Action, State
from consortium.contracts.terms import Terms
from consortium.kernel.errors import Refusal
from consortium.kernel.time import to_ms
from tests.consortium.contracts.making import (
    NOW,
    PARTIES,
    digest_of,
    in_force,
    proposed,
    service,
    terms,
)

NOW_MS = to_ms(NOW)
DAY_MS = model.DAY_MS

# Written by hand from PROTOCOL 6, beside the table of the program.
ALLOWED = {
    ("draft", "propose"): "proposed",
    ("withdrawn", "propose"): "proposed",
    ("proposed", "sign"): "signed_by_some",
    ("proposed", "withdraw"): "withdrawn",
    ("signed_by_some", "sign"): "signed_by_some",
    ("signed_by_some", "sign_last"): "in_force",
    ("signed_by_some", "withdraw"): "withdrawn",
    ("agreed", "suspend"): "suspended",
    ("agreed", "terminate"): "terminated",
    ("in_force", "suspend"): "suspended",
    ("in_force", "terminate"): "terminated",
    ("ending", "suspend"): "suspended",
    ("suspended", "resume"): "in_force",
    ("suspended", "terminate"): "terminated",
}


@pytest.mark.parametrize(("state", "action"), list(product(State, Action)))
def test_each_state_with_each_action(state: State, action: Action) -> None:
    after = ALLOWED.get((state.value, action.value))
    if after is not None:
        assert model.advance(state, action) == after
        assert action in model.allowed(state)
        return
    assert action not in model.allowed(state)
    with pytest.raises(Refusal) as caught:
        model.advance(state, action)
    assert caught.value.code == "contract.state"
    assert caught.value.facts == {"state": state.value, "action": action.value}


def test_the_table_has_no_more_than_that() -> None:
    assert {(s.value, a.value): after.value for (s, a), after in TABLE.items()} == ALLOWED


def _at(value: dict[str, object] | None, days: int = 0) -> State:
    return model.status(value, time_ms=NOW_MS + days * DAY_MS)


def test_it_is_in_force_with_the_last_signature_and_not_before() -> None:
    value = proposed(terms())
    assert _at(None) == State.DRAFT
    assert _at(value) == State.PROPOSED
    for number, member in enumerate(PARTIES):
        assert value["version"] == 0
        value = model.signed(
            value, member=member, seal=f"s-{member}", time_ms=NOW_MS, here=40 + number
        )
    assert _at(value) == State.IN_FORCE
    assert value["version"] == 1
    assert value["versions"]["1"]["from"] == 42
    assert value["versions"]["1"]["signed"] == {member: f"s-{member}" for member in PARTIES}
    assert model.unsigned(value) == ()


def test_nobody_signs_twice_and_no_stranger_at_all() -> None:
    value = model.signed(proposed(terms()), member="lead", seal="s", time_ms=NOW_MS, here=1)
    for member, code in (("lead", "contract.signed"), ("stranger", "contract.not_party")):
        with pytest.raises(Refusal) as caught:
            model.signed(value, member=member, seal="s", time_ms=NOW_MS, here=1)
        assert caught.value.code == code


def test_a_taken_back_proposal_comes_again_as_a_further_version() -> None:
    value = model.signed(proposed(terms()), member="lead", seal="s", time_ms=NOW_MS, here=1)
    value = model.changed(value, action=Action.WITHDRAW, by="lead", reason="terms", time_ms=NOW_MS)
    assert _at(value) == State.WITHDRAWN
    again = proposed(terms(service(quota_month=9)), old=value)
    assert list(again["versions"]) == ["1", "2"]
    assert again["versions"]["1"] == value["versions"]["1"]
    assert model.unsigned(again) == PARTIES
    assert again["versions"]["2"]["hash"] == digest_of(terms(service(quota_month=9)))


def test_spans_are_compared_and_nothing_is_written() -> None:
    spans = terms(start_ms=NOW_MS + 10 * DAY_MS, end_ms=NOW_MS + 20 * DAY_MS)
    value = in_force(spans)
    assert [_at(value, d) for d in (0, 9, 10, 19, 20)] == [
        State.AGREED,
        State.AGREED,
        State.IN_FORCE,
        State.IN_FORCE,
        State.EXPIRED,
    ]
    assert _at(proposed(spans), 20) == State.EXPIRED


def test_terminating_ends_after_the_notice() -> None:
    value = model.changed(
        in_force(terms(notice_days=30)),
        action=Action.TERMINATE,
        by="lead",
        reason="agreed",
        time_ms=NOW_MS,
    )
    assert [_at(value, d) for d in (0, 29, 30)] == [State.ENDING, State.ENDING, State.TERMINATED]


def test_a_suspended_contract_is_terminated_at_once() -> None:
    value = in_force(terms(notice_days=30))
    for action in (Action.SUSPEND, Action.TERMINATE):
        value = model.changed(value, action=action, by="lead", reason="breach", time_ms=NOW_MS)
    assert _at(value) == State.TERMINATED


def test_suspending_what_is_ending_does_not_save_it() -> None:
    value = in_force(terms(notice_days=30))
    seen = []
    for action in (Action.TERMINATE, Action.SUSPEND, Action.RESUME):
        value = model.changed(value, action=action, by="lead", reason="agreed", time_ms=NOW_MS)
        seen.append((_at(value), _at(value, 30)))
    over = State.TERMINATED
    assert seen == [(State.ENDING, over), (State.SUSPENDED, over), (State.ENDING, over)]


def test_suspending_and_resuming() -> None:
    value = model.changed(
        in_force(terms()), action=Action.SUSPEND, by="lead", reason="safety", time_ms=NOW_MS
    )
    assert _at(value) == State.SUSPENDED
    assert value["suspended"] == {"by": "lead", "reason": "safety", "since": NOW_MS}
    value = model.changed(value, action=Action.RESUME, by="lead", reason="settled", time_ms=NOW_MS)
    assert _at(value) == State.IN_FORCE
    assert value["suspended"] is None


@pytest.mark.parametrize(
    ("made", "clause", "code"),
    [
        (terms(parties=("lead",)), "B1", "one_party"),
        (terms(types=()), "T1", "no_type"),
        (terms(purposes=()), "P1", "no_purpose"),
        (terms(start_ms=2 * DAY_MS, end_ms=2 * DAY_MS), "D1", "ends_before_start"),
        (terms(service(1), service(4)), "S4", "duplicate"),
        (terms(service(3, code="magic")), "S3", "unknown_service"),
        (terms(service(3, taker="lead")), "S3", "same_member"),
        (terms(service(3, taker="shiqiao")), "S3", "not_party"),
        (terms(service(3, quota_month=0)), "Q3", "quota_zero"),
        (terms(service(3, urgencies=(), answer_min={})), "U3", "no_urgency"),
        (
            terms(service(3, urgencies=("routine",), answer_min={"routine": 4})),
            "A3",
            "answer_range",
        ),
        (
            terms(service(3, urgencies=("routine",), answer_min={"routine": 43_201})),
            "A3",
            "answer_range",
        ),
        (
            terms(
                service(
                    3, urgencies=("routine", "urgent"), answer_min={"routine": 60, "urgent": 61}
                )
            ),
            "A3",
            "answer_order",
        ),
    ],
)
def test_a_contradiction_blocks_and_names_its_clause(made: Terms, clause: str, code: str) -> None:
    blocking = {(one.clause, one.code) for one in model.lint(made) if one.blocks}
    assert (clause, code) in blocking


def test_no_service_blocks() -> None:
    assert [(one.clause, one.code) for one in model.lint(terms(services=()))] == [
        ("S", "no_service")
    ]


def test_sound_terms_pass_and_doubts_do_not_block() -> None:
    assert [one.code for one in model.lint(terms()) if one.blocks] == []
    doubtful = terms(
        service(urgencies=("routine",), answer_min={"routine": 1440}),
        purposes=("TREAT", "HRESCH"),
    )
    found = {one.code: one.blocks for one in model.lint(doubtful)}
    assert found == {"research": False, "emergency_anyway": False, "no_part": False}


@pytest.mark.parametrize("minutes", [5, 43_200])
def test_the_limits_of_an_answer_are_allowed(minutes: int) -> None:
    made = terms(service(urgencies=("urgent",), answer_min={"urgent": minutes}))
    assert [one.code for one in model.lint(made) if one.blocks] == []


def test_terms_that_no_entry_can_hold_are_refused() -> None:
    many = [service(n, code="c" * 60 + str(n)) for n in range(100, 140)]
    assert "too_many" in {one.code for one in model.lint(terms(*many))}


def test_forty_services_fit_one_entry() -> None:
    many = [
        service(n, code=code, taker=taker, provider=provider, kind=kind)
        for n, (code, (taker, provider), kind) in enumerate(
            product(
                ("cardiology", "neurology", "endocrinology", "gynecology", "respiratory"),
                product(PARTIES, PARTIES),
                ("referral",),
            ),
            start=1,
        )
        if taker != provider
    ]
    assert len(many) == 30
    assert [one.code for one in model.lint(terms(*many)) if one.blocks] == []


def test_an_uncovered_case_has_a_time_to_answer_too() -> None:
    one = service()
    assert model.answer_min(one.answer_min, urgency="urgent") == 240
    assert model.answer_min({}, urgency="emergency") == 30
    assert timedelta(minutes=model.answer_min({}, urgency="routine")).days == 1
