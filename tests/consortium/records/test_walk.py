"""Records asked for and released over a hub and two workstations, for real."""

from datetime import timedelta
from typing import Any

import pytest

from consortium import audit
from consortium.desk import drafts
from consortium.desk import service as desk
from consortium.exchange import blobs, state, timeline
from consortium.fhir import clinical, gate
from consortium.fhir.face import Query
from consortium.kernel.errors import Refusal
from consortium.records import answering, applying, disclosure, fhir, library, service, store
from consortium.records.model import Match, Side
from consortium.records.tables import ResourceTable
from tests.consortium.exchange.checks import folds_agree
from tests.consortium.teleconsult.world import Clinics, clinics, contract

__all__ = ["clinics"]
NUMBER = "512425195903141626"
DAY = timedelta(days=1)


def person(world: Clinics, by: str, **changes: str) -> str:
    return world.patient(by, **{"number": NUMBER, "no_number_reason": "", **changes})


def add(world: Clinics, resource: dict[str, Any], patient: str) -> None:
    with world.writing("lu") as session:
        library.add(session, resource, member="lead", patient=patient, now=world.clock.now())


def house(world: Clinics, patient: str, *, results: int = 2) -> None:
    """Records at the hospital: results of this year, an old one, a diagnosis, a draft report."""
    now, who = world.clock.now(), f"Patient/{patient}"
    for n in range(results):
        add(
            world,
            clinical.vital(
                id_=f"pulse-{n}", patient=who, name="pulse", value=70 + n, taken=now - (n + 1) * DAY
            ),
            patient,
        )
    old = clinical.vital(id_="old", patient=who, name="pulse", value=60, taken=now - 900 * DAY)
    told = clinical.condition(
        id_="dx", patient=who, text="冠心病", code="I25.1", recorded=now - 30 * DAY
    )
    report = clinical.diagnostic_report(
        id_="draft",
        patient=who,
        title="心超",
        conclusion="未签发",
        issued=now - DAY,
        performer="Organization/lead",
        status="preliminary",
    )
    for one in (old, told, report):
        add(world, one, patient)


def ask(
    world: Clinics,
    patient: str,
    *,
    types: tuple[str, ...] = ("Observation",),
    basis: str = "explicit",
    covers: tuple[str, ...] = (),
    months: int = 12,
    name: str = "han",
) -> str:
    doing = world.doing(name)
    with world.writing(name) as session:
        image = ""
        if basis == "explicit":
            files = world.members[doing.actor.member].store
            image = blobs.seal(
                session, files, b"a picture", name="consent.jpg", content_type="image/jpeg",
                now=doing.now,
            ).id  # fmt: skip
        form = service.Form("lead", types, months, basis, "调整用药前看既往结果", image, covers)
        return service.request(
            session,
            form,
            patient=patient,
            actor=doing.actor,
            post=doing.post,
            signer=world.key(name),
            exchange=doing.exchange,
            now=doing.now,
        )


def at(world: Clinics, name: str, case: str) -> service.Request:
    with world.reading(name) as session:
        return service.request_of(session, case, actor=world.actor(name))


def kept(world: Clinics, patient: str, *, name: str = "han") -> list[library.Record]:
    with world.reading(name) as session:
        return list(library.of_patient(session, actor=world.actor(name), patient=patient).rows)


def need(world: Clinics, name: str, case: str) -> str:
    with world.reading(name) as session:
        line = desk.row(session, member=world.actor(name).member, case=case)
    return line.row.need if line is not None and line.open else ""


def review(world: Clinics, case: str, chosen: str = "") -> answering.Review:
    with world.writing("desk") as session:
        return answering.review(
            session, case, actor=world.actor("desk"), chosen=chosen, now=world.clock.now()
        )


def release(world: Clinics, case: str, patient: str, *, exchange: str = "") -> None:
    doing = world.doing("desk", exchange)
    with world.writing("desk") as session:
        answering.release(
            session,
            case,
            patient=patient,
            actor=doing.actor,
            post=doing.post,
            signer=world.key("desk"),
            exchange=doing.exchange,
            now=doing.now,
        )


def refuse(world: Clinics, case: str, reason: str) -> None:
    doing = world.doing("desk")
    with world.writing("desk") as session:
        answering.refuse(
            session,
            case,
            reason=reason,
            text="请核对姓名",
            actor=doing.actor,
            post=doing.post,
            signer=world.key("desk"),
            exchange=doing.exchange,
            now=doing.now,
        )


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


def test_a_withdrawn_consent_hides_what_it_brought_and_ends_every_grant(clinics: Clinics) -> None:
    here, there = person(clinics, "han"), person(clinics, "lu")
    house(clinics, there)
    case = ask(clinics, here)
    clinics.settle()
    with clinics.writing("lu") as session:
        library.grant(
            session, member="lead", case=case, party="consortium", patient=there,
            until=clinics.clock.now() + DAY,
        )  # fmt: skip
    doing = clinics.doing("han")
    with clinics.writing("han") as session:
        service.withdraw(
            session,
            case,
            reason="patient",
            actor=doing.actor,
            post=doing.post,
            exchange=doing.exchange,
            now=doing.now,
        )
    clinics.settle()
    assert at(clinics, "desk", case).state == "withdrawn"
    assert kept(clinics, here) == []
    with clinics.reading("han") as session:
        query = Query("Observation", patient=here)
        now = clinics.clock.now()
        assert fhir.resources(session, actor=clinics.actor("han"), query=query, now=now) == []
    with clinics.reading("lu") as session:
        granted = library.granted(
            session, member="lead", party="consortium", patient=there, now=clinics.clock.now()
        )
    assert not granted
    assert len(kept(clinics, there, name="lu")) == 5
    folds_agree(clinics)


def test_a_consent_withdrawn_first_wins_over_the_release(clinics: Clinics) -> None:
    here = person(clinics, "han", number="", no_number_reason="not_at_hand")
    there = person(clinics, "lu")
    house(clinics, there)
    case = ask(clinics, here)
    clinics.settle()
    doing = clinics.doing("han")
    with clinics.writing("han") as session:
        service.withdraw(
            session, case, reason="patient", actor=doing.actor, post=doing.post,
            exchange=doing.exchange, now=doing.now,
        )  # fmt: skip
    # the clinic's withdrawal is on the ledger before the hospital's node has taken it
    clinics.members["shiqiao"].sync()
    with pytest.raises(Refusal) as caught:
        release(clinics, case, there)
    assert caught.value.code == "record.state"
    clinics.settle()
    assert kept(clinics, here) == []


def test_a_request_that_the_ledger_refuses_comes_back_as_a_draft(clinics: Clinics) -> None:
    here = person(clinics, "han")
    case = ask(clinics, here)
    value = contract("shiqiao")
    with clinics.hub_database.write() as session:
        name = "contract:ct-shiqiao"
        state.write(session, {name: ({**value, "state": "suspended"}, 0)}, frozenset({name}))
    clinics.settle()
    asked = at(clinics, "han", case)
    assert (asked.state, asked.code) == ("not_sent", "contract.suspended")
    with clinics.reading("han") as session:
        draft = drafts.read(session, actor=clinics.actor("han"), form=applying.form_name(here))
    assert draft is not None
    assert draft.fields["question"] == "调整用药前看既往结果"
    assert draft.code == "contract.suspended"


def test_a_second_version_takes_the_place_of_the_first_and_keeps_it(clinics: Clinics) -> None:
    there = person(clinics, "lu")
    now = clinics.clock.now()
    for value in (70, 75, 75):
        add(
            clinics,
            clinical.vital(
                id_="p", patient=f"Patient/{there}", name="pulse", value=value, taken=now
            ),
            there,
        )
    (record,) = kept(clinics, there, name="lu")
    assert record.version == 2
    assert gate.parse(record.raw)["valueQuantity"]["value"] == 75


def test_a_record_of_another_patient_is_not_filed_under_this_one(clinics: Clinics) -> None:
    there = person(clinics, "lu")
    other = clinics.patient("lu", name="李四")
    resource = clinical.vital(
        id_="p", patient=f"Patient/{other}", name="pulse", value=70, taken=clinics.clock.now()
    )
    with pytest.raises(Refusal) as caught:
        add(clinics, resource, there)
    assert caught.value.code == "record.patient"
