"""Moving a booking from a page on which it stood elsewhere, or while another move is on its way."""

import pytest

from consortium.kernel.errors import Refusal
from consortium.teleconsult import service
from tests.consortium.referrals.test_pages import exchange, words
from tests.consortium.teleconsult.stage import Stage
from tests.consortium.teleconsult.test_pages import form, publish, slots_of, stage
from tests.consortium.teleconsult.test_walk import book, booking
from tests.consortium.teleconsult.test_walk import publish as publish_slots
from tests.consortium.teleconsult.world import Clinics, clinics

__all__ = ["clinics", "stage"]


def move(world: Clinics, name: str, case: str, slot: str, *, drawn: str = "", id_: str = "") -> str:
    doing = world.doing(name, id_)
    with world.writing(name) as session:
        service.move(
            session, case, slot=slot, actor=doing.actor, post=doing.post,
            exchange=doing.exchange, now=doing.now, drawn=drawn,
        )  # fmt: skip
    return doing.exchange


def test_a_move_stands_on_what_its_page_showed(clinics: Clinics) -> None:
    world = clinics
    first, second, third, _ = publish_slots(world)
    case = book(world, "han", first, world.patient("han"))
    world.settle()
    with world.reading("lu") as session:
        drawn = service.moved_by(session, case)
    assert drawn
    sent = move(world, "han", case, second)
    # a second move while the first is on its way, from whatever page
    with pytest.raises(Refusal, match=r"booking\.under_way"):
        move(world, "han", case, third)
    world.settle()
    with pytest.raises(Refusal, match=r"booking\.moved_on"):
        move(world, "lu", case, third, drawn=drawn)
    assert booking(world, "han", case).slot == second
    # the same form again changes nothing, though the case has moved by it
    move(world, "han", case, second, drawn=drawn, id_=sent)
    with world.reading("lu") as session:
        drawn = service.moved_by(session, case)
    move(world, "lu", case, third, drawn=drawn)
    world.settle()
    assert booking(world, "han", case).slot == third


def test_a_stale_page_is_shown_anew_with_other_times(stage: Stage) -> None:
    publish(stage, "08:30", "09:00", "09:30")
    patient = stage.world.patient("han")
    page = stage.get("han", f"/bookings/new?about={patient}")
    first, second, third = slots_of(page)
    href = stage.post("han", "/bookings/new", form(patient, page, first))
    stage.settle()
    stale = stage.get("lu", f"{href}/move")
    shown = stage.get("desk", href)
    page = stage.get("han", f"{href}/move")
    told = {"exchange": exchange(page), "drawn": drawn_of(page), "slot": second}
    stage.post("han", f"{href}/move", told)
    stage.settle()
    told = {"exchange": exchange(stale), "drawn": drawn_of(stale), "slot": third}
    answer = stage.send("lu", f"{href}/move", told)
    assert answer.status_code == 409
    assert "您打开之后，这个预约已有变动" in words(answer.text)
    stage.post("lu", f"{href}/move", {**told, "drawn": drawn_of(answer.text)})
    stage.settle()
    told = {"exchange": exchange(shown), "drawn": drawn_of(shown), "reason": "staff"}
    assert stage.send("desk", f"{href}/cancel", told).status_code == 409
    assert "已约" in stage.words("han", href)


def drawn_of(page: str) -> str:
    return page.split('name="drawn" value="', 1)[1].split('"', 1)[0]
