"""Identity numbers, credit codes, names and pinyin."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.fhir.identity import (
    age_years,
    credit_code,
    id_number,
    initials,
    name_key,
    pinyin,
    same_name,
)
from consortium.kernel.errors import Refusal
from tests.support.clock import START

WEIGHTS = [pow(2, 17 - place, 11) for place in range(17)]
ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def numbered(first: str) -> str:
    """The 18th character by the formula of ISO 7064 MOD 11-2, not by the table of weights."""
    total = sum(int(digit) * weight for digit, weight in zip(first, WEIGHTS, strict=True))
    rest = (12 - total % 11) % 11
    return first + ("X" if rest == 10 else str(rest))


births = st.dates(date(1880, 1, 1), START.date())
numbers = st.builds(
    lambda area, born, serial: numbered(f"{area}0101{born:%Y%m%d}{serial:03d}"),
    st.sampled_from([11, 35, 44, 65, 82]),
    births,
    st.integers(0, 999),
)


def test_the_example_of_the_standard() -> None:
    one = id_number("11010519491231002X", now=START)
    assert (one.birth_date, one.sex) == (date(1949, 12, 31), "female")
    assert id_number(" 110105 19491231００２ｘ ", now=START) == one


@given(numbers)
def test_a_number_says_birth_and_sex(number: str) -> None:
    one = id_number(number, now=START)
    assert f"{one.birth_date:%Y%m%d}" == number[6:14]
    assert (one.sex == "male") == (int(number[16]) % 2 == 1)


@given(numbers, st.integers(0, 17), st.sampled_from("0123456789X"))
def test_one_wrong_character_is_found(number: str, place: int, char: str) -> None:
    wrong = number[:place] + char + number[place + 1 :]
    if wrong != number:
        with pytest.raises(Refusal) as refused:
            id_number(wrong, now=START)
        assert refused.value.code == "identity.number"
        assert number not in str(refused.value.facts)


@given(numbers, st.integers(0, 16))
def test_two_neighbours_changed_over_are_found(number: str, place: int) -> None:
    wrong = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    if wrong != number:
        with pytest.raises(Refusal):
            id_number(wrong, now=START)


@pytest.mark.parametrize(
    "first",
    ["11010520260230001", "11010518791231001", "99010100000101001", "00010119491231001"],
    ids=["30 February", "1879", "year 0", "no province"],
)
def test_what_cannot_be_a_person(first: str) -> None:
    with pytest.raises(Refusal):
        id_number(numbered(first), now=START)


def test_born_tomorrow() -> None:
    tomorrow = START.date() + timedelta(days=1)
    with pytest.raises(Refusal):
        id_number(numbered(f"110105{tomorrow:%Y%m%d}001"), now=START)


@pytest.mark.parametrize("text", ["", "X", "110105491231002", "１" * 400, "11010519491231002XX"])
def test_other_shapes(text: str) -> None:
    with pytest.raises(Refusal):
        id_number(text, now=START)


def test_a_credit_code() -> None:
    assert credit_code("91350100m000100y43") == "91350100M000100Y43"


@given(st.integers(0, 17), st.sampled_from(ALPHABET + "IOSVZ"))
def test_a_wrong_credit_code_is_found(place: int, char: str) -> None:
    code = "91350100M000100Y43"
    wrong = code[:place] + char + code[place + 1 :]
    if wrong != code:
        with pytest.raises(Refusal) as refused:
            credit_code(wrong)
        assert refused.value.code == "identity.credit_code"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("王秀英", " 王 秀英"),
        ("阿依古丽·买买提", "阿依古丽•买买提"),
        ("阿依古丽·买买提", "阿依古丽．买买提"),
        ("Li Wei", "LI  WEI"),
        ("ＬＩ", "li"),
    ],
)
def test_the_same_name(one: str, other: str) -> None:
    assert same_name(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("王秀英", "王秀瑛"), ("王秀英", "王秀"), ("", ""), ("张三", "章三"), (" ", "")],
)
def test_another_name(one: str, other: str) -> None:
    assert not same_name(one, other)


@given(st.text(max_size=20))
def test_a_name_key_is_its_own_key(name: str) -> None:
    assert name_key(name_key(name)) == name_key(name)


def test_pinyin() -> None:
    assert pinyin("欧阳秀英") == "ouyangxiuying"
    assert initials("王秀英")[0] == "wxy"
    assert set(initials("曾国藩")) >= {"zgf", "cgf"}
    assert initials("阿依古丽·买买提")[0] == "aygl" + "mmt"
    assert initials("") == ()
    assert len(initials("单乐曾行长重传")) <= 8


def test_age_turns_on_the_birthday_of_the_charters_zone() -> None:
    born = START.date().replace(year=2000)
    assert age_years(born, now=START) == 26
    assert age_years(born + timedelta(days=1), now=START) == 25
    # 17:00 UTC is the next day in Shanghai
    assert age_years(born + timedelta(days=1), now=START + timedelta(hours=16)) == 26
