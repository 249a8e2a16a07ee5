"""Registering, finding, correcting and reading patients, on both databases."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from consortium import audit
from consortium.audit.tables import EventRow
from consortium.desk import service as desk
from consortium.fhir import gate
from consortium.fhir.bindings import check
from consortium.kernel.actor import Role
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal, RefusalKind
from consortium.patients import looks, service, store
from consortium.patients.model import Entry
from tests.consortium.fhir.samples import NUMBER
from tests.consortium.patients.factory import (
    DOCTOR,
    HOUR,
    LI,
    NOW,
    WANG,
    actor,
    registered,
)


def found(database: Database, text: str, **more: Any) -> list[str]:
    given: dict[str, Any] = {"actor": DOCTOR, "now": NOW}
    with database.write() as session:
        return [one.name for one in service.search(session, text=text, **(given | more))]


def refused(database: Database, what: Any, **given: Any) -> Refusal:
    with pytest.raises(Refusal) as caught, database.write() as session:
        what(session, **({"actor": DOCTOR, "now": NOW} | given))
    return caught.value


def test_a_new_patient_gets_a_local_number_and_a_resource(database: Database) -> None:
    wang, li = registered(database), registered(database, LI)
    assert (wang.local_number, li.local_number) == ("000001", "000002")
    assert (wang.sex, wang.birth) == ("female", "1949-12-31")
    with database.read() as session:
        raw = service.resource(session, member="liuhe", patient=wang.id)
    resource = gate.parse(raw)
    check(resource, now=NOW)
    assert resource["id"] == wang.id
    assert [one["value"] for one in resource["identifier"]] == [NUMBER, "000001"]


def test_the_same_number_and_name_is_the_one_that_is_there(database: Database) -> None:
    wang = registered(database)
    with database.write() as session:
        again = service.register(
            session, actor=DOCTOR, entry=replace(WANG, name="王 秀英", phone=""), now=NOW + HOUR
        )
    assert (again.patient, again.new) == (wang, False)


def test_the_same_number_with_another_name_is_for_a_person_to_settle(database: Database) -> None:
    wang = registered(database)
    answer = refused(database, service.register, entry=replace(WANG, name="王秀瑛"))
    assert (answer.kind, answer.code) == (RefusalKind.CONFLICT, "patients.number_other_name")
    assert answer.facts == {"patient": wang.id}


def test_who_looks_known_is_shown_first(database: Database) -> None:
    li = registered(database, LI)
    answer = refused(database, service.register, entry=replace(LI, birth="1961"))
    assert (answer.code, answer.facts["patients"]) == ("patients.looks_known", [li.id])
    other = registered(database, LI, confirmed=True)
    assert other.id != li.id
    # a number settles what a name leaves open
    wang = registered(database)
    namesake = replace(WANG, number="110105194912310046")
    assert registered(database, namesake).id != wang.id


def test_candidates_are_offered_while_the_form_is_filled_in(database: Database) -> None:
    wang, li = registered(database), registered(database, LI)
    with database.read() as session:
        for entry, expected in (
            (Entry(name="", number="11010519491231002x"), [wang.id]),
            (Entry(name="李建国"), [li.id]),
            (Entry(name="李建国", birth="1970"), []),
            (Entry(name=""), []),
        ):
            offered = service.alike(session, actor=DOCTOR, entry=entry)
            assert [one.id for one in offered] == expected


def test_a_patient_is_found_by_name_pinyin_initials_and_numbers(database: Database) -> None:
    registered(database)
    registered(database, LI)
    words = ("王秀英", "王", " 王 ", "秀英", "wxy", "WX", "wangxiuying", "wangx")
    numbers = ("000001", "1", NUMBER, "1101", "002x", "13800000000", "138 0000 0000", "0000")
    lost = [text for text in (*words, *numbers) if "王秀英" not in found(database, text)]
    assert lost == []


def test_a_patient_is_not_found_by_anything_else(database: Database) -> None:
    registered(database)
    texts = ("", "  ", "王秀瑛", "xyw", "%", "_", "999", "\\", "英秀", "王秀英秀英")
    assert [text for text in texts if found(database, text)] == []


def test_search_is_scoped_and_bounded(database: Database) -> None:
    for number in range(5):
        registered(database, LI, confirmed=True, now=NOW + number * HOUR)
    assert len(found(database, "ljg", limit=3)) == 3
    assert found(database, "ljg", actor=actor(member="yunling")) == []


def test_a_correction_keeps_what_was_there(database: Database) -> None:
    li = registered(database, LI)
    entry = replace(LI, name="李建军", phone="0591-1234567")
    with database.write() as session:
        new = service.correct(
            session, actor=DOCTOR, patient=li.id, entry=entry, version=1, now=NOW + HOUR
        )
        old = service.versions(session, actor=DOCTOR, patient=li.id)
    assert (new.version, new.name, new.id, new.local_number) == (2, "李建军", li.id, "000001")
    assert [(one.version, one.entry.name, one.written_by) for one in old] == [(1, "李建国", "u-li")]
    assert found(database, "李建国") == []
    assert found(database, "ljj") == ["李建军"]


def test_a_correction_on_an_old_version_is_told_who_was_first(database: Database) -> None:
    li = registered(database, LI)
    with database.write() as session:
        service.correct(
            session,
            actor=actor(user="u-chen"),
            patient=li.id,
            entry=replace(LI, phone="13900000000"),
            version=1,
            now=NOW + HOUR,
        )
    answer = refused(database, service.correct, patient=li.id, entry=LI, version=1)
    assert (answer.code, answer.facts["by"]) == ("patients.changed", "u-chen")


def test_a_number_moves_with_its_correction_and_never_to_two(database: Database) -> None:
    wang, li = registered(database), registered(database, LI)
    with_number = replace(WANG, name="李建国")
    answer = refused(database, service.correct, patient=li.id, entry=with_number, version=1)
    assert answer.facts == {"patient": wang.id}
    with database.write() as session:
        service.correct(
            session,
            actor=DOCTOR,
            patient=wang.id,
            entry=replace(WANG, number="", no_number_reason="lost", sex="female", birth="1949"),
            version=1,
            now=NOW,
        )
        moved = service.correct(
            session, actor=DOCTOR, patient=li.id, entry=with_number, version=1, now=NOW
        )
    assert moved.number == NUMBER
    assert found(database, NUMBER) == ["李建国"]


def test_reading_is_audited_and_scoped(database: Database) -> None:
    wang = registered(database)
    with database.write() as session:
        assert service.get(session, actor=DOCTOR, patient=wang.id, now=NOW) == wang
    with database.read() as session:
        events = audit.viewed_by(session, wang.id)
    assert [(one.action, one.user) for one in events] == [
        ("patients.view", "u-li"),
        ("patients.register", "u-li"),
    ]
    other = actor(member="yunling", user="u-zhao")
    for patient in (wang.id, "no-such"):
        answer = refused(database, service.get, actor=other, patient=patient)
        assert (answer.kind, answer.code, answer.facts) == (
            RefusalKind.MISSING,
            "patients.missing",
            {},
        )
    with database.read() as session:
        # kept without telling who looks at the patient that somebody else tried
        assert audit.viewed_by(session, wang.id) == events
        tried = session.scalars(select(EventRow).where(EventRow.action == "patients.denied")).all()
        assert [(one.user, one.subject) for one in tried] == [
            ("u-zhao", wang.id),
            ("u-zhao", "no-such"),
        ]
        assert audit.verify(session) is None


@pytest.mark.parametrize("role", [Role.HEAD, Role.CONSORTIUM_ADMIN, Role.MEMBER_ADMIN])
def test_who_has_no_business_with_patients_sees_none(database: Database, role: Role) -> None:
    wang = registered(database)
    nobody = actor(role)
    for what, given in (
        (service.search, {"text": "王"}),
        (service.get, {"patient": wang.id}),
        (service.register, {"entry": LI}),
        (service.correct, {"patient": wang.id, "entry": WANG, "version": 1}),
    ):
        assert refused(database, what, actor=nobody, **given).kind is RefusalKind.MISSING


def test_two_hundred_look_ups_in_ten_minutes_are_enough(database: Database) -> None:
    for number in range(looks.LOOKS_MAX):
        at = NOW + timedelta(seconds=2 * number)
        with database.write() as session:
            looks.count(session, actor=DOCTOR, now=at)
    late = NOW + timedelta(minutes=7)
    answer = refused(database, service.search, text="王", now=late)
    assert (answer.kind, answer.code) == (RefusalKind.THROTTLED, "patients.too_many_looks")
    assert found(database, "王", actor=actor(user="u-chen"), now=late) == []
    with database.read() as session:
        told = desk.notices(session, actor=actor(Role.HEAD, user="u-head"))
    assert [one.word for one in told] == ["patients.notice.many_looks"]
    assert found(database, "王", now=NOW + timedelta(minutes=20)) == []


def test_two_at_once_make_one_patient(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database holds the number to one patient even when the look before found nobody."""
    wang = registered(database)
    really = store.holder
    calls: list[Any] = []

    def blind_once(*given: Any, **more: Any) -> Any:
        calls.append(more)
        return None if len(calls) == 1 else really(*given, **more)

    monkeypatch.setattr(store, "holder", blind_once)
    with database.write() as session:
        again = service.register(session, actor=DOCTOR, entry=WANG, now=NOW, confirmed=True)
        assert (again.patient, again.new) == (wang, False)
    assert len(calls) == 2
    assert found(database, "王") == ["王秀英"]
