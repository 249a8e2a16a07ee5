"""What an entry must be, and when two are the same person."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.kernel.errors import Refusal
from consortium.kernel.ids import PatientId
from consortium.patients import model
from consortium.patients.model import Entry, Fact, FactKind, Match
from tests.consortium.fhir.samples import NUMBER
from tests.consortium.patients.factory import LI, NOW, WANG


def test_a_number_fills_in_sex_and_birth() -> None:
    kept = model.checked(replace(WANG, number=" 11010519491231002x "), now=NOW)
    assert (kept.sex, kept.birth, kept.number) == ("female", "1949-12-31", NUMBER)


def test_names_and_addresses_are_trimmed() -> None:
    kept = model.checked(replace(LI, name="  Li   Jian\tguo ", address=" 柳河村 \n 3 组"), now=NOW)
    assert (kept.name, kept.address) == ("Li Jian guo", "柳河村 3 组")


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (replace(WANG, name=" "), "patients.name"),
        (replace(WANG, name="12"), "patients.name"),
        (replace(WANG, name="王" * 101), "patients.name"),
        (replace(WANG, name="王\x00"), "patients.name"),
        (replace(WANG, name="王\ud800"), "patients.name"),
        (replace(WANG, address="a" * 201), "patients.address"),
        (replace(WANG, address="a\x07"), "patients.name"),
        (replace(WANG, phone="call me"), "patients.phone"),
        (replace(WANG, phone="1"), "patients.phone"),
        (replace(WANG, number="110105194912310021"), "identity.number"),
        (replace(WANG, sex="male"), "patients.number_says_other"),
        (replace(WANG, birth="1950-01-01"), "patients.number_says_other"),
        (replace(WANG, number_kind="passport"), "patients.number_kind"),
        (replace(WANG, number="!!", number_kind="other"), "patients.number"),
        (replace(LI, no_number_reason=""), "patients.number_or_reason"),
        (replace(LI, no_number_reason="lazy"), "patients.number_or_reason"),
        (replace(LI, sex=""), "patients.sex"),
        (replace(LI, sex="zzz"), "patients.sex"),
        (replace(LI, birth=""), "patients.birth"),
        (replace(LI, birth="2026-02-30"), "patients.birth"),
        (replace(LI, birth="2027"), "patients.birth"),
        (replace(LI, birth="1879"), "patients.birth"),
        (replace(LI, birth="1961-13"), "patients.birth"),
        (replace(LI, birth="1961-05-02T00:00:00Z"), "patients.birth"),
    ],
)
def test_an_entry_is_refused(entry: Entry, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        model.checked(entry, now=NOW)
    assert refused.value.code == code
    assert entry.name not in str(refused.value.facts) or not entry.name.strip()


@pytest.mark.parametrize(
    "entry",
    [
        replace(LI, birth="1961"),
        replace(LI, birth="1961-05"),
        replace(LI, birth="", no_number_reason="unknown_person", sex="unknown", name="无名氏"),
        replace(LI, number="e 12345678", number_kind="other", no_number_reason=""),
        replace(WANG, birth="1949-12", sex="unknown"),
        replace(LI, phone="+86 (591) 123-4567"),
    ],
)
def test_an_entry_passes(entry: Entry) -> None:
    kept = model.checked(entry, now=NOW)
    assert model.checked(kept, now=NOW) == kept


def known(entry: Entry) -> model.Patient:
    kept = model.checked(entry, now=NOW)
    return model.Patient(
        id=PatientId("p"),
        member="m",
        local_number="000001",
        source="",
        disputed_with="",
        version=1,
        created_at=NOW,
        updated_at=NOW,
        updated_by="u",
        **{name: getattr(kept, name) for name in Entry.__dataclass_fields__},
    )


@pytest.mark.parametrize(
    ("name", "sex", "match"),
    [
        ("王秀英", "female", Match.SAME),
        (" 王 秀英 ", "", Match.SAME),
        ("王秀英", "unknown", Match.SAME),
        ("王秀瑛", "female", Match.OTHER),
        ("王秀英", "male", Match.OTHER),
    ],
)
def test_the_same_number_is_the_same_person_only_with_name_and_sex(
    name: str, sex: str, match: Match
) -> None:
    assert model.match(Entry(name=name, sex=sex), known(WANG)) is match


@pytest.mark.parametrize(
    ("birth", "alike"),
    [("1961-05-02", True), ("1961", True), ("", True), ("1961-05", True), ("1962", False)],
)
def test_who_looks_alike(birth: str, alike: bool) -> None:
    assert model.looks_like(replace(LI, birth=birth), known(LI)) is alike
    assert not model.looks_like(replace(LI, name="李建军"), known(LI))


def test_born_is_a_day_or_nothing() -> None:
    assert known(WANG).born == date(1949, 12, 31)
    assert known(replace(LI, birth="1961")).born is None
    assert known(WANG).number_tail == "002X"


@pytest.mark.parametrize(
    ("fact", "text"),
    [
        (Fact(FactKind.VITAL, "36.50", "temperature"), "36.50"),
        (Fact(FactKind.VITAL, " １２０ ", "systolic"), "120"),
        (Fact(FactKind.VITAL, "1E2", "pulse"), "100"),
        (Fact(FactKind.DIAGNOSIS, " 高血压  2 级 ", "I10"), "高血压 2 级"),
        (Fact(FactKind.ALLERGY, "anything", "none"), ""),
    ],
)
def test_a_fact_is_kept_with_its_digits(fact: Fact, text: str) -> None:
    assert model.checked_fact(fact).text == text


@pytest.mark.parametrize(
    ("fact", "code"),
    [
        (Fact(FactKind.VITAL, "36.5", "mood"), "patients.vital"),
        (Fact(FactKind.VITAL, "365", "temperature"), "patients.vital"),
        (Fact(FactKind.VITAL, "NaN", "pulse"), "patients.vital"),
        (Fact(FactKind.VITAL, "", "pulse"), "patients.vital"),
        (Fact(FactKind.VITAL, "1" + "0" * 9, "pulse"), "patients.vital"),
        (Fact(FactKind.DIAGNOSIS, " "), "patients.fact"),
        (Fact(FactKind.DIAGNOSIS, "a" * 201), "patients.fact"),
        (Fact(FactKind.MEDICATION, "a\x00"), "patients.fact"),
        (Fact(FactKind.ALLERGY, "a", "x" * 33), "patients.fact"),
    ],
)
def test_a_fact_is_refused(fact: Fact, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        model.checked_fact(fact)
    assert refused.value.code == code


@given(st.sampled_from(sorted(model.VITAL_LIMITS)), st.text(max_size=10))
def test_no_text_makes_a_vital_fail_otherwise(name: str, text: str) -> None:
    code = "patients.vital"
    try:
        model.checked_fact(Fact(FactKind.VITAL, text, name))
    except Refusal as refusal:
        code = refusal.code
    assert code == "patients.vital"
