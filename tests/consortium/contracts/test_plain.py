"""Clauses in plain words, in both languages; differences clause by clause."""

import pytest

from consortium.contracts import plain
from consortium.contracts.model import Action, Finding, State, lint
from consortium.contracts.terms import (
    KINDS,
    PURPOSES,
    SERVICES,
    TYPES,
    URGENCIES,
    Service,
    Terms,
)
from consortium.words import LANGS, known
from tests.consortium.contracts.making import name_of, service, terms

DAY_MS = 86_400_000


def _all_terms() -> list[Terms]:
    every = [
        service(n, code=code, kind=kind)
        for n, (code, kind) in enumerate(((c, k) for c in SERVICES for k in KINDS), start=1)
    ]
    spans = ((None, None), (None, DAY_MS), (DAY_MS, None), (DAY_MS, 9 * DAY_MS))
    return [
        terms(*every, types=TYPES, purposes=PURPOSES, start_ms=start, end_ms=end)
        for start, end in spans
    ]


@pytest.mark.parametrize("lang", LANGS)
def test_every_clause_can_be_said(lang: str) -> None:
    for made in _all_terms():
        for clause in plain.clauses(made):
            assert plain.sentence(clause, lang, name_of)
            assert plain.rule(clause, lang, name_of)
            assert clause.code


def test_every_code_has_its_word() -> None:
    keys = [
        *(f"contract.service.{one}" for one in SERVICES),
        *(f"contract.type.{one}" for one in TYPES),
        *(f"contract.purpose.{one}" for one in PURPOSES),
        *(f"contract.urgency.{one}" for one in URGENCIES),
        *(f"contract.state.{one}" for one in State),
        *(f"contract.lint.{one.code}" for one in _findings()),
        *(f"contract.{kind}.{one}" for kind in ("action", "verb") for one in _holds()),
    ]
    assert [key for key in keys if not known(key)] == []


def _holds() -> list[Action]:
    return [Action.SUSPEND, Action.RESUME, Action.TERMINATE]


def _findings() -> list[Finding]:
    odd = service(3, code="magic", taker="lead", quota_month=0, urgencies=(), answer_min={})
    slow = service(4, answer_min={"routine": 1, "urgent": 90_000, "emergency": 90_000})
    some = [
        terms(parties=("lead",), services=(), types=(), purposes=("HRESCH",)),
        terms(purposes=(), start_ms=2, end_ms=1),
        terms(odd, service(5, taker="shiqiao"), slow, service(6)),
        terms(service(urgencies=("routine",), answer_min={"routine": 60})),
        terms(*(service(n, code="c" * 60 + str(n)) for n in range(100, 140))),
    ]
    return [finding for made in some for finding in lint(made)]


@pytest.mark.parametrize(
    ("minutes", "zh", "en"),
    [
        (1, "1 分钟", "1 minute"),
        (30, "30 分钟", "30 minutes"),
        (60, "1 小时", "1 hour"),
        (90, "90 分钟", "90 minutes"),
        (240, "4 小时", "4 hours"),
        (1440, "1 天", "1 day"),
        (1500, "25 小时", "25 hours"),
        (4320, "3 天", "3 days"),
    ],
)
def test_a_stretch_of_time_is_said_whole(minutes: int, zh: str, en: str) -> None:
    said = [plain.text(plain.Minutes(minutes), lang, name_of) for lang in LANGS]
    assert said == [zh, en]


def _changes(old: Terms, new: Terms) -> dict[str, tuple[str, tuple[str, ...]]]:
    lines = plain.diff(old, new)
    return {one.number: (one.change, one.parts) for one in lines if one.change != "same"}


def test_a_clause_changes_by_its_parts() -> None:
    old = terms(service(1), service(2, code="neurology"))
    new = terms(service(1, quota_month=40), service(2, code="neurology"), notice_days=60)
    assert _changes(old, new) == {"Q1": ("changed", ("quota",)), "N1": ("changed", ("days",))}


def test_lines_keep_their_numbers_when_others_come_and_go() -> None:
    old = terms(service(1), service(2, code="neurology"))
    new = terms(service(2, code="neurology"), service(3, code="pediatrics"))
    changes = _changes(old, new)
    assert {n: change for n, (change, _) in changes.items()} == {
        **dict.fromkeys(("S1", "Q1", "U1", "A1"), "removed"),
        **dict.fromkeys(("S3", "Q3", "U3", "A3"), "added"),
    }
    assert [one.number for one in plain.diff(old, new)][1:9] == [
        "S1", "Q1", "U1", "A1", "S2", "Q2", "U2", "A2",
    ]  # fmt: skip


def test_another_sentence_is_another_clause() -> None:
    old, new = terms(), terms(end_ms=9 * DAY_MS)
    assert _changes(old, new) == {"D1": ("changed", ())}


def test_without_a_version_before_everything_is_new() -> None:
    made = terms()
    assert {line.change for line in plain.diff(None, made)} == {"added"}


def test_the_machine_rule_is_what_the_permit_compares() -> None:
    one: Service = service(7, quota_month=12)
    codes = {clause.number: clause.code for clause in plain.clauses(terms(one))}
    assert codes["S7"] == "service=cardiology kind=referral yunling > lead"
    assert codes["Q7"] == "quota=12/month"
    assert codes["A7"] == "answer.routine=1440min answer.urgent=240min answer.emergency=30min"
