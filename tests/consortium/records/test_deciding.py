"""What a person, or the node, may not let go: on a consent that is over, of somebody else."""

from datetime import date, timedelta

import pytest

from consortium import audit
from consortium.exchange.courier import Courier
from consortium.kernel.errors import Refusal
from consortium.records import model, service
from consortium.records.model import Identity
from tests.consortium.records.asking import ask, at, house, kept, need, person, refuse, release
from tests.consortium.teleconsult.world import Clinics, clinics

__all__ = ["clinics"]
WU = Identity("512425195903141626", "吴桂兰", date(1959, 3, 14), "female")


def test_a_consent_that_ended_while_its_picture_was_under_way_lets_nothing_go(
    clinics: Clinics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "CONSENT_VALID", timedelta(hours=2))
    here, there = person(clinics, "han"), person(clinics, "lu")
    house(clinics, there)
    with monkeypatch.context() as slow:
        slow.setattr(Courier, "_put_blobs", lambda _self: 0)
        case = ask(clinics, here)
        clinics.settle()
    clinics.clock.advance(days=1)
    for _ in range(3):
        clinics.settle()
    assert kept(clinics, here) == []
    held = at(clinics, "desk", case)
    assert (held.state, held.why) == ("requested", "consent")
    assert need(clinics, "desk", case) == "record.need.decide"
    with pytest.raises(Refusal) as caught:
        release(clinics, case, there)
    assert caught.value.code == "record.consent_over"
    refuse(clinics, case, "consent")
    clinics.settle()
    assert at(clinics, "han", case).reason == "consent"
    assert kept(clinics, here) == []


def test_a_person_does_not_let_the_records_of_a_stranger_go(clinics: Clinics) -> None:
    here = person(clinics, "han")
    there = clinics.patient("lu", name="完全别人", birth="1980-01-01", sex="male")
    near = clinics.patient("lu", birth="1960-01-01")
    house(clinics, there)
    case = ask(clinics, here)
    clinics.settle()
    with pytest.raises(Refusal) as caught:
        release(clinics, case, there)
    assert caught.value.code == "record.stranger"
    # the name alone is no match, yet a person may know that it is the same one
    release(clinics, case, near)
    clinics.settle()
    assert at(clinics, "han", case).state == "released"
    with clinics.reading("lu") as session:
        (act,) = [one for one in audit.viewed_by(session, near) if one.action == "records.release"]
    assert (act.facts["match"], act.facts["by"]) == ("none", "person")


@pytest.mark.parametrize(
    ("held", "strange"),
    [
        (WU, False),
        (Identity(WU.number, "李四", None, ""), False),
        (Identity("", "吴桂兰", None, ""), False),
        (Identity("", "李四", WU.birth, ""), False),
        (Identity("", "李四", None, "female"), True),
        (Identity("110105194912310046", "李四", date(1949, 12, 31), "female"), True),
    ],
)
def test_who_has_nothing_in_common(held: Identity, strange: bool) -> None:
    assert model.strangers(WU, held) is strange
    assert model.strangers(held, WU) is strange
    assert model.strangers(Identity(), Identity())
