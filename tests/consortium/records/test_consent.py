"""Consents that are withdrawn, requests that come back, versions, and whose record it is."""

from typing import Any

import pytest

from consortium.desk import drafts
from consortium.exchange import state
from consortium.exchange.courier import Courier
from consortium.fhir import clinical, gate
from consortium.fhir.face import Query
from consortium.kernel.actor import Role
from consortium.kernel.errors import Refusal
from consortium.records import applying, fhir, library, service
from tests.consortium.exchange.checks import folds_agree
from tests.consortium.records.asking import (
    DAY,
    add,
    ask,
    at,
    house,
    kept,
    need,
    person,
    release,
)
from tests.consortium.teleconsult.world import Clinics, clinics, contract

__all__ = ["clinics"]


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


def test_one_resource_may_come_for_two_rows_of_one_person(clinics: Clinics) -> None:
    """Two of a clinic's rows are one person; the hospital lets the same record go for both."""
    card = person(clinics, "han")
    no_card = clinics.patient("han")
    there = person(clinics, "lu")
    house(clinics, there)
    for here in (card, no_card):
        case = ask(clinics, here)
        clinics.settle()
        if at(clinics, "desk", case).state == "requested":
            release(clinics, case, there)
            clinics.settle()
        assert at(clinics, "han", case).state == "released"
        assert len(kept(clinics, here)) == 2
    later = ask(clinics, card)
    clinics.settle()
    assert at(clinics, "han", later).state == "released"
    assert {one.patient for one in kept(clinics, card)} == {card}
    assert len(kept(clinics, card)) == len(kept(clinics, no_card)) == 2


def test_a_record_too_large_to_keep_is_sent_back_and_the_feed_goes_on(
    clinics: Clinics, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = person(clinics, "han"), person(clinics, "lu")
    house(clinics, there)
    case = ask(clinics, here)
    with monkeypatch.context() as small:
        small.setattr(library, "RAW_MAX_BYTES", 10)
        clinics.settle()
    assert kept(clinics, here) == []
    assert at(clinics, "desk", case).code == "record.too_large"
    later = ask(clinics, here)
    clinics.settle()
    assert at(clinics, "han", later).state == "released"
    assert len(kept(clinics, here)) == 2


def key_of(world: Clinics, name: str, role: Role) -> None:
    """The key of a person becomes that of somebody of another role."""
    with world.reading(name) as session:
        record = state.read(session, f"key:k-{name}")
    assert record is not None
    world.put({f"key:k-{name}": {**record, "roles": [role.value]}})


def test_a_request_signed_by_a_heads_key_releases_nothing(clinics: Clinics) -> None:
    here, there = person(clinics, "han"), person(clinics, "lu")
    house(clinics, there)
    key_of(clinics, "han", Role.HEAD)
    case = ask(clinics, here)
    clinics.settle()
    assert kept(clinics, here) == []
    asked = at(clinics, "han", case)
    assert (asked.state, asked.code) == ("sent_back", "signature.role")


def test_a_decision_signed_by_an_administrators_key_is_not_taken(clinics: Clinics) -> None:
    here, there = clinics.patient("han"), person(clinics, "lu")
    house(clinics, there)
    case = ask(clinics, here)
    clinics.settle()
    key_of(clinics, "desk", Role.MEMBER_ADMIN)
    release(clinics, case, there)
    clinics.settle()
    assert kept(clinics, here) == []
    assert at(clinics, "desk", case).code == "signature.role"


def test_types_beside_those_that_were_signed_are_not_asked_for(
    clinics: Clinics, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = person(clinics, "han"), person(clinics, "lu")
    house(clinics, there)
    real = fhir.request

    def wider(act: Any, told: Any, *, facts: dict[str, Any], signer: Any) -> bytes:
        return real(
            act, told, facts={**facts, "types": ["Condition", "Observation"]}, signer=signer
        )

    with monkeypatch.context() as patched:
        patched.setattr(fhir, "request", wider)
        case = ask(clinics, here, covers=("Condition", "Observation"))
    clinics.settle()
    assert kept(clinics, here) == []
    assert at(clinics, "han", case).code == "record.body"


def test_nothing_goes_by_itself_before_the_consents_picture_is_here(
    clinics: Clinics, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = person(clinics, "han"), person(clinics, "lu")
    house(clinics, there)
    with monkeypatch.context() as slow:
        slow.setattr(Courier, "_put_blobs", lambda _self: 0)
        case = ask(clinics, here)
        clinics.settle()
    assert kept(clinics, here) == []
    held = at(clinics, "desk", case)
    assert (held.state, held.why) == ("requested", "picture")
    assert need(clinics, "desk", case) == "record.need.decide"
    for _ in range(3):
        clinics.settle()
    assert at(clinics, "han", case).state == "released"
    assert len(kept(clinics, here)) == 2
