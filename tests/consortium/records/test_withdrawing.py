"""A consent that is withdrawn takes away what it brought, at once, and nothing else."""

import pytest

from consortium.exchange import state
from consortium.fhir import clinical
from consortium.fhir.face import Query
from consortium.kernel.errors import Refusal
from consortium.records import fhir, library, service
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
)
from tests.consortium.teleconsult.world import Clinics, clinics

__all__ = ["clinics"]


def withdraw(world: Clinics, case: str, *, name: str = "han", exchange: str = "") -> None:
    doing = world.doing(name, exchange)
    with world.writing(name) as session:
        service.withdraw(
            session, case, reason="patient", actor=doing.actor, post=doing.post,
            exchange=doing.exchange, now=doing.now,
        )  # fmt: skip


def read(world: Clinics, patient: str, number: str = "") -> list[str]:
    """Ids of what the FHIR door shows of a patient, or under a business identifier."""
    query = Query("Observation", patient=patient, identifier=("", number))
    with world.writing("han") as session:
        found = fhir.resources(
            session, actor=world.actor("han"), query=query, now=world.clock.now()
        )
    return [one.id for one in found]


def numbered(world: Clinics, patient: str) -> None:
    """A result of the hospital that bears a number."""
    pulse = clinical.vital(
        id_="numbered", patient=f"Patient/{patient}", name="pulse", value=80,
        taken=world.clock.now() - DAY,
    )  # fmt: skip
    add(world, {**pulse, "identifier": [{"system": "urn:lab", "value": "L-7"}]}, patient)


def test_what_an_earlier_consent_brought_is_seen_again(clinics: Clinics) -> None:
    here, there = person(clinics, "han"), person(clinics, "lu")
    house(clinics, there)
    numbered(clinics, there)
    cases = []
    for _ in range(3):
        cases.append(ask(clinics, here))
        clinics.settle()
    clinics.settle()
    one, two, three = cases
    for case, source in ((two, three), (three, one)):
        withdraw(clinics, case)
        clinics.settle()
        assert {record.case for record in kept(clinics, here)} == {source}
        assert len(kept(clinics, here)) == 3
        assert read(clinics, here) == ["numbered", "pulse-0", "pulse-1"]
        assert read(clinics, here, "L-7") == ["numbered"]
    withdraw(clinics, one)
    clinics.settle()
    assert (kept(clinics, here), read(clinics, here)) == ([], [])
    with clinics.writing("han") as session, pytest.raises(Refusal) as caught:
        fhir.resources(
            session, actor=clinics.actor("han"), query=Query("Observation", id="pulse-0"),
            now=clinics.clock.now(),
        )  # fmt: skip
    assert caught.value.code == "record.suppressed"
    ask(clinics, here)
    clinics.settle()
    clinics.settle()
    assert len(kept(clinics, here)) == 3
    folds_agree(clinics)


def test_without_a_link_it_is_seen_no_longer_at_once(clinics: Clinics) -> None:
    here, there = person(clinics, "han"), person(clinics, "lu")
    house(clinics, there)
    case = ask(clinics, here)
    clinics.settle()
    clinics.settle()
    assert len(kept(clinics, here)) == 2
    clinics.members["shiqiao"].link.cut = True
    form = "0193596c-1d80-7abc-8def-0123456789ab"
    withdraw(clinics, case, exchange=form)
    clinics.settle()
    assert (kept(clinics, here), read(clinics, here)) == ([], [])
    told = at(clinics, "han", case)
    assert (told.state, told.withdrawn_at is not None) == ("withdrawing", True)
    assert need(clinics, "han", case) == ""
    # the form twice, or a second one meanwhile, withdraws once
    withdraw(clinics, case, exchange=form)
    withdraw(clinics, case)
    clinics.members["shiqiao"].link.cut = False
    clinics.settle()
    assert at(clinics, "han", case).state == "withdrawn"
    assert at(clinics, "desk", case).state == "withdrawn"
    assert kept(clinics, here) == []
    folds_agree(clinics)


def test_what_comes_while_a_withdrawal_is_under_way_is_not_seen(clinics: Clinics) -> None:
    here, there = person(clinics, "han"), person(clinics, "lu")
    house(clinics, there)
    first = ask(clinics, here)
    clinics.settle()
    clinics.settle()
    second = ask(clinics, here)
    clinics.members["shiqiao"].sync()
    assert at(clinics, "han", second).state == "requested"
    withdraw(clinics, second)
    for _ in range(2):
        clinics.settle()
    assert {record.case for record in kept(clinics, here)} == {first}
    assert len(kept(clinics, here)) == 2
    assert at(clinics, "han", second).state == "withdrawn"


def test_a_withdrawal_that_the_ledger_refuses_gives_everything_back(clinics: Clinics) -> None:
    here, there = person(clinics, "han"), person(clinics, "lu")
    house(clinics, there)
    case = ask(clinics, here)
    clinics.settle()
    clinics.settle()
    until = clinics.clock.now() + DAY
    with clinics.writing("han") as session:
        library.grant(
            session, member="shiqiao", case=case, party="yunling", patient=here, until=until
        )
    withdraw(clinics, case)
    with clinics.hub_database.write() as session:
        name = f"case:{case}"
        value = state.read(session, name)
        assert value is not None
        state.write(session, {name: ({**value, "topic": "other"}, 0)}, frozenset({name}))
    clinics.settle()
    told = at(clinics, "han", case)
    assert (told.state, told.code, told.withdrawn_at) == ("released", "record.unknown", None)
    assert (len(kept(clinics, here)), len(read(clinics, here))) == (2, 2)
    with clinics.reading("han") as session:
        assert library.granted(
            session, member="shiqiao", party="yunling", patient=here, now=clinics.clock.now()
        )
    assert need(clinics, "han", case) == "record.need.read"


def test_both_sides_withdraw_at_once_and_it_stays_withdrawn(clinics: Clinics) -> None:
    here, there = person(clinics, "han"), person(clinics, "lu")
    house(clinics, there)
    case = ask(clinics, here)
    clinics.settle()
    clinics.settle()
    withdraw(clinics, case, name="desk")
    withdraw(clinics, case)
    clinics.settle()
    assert {at(clinics, name, case).state for name in ("han", "desk")} == {"withdrawn"}
    assert kept(clinics, here) == []
