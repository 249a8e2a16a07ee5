"""Whose patient it is, what a consent covers, who may do what."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.contracts.terms import TYPES
from consortium.kernel.errors import Refusal
from consortium.records import model
from consortium.records.model import (
    RELEASABLE,
    RULES,
    Action,
    Basis,
    Consent,
    Identity,
    Match,
    Scope,
    Side,
    State,
    Why,
)

NOW = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
DAY = timedelta(days=1)
NUMBER, OTHER_NUMBER = "512425195903141626", "512425197003021628"
WU = Identity(NUMBER, "吴桂兰", date(1959, 3, 14), "female")


def an_identity(**changes: Any) -> Identity:
    whole = {"number": NUMBER, "name": "吴桂兰", "birth": date(1959, 3, 14), "sex": "female"}
    return Identity(**{**whole, **changes})


@pytest.mark.parametrize(
    ("asked", "held", "grade"),
    [
        (WU, WU, Match.EXACT),
        (an_identity(birth=None, sex=""), WU, Match.EXACT),
        (an_identity(number=" 512425195903141626 "), WU, Match.EXACT),
        (an_identity(name=" 吴 桂兰"), WU, Match.EXACT),
        (an_identity(name="吴桂芳"), WU, Match.CONFLICT),
        (an_identity(name=""), WU, Match.CONFLICT),
        (an_identity(sex="male"), WU, Match.CONFLICT),
        (an_identity(birth=date(1960, 3, 14)), WU, Match.CONFLICT),
        (an_identity(number=OTHER_NUMBER), WU, Match.CONFLICT),
        (an_identity(number=""), WU, Match.POSSIBLE),
        (WU, an_identity(number=""), Match.POSSIBLE),
        (an_identity(number=OTHER_NUMBER, name="李四"), WU, Match.NONE),
        (an_identity(number="", name="李四"), WU, Match.NONE),
        (an_identity(number="", birth=None), WU, Match.NONE),
        (an_identity(number="", birth=None), an_identity(number="", birth=None), Match.NONE),
        (Identity(), Identity(), Match.NONE),
        (Identity(), WU, Match.NONE),
    ],
)
def test_how_near_two_identities_are(asked: Identity, held: Identity, grade: Match) -> None:
    assert model.match(asked, held) is grade


@pytest.mark.parametrize(
    ("held", "covered", "basis", "answer"),
    [
        ([("p1", WU)], True, Basis.EXPLICIT, ("p1", None)),
        ([("p1", WU)], False, Basis.EXPLICIT, ("", Why.CONSENT)),
        ([("p1", WU)], False, Basis.STATUTORY, ("", Why.CONSENT)),
        ([("p1", WU)], False, Basis.EMERGENCY, ("", Why.EMERGENCY)),
        ([], True, Basis.EXPLICIT, ("", Why.NO_MATCH)),
        ([("p2", an_identity(name="吴桂芳"))], True, Basis.EXPLICIT, ("", Why.IDENTITY_CONFLICT)),
        (
            [("p1", WU), ("p2", an_identity(name="吴桂芳"))],
            True,
            Basis.EXPLICIT,
            ("", Why.IDENTITY_CONFLICT),
        ),
        ([("p1", WU), ("p2", WU)], True, Basis.EXPLICIT, ("", Why.SEVERAL)),
        ([("p1", WU), ("p2", an_identity(number=""))], True, Basis.EXPLICIT, ("", Why.SEVERAL)),
        ([("p1", an_identity(number=""))], True, Basis.EXPLICIT, ("", Why.NOT_SURE)),
    ],
)
def test_a_node_answers_by_itself_only_where_nothing_is_in_doubt(
    held: list[tuple[str, Identity]], covered: bool, basis: Basis, answer: tuple[str, Why | None]
) -> None:
    assert model.decide(WU, held, covered=covered, basis=basis) == answer


identities = st.builds(
    Identity,
    number=st.sampled_from(["", NUMBER, OTHER_NUMBER]),
    name=st.sampled_from(["", "吴桂兰", "吴桂芳", "吴 桂兰"]),
    birth=st.sampled_from([None, date(1959, 3, 14), date(1970, 3, 2)]),
    sex=st.sampled_from(["", "female", "male", "unknown"]),
)


@given(identities, st.lists(identities, max_size=4), st.booleans(), st.sampled_from(Basis))
def test_no_record_goes_by_itself_on_another_name_or_another_number(
    asked: Identity, held: list[Identity], covered: bool, basis: Basis
) -> None:
    named = [(f"p{n}", one) for n, one in enumerate(held)]
    patient, why = model.decide(asked, named, covered=covered, basis=basis)
    assert bool(patient) == (why is None)
    if why is not None:
        return
    chosen = dict(named)[patient]
    assert covered
    assert asked.number == chosen.number != ""
    assert asked.name.replace(" ", "") == chosen.name.replace(" ", "") != ""
    assert not any(one.number == asked.number and one is not chosen for one in held), (
        "somebody else bears the number"
    )


@given(identities, identities)
def test_matching_does_not_depend_on_who_asks(one: Identity, other: Identity) -> None:
    assert model.match(one, other) is model.match(other, one)


def a_scope(*types: str, start: datetime = NOW - 100 * DAY, end: datetime = NOW) -> Scope:
    return Scope(frozenset(types or ("Observation",)), start, end)


def a_consent(**changes: Any) -> Consent:
    whole: dict[str, Any] = {
        "basis": Basis.EXPLICIT,
        "scope": a_scope("Observation", "Condition"),
        "party": "shiqiao",
        "purpose": "TREAT",
        "until": NOW + DAY,
        "evidence": True,
    }
    return Consent(**{**whole, **changes})


@pytest.mark.parametrize(
    ("changes", "covers"),
    [
        ({}, True),
        ({"scope": a_scope("Condition")}, False),
        ({"scope": a_scope(start=NOW - 99 * DAY)}, False),
        ({"scope": a_scope(end=NOW - DAY)}, False),
        ({"scope": a_scope(start=NOW - 200 * DAY)}, True),
        ({"party": "yunling"}, False),
        ({"purpose": "HRESCH"}, False),
        ({"until": NOW}, False),
        ({"evidence": False}, False),
        ({"withdrawn": True}, False),
        ({"basis": Basis.EMERGENCY}, False),
        ({"basis": Basis.STATUTORY}, False),
    ],
)
def test_what_a_consent_covers(changes: dict[str, Any], covers: bool) -> None:
    consent = a_consent(**changes)
    answer = model.covers(consent, a_scope(), party="shiqiao", purpose="TREAT", time=NOW)
    assert answer is covers


def test_a_person_may_release_only_what_an_explicit_consent_covers() -> None:
    asked = a_scope("Observation", "Procedure", start=NOW - 365 * DAY)
    limited = model.scope_of(asked, a_consent())
    assert limited == a_scope("Observation")
    assert model.scope_of(asked, a_consent(basis=Basis.EMERGENCY)) == asked
    assert model.scope_of(asked, a_consent(withdrawn=True)).types == frozenset()
    apart = a_consent(scope=a_scope(start=NOW - 900 * DAY, end=NOW - 800 * DAY))
    assert model.scope_of(asked, apart).types == frozenset()


@given(
    st.frozensets(st.sampled_from(RELEASABLE)),
    st.frozensets(st.sampled_from(RELEASABLE)),
    st.tuples(*[st.integers(0, 400)] * 4),
)
def test_a_cut_lies_in_both_scopes(
    types: frozenset[str], others: frozenset[str], days: tuple[int, int, int, int]
) -> None:
    one = Scope(types, NOW + min(days[:2]) * DAY, NOW + (max(days[:2]) + 1) * DAY)
    other = Scope(others, NOW + min(days[2:]) * DAY, NOW + (max(days[2:]) + 1) * DAY)
    cut = one.cut(other)
    assert cut.types <= one.types & other.types
    if cut.types:
        assert cut.within(one)
        assert cut.within(other)


def a_case(state: State = State.REQUESTED) -> dict[str, Any]:
    made = model.opened(
        asker="shiqiao",
        holder="lead",
        types=["Observation"],
        basis="explicit",
        urgency="routine",
        contract="k1",
        version=1,
        time=NOW,
        answer=DAY,
    )
    return {**made, "state": state.value}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("member", ["shiqiao", "lead", "yunling"])
def test_only_what_the_table_names_is_allowed(state: State, action: Action, member: str) -> None:
    answer = model.advance(a_case(state), action, member=member)
    rule = RULES.get((state, action))
    side = {"shiqiao": Side.ASKER, "lead": Side.HOLDER}.get(member)
    if rule is not None and side in rule[0]:
        assert answer == rule[1]
    else:
        assert isinstance(answer, Refusal)


def test_the_holder_is_at_turn_until_the_last_part_of_a_release() -> None:
    case = a_case()
    assert (case["turn"], case["topic"]) == ("lead", "record")
    part = model.answered(case, State.RELEASED, more=True)
    assert (part["turn"], part["state"]) == ("lead", "requested")
    whole = model.answered(part, State.RELEASED)
    assert (whole["turn"], whole["state"], whole["due"]) == ("", "released", None)


def test_every_type_that_can_be_asked_for_can_stand_in_a_contract() -> None:
    assert set(RELEASABLE) <= set(TYPES)


def test_a_request_reaches_to_the_end_of_its_day() -> None:
    asked = model.asked_scope(("Observation",), months=12, now=NOW)
    assert asked.end == datetime(2026, 11, 24, 16, 0, tzinfo=UTC)
    assert asked.end - asked.start == 365 * DAY
