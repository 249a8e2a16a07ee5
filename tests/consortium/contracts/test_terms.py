"""Terms: strict reading, two forms that give each other, numbers that stay."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.contracts.terms import (
    PURPOSES,
    SERVICES,
    TYPES,
    URGENCIES,
    Service,
    Terms,
    answer_in,
    canonical,
    digest,
    document,
    from_tree,
    parse,
    tree,
)
from consortium.exchange.facts import check
from consortium.exchange.facts import tree as tree_rule
from consortium.kernel.errors import Refusal
from tests.consortium.contracts.making import service, terms

MEMBERS = ("yunling", "lead", "consortium")
DAYS_MS = st.integers(min_value=-4000, max_value=4000).map(
    lambda days: 1796054400000 + days * 86_400_000
)


@st.composite
def services(draw: st.DrawFn) -> Service:
    urgencies = tuple(u for u in URGENCIES if draw(st.booleans()))
    taker, provider = draw(st.permutations(MEMBERS))[:2]
    return Service(
        no=draw(st.integers(1, 999)),
        code=draw(st.sampled_from(SERVICES)),
        kind=draw(st.sampled_from(("referral", "teleconsult"))),
        provider=provider,
        taker=taker,
        quota_month=draw(st.integers(0, 100_000)),
        urgencies=urgencies,
        answer_min={u: draw(st.integers(0, 50_000)) for u in urgencies},
    )


def _ordered(draw: st.DrawFn, among: tuple[str, ...]) -> tuple[str, ...]:
    chosen = draw(st.sets(st.sampled_from(among)))
    return tuple(one for one in among if one in chosen)


@st.composite
def any_terms(draw: st.DrawFn) -> Terms:
    found = draw(st.lists(services(), max_size=40, unique_by=lambda one: one.no))
    return Terms(
        parties=MEMBERS,
        services=tuple(sorted(found, key=lambda one: one.no)),
        types=_ordered(draw, TYPES),
        purposes=_ordered(draw, PURPOSES),
        start_ms=draw(st.none() | DAYS_MS),
        end_ms=draw(st.none() | DAYS_MS),
        notice_days=draw(st.integers(0, 366)),
    )


@given(any_terms())
def test_document_and_tree_give_the_same_terms_back(made: Terms) -> None:
    assert parse(document("协议", made)) == ("协议", made)
    assert from_tree(made.parties, tree(made)) == made


@given(any_terms())
def test_a_tree_is_what_facts_may_hold(made: Terms) -> None:
    assert check({"terms": tree(made)}, {"terms": tree_rule()}) is None


@given(any_terms(), st.sampled_from(SERVICES), st.permutations((*MEMBERS, "stranger")))
def test_times_to_answer_are_read_in_place_as_from_the_whole(
    made: Terms, code: str, members: list[str]
) -> None:
    lines = {(one.code, one.kind, one.taker, one.provider) for one in made.services}
    for line in {*lines, (code, "referral", members[0], members[1])}:
        code, kind, taker, provider = line
        whole = made.service(code=code, kind=kind, taker=taker, provider=provider)
        in_place = answer_in(made.parties, tree(made), line=line)
        assert in_place == (whole.answer_min if whole else {})


@given(any_terms(), any_terms())
def test_other_terms_have_another_digest(one: Terms, two: Terms) -> None:
    same = digest(canonical(document("a", one))) == digest(canonical(document("a", two)))
    assert same == (one == two)


def test_the_title_is_signed_too() -> None:
    first, second = (digest(canonical(document(t, terms()))) for t in ("甲", "乙"))
    assert first != second


def _doc(**changes: Any) -> dict[str, Any]:
    return document("协议", terms()) | changes


def _line(**changes: Any) -> dict[str, Any]:
    doc = _doc()
    doc["services"][0] |= changes
    return doc


@pytest.mark.parametrize(
    ("doc", "field"),
    [
        ("text", "terms"),
        (_doc(extra=1), "terms.extra"),
        (_doc(schema="terms/2"), "schema"),
        (_doc(title=" "), "title"),
        (_doc(title="长" * 81), "title"),
        (_doc(title="a\u202eb"), "title"),
        (_doc(parties="lead"), "parties"),
        (_doc(parties=["lead", "lead"]), "parties"),
        (_doc(parties=["有"]), "parties"),
        (_doc(parties=[f"m{n}" for n in range(17)]), "parties"),
        (_doc(services={}), "services"),
        (_doc(services=[[]]), "services.1"),
        (_line(colour="red"), "services.1.colour"),
        (_line(no=0), "services.1.no"),
        (_line(no="1"), "services.1.no"),
        (_line(code="心"), "services.1.code"),
        (_line(kind="gift"), "services.1.kind"),
        (_line(quota_month=-1), "services.1.quota_month"),
        (_line(quota_month=True), "services.1.quota_month"),
        (_line(quota_month=1.5), "services.1.quota_month"),
        (_line(urgencies=["soon"]), "services.1.urgencies"),
        (_line(answer_min={"routine": 1}), "services.1.answer_min.urgent"),
        (_line(answer_min={"soon": 1}), "services.1.answer_min"),
        (_line(answer_min=[1]), "services.1.answer_min"),
        (_doc(types=["Secret"]), "types"),
        (_doc(purposes=["SALE"]), "purposes"),
        (_doc(**{"from": "1.12.2026"}), "from"),
        (_doc(**{"from": "2026-02-30"}), "from"),
        (_doc(until="0001-01-01"), "until"),
        (_doc(notice_days=None), "notice_days"),
        (_doc(notice_days=367), "notice_days"),
    ],
)
def test_what_is_no_terms_is_refused_by_its_field(doc: object, field: str) -> None:
    with pytest.raises(Refusal) as caught:
        parse(doc)
    assert (caught.value.code, caught.value.facts["field"]) == ("contract.terms", field)


@pytest.mark.parametrize("name", ["schema", "title", "parties", "services", "types", "notice_days"])
def test_what_is_missing_is_named(name: str) -> None:
    doc = _doc()
    del doc[name]
    with pytest.raises(Refusal) as caught:
        parse(doc)
    assert caught.value.facts["field"] == name


def test_two_services_of_one_number_are_refused() -> None:
    doc = document("协议", terms(service(1), service(2, code="neurology")))
    doc["services"][1]["no"] = 1
    with pytest.raises(Refusal, match=r"contract\.terms"):
        parse(doc)


def test_a_new_line_gets_a_number_that_no_other_has() -> None:
    doc = document("协议", terms(service(2), service(5, code="neurology")))
    new = {**doc["services"][0], "code": "pediatrics"}
    del new["no"]
    doc["services"].insert(0, new)
    _, made = parse(doc)
    assert {one.code: one.no for one in made.services} == {
        "cardiology": 2,
        "neurology": 5,
        "pediatrics": 6,
    }


def test_the_last_day_counts_whole_in_the_charters_zone() -> None:
    _, made = parse(_doc(**{"from": "2026-12-01", "until": "2026-12-31"}))
    assert made.start_ms == 1796054400000  # 2026-11-30T16:00Z
    assert made.end_ms == 1798732800000  # 2026-12-31T16:00Z


@pytest.mark.parametrize(
    "change",
    [
        {"s": [[1]]},
        {"s": [[1, "cardiology", "r", 0, 9, 3, ["r"], [60]]]},
        {"s": [[1, "cardiology", "r", -3, 1, 3, ["r"], [60]]]},
        {"s": [[1, "cardiology", "r", 0, 1, 3, ["r"], [60, 60]]]},
        {"s": [[1, "cardiology", "r", 0, 1, 3, ["u", "r"], [60, 60]]]},
        {"s": [[1, "cardiology", "x", 0, 1, 3, ["r"], [60]]]},
        {"s": [[1, "cardiology", "r", 0, 1, "3", ["r"], [60]]]},
        {"d": [1, None]},
        {"d": [None]},
        {"t": ["Secret"]},
        {"n": None},
        {"x": 1},
    ],
)
def test_a_tree_that_nobody_wrote_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Refusal, match=r"contract\.terms"):
        from_tree(MEMBERS, tree(terms()) | change)
