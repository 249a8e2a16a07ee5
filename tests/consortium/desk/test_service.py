"""The worklist: one row per case and member, in one order, paged by key."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from consortium.desk import model, service
from consortium.kernel.actor import Role
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from tests.consortium.desk.factory import HOUR, NOW, actor, row

HAN = actor()


def put(database: Database, *rows: model.DeskRow) -> None:
    with database.write() as session:
        for one in rows:
            service.put(session, one, now=NOW)


def listed(database: Database, **filters: Any) -> list[str]:
    with database.read() as session:
        page = service.worklist(session, actor=filters.pop("actor", HAN), **filters)
        return [line.row.case for line in page.rows]


def test_there_is_one_row_per_case_and_member(database: Database) -> None:
    put(database, row("c1"), row("c1", need_params={"n": 1}), row("c1", member="yunling"))
    with database.read() as session:
        page = service.worklist(session, actor=HAN)
    assert [line.row.need_params for line in page.rows] == [{"n": 1}]


def test_a_row_comes_back_as_it_was_put(database: Database) -> None:
    one = row("c1", owner="u-han", numbers=("石桥-1124-03",), act="referral.act.supply")
    put(database, one)
    with database.read() as session:
        line = service.row(session, member="shiqiao", case="c1")
    assert line is not None
    assert line.row == one


def test_my_turn_comes_first_then_urgent_then_oldest(database: Database) -> None:
    put(
        database,
        row("theirs", turn="theirs", urgency="emergency"),
        row("young", started_at=NOW),
        row("old", started_at=NOW - 9 * HOUR),
        row("urgent", urgency="urgent", started_at=NOW),
        row("danger", urgency="emergency", started_at=NOW),
    )
    assert listed(database) == ["danger", "urgent", "old", "young", "theirs"]


def test_mine_is_what_my_roles_and_name_make_it(database: Database) -> None:
    put(
        database,
        row("role"),
        row("other-role", roles=frozenset({Role.HEAD})),
        row("own", owner="u-han"),
        row("of-another", owner="u-tan"),
        row("elsewhere", member="yunling"),
    )
    assert listed(database) == ["own", "role"]
    assert listed(database, scope="member") == ["of-another", "other-role", "own", "role"]


def test_topic_and_state_filter(database: Database) -> None:
    put(database, row("a"), row("b", topic="booking"), row("c", state="referral.state.accepted"))
    assert listed(database, topic="booking") == ["b"]
    assert listed(database, state=frozenset({"referral.state.accepted"})) == ["c"]


def test_paging_shows_each_row_once(database: Database) -> None:
    put(database, *(row(f"c{n:02}", started_at=NOW - (n % 3) * HOUR) for n in range(23)))
    seen: list[str] = []
    after = None
    while True:
        with database.read() as session:
            page = service.worklist(session, actor=HAN, after=after, limit=5)
        seen += [line.row.case for line in page.rows]
        after = page.after
        if after is None:
            break
    assert seen == listed(database, limit=50)
    assert len(set(seen)) == 23


@pytest.mark.parametrize("after", ["", "x", "1.2", "a.b.c.d", "1.2.99999999999999999999999.c"])
def test_a_key_that_no_page_gave_is_refused_or_begins_anew(database: Database, after: str) -> None:
    put(database, row())
    with database.read() as session:
        if not after:
            assert service.worklist(session, actor=HAN, after=after).rows
            return
        with pytest.raises(Refusal, match=r"paging\.after"):
            service.worklist(session, actor=HAN, after=after)


def test_a_list_is_one_statement(database: Database) -> None:
    put(database, *(row(f"c{n}") for n in range(10)))
    statements: list[str] = []
    event.listen(
        database.engine,
        "before_cursor_execute",
        lambda _c, _cur, text, *_: statements.append(text) if text.startswith("SELECT") else None,
    )
    with database.read() as session:
        service.worklist(session, actor=HAN)
        assert len(statements) == 1
        service.counts(session, actor=HAN, now=NOW)
    assert len(statements) == 2


def test_counts_agree_with_the_lists(database: Database) -> None:
    put(
        database,
        row("late", due_at=NOW - HOUR, started_at=NOW - 2 * HOUR),
        row("b", topic="booking"),
        row("c", owner="u-tan"),
    )
    with database.read() as session:
        counts = service.counts(session, actor=HAN, now=NOW)
    assert (counts.mine, counts.member, counts.late) == (2, 3, 1)
    assert counts.topics == {"referral": 1, "booking": 1}
    assert counts.late_topics == {"referral": 1, "booking": 0}
    assert counts.states == {"referral.state.returned": 2}


def test_the_same_content_again_changes_nothing(database: Database) -> None:
    put(database, row())
    with database.read() as session:
        before = service.version(session)
    put(database, row())
    with database.read() as session:
        assert service.version(session) == before


def test_each_change_has_its_own_version_and_is_told_once(database: Database) -> None:
    put(database, row("a"), row("b"))
    with database.read() as session:
        known = service.version(session)
    put(database, row("a", need_params={"n": 1}), row("x", member="yunling"))
    with database.write() as session:
        service.close(session, member="shiqiao", case="b", now=NOW)
        service.close(session, member="shiqiao", case="nothing", now=NOW)
    with database.read() as session:
        lines = service.changed_since(session, actor=HAN, version=known)
        assert [(line.row.case, line.open) for line in lines] == [("a", True), ("b", False)]
        assert service.changed_since(session, actor=HAN, version=lines[-1].version) == []
    assert listed(database) == ["a"]


def test_a_closed_row_is_found_by_name_pinyin_and_number(database: Database) -> None:
    put(database, row("c1", numbers=("SQ-1124-03",)), row("c2", patient_name="何秀莲"))
    put(database, row("c9", member="yunling"))
    with database.write() as session:
        service.close(session, member="shiqiao", case="c1", now=NOW)
        for text in ("钟秀英", "zxy", "sq-1124", "1124-03"[-4:]):
            found = service.find(session, actor=HAN, text=text)
            assert [line.row.case for line in found] == ["c1"], text
        assert service.find(session, actor=HAN, text="  ") == []
        assert service.find(session, actor=HAN, text="%") == []
        assert [one.row.case for one in service.find(session, actor=HAN, text="秀")] == ["c2", "c1"]


def test_the_old_name_of_a_patient_no_longer_finds_the_row(database: Database) -> None:
    put(database, row("c1", patient_name="钟秀音"), row("c1"))
    with database.read() as session:
        assert service.find(session, actor=HAN, text="秀音") == []


def test_cases_of_a_patient(database: Database) -> None:
    put(database, row("c1"), row("c2", started_at=NOW), row("c3", patient=None))
    with database.read() as session:
        found = service.of_patient(session, actor=HAN, patient="p1")
    assert [line.row.case for line in found] == ["c2", "c1"]


def test_the_first_screen_after_a_night_knows_what_had_been_seen(database: Database) -> None:
    put(database, row("a"))
    with database.write() as session:
        assert service.visit(session, actor=HAN, now=NOW) is None
    put(database, row("b"))
    morning = NOW + 20 * HOUR
    with database.write() as session:
        since = service.visit(session, actor=HAN, now=morning)
        assert since is not None
        assert since.at == NOW
        changed = service.changed_since(session, actor=HAN, version=since.version)
        assert [line.row.case for line in changed] == ["b"]
    with database.write() as session:
        # a reload keeps it, having read it ends it
        assert service.visit(session, actor=HAN, now=morning + timedelta(minutes=1)) == since
        service.caught_up(session, actor=HAN)
        assert service.visit(session, actor=HAN, now=morning + timedelta(minutes=2)) is None


def test_a_reminder_is_given_once_to_those_who_must_act(database: Database) -> None:
    put(database, row("a"), row("b", turn="theirs"), row("c", due_at=None))
    with database.write() as session:
        assert service.remind(session, now=NOW) == 0
        assert service.remind(session, now=NOW + 0.7 * HOUR) == 1
        assert service.remind(session, now=NOW + 0.8 * HOUR) == 0
        (notice,) = service.notices(session, actor=HAN)
        assert (notice.word, notice.case) == ("desk.notice.soon", "a")
        assert service.notices(session, actor=actor("u-x", "shiqiao", Role.HEAD)) == []
        assert service.notices(session, actor=actor("u-x", "yunling")) == []
        service.dismiss(session, actor=HAN, notice=notice.id)
        service.dismiss(session, actor=HAN, notice=notice.id)
        assert service.notices(session, actor=HAN) == []
        assert len(service.notices(session, actor=actor("u-tan"))) == 1


def test_a_notice_of_another_member_does_not_exist(database: Database) -> None:
    put(database, row("a"))
    with database.write() as session:
        service.remind(session, now=NOW + HOUR)
        (notice,) = service.notices(session, actor=HAN)
        assert notice.word == "desk.notice.late"
        with pytest.raises(Refusal, match=r"desk\.notice_missing"):
            service.dismiss(session, actor=actor("u-x", "yunling"), notice=notice.id)


@given(data=st.data())
def test_any_order_of_puts_ends_in_the_last_content(
    database: Database, data: st.DataObject
) -> None:
    puts = data.draw(
        st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3)), min_size=1, max_size=8)
    )
    put(database, *(row(case, need_params={"n": n}) for case, n in puts))
    last = dict(puts)
    with database.read() as session:
        for case, n in last.items():
            line = service.row(session, member="shiqiao", case=case)
            assert line is not None
            assert line.row.need_params == {"n": n}
