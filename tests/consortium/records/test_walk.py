"""Records asked for and released over a hub and two workstations, for real."""

from typing import Any

import pytest

from consortium import audit
from consortium.exchange import state, timeline
from consortium.fhir.face import Query
from consortium.kernel.errors import Refusal
from consortium.records import disclosure, fhir, service, store
from consortium.records.model import Match, Side
from consortium.records.tables import ResourceTable
from tests.consortium.exchange.checks import folds_agree
from tests.consortium.records.asking import (
    DAY,
    NUMBER,
    ask,
    at,
    house,
    kept,
    need,
    person,
    refuse,
    release,
    review,
)
from tests.consortium.teleconsult.world import Clinics, clinics, contract

__all__ = ["clinics"]


def test_number_name_and_consent_agree_so_the_hospitals_node_answers_by_itself(
    clinics: Clinics,
) -> None:
    here, there = person(clinics, "han"), person(clinics, "lu")
    house(clinics, there)
    case = ask(clinics, here)
    clinics.settle()
    asked, held = at(clinics, "han", case), at(clinics, "desk", case)
    assert (asked.state, asked.by, asked.count) == ("released", "auto", 2)
    assert (held.state, held.why, held.patient) == ("released", "", there)
    assert need(clinics, "desk", case) == ""
    assert need(clinics, "han", case) == "record.need.read"

    records = kept(clinics, here)
    assert sorted(one.fhir_id for one in records) == ["pulse-0", "pulse-1"]
    assert {one.source for one in records} == {"lead"}
    assert not records[0].own
    assert disclosure.subject_of(records[0].resource) == here
    with clinics.reading("han") as session:
        entries = timeline.of_case(session, member="shiqiao", case=case)
        message = timeline.message(
            session,
            member="shiqiao",
            exchange_id=records[0].exchange,
            identities=clinics.members["shiqiao"].post.identities,
            registry=clinics.registry,
            now=clinics.clock.now(),
        )
        found = fhir.resources(
            session,
            actor=clinics.actor("han"),
            query=Query("Observation", patient=here),
            now=clinics.clock.now(),
        )
    assert [one.kind for one in entries] == ["record.release/1", "record.request/1"]
    assert all(one.receipt for one in entries)
    assert message is not None
    for record in records:
        assert record.raw == message.original(record.resource)
    assert sorted(one.id for one in found) == ["pulse-0", "pulse-1"]
    assert {one.raw for one in found} == {one.raw for one in records}
    with clinics.reading("lu") as session:
        acts = [event.action for event in audit.viewed_by(session, there)]
    assert acts.count("records.release") == 1
    folds_agree(clinics)

    with clinics.writing("han") as session:
        service.seen(session, case, actor=clinics.actor("han"), now=clinics.clock.now())
    assert need(clinics, "han", case) == ""


def test_the_same_number_with_another_name_waits_for_a_person_who_refuses(
    clinics: Clinics,
) -> None:
    here, there = person(clinics, "han"), person(clinics, "lu", name="吴桂芳")
    house(clinics, there)
    case = ask(clinics, here)
    clinics.settle()
    held = at(clinics, "desk", case)
    assert (held.state, held.why) == ("requested", "identity_conflict")
    assert need(clinics, "desk", case) == "record.need.decide"
    assert need(clinics, "han", case) == "record.need.waiting"
    seen = review(clinics, case)
    assert (seen.asked.name, seen.asked.number) == ("吴桂兰", NUMBER)
    assert [(one.patient.name, one.match) for one in seen.candidates] == [
        ("吴桂芳", Match.CONFLICT)
    ]
    with clinics.reading("lu") as session:
        assert audit.viewed_by(session, there)[0].action == "records.compare"
    refuse(clinics, case, "identity_conflict")
    clinics.settle()
    asked = at(clinics, "han", case)
    assert (asked.state, asked.reason) == ("refused", "identity_conflict")
    assert kept(clinics, here) == []
    assert need(clinics, "han", case) == "record.need.refused"
    folds_agree(clinics)


def test_name_and_birth_date_alone_wait_for_a_person_who_releases(clinics: Clinics) -> None:
    here = person(clinics, "han", number="", no_number_reason="not_at_hand")
    there = person(clinics, "lu")
    house(clinics, there)
    case = ask(clinics, here)
    clinics.settle()
    assert at(clinics, "desk", case).why == "not_sure"
    (one,) = review(clinics, case).candidates
    assert (one.patient.id, one.match) == (there, Match.POSSIBLE)
    assert one.leaving == {"Observation": 2}
    form = "0193596c-1d80-7abc-8def-0123456789ab"
    release(clinics, case, there, exchange=form)
    release(clinics, case, there, exchange=form)
    clinics.settle()
    asked = at(clinics, "han", case)
    assert (asked.state, asked.by, asked.count) == ("released", "person", 2)
    assert len(kept(clinics, here)) == 2
    with pytest.raises(Refusal) as caught:
        release(clinics, case, there)
    assert caught.value.code == "record.answered"


def test_a_consent_that_covers_less_is_a_persons_decision_and_bounds_it(clinics: Clinics) -> None:
    here, there = person(clinics, "han"), person(clinics, "lu")
    house(clinics, there)
    case = ask(clinics, here, types=("Observation", "Condition"), covers=("Condition",))
    clinics.settle()
    assert at(clinics, "desk", case).why == "consent"
    (one,) = review(clinics, case).candidates
    assert one.leaving == {"Condition": 1}
    release(clinics, case, there)
    clinics.settle()
    assert [record.type for record in kept(clinics, here)] == ["Condition"]


def test_an_emergency_passes_is_flagged_and_waits_for_a_person(clinics: Clinics) -> None:
    here, there = person(clinics, "han"), person(clinics, "lu")
    house(clinics, there)
    case = ask(clinics, here, basis="emergency")
    clinics.settle()
    held = at(clinics, "desk", case)
    assert (held.why, held.urgency, held.purpose) == ("emergency", "emergency", "ETREAT")
    with clinics.reading("han") as session:
        (entry,) = timeline.of_case(session, member="shiqiao", case=case)
    assert "emergency" in entry.words
    assert entry.lane == "urgent"
    release(clinics, case, there)
    clinics.settle()
    assert at(clinics, "han", case).state == "released"


def test_nobody_of_that_name_is_a_persons_answer_too(clinics: Clinics) -> None:
    here = person(clinics, "han")
    case = ask(clinics, here)
    clinics.settle()
    assert at(clinics, "desk", case).why == "no_match"
    assert review(clinics, case).candidates == []
    refuse(clinics, case, "no_match")
    clinics.settle()
    assert at(clinics, "han", case).reason == "no_match"


def test_a_type_outside_the_contract_is_refused_with_its_clause(clinics: Clinics) -> None:
    clinics.put_contract("shiqiao", contract("shiqiao", types=("Condition",)))
    here = person(clinics, "han")
    with pytest.raises(Refusal) as caught:
        ask(clinics, here)
    assert (caught.value.code, caught.value.clause) == ("contract.types", "T1")
    with clinics.reading("han") as session:
        found = service.requests(session, actor=clinics.actor("han"), side=Side.ASKER)
    assert found.rows == []


def test_what_a_clinic_did_not_ask_for_is_not_taken_and_the_request_stays_open(
    clinics: Clinics, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = person(clinics, "han"), person(clinics, "lu")
    house(clinics, there)
    real = disclosure.select
    monkeypatch.setattr(disclosure, "select", lambda found, _scope: list(found))
    # a careless hospital looks further back than it was asked to
    wide = store.own_of_patient

    def careless(session: Any, **more: Any) -> Any:
        return wide(session, **{**more, "start": more["start"] - 2000 * DAY})

    monkeypatch.setattr(store, "own_of_patient", careless)
    case = ask(clinics, here)
    clinics.settle()
    monkeypatch.setattr(disclosure, "select", real)
    monkeypatch.setattr(store, "own_of_patient", wide)
    assert kept(clinics, here) == []
    with clinics.reading("lu") as session:
        value = state.read(session, f"case:{case}")
    assert value is not None
    assert (value["state"], value["turn"]) == ("requested", "lead")
    held = at(clinics, "desk", case)
    assert (held.state, held.code) == ("requested", "record.outside")
    assert need(clinics, "desk", case) == "record.need.decide"
    release(clinics, case, there)
    clinics.settle()
    assert len(kept(clinics, here)) == 2
    folds_agree(clinics)


def test_many_records_come_in_parts_and_all_arrive(clinics: Clinics) -> None:
    here, there = person(clinics, "han"), person(clinics, "lu")
    house(clinics, there, results=100)
    case = ask(clinics, here)
    clinics.settle()
    with clinics.reading("han") as session:
        entries = timeline.of_case(session, member="shiqiao", case=case)
        rows = session.execute(
            ResourceTable.__table__.select().where(ResourceTable.patient == here)
        ).all()
    assert [one.kind for one in entries].count("record.release/1") == 3
    assert len(rows) == 100
    assert at(clinics, "han", case).count == 100
    assert at(clinics, "han", case).state == "released"
