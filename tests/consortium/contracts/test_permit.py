"""The permit against a table written beside it; quotas over months of requests and returns."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.contracts import model
from consortium.contracts.kinds import KINDS, SUBJECTS
from consortium.contracts.model import Action
from consortium.contracts.permit import PERMIT, quota_name, quota_of, quota_taken
from consortium.contracts.terms import URGENCIES
from consortium.exchange.facts import Facts, Value
from consortium.exchange.header import Header
from consortium.exchange.kinds import ExchangeKind, Registry, SubjectType, parties, version_of
from consortium.kernel.errors import Refusal
from consortium.kernel.time import to_ms
from tests.consortium.contracts.making import (
    NOW,
    REQUEST,
    Asks,
    Charter,
    GivesBack,
    Goes,
    Opens,
    OpensSession,
    Shared,
    header,
    in_force,
    proposed,
    service,
    terms,
)

NOW_MS = to_ms(NOW)
DAY_MS = model.DAY_MS
QUOTA = quota_name("c1", "cardiology", "yunling", "lead", NOW)


def _held(value: Value | None, *, used: int = 0, case: Value | None = None) -> Shared:
    values: dict[str, Value] = {} if case is None else {"case:k1": case}
    if value is not None:
        values["contract:c1"] = value
    if used:
        values[QUOTA] = {"parties": ["yunling", "lead"], "used": used}
    return Shared(values)


def _decide(
    kind: ExchangeKind, shared: Shared, *, facts: Facts = REQUEST, time: datetime = NOW, **at: Any
) -> tuple[str, str]:
    """(words, "") of an admitted exchange, (code, clause) of a refused one."""
    verdict = PERMIT.decide(kind, header(kind.name, **at), facts, shared, time)
    return (verdict.code, verdict.clause) if isinstance(verdict, Refusal) else (verdict, "")


# ---------------------------------------------------------------- one by one


def test_a_request_passes_with_the_contract_and_fails_without_it() -> None:
    assert _decide(Opens(), _held(None)) == ("contract.none", "S")
    assert _decide(Opens(), _held(None), contract="") == ("contract.none", "S")
    assert _decide(Opens(), _held(in_force(terms()))) == ("v1", "")


@pytest.mark.parametrize(
    ("facts", "at", "answer"),
    [
        ({}, {"sender": "shiqiao"}, ("contract.not_party", "B1")),
        ({}, {"to": ("lead", "shiqiao")}, ("contract.not_party", "B1")),
        ({}, {"to": ("all",)}, ("contract.not_party", "B1")),
        ({}, {"to": ("lead", "consortium")}, ("v1", "")),
        ({"service": "neurology"}, {}, ("contract.service", "S")),
        ({}, {"sender": "lead", "to": ("yunling",)}, ("contract.service", "S")),
        ({}, {"to": ("consortium",)}, ("contract.service", "S")),
        ({"urgency": "urgent"}, {}, ("contract.urgency", "U7")),
        ({}, {"purpose": "HRESCH"}, ("contract.purpose", "P1")),
        ({}, {"purpose": ""}, ("contract.purpose", "P1")),
        ({"types": ["Patient"]}, {}, ("v1", "")),
        ({"types": ["Patient", "ImagingStudy"]}, {}, ("contract.types", "T1")),
    ],
)
def test_each_clause_is_named(
    facts: dict[str, Any], at: dict[str, Any], answer: tuple[str, str]
) -> None:
    line = service(7, urgencies=("routine",), answer_min={"routine": 1440})
    shared = _held(in_force(terms(line)))
    assert _decide(Opens(), shared, facts={**REQUEST, **facts}, **at) == answer


def test_referral_and_teleconsultation_of_one_service_are_two_clauses() -> None:
    both = terms(service(1, quota_month=1), service(2, kind="teleconsult", quota_month=1))
    shared = _held(in_force(both), used=1)
    assert _decide(Opens(), shared) == ("contract.quota", "Q1")
    assert _decide(OpensSession(), shared) == ("v1", "")
    only = _held(in_force(terms(service(1))))
    assert _decide(OpensSession(), only) == ("contract.service", "S")


def test_a_question_without_a_service_needs_parties_purpose_and_types_only() -> None:
    shared = _held(in_force(terms(service(code="neurology"))))
    assert _decide(Asks(), shared, facts={"types": ["Condition"]}) == ("v1", "")
    assert _decide(Asks(), shared, facts={"types": ["CarePlan"]}) == ("contract.types", "T1")


@pytest.mark.parametrize(
    ("used", "urgency", "answer"),
    [
        (2, "routine", ("v1", "")),
        (3, "routine", ("contract.quota", "Q1")),
        (3, "urgent", ("contract.quota", "Q1")),
        (2, "emergency", ("v1", "")),
        (3, "emergency", ("v1 over_quota", "")),
    ],
)
def test_quota(used: int, urgency: str, answer: tuple[str, str]) -> None:
    shared = _held(in_force(terms()), used=used)
    assert _decide(Opens(), shared, facts={**REQUEST, "urgency": urgency}) == answer


def test_the_month_of_the_leaf_counts_in_the_charters_zone() -> None:
    shared = _held(in_force(terms()), used=3)
    last_hour = datetime.fromisoformat("2026-11-30T15:59:59+00:00")
    assert _decide(Opens(), shared, time=last_hour) == ("contract.quota", "Q1")
    assert _decide(Opens(), shared, time=last_hour + timedelta(seconds=1)) == ("v1", "")


@pytest.mark.parametrize(
    ("shared", "facts", "at"),
    [
        (_held(None), {}, {}),
        (_held(None), {}, {"contract": ""}),
        (_held(proposed(terms())), {}, {}),
        (_held(in_force(terms())), {"service": "neurology"}, {}),
        (_held(in_force(terms())), {}, {"purpose": "HRESCH"}),
        (_held(in_force(terms())), {"types": ["CarePlan"]}, {}),
        (_held(in_force(terms())), {}, {"to": ("shiqiao",)}),
    ],
)
def test_an_emergency_is_admitted_and_flagged(
    shared: Shared, facts: dict[str, Any], at: dict[str, Any]
) -> None:
    facts = {**REQUEST, "urgency": "emergency", **facts}
    assert _decide(Opens(), shared, facts=facts, **at) == ("uncovered", "")


def test_charter_kinds_need_no_contract() -> None:
    assert _decide(Charter(), _held(None), contract="") == ("", "")
    assert list(PERMIT.subjects(Charter(), header(), {}, NOW)) == []


# ---------------------------------------------------------------- later exchanges


def _suspended(value: Value) -> Value:
    return model.changed(value, action=Action.SUSPEND, by="lead", reason="safety", time_ms=NOW_MS)


def _case(**changes: Any) -> Value:
    whole = {"parties": ["yunling", "lead"], "contract": "c1", "version": 1, "urgency": "routine"}
    return {**whole, **changes}


@pytest.mark.parametrize("days", [0, 400])
def test_an_open_case_goes_on_after_suspension_and_after_the_end(days: int) -> None:
    spans = terms(end_ms=NOW_MS + 10 * DAY_MS)
    value = _suspended(in_force(spans))
    shared = _held(value, case=_case())
    time = NOW + timedelta(days=days)
    assert _decide(Goes(), shared, facts={}, time=time) == ("v1", "")
    fresh = "contract.suspended" if not days else "contract.not_in_force"
    assert _decide(Opens(), shared, time=time)[0] == fresh


def test_an_open_case_is_judged_by_the_version_that_opened_it() -> None:
    value = in_force(terms(types=("Patient",)))
    narrower = terms(types=("Condition",))
    value["versions"]["2"] = {**proposed(narrower)["versions"]["1"]}
    value["version"] = 2
    old, new = (_held(value, case=_case(version=n)) for n in (1, 2))
    facts = {"types": ["Patient"]}
    assert _decide(Goes(), old, facts=facts) == ("v1", "")
    assert _decide(Goes(), new, facts=facts) == ("contract.types", "T1")
    urgent = _held(value, case=_case(version=2, urgency="emergency"))
    assert _decide(Goes(), urgent, facts=facts) == ("v2", "")


def test_a_later_exchange_stays_between_the_parties_and_under_its_contract() -> None:
    value = in_force(terms())
    shared = _held(value, case=_case())
    assert _decide(Goes(), shared, facts={}, to=("shiqiao",)) == ("contract.not_party", "B1")
    other = _held(value, case=_case(contract="c9"))
    assert _decide(Goes(), other, facts={}) == ("contract.other", "B1")
    assert _decide(Goes(), shared, facts={}, contract="") == ("contract.other", "B1")


def test_an_uncovered_emergency_goes_on_between_its_parties() -> None:
    shared = _held(None, case=_case(contract="", version=0, urgency="emergency"))
    assert _decide(Goes(), shared, facts={}, contract="") == ("", "")
    assert _decide(Goes(), shared, facts={}, contract="", to=("shiqiao",))[1] == "B1"


def test_a_case_still_in_the_outbox_is_left_to_its_own_kind() -> None:
    assert _decide(Goes(), _held(None), facts={}) == ("", "")


# ---------------------------------------------------------------- against a table

_MEMBERS = ("yunling", "lead", "consortium", "shiqiao")


@st.composite
def _situations(draw: st.DrawFn) -> dict[str, Any]:
    def pick(*values: Any) -> Any:
        return draw(st.sampled_from(values))

    return {
        "contract": pick("none", "proposed", "agreed", "in_force", "suspended", "ending", "over"),
        "sender": pick(*_MEMBERS),
        "to": tuple(draw(st.lists(st.sampled_from(_MEMBERS), min_size=1, max_size=3, unique=True))),
        "service": pick("cardiology", "neurology"),
        "urgency": pick(*URGENCIES),
        "purpose": pick("TREAT", "ETREAT", "HRESCH"),
        "types": pick([], ["Patient"], ["Patient", "CarePlan"]),
        "used": pick(0, 2, 3, 4),
    }


_LINE = service(5, urgencies=("routine", "emergency"), answer_min={"routine": 60, "emergency": 5})
_SIGNED = in_force(terms(_LINE))
_STATES: dict[str, Value | None] = {
    "none": None,
    "proposed": proposed(terms(_LINE)),
    "agreed": in_force(terms(_LINE, start_ms=NOW_MS + 1)),
    "in_force": _SIGNED,
    "suspended": _suspended(_SIGNED),
    "ending": model.changed(
        _SIGNED, action=Action.TERMINATE, by="lead", reason="agreed", time_ms=NOW_MS
    ),
    "over": in_force(terms(_LINE, end_ms=NOW_MS), time=NOW - timedelta(days=1)),
}


def _expected(s: dict[str, Any]) -> tuple[str, str]:
    """The rules of PROTOCOL 4 ("Contract check") as a list, first that fails."""
    open_for_cases = s["contract"] in {"in_force", "ending"}
    inside = {"yunling", "lead", "consortium"}
    line = s["service"] == "cardiology" and s["sender"] == "yunling" and s["to"][0] == "lead"
    rules = (
        ("contract.none", "S", s["contract"] != "none"),
        ("contract.not_party", "B1", {s["sender"], *s["to"]} <= inside),
        ("contract.suspended", "N1", s["contract"] != "suspended"),
        ("contract.not_in_force", "D1", open_for_cases),
        ("contract.service", "S", line),
        ("contract.urgency", "U5", s["urgency"] != "urgent"),
        ("contract.purpose", "P1", s["purpose"] in {"TREAT", "ETREAT"}),
        ("contract.types", "T1", "CarePlan" not in s["types"]),
    )
    emergency = s["urgency"] == "emergency"
    for code, clause, holds in rules:
        if not holds:
            return ("uncovered", "") if emergency else (code, clause)
    if s["used"] >= 3:
        return ("v1 over_quota", "") if emergency else ("contract.quota", "Q5")
    return "v1", ""


@given(_situations())
def test_every_situation_is_decided_as_the_list_says(s: dict[str, Any]) -> None:
    value = _STATES[s["contract"]]
    shared = _held(value, used=s["used"])
    facts = {"service": s["service"], "urgency": s["urgency"], "types": s["types"]}
    found = _decide(
        Opens(), shared, facts=facts, sender=s["sender"], to=s["to"], purpose=s["purpose"]
    )
    assert found == _expected(s)


# ---------------------------------------------------------------- quotas


class _Request(Opens):
    name = "quota.open/1"

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return [f"case:{header.case}"]

    def step(
        self,
        name: str,
        old: Value | None,
        header: Header,
        facts: Facts,
        time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:
        return _case(
            version=version_of(outcome),
            quota=quota_taken(self, header, facts, time, outcome),
            urgency=facts["urgency"],
        )


class _Decline(GivesBack):
    name = "quota.decline/1"


REGISTRY = Registry(
    [*KINDS, _Request(), _Decline()], [*SUBJECTS, SubjectType("case", parties)], PERMIT
)


def _admit(shared: Shared, kind: ExchangeKind, at: Header, facts: Facts, time: datetime) -> bool:
    """What admission does, for one exchange."""
    verdict = PERMIT.decide(kind, at, facts, shared, time)
    if isinstance(verdict, Refusal):
        return False
    names = [*kind.subjects(at, facts), *PERMIT.subjects(kind, at, facts, time)]
    for name in dict.fromkeys(names):
        real = shared.link(name)[0] if ">" in name else name
        if not real:
            continue
        old = shared.get(real)
        new = REGISTRY.step(kind, real, old, at, facts, time, verdict.split())
        if new is not None:
            shared.values[real] = new
    return True


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(("open", "decline")),
        st.integers(0, 11),
        st.sampled_from(URGENCIES),
        st.integers(0, 3),
        st.booleans(),
    ),
    max_size=60,
)


@given(_STEPS)
def test_quota_is_taken_and_given_back_to_its_month_and_never_below_zero(
    steps: list[tuple[str, int, str, int, bool]],
) -> None:
    shared = _held(in_force(terms(service(quota_month=3))))
    expected: Counter[str] = Counter()
    months: dict[str, str] = {}
    time = NOW
    for number, (act, which, urgency, weeks, covered) in enumerate(steps):
        time += timedelta(weeks=weeks)
        facts = {**REQUEST, "urgency": urgency}
        if act == "open":
            case = f"k{number}"
            at = header("quota.open/1", case=case, purpose="TREAT" if covered else "HRESCH")
            admitted = _admit(shared, _Request(), at, facts, time)
            month = quota_of(_Request(), at, facts, time)
            room = expected[month] < 3
            assert admitted == (urgency == "emergency" or (covered and room))
            if admitted and covered:
                expected[month] += 1
                months[case] = month
        elif months:
            case = sorted(months)[which % len(months)]
            assert _admit(shared, _Decline(), header("quota.decline/1", case=case), {}, time)
            expected[months.pop(case)] -= 1
        counted = {n: v["used"] for n, v in shared.values.items() if n.startswith("quota:")}
        assert all(used >= 0 for used in counted.values())
        assert counted == {name: n for name, n in expected.items() if n or name in counted}


def test_a_counter_stands_between_the_two_members_alone() -> None:
    shared = _held(in_force(terms()))
    assert _admit(shared, _Request(), header("quota.open/1"), REQUEST, NOW)
    value = shared.values[QUOTA]
    assert value == {"parties": ["yunling", "lead"], "used": 1}
    assert REGISTRY.audience(QUOTA, value) == {"yunling", "lead"}


def test_a_contract_may_have_any_id() -> None:
    name = quota_name("county/2026/1", "cardiology", "yunling", "lead", NOW)
    step = next(one.step for one in SUBJECTS if one.prefix == "quota")
    assert step is not None
    at = header("quota.open/1")
    value = step(name, None, _Request(), at, REQUEST, NOW, "v1")
    assert value == {"parties": ["yunling", "lead"], "used": 1}


def test_a_double_return_does_not_go_below_zero() -> None:
    shared = _held(in_force(terms()), case=_case(quota=QUOTA))
    shared.values[QUOTA] = {"parties": ["yunling", "lead"], "used": 0}
    assert _admit(shared, _Decline(), header("quota.decline/1"), {}, NOW)
    assert shared.values[QUOTA]["used"] == 0
