"""Publishing, cancelling and finding slots, over both databases."""

from collections.abc import Callable
from datetime import date, datetime, timedelta

import pytest

from consortium.contracts import service as contracts
from consortium.exchange import state
from consortium.kernel.actor import Actor, Role
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.kernel.ids import MemberId, UserId, new_id
from consortium.scheduling import kinds, model, publishing, service
from consortium.scheduling.model import SessionKind
from consortium.scheduling.publishing import Week
from tests.consortium.scheduling.mini import Mini
from tests.consortium.teleconsult.world import Covering, contract

MONDAY = date(2026, 11, 30)
LU = Actor(UserId("u-lu"), "陆怀安", MemberId("lead"), frozenset({Role.SPECIALIST}))
QIU = Actor(UserId("u-qiu"), "邱白羽", MemberId("lead"), frozenset({Role.SPECIALIST}))
PAN = Actor(UserId("u-pan"), "潘文", MemberId("yunling"), frozenset({Role.SPECIALIST}))
HAN = Actor(UserId("u-han"), "韩素云", MemberId("shiqiao"), frozenset({Role.TOWNSHIP_DOCTOR}))


def at(text: str, day: date = MONDAY) -> datetime:
    return model.moment_of(day, model.clock_of(text))


def a_week(*times: str, minutes: int = 30, day: date = MONDAY) -> Week:
    starts = tuple(at(text, day) for text in times)
    return Week("cardiology", SessionKind.TELECONSULT, starts, minutes)


@pytest.fixture
def mini(new_database: Callable[[], Database], monkeypatch: pytest.MonkeyPatch) -> Mini:
    """Both clinics have a contract with the hospital, and none with each other."""
    monkeypatch.setattr(contracts, "covering", Covering.found)
    queries = {query.name: query.answer for query in kinds.QUERIES}
    made = Mini(new_database, kinds.KINDS, kinds.SUBJECTS, queries=queries)
    with made.databases["lead"].write() as session:
        for clinic in ("shiqiao", "yunling"):
            name = f"contract:ct-{clinic}"
            state.write(session, {name: (contract(clinic), 0)}, frozenset())
    return made


def publish(mini: Mini, week: Week, *, actor: Actor = LU, exchange: str = "") -> list[str]:
    with mini.databases[actor.member].write() as session:
        return publishing.publish(
            session,
            week,
            actor=actor,
            post=mini.post(actor.member),
            exchange=exchange or new_id(mini.now),
            now=mini.now,
        )


def find(mini: Mini, member: str) -> service.Free:
    with mini.databases[member].read() as session:
        return service.free(
            session,
            mini.post(member),
            member=member,
            service="cardiology",
            kind=SessionKind.TELECONSULT,
            now=mini.now,
        )


def cancel(mini: Mini, session_id: str, *, actor: Actor = LU, exchange: str = "") -> None:
    with mini.databases["lead"].write() as session:
        publishing.cancel(
            session,
            session_id,
            actor=actor,
            post=mini.post("lead"),
            exchange=exchange or new_id(mini.now),
            reason="leave",
            now=mini.now,
        )


def test_a_week_in_one_form_is_one_exchange_for_each_half_day(mini: Mini) -> None:
    ids = publish(mini, a_week("08:30", "09:00", "14:00"))
    assert len(ids) == len(set(ids)) == 2
    assert [verdict.ok for verdict in mini.deliver()] == [True, True]
    found = find(mini, "shiqiao")
    assert [slot.start for slot in found.slots] == [at("08:30"), at("09:00"), at("14:00")]
    assert found.source == "hub"
    assert found.index == 2
    assert found.holder_name(found.slots[0]) == "陆怀安"


def test_nothing_can_be_booked_before_the_ledger_has_it(mini: Mini) -> None:
    publish(mini, a_week("08:30"))
    assert find(mini, "lead").slots == ()
    mini.deliver()
    here = find(mini, "lead")
    assert len(here.slots) == 1
    assert here.source == "here"


def test_the_same_form_sent_twice_publishes_once(mini: Mini) -> None:
    form = new_id(mini.now)
    first = publish(mini, a_week("08:30", "14:00"), exchange=form)
    assert publish(mini, a_week("08:30", "14:00"), exchange=form) == first
    assert len(mini.deliver()) == 2


def test_added_times_make_a_new_session_and_leave_the_old_one(mini: Mini) -> None:
    publish(mini, a_week("08:30"))
    publish(mini, a_week("08:30", "09:30"))
    mini.deliver()
    assert [slot.start for slot in find(mini, "shiqiao").slots] == [at("08:30"), at("09:30")]
    with pytest.raises(Refusal) as caught:
        publish(mini, a_week("08:30", "09:30"))
    assert caught.value.code == "session.nothing"


def test_a_specialist_cannot_be_in_two_sessions_at_once(mini: Mini) -> None:
    publish(mini, a_week("08:30", "09:00"))
    with pytest.raises(Refusal) as caught:
        publish(mini, a_week("08:45", minutes=15))
    assert caught.value.code == "session.overlap"
    assert len(mini.queue) == 1
    publish(mini, a_week("08:45", minutes=15), actor=QIU)


@pytest.mark.parametrize(
    ("week", "code"),
    [
        (a_week(), "session.nothing"),
        (a_week("08:30", day=date(2026, 11, 23)), "session.past"),
        (a_week("08:30", "08:50"), "session.overlap"),
        (a_week("08:30", minutes=7), "session.length"),
    ],
)
def test_a_week_that_cannot_be_is_refused_and_nothing_is_signed(
    mini: Mini, week: Week, code: str
) -> None:
    with pytest.raises(Refusal) as caught:
        publish(mini, week)
    assert caught.value.code == code
    assert mini.queue == []


def test_only_a_specialist_publishes(mini: Mini) -> None:
    with pytest.raises(Refusal):
        publish(mini, a_week("08:30"), actor=HAN)


def test_a_cancelled_session_offers_nothing_and_frees_its_owners_time(mini: Mini) -> None:
    first, second = publish(mini, a_week("08:30", "14:00"))
    mini.deliver()
    cancel(mini, first)
    mini.deliver()
    assert [slot.session for slot in find(mini, "shiqiao").slots] == [second]
    publish(mini, a_week("08:30"))
    assert all(verdict.ok for verdict in mini.deliver())


def test_nobody_cancels_a_session_twice_or_anothers(mini: Mini) -> None:
    (only,) = publish(mini, a_week("08:30"))
    mini.deliver()
    with pytest.raises(Refusal):
        cancel(mini, only, actor=QIU)
    cancel(mini, only)
    mini.deliver()
    with pytest.raises(Refusal) as caught:
        cancel(mini, only)
    assert caught.value.code == "session.cancelled"


def test_a_session_that_the_ledger_refuses_gives_its_time_back(mini: Mini) -> None:
    publish(mini, a_week("08:30"))
    mini.refuse_next = Refusal("conflict", "exchange.parent")  # type: ignore[arg-type]
    mini.deliver()
    with mini.databases["lead"].read() as session:
        (shown,) = publishing.own_week(session, actor=LU, day=MONDAY, now=mini.now)
    assert (shown.state, shown.code) == ("refused", "exchange.parent")
    publish(mini, a_week("08:30"))
    assert mini.deliver()[0].ok


def test_without_a_link_the_last_answer_is_shown_with_its_time(mini: Mini) -> None:
    publish(mini, a_week("08:30", "09:00"))
    mini.deliver()
    known = find(mini, "shiqiao")
    with mini.databases["shiqiao"].write() as session:
        service.remember(
            session, known, member="shiqiao", service="cardiology", kind=SessionKind.TELECONSULT
        )
    asked = mini.now
    mini.posts["shiqiao"].offline = True
    mini.advance(days=5, hours=23, minutes=30)
    last = find(mini, "shiqiao")
    assert last.source == "last"
    assert last.as_of == asked
    assert [slot.start for slot in last.slots] == [at("09:00")]
    mini.posts["yunling"].offline = True
    assert find(mini, "yunling").source == "none"


def test_the_next_three_come_after_the_lost_one_before_earlier_ones(mini: Mini) -> None:
    publish(mini, a_week("08:30", "09:00", "09:30", "10:00", "10:30", "11:00"))
    mini.deliver()
    known = find(mini, "shiqiao")
    assert [slot.start for slot in service.three_from(known, start=at("09:30"))] == [
        at("09:30"),
        at("10:00"),
        at("10:30"),
    ]
    assert [slot.start for slot in service.three_from(known, start=at("11:00"))] == [
        at("11:00"),
        at("10:30"),
        at("10:00"),
    ]


def test_full_sessions_do_not_hide_a_free_one_behind_them(
    mini: Mini, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "SESSIONS_MOST", 2)
    for n in range(5):
        publish(mini, a_week("08:30", day=MONDAY + timedelta(days=n)))
    mini.deliver()
    for slot in find(mini, "lead").slots[:4]:
        mini.values[slot.name] = model.booked(provider="lead", case="c1", holder="shiqiao")
        mini._write(slot.name, mini.values[slot.name])
    (left,) = find(mini, "shiqiao").slots
    assert left.start == at("08:30", MONDAY + timedelta(days=4))


def test_only_who_is_under_contract_is_offered_and_no_other_crowds_them_out(
    mini: Mini, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "SESSIONS_MOST", 2)
    monkeypatch.setattr(service, "PAGES_MOST", 2)
    monkeypatch.setattr(service, "FREE_MOST", 3)
    for n in range(5):
        publish(mini, a_week("08:30", "09:00", day=MONDAY + timedelta(days=n)), actor=PAN)
    publish(mini, a_week("15:00", day=MONDAY + timedelta(days=5)))
    mini.deliver()
    late = at("15:00", MONDAY + timedelta(days=5))
    assert [(one.provider, one.start) for one in find(mini, "shiqiao").slots] == [("lead", late)]
    own = find(mini, "lead")
    assert ([one.start for one in own.slots], own.source) == ([late], "here")
    # its own sessions a member sees, beside those that a contract gives it
    assert {one.provider for one in find(mini, "yunling").slots} == {"yunling"}


def test_the_hub_takes_no_clinics_word_for_a_contract(mini: Mini) -> None:
    publish(mini, a_week("08:30"))
    mini.deliver()
    asked = {"service": "cardiology", "kind": "teleconsult", "after": mini.ms()}

    def rows(asker: str, **more: object) -> int:
        with mini.databases["lead"].read() as session:
            return len(service.answer(session, asker, {**asked, **more})["slots"])

    assert rows("shiqiao", contracts=["ct-shiqiao"]) == 1
    assert rows("shiqiao", contracts=["ct-yunling"]) == 0
    assert rows("shiqiao", contracts=["none", "ct-shiqiao"], service="surgery") == 0
    assert rows("shiqiao", contracts=[]) == 0
    assert rows("lead", contracts=[]) == 1
    ended = {**contract("shiqiao"), "ends": 1}
    with mini.databases["lead"].write() as session:
        name = "contract:ct-shiqiao"
        state.write(session, {name: (ended, 1)}, frozenset({name}))
    assert rows("shiqiao", contracts=["ct-shiqiao"]) == 0
    # what an open case is moved to is still the hospital's, whatever became of the contract
    with mini.databases["lead"].write() as session:
        case = {"parties": ["lead", "shiqiao"]}
        state.write(session, {"case:c1": (case, 2)}, frozenset())
    assert rows("shiqiao", contracts=[], case="c1") == 1
    assert rows("yunling", contracts=[], case="c1") == 0


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"service": "cardiology", "kind": "teleconsult", "after": 0, "contracts": "ct-shiqiao"},
        {"service": "cardiology", "kind": "teleconsult", "after": 0, "contracts": [1]},
        {"service": "cardiology", "kind": "teleconsult", "after": 0, "contracts": ["k"] * 65},
        {"service": "cardiology", "kind": "teleconsult", "after": 0, "contracts": [], "case": 1},
        {"service": "cardiology", "kind": "teleconsult", "after": True},
        {"service": "cardiology", "kind": "teleconsult", "after": -1},
        {"service": "cardiology", "kind": "party", "after": 0},
        {"service": ["cardiology"], "kind": "teleconsult", "after": 0},
        {"service": "c" * 65, "kind": "teleconsult", "after": 0},
        {"service": "cardiology", "kind": ["teleconsult"], "after": 0},
        {"service": "cardiology", "kind": "teleconsult", "after": 2**60},
    ],
)
def test_a_query_that_is_none_is_refused(database: Database, params: dict[str, object]) -> None:
    with database.read() as session, pytest.raises(Refusal) as caught:
        service.answer(session, "shiqiao", params)
    assert caught.value.code == "slot.query"


def test_the_owner_sees_a_week_with_what_is_pending_free_and_cancelled(mini: Mini) -> None:
    publish(mini, a_week("08:30", "14:00"))
    with mini.databases["lead"].read() as session:
        shown = publishing.own_week(session, actor=LU, day=MONDAY, now=mini.now)
    assert [slot.look for one in shown for slot in one.slots] == ["pending", "pending"]
    mini.deliver()
    cancel(mini, shown[1].id)
    with mini.databases["lead"].read() as session:
        shown = publishing.own_week(session, actor=LU, day=date(2026, 12, 6), now=mini.now)
        assert publishing.own_week(session, actor=QIU, day=MONDAY, now=mini.now) == []
        late = publishing.own_week(session, actor=LU, day=MONDAY, now=at("12:00"))
    assert [slot.look for one in shown for slot in one.slots] == ["free", "off"]
    assert late[0].slots[0].look == "past"


def test_a_usual_week_is_kept_and_fills_any_other(mini: Mini) -> None:
    usual = publishing.Template(
        "cardiology", SessionKind.TELECONSULT, 30, ((0, "08:30"), (3, "14:00"))
    )
    with mini.databases["lead"].write() as session:
        assert publishing.template(session, actor=LU) is None
        publishing.keep_template(session, usual, actor=LU)
        assert publishing.template(session, actor=LU) == usual
    starts = model.from_template(usual.starts, model.week_of(MONDAY + timedelta(days=7)))
    assert starts == [at("08:30") + timedelta(days=7), at("14:00") + timedelta(days=10)]


def test_ids_of_one_form_are_version_7_and_its_own() -> None:
    form = "0193596c-1d80-7abc-8def-0123456789ab"
    ids = [publishing.nth_id(form, n) for n in range(50)]
    assert ids[0] == form
    assert len(set(ids)) == 50
    assert all(one[14] == "7" and one[19] in "89ab" and len(one) == 36 for one in ids)
    assert {one[:13] for one in ids} == {form[:13]}
