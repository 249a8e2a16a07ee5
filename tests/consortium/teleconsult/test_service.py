"""Booking, moving and giving up over both databases: a slot and its case move together."""

from collections.abc import Callable
from datetime import date, datetime
from types import SimpleNamespace

import pytest

from consortium.contracts import service as contracts
from consortium.desk import drafts
from consortium.desk import service as desk
from consortium.desk.model import DeskRow
from consortium.kernel.actor import Actor, Role
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.kernel.ids import KeyId, MemberId, UserId, new_id
from consortium.kernel.time import to_ms
from consortium.patients import service as patients
from consortium.patients.model import Entry
from consortium.scheduling import kinds as scheduling_kinds
from consortium.scheduling import model as slots
from consortium.scheduling import publishing
from consortium.scheduling import service as scheduling
from consortium.scheduling.model import SessionKind
from consortium.teleconsult import applying, following, kinds, service
from consortium.teleconsult.model import Shown, Side
from consortium.teleconsult.service import Form
from tests.consortium.exchange.world import KeyInMemory
from tests.consortium.scheduling.mini import Mini

MONDAY = date(2026, 11, 30)
LU = Actor(UserId("u-lu"), "陆怀安", MemberId("lead"), frozenset({Role.SPECIALIST}))
DESK = Actor(UserId("u-desk"), "转诊办", MemberId("lead"), frozenset({Role.CONSULT_DESK}))
HAN = Actor(
    UserId("u-han"),
    "韩素云",
    MemberId("shiqiao"),
    frozenset({Role.TOWNSHIP_DOCTOR}),
    KeyId("k-han"),
)
PAN = Actor(
    UserId("u-pan"), "潘文", MemberId("yunling"), frozenset({Role.TOWNSHIP_DOCTOR}), KeyId("k-pan")
)


def at(text: str) -> datetime:
    return slots.moment_of(MONDAY, slots.clock_of(text))


def register(mini: Mini, actor: Actor, **changes: str) -> str:
    entry = Entry(
        **{"name": "潘玉芬", "sex": "female", "birth": "1970-03-02",
           "no_number_reason": "not_at_hand", **changes}
    )  # fmt: skip
    with mini.databases[actor.member].write() as session:
        made = patients.register(session, actor=actor, entry=entry, now=mini.now, confirmed=True)
    return made.patient.id


@pytest.fixture
def mini(new_database: Callable[[], Database], monkeypatch: pytest.MonkeyPatch) -> Mini:
    covering = SimpleNamespace(contract="k1", provider="lead")
    monkeypatch.setattr(contracts, "covering", lambda *_, **__: [covering])
    monkeypatch.setattr(contracts, "providers", lambda *_, **__: frozenset({"lead"}))
    queries = {query.name: query.answer for query in scheduling_kinds.QUERIES}
    made = Mini(
        new_database,
        [*scheduling_kinds.KINDS, *kinds.KINDS],
        scheduling_kinds.SUBJECTS,
        queries=queries,
    )
    publish(made, "08:30", "09:00", "09:30", "10:00")
    made.people = {actor.member: register(made, actor) for actor in (HAN, PAN)}
    return made


def publish(mini: Mini, *times: str) -> list[str]:
    week = publishing.Week(
        "cardiology", SessionKind.TELECONSULT, tuple(at(text) for text in times), 30
    )
    with mini.databases["lead"].write() as session:
        ids = publishing.publish(
            session, week, actor=LU, post=mini.post("lead"), exchange=new_id(mini.now), now=mini.now
        )
    mini.deliver()
    return ids


def free(mini: Mini, member: str) -> scheduling.Free:
    with mini.databases[member].read() as session:
        return scheduling.free(
            session,
            mini.post(member),
            member=member,
            service="cardiology",
            kind=SessionKind.TELECONSULT,
            now=mini.now,
        )


def a_form(slot: str, **changes: str) -> Form:
    fields = {"urgency": "routine", "question": "血压控制不好，请指导用药", "consent": "explicit"}
    return Form(slot=slot, **{**fields, **changes})


def book(mini: Mini, actor: Actor, slot: str, *, exchange: str = "", **changes: str) -> str:
    with mini.databases[actor.member].write() as session:
        return service.request(
            session,
            a_form(slot, **changes),
            patient=mini.people[actor.member],
            actor=actor,
            post=mini.post(actor.member),
            signer=KeyInMemory(actor.key, b"k" * 32),
            exchange=exchange or new_id(mini.now),
            now=mini.now,
        )


def shown(mini: Mini, actor: Actor, case: str) -> service.Booking:
    with mini.databases[actor.member].read() as session:
        return service.booking(session, case, actor=actor)


def line(mini: Mini, actor: Actor, case: str) -> DeskRow | None:
    with mini.databases[actor.member].read() as session:
        found = desk.row(session, member=actor.member, case=case)
    return found.row if found is not None and found.open else None


def test_a_booking_takes_slot_and_case_together_and_stands_on_both_sides(mini: Mini) -> None:
    slot = free(mini, "shiqiao").slots[0].name
    case = book(mini, HAN, slot)
    assert shown(mini, HAN, case).shown is Shown.PENDING
    (verdict,) = mini.deliver()
    assert verdict.ok
    assert mini.values[slot]["case"] == case
    assert mini.values[f"case:{case}"]["slot"] == slot
    here, there = shown(mini, HAN, case), shown(mini, LU, case)
    assert (here.shown, here.side, here.holder_name) == (Shown.BOOKED, Side.TAKER, "陆怀安")
    assert (there.shown, there.side) == (Shown.BOOKED, Side.PROVIDER)
    assert (there.patient_name, there.question) == ("潘玉芬", "血压控制不好，请指导用药")
    assert there.author_name == "韩素云"
    assert there.start == at("08:30")
    row = line(mini, LU, case)
    assert row is not None
    assert (row.need, row.owner, row.turn) == ("booking.need.held", "u-lu", "none")
    assert len(free(mini, "yunling").slots) == 3


def test_two_clinics_race_and_the_loser_keeps_the_form_and_is_offered_three(mini: Mini) -> None:
    slot = free(mini, "shiqiao").slots[1].name
    won, lost = book(mini, HAN, slot), book(mini, PAN, slot, urgency="urgent")
    first, second = mini.deliver()
    assert (first.ok, second.ok, second.code) == (True, False, "slot.taken")
    assert mini.values[slot]["case"] == won
    assert f"case:{lost}" not in mini.values
    assert shown(mini, PAN, lost).shown is Shown.REFUSED
    row = line(mini, PAN, lost)
    assert row is not None
    assert (row.need, row.turn) == ("booking.need.refused", "mine")
    with mini.databases["yunling"].read() as session:
        draft = drafts.read(session, actor=PAN, form=applying.form_name(mini.people["yunling"]))
    assert draft is not None
    assert (draft.code, draft.fields["question"]) == ("slot.taken", "血压控制不好，请指导用药")
    assert draft.exchange != second.id
    three = scheduling.three_from(free(mini, "yunling"), start=at("09:00"))
    assert [one.start for one in three] == [at("09:30"), at("10:00"), at("08:30")]

    again = book(mini, PAN, three[0].name, exchange=draft.exchange, case=draft.fields["case"])
    assert again == lost
    assert mini.deliver()[0].ok
    assert shown(mini, PAN, lost).shown is Shown.BOOKED
    with mini.databases["yunling"].read() as session:
        assert (
            drafts.read(session, actor=PAN, form=applying.form_name(mini.people["yunling"])) is None
        )


def test_a_double_click_books_once(mini: Mini) -> None:
    slot, form = free(mini, "shiqiao").slots[0].name, new_id(mini.now)
    assert book(mini, HAN, slot, exchange=form) == book(mini, HAN, slot, exchange=form)
    assert len(mini.deliver()) == 1
    with mini.databases["shiqiao"].read() as session:
        assert len(service.bookings(session, actor=HAN).rows) == 1


def test_cancelling_frees_the_slot_and_tells_the_other_side(mini: Mini) -> None:
    slot = free(mini, "shiqiao").slots[0].name
    case = book(mini, HAN, slot)
    mini.deliver()
    with mini.databases["shiqiao"].write() as session:
        service.cancel(
            session,
            case,
            reason="patient",
            actor=HAN,
            post=mini.post("shiqiao"),
            exchange=new_id(mini.now),
            now=mini.now,
        )
    assert mini.deliver()[0].ok
    assert slots.is_free(mini.values[slot])
    assert shown(mini, LU, case).reason == "patient"
    assert line(mini, HAN, case) is None
    assert line(mini, LU, case) is None
    with mini.databases["lead"].read() as session:
        words = [notice.word for notice in desk.notices(session, actor=LU)]
    assert words == ["booking.notice.cancel"]
    assert len(free(mini, "yunling").slots) == 4


def test_a_cancelled_session_becomes_work_of_the_desk_and_is_moved(mini: Mini) -> None:
    found = free(mini, "shiqiao").slots[0]
    case = book(mini, HAN, found.name)
    (later,) = publish(mini, "14:00")
    mini.deliver()
    with mini.databases["lead"].write() as session:
        publishing.cancel(
            session,
            found.session,
            actor=LU,
            post=mini.post("lead"),
            exchange=new_id(mini.now),
            reason="leave",
            now=mini.now,
        )
    mini.deliver()
    assert mini.values[found.name]["case"] == case
    for member in ("lead", "shiqiao"):
        with mini.databases[member].write() as session:
            assert following.follow(session, now=mini.now) == 1
            assert following.follow(session, now=mini.now) == 0
    row = line(mini, DESK, case)
    assert row is not None
    assert (row.need, row.turn, row.owner) == ("booking.need.move", "mine", None)
    assert shown(mini, HAN, case).shown is Shown.TO_MOVE
    with mini.databases["lead"].write() as session:
        service.move(
            session,
            case,
            slot=slots.slot_name(later, 1),
            actor=DESK,
            post=mini.post("lead"),
            exchange=new_id(mini.now),
            now=mini.now,
        )
    assert mini.deliver()[0].ok
    assert slots.is_free(mini.values[found.name])
    taken = mini.values[slots.slot_name(later, 1)]
    assert (taken["case"], taken["holder"]) == (case, "shiqiao")
    assert shown(mini, HAN, case).start == at("14:00")
    assert shown(mini, HAN, case).shown is Shown.BOOKED


def test_a_move_to_a_taken_slot_leaves_everything_as_it_was(mini: Mini) -> None:
    first, second = (one.name for one in free(mini, "shiqiao").slots[:2])
    mine, other = book(mini, HAN, first), book(mini, PAN, second)
    mini.deliver()
    with mini.databases["shiqiao"].write() as session:
        service.move(
            session,
            mine,
            slot=second,
            actor=HAN,
            post=mini.post("shiqiao"),
            exchange=new_id(mini.now),
            now=mini.now,
        )
    (verdict,) = mini.deliver()
    assert (verdict.ok, verdict.code) == (False, "slot.taken")
    assert mini.values[first]["case"] == mine
    assert mini.values[second]["case"] == other
    assert shown(mini, HAN, mine).slot == first


def test_a_time_that_is_over_leaves_the_worklists(mini: Mini) -> None:
    case = book(mini, HAN, free(mini, "shiqiao").slots[0].name)
    mini.deliver()
    for when, left in ((at("08:45"), 0), (at("09:00"), 1)):
        with mini.databases["lead"].write() as session:
            assert following.follow(session, now=when) == left
    assert line(mini, LU, case) is None
    assert shown(mini, LU, case).shown is Shown.OVER


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"question": "  "}, "booking.question"),
        ({"question": "x" * 2001}, "booking.question"),
        ({"consent": ""}, "booking.consent"),
        ({"slot": "slot:nowhere/1"}, "slot.unknown"),
        ({"slot": "case:c1"}, "slot.unknown"),
    ],
)
def test_a_form_that_cannot_be_sent_is_refused_before_it_is_signed(
    mini: Mini, changes: dict[str, str], code: str
) -> None:
    whole = {"slot": free(mini, "shiqiao").slots[0].name, **changes}
    with pytest.raises(Refusal) as caught:
        book(mini, HAN, **whole)
    assert caught.value.code == code
    assert mini.queue == []


def test_nobody_books_a_clinic_slot_or_anothers_time_as_a_teleconsult(mini: Mini) -> None:
    week = publishing.Week("cardiology", SessionKind.CLINIC, (at("15:00"),), 30)
    with mini.databases["lead"].write() as session:
        (clinic,) = publishing.publish(
            session, week, actor=LU, post=mini.post("lead"), exchange=new_id(mini.now), now=mini.now
        )
    mini.deliver()
    with pytest.raises(Refusal) as caught:
        book(mini, HAN, slots.slot_name(clinic, 1))
    assert caught.value.code == "booking.service"


def test_a_strangers_booking_is_not_there(mini: Mini) -> None:
    case = book(mini, HAN, free(mini, "shiqiao").slots[0].name)
    mini.deliver()
    with mini.databases["yunling"].read() as session, pytest.raises(Refusal) as caught:
        service.booking(session, case, actor=PAN)
    assert caught.value.code == "booking.unknown"


def test_a_booking_with_a_wrong_start_or_service_is_refused_by_the_hub(mini: Mini) -> None:
    case = book(mini, HAN, free(mini, "shiqiao").slots[0].name)
    draft = mini.queue[0]
    kind, header, facts, _ = mini._opened(draft)
    values = SimpleNamespace(get=mini.values.get, link=lambda _: ("", None))
    for changes, code in (
        ({"start": to_ms(at("09:00"))}, "booking.start"),
        ({"service": "neurology"}, "booking.service"),
        ({"slot": "slot:x"}, "slot.unknown"),
    ):
        judged = kind.judge(values, header, {**facts, **changes}, mini.now)
        assert isinstance(judged, Refusal), changes
        assert judged.code == code
    assert case


def test_paging_goes_on_after_the_last_row(mini: Mini) -> None:
    for one in free(mini, "shiqiao").slots:
        book(mini, HAN, one.name)
    mini.deliver()
    with mini.databases["shiqiao"].read() as session:
        first = service.bookings(session, actor=HAN, limit=3)
        rest = service.bookings(session, actor=HAN, limit=3, after=first.after)
    assert [one.start for one in first.rows] == [at("08:30"), at("09:00"), at("09:30")]
    assert [one.start for one in rest.rows] == [at("10:00")]
    assert rest.after is None
    with mini.databases["shiqiao"].read() as session, pytest.raises(Refusal):
        service.bookings(session, actor=HAN, after="yesterday")
