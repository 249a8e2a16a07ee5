"""Lines of the worklist: every state on both sides has its words, turn and act."""

from datetime import date, timedelta
from typing import Any

import pytest

from consortium import words
from consortium.kernel.actor import Role
from consortium.kernel.ids import PatientId, UserId
from consortium.referrals import number, rows
from consortium.referrals.model import DECLINE_REASONS, TURNS, Side, State
from tests.consortium.referrals.factory import NOW

CARD = rows.Card(PatientId("p1"), "吴桂兰", "female", date(1959, 3, 14))
STATES = (rows.QUEUED, rows.REFUSED, *State)


def facts(side: Side, state: str, **changes: Any) -> rows.Facts:
    values: dict[str, Any] = {
        "member": "shiqiao",
        "case": "c1",
        "side": side,
        "state": state,
        "other": "清源市第一人民医院",
        "service": "cardiology",
        "urgency": "urgent",
        "number": number.of_case("c1"),
        "author": "韩素云",
        "author_user": "u-han",
        "question": "活动后胸闷 3 周加重",
        "claimed_by": "",
        "missing": (),
        "reason": "",
        "place": "",
        "start": None,
        "due": NOW + timedelta(hours=4),
        "opened": NOW,
        "sending": False,
        "link": "/referrals/c1",
    }
    return rows.Facts(**{**values, **changes})


def said(key: str, params: dict[str, Any], lang: str) -> str:
    """As the pages fill parameters: `@` marks a word key."""
    filled = {
        name: words.say(value[1:], lang) if str(value).startswith("@") else value
        for name, value in params.items()
    }
    return words.say(key, lang, **filled)


@pytest.mark.parametrize("lang", words.LANGS)
@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sending": True},
        {"start": NOW, "place": "门诊楼 3 诊室", "claimed_by": "陆怀安"},
        {"missing": ("labs",)},
        {"missing": ("labs", "ecg")},
        {"missing": ("labs", "ecg", "other")},
    ],
)
def test_every_line_can_be_said(lang: str, side: Side, state: str, changes: dict[str, Any]) -> None:
    if side is Side.PROVIDER and state in (rows.QUEUED, rows.REFUSED):
        return
    line = rows.line(facts(side, state, **changes), CARD)
    if line is None:
        assert state in (State.CLOSED, State.CANCELLED, State.DECLINED)
        return
    assert said(line.need, dict(line.need_params), lang)
    assert said(line.source, dict(line.source_params), lang)
    assert words.say(line.act, lang)
    assert words.say(line.state, lang)
    assert (line.turn == "mine") == (line.turn_name == "")
    if line.turn_name.startswith("@"):
        assert words.say(line.turn_name[1:], lang)


@pytest.mark.parametrize("state", State)
def test_the_turn_of_the_line_is_that_of_the_case(state: State) -> None:
    for side in Side:
        line = rows.line(facts(side, state, start=NOW), CARD)
        if line is None:
            continue
        mine = TURNS[state] is side
        if state is State.BOOKED:
            mine = False  # the patient's turn: nobody can do anything before the time
        if state is State.DECLINED:
            mine = True  # until a person has read it
        assert (line.turn == "mine") == mine


def test_what_is_on_its_way_waits_for_the_link() -> None:
    line = rows.line(facts(Side.PROVIDER, State.REQUESTED, sending=True), CARD)
    assert line is not None
    assert (line.turn, line.turn_name) == ("theirs", "@referral.turn.link")


def test_a_clinics_line_is_its_authors_and_a_hospitals_its_roles() -> None:
    mine = rows.line(facts(Side.TAKER, State.RETURNED), CARD)
    theirs = rows.line(facts(Side.PROVIDER, State.BOOKED, start=NOW), CARD)
    assert mine is not None
    assert theirs is not None
    assert (mine.owner, set(mine.roles)) == (UserId("u-han"), {Role.TOWNSHIP_DOCTOR})
    assert (theirs.owner, set(theirs.roles)) == (None, {Role.CONSULT_DESK})


@pytest.mark.parametrize("reason", ["", *DECLINE_REASONS])
def test_a_declined_line_says_why(reason: str) -> None:
    line = rows.line(facts(Side.TAKER, State.DECLINED, reason=reason), CARD)
    assert line is not None
    assert line.due_at is None
    assert said(line.need, dict(line.need_params), "zh")


def test_a_number_is_the_same_everywhere_and_a_slip_in_it_is_seen() -> None:
    code = number.of_case("c1")
    assert number.of_case("c1") == code != number.of_case("c2")
    assert number.read(code) == code
    assert number.read(code.lower().replace("-", " ")) == code
    letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    for place in (0, 1, 5, 8):
        for other in letters:
            if other != code[place]:
                assert number.read(code[:place] + other + code[place + 1 :]) == ""
    assert number.read("") == number.read("7F4K") == number.read("患者") == ""


def test_letters_that_look_like_digits_are_read_as_digits() -> None:
    code = next(
        number.of_case(str(n)) for n in range(1000) if {"0", "1"} <= set(number.of_case(str(n))[:9])
    )
    assert number.read(code.replace("0", "O").replace("1", "I")) == code
