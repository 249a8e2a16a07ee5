"""Every answer of admission, in the protocol's order; on both databases where they could differ."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from consortium.exchange import jws, state
from consortium.exchange.answers import Status
from consortium.exchange.commitment import b64
from consortium.exchange.envelope import Envelope, unpack
from consortium.exchange.header import Lane
from consortium.kernel.database import Database
from tests.consortium.exchange.pens import SEALED, Hub, Pen, digest_of, header_of, verdict


@pytest.fixture
def hub(tmp_path: Path, sqlite: Database) -> Hub:
    return Hub(sqlite, tmp_path)


@pytest.fixture
def both(tmp_path: Path, database: Database) -> Hub:
    """A hub on SQLite, and one on PostgreSQL."""
    return Hub(database, tmp_path)


@pytest.fixture
def a(hub: Hub) -> Pen:
    return hub.pens["a"]


# ---------------------------------------------------------------- without a leaf


@pytest.mark.parametrize("raw", [b"", b"x", b"\0\0\0\1x" * 3, b"\0\0\0\1x" * 4])
def test_what_cannot_be_read_is_malformed(hub: Hub, raw: bytes) -> None:
    [answer] = hub.admit(raw)
    assert (answer.status, answer.code) == (Status.MALFORMED, "exchange.malformed")


@pytest.mark.parametrize(
    ("part", "size"), [("jws", 4097), ("facts", 4097), ("body", 512 * 1024 + 1)]
)
def test_what_is_over_size_gets_no_leaf(hub: Hub, a: Pen, part: str, size: int) -> None:
    whole = unpack(a.open("c1"))
    parts: dict[str, Any] = {"jws": whole.jws, "facts": whole.facts, "body": whole.body}
    [answer] = hub.admit(Envelope(**{**parts, part: bytes(size)}).pack())
    assert (answer.status, answer.code) == (Status.MALFORMED, "exchange.too_large")


def test_an_unknown_version_is_held_under_the_hash_of_its_jws(hub: Hub, a: Pen) -> None:
    raw = a.open("c1", v=2)
    [answer] = hub.admit(raw)
    assert (answer.status, answer.code) == (Status.HELD, "exchange.version")
    assert answer.jws == digest_of(raw)


def test_an_unknown_kind_is_held(hub: Hub, a: Pen) -> None:
    [answer] = hub.admit(a.write("test.later/9"))
    assert (answer.status, answer.code) == (Status.HELD, "exchange.kind")
    assert hub.size() == 1


def test_a_key_that_the_ledger_does_not_hold_signs_nothing(hub: Hub) -> None:
    assert hub.verdicts(Pen("stranger").open("c1"), Pen("a", "a-2").open("c1")) == ["node", "node"]


def test_a_key_signs_for_its_own_member_alone(hub: Hub) -> None:
    assert hub.verdicts(Pen("b", "a-1").open("c1")) == ["node"]


def test_a_forged_signature_is_told(hub: Hub, a: Pen) -> None:
    one = unpack(a.open("c1"))
    other = unpack(a.say("c1"))
    mixed = one.jws.rpartition(b".")[0] + b"." + other.jws.rpartition(b".")[2]
    assert hub.verdicts(Envelope(mixed, one.facts, one.body).pack()) == ["signature"]


def test_a_gap_is_told_with_what_is_expected(both: Hub) -> None:
    hub, a = both, both.pens["a"]
    first, second, third = a.open("c1"), a.say("c1"), a.say("c1")
    hub.admit(first)
    [answer] = hub.admit(third)
    assert (answer.status, answer.expected, answer.head) == (Status.GAP, 2, digest_of(first))
    assert hub.verdicts(second, third) == ["ok", "ok"]


def test_lanes_are_chains_of_their_own(hub: Hub, a: Pen) -> None:
    routine, urgent = a.open("c1"), a.open("c2", urgency="urgent")
    assert hub.verdicts(urgent, routine) == ["ok", "ok"]
    assert {header_of(raw).seq for raw in (routine, urgent)} == {1}


@pytest.mark.parametrize("same_number", [True, False])
def test_a_second_history_is_a_fork_with_both_jws(both: Hub, same_number: bool) -> None:
    hub, a = both, both.pens["a"]
    first = a.open("c1")
    clone = a.copy()
    second = a.say("c1")
    hub.admit(first, second)
    odd = clone.open("c9") if same_number else clone.copy().open("c9", seq=3)
    [answer] = hub.admit(odd)
    assert (answer.status, answer.expected, answer.head) == (Status.FORK, 3, digest_of(second))
    assert hub.forks == [(unpack(second).jws, unpack(odd).jws)]
    # the first history stands and goes on
    assert hub.verdicts(a.say("c1")) == ["ok"]


def test_a_fork_inside_one_push_names_both(both: Hub) -> None:
    hub, a = both, both.pens["a"]
    clone = a.copy()
    one, two = a.open("c1"), clone.open("c2")
    assert hub.verdicts(one, two) == ["ok", "fork"]
    assert hub.forks == [(unpack(one).jws, unpack(two).jws)]


def test_a_first_number_with_a_past_is_a_fork_without_evidence(hub: Hub, a: Pen) -> None:
    [answer] = hub.admit(a.open("c1", prev=b64(bytes([1]) * 32)))
    assert (answer.status, answer.expected, hub.forks) == (Status.FORK, 1, [])


def test_it_waits_for_a_parent_and_goes_on_after_it(both: Hub) -> None:
    hub, a = both, both.pens["a"]
    parent, child = a.open("c1", urgency="urgent"), a.say("c1", after=("a-1-x1",))
    assert header_of(parent).id == "a-1-x1"
    assert hub.verdicts(child) == ["wait"]
    assert hub.verdicts(parent, child) == ["ok", "ok"]


def test_a_parent_of_the_same_push_counts(hub: Hub, a: Pen) -> None:
    parent = a.open("c1", urgency="urgent")
    assert hub.verdicts(parent, a.say("c1", after=(header_of(parent).id,))) == ["ok", "ok"]


def test_a_refused_parent_refuses_its_child(hub: Hub, a: Pen) -> None:
    bad = a.say("nowhere")
    child = a.open("c1", urgency="urgent", after=(header_of(bad).id,))
    assert hub.verdicts(bad, child) == ["test.no_case", "exchange.parent"]


def test_final_ends_the_waiting_with_a_leaf(hub: Hub, a: Pen) -> None:
    child = a.open("c1", after=("never",))
    assert hub.verdicts(child) == ["wait"]
    [answer] = hub.admit(child, final=[digest_of(child)])
    assert (answer.status, verdict(answer)) == (Status.LEAF, "exchange.parent")
    # the chain goes on behind it, and what is not meant by `final` still waits
    assert hub.verdicts(a.open("c2")) == ["ok"]
    assert hub.admit(a.open("c3", after=("other",)), final=["nothing"])[0].status is Status.WAIT


# ---------------------------------------------------------------- answered before


def test_what_is_on_the_ledger_gets_its_own_answer_whatever_came_after(both: Hub) -> None:
    hub, a = both, both.pens["a"]
    raws = [a.open("c1"), a.say("c1"), a.say("gone")]
    first = hub.admit(*raws)
    hub.admit(a.say("c1", close=True))
    ended(hub, "a-1", at=hub.size())
    again = hub.admit(*reversed(raws), *raws)
    assert [one.leaf for one in again] == [one.leaf for one in (*reversed(first), *first)]
    assert hub.verdicts(a.open("c9")) == ["node"]


def test_the_same_jws_with_other_facts_or_body_gets_the_answer_of_the_first(
    hub: Hub, a: Pen
) -> None:
    raw = a.open("c1")
    one = unpack(raw)
    [first] = hub.admit(raw)
    odd = Envelope(one.jws, b"x" * 40, b"").pack()
    assert hub.admit(odd)[0] == first


def test_twice_in_one_push_is_one_leaf(both: Hub) -> None:
    hub, a = both, both.pens["a"]
    raw = a.open("c1")
    answers = hub.admit(raw, raw, raw)
    assert {one.index for one in answers} == {1}
    assert hub.size() == 2


def ended(hub: Hub, node: str, *, at: int) -> None:
    """The key of a node ends at an index, as a later entry would do it."""
    with hub.database.write() as session:
        value = state.read(session, f"key:{node}")
        assert value is not None
        known = frozenset({f"key:{node}"})
        state.write(session, {f"key:{node}": ({**value, "until": at}, at)}, known)


@pytest.mark.parametrize(("until", "status"), [(1, "node"), (2, "ok"), (3, "ok")])
def test_a_key_is_valid_below_its_end(hub: Hub, a: Pen, until: int, status: str) -> None:
    ended(hub, "a-1", at=until)
    assert hub.verdicts(a.open("c1")) == [status]


def test_a_key_ends_in_the_middle_of_a_push(hub: Hub, a: Pen) -> None:
    ended(hub, "a-1", at=2)
    assert hub.verdicts(a.open("c1"), a.open("c2"), a.open("c3")) == ["ok", "node", "node"]


def test_a_key_begins_at_its_index(hub: Hub) -> None:
    pen = Pen("late")
    with hub.database.write() as session:
        record = {
            "member": "late", "use": "node", "alg": "Ed25519", "public": b64(pen.key.public),
            "from": 2, "until": None,
        }  # fmt: skip
        state.write(session, {"key:late-1": (record, 1)}, frozenset())
    raw = pen.open("c1")
    assert hub.verdicts(raw, hub.pens["a"].open("c2"), raw) == ["node", "ok", "node"]
    assert hub.verdicts(raw) == ["ok"]


@pytest.mark.parametrize("use", ["person", "seal", "sealing"])
def test_a_key_of_another_use_signs_no_exchange(hub: Hub, a: Pen, use: str) -> None:
    with hub.database.write() as session:
        value = state.read(session, "key:a-1")
        assert value is not None
        known = frozenset({"key:a-1"})
        state.write(session, {"key:a-1": ({**value, "use": use}, 0)}, known)
    assert hub.verdicts(a.open("c1")) == ["node"]


def test_entry_0_brings_its_own_key_once(hub: Hub) -> None:
    """The same kind of entry from an unknown node later introduces nobody."""
    with hub.database.read() as session:
        key = state.read(session, "key:consortium-1")
    assert key is not None
    assert key["from"] == 0
    stranger = Pen("stranger")
    facts = {"nodes": {"stranger": b64(stranger.key.public)}, "sealing": {"stranger": "age1x"}}
    raw = stranger.write(
        "test.seed/1", ("all",), facts=facts, open_bundle=b"{}", lane=Lane.CONTROL
    )  # fmt: skip
    assert hub.verdicts(raw) == ["node"]


# ---------------------------------------------------------------- refused, with a leaf


def test_an_id_seen_again_is_a_duplicate_or_misuse(both: Hub) -> None:
    hub, a = both, both.pens["a"]
    first = a.open("c1", id="x")
    assert hub.verdicts(first, resigned(a, first)) == ["ok", "duplicate 1"]
    assert hub.verdicts(a.open("c2", id="x")) == ["id_reused"]
    # it counts as the first one for whoever names it as a parent
    assert hub.verdicts(a.open("c3", after=("x",))) == ["ok"]


def resigned(pen: Pen, raw: bytes, **more: Any) -> bytes:
    """The same act under the next number, as a node does that lost its chain."""
    old = unpack(raw)
    one = jws.parse(old.jws).header
    seq, prev = pen.heads[one.lane]
    fields = {name: getattr(one, name) for name in type(one).__slots__}
    fresh = type(one)(**{**fields, "seq": seq + 1, "prev": prev, **more})
    signed = jws.sign(fresh, pen.key)
    pen.heads[one.lane] = (fresh.seq, jws.digest_text(signed))
    return Envelope(signed, old.facts, old.body).pack()


def test_a_duplicate_of_a_refused_one_is_refused_to_its_children(hub: Hub, a: Pen) -> None:
    bad = a.say("nowhere", id="x")
    assert hub.verdicts(bad, resigned(a, bad)) == ["test.no_case", "duplicate 1"]
    assert hub.verdicts(a.open("c3", after=("x",))) == ["exchange.parent"]


@pytest.mark.parametrize("field", ["purpose", "contract", "at", "after"])
def test_what_may_differ_in_a_duplicate(hub: Hub, a: Pen, field: str) -> None:
    value: Any = {"at": "2026-11-24T09:00Z", "after": ()}.get(field, "other")
    first = a.open("c1", id="x")
    assert hub.verdicts(first, resigned(a, first, **{field: value}))[1] == "duplicate 1"


@pytest.mark.parametrize("field", ["to", "kind", "case", "facts", "body"])
def test_what_may_not(hub: Hub, a: Pen, field: str) -> None:
    value: Any = {"to": ("b",), "kind": "test.say/1", "case": "c2"}.get(field, b64(bytes(32)))
    first = a.open("c1", id="x")
    assert hub.verdicts(first, resigned(a, first, **{field: value}))[1] == "id_reused"


def test_facts_that_do_not_open_their_commitment_are_refused(hub: Hub, a: Pen) -> None:
    one = unpack(a.open("c1"))
    assert hub.verdicts(Envelope(one.jws, one.facts + b" ", one.body).pack()) == ["exchange.facts"]
    assert hub.verdicts(a.open("c2")) == ["ok"]


@pytest.mark.parametrize("facts", [{}, {"urgency": "soon"}, {"urgency": "routine", "more": 1}])
def test_facts_outside_the_kinds_rules_are_refused(
    hub: Hub, a: Pen, facts: dict[str, object]
) -> None:
    assert hub.verdicts(a.write("test.open/1", case="c1", facts=facts)) == ["exchange.facts"]


def test_the_lane_must_be_the_kinds(hub: Hub, a: Pen) -> None:
    routine = {"urgency": "routine"}
    for lane in (Lane.URGENT, Lane.RECORDS, Lane.CONTROL):
        raw = a.write("test.open/1", case="c1", facts=routine, lane=lane)
        assert hub.verdicts(raw) == ["exchange.lane"]


def test_only_kinds_for_all_go_to_all(hub: Hub, a: Pen) -> None:
    assert hub.verdicts(a.open("c1", to="all")) == ["exchange.recipients"]


def test_a_sealed_kind_needs_a_sealed_body_and_an_open_one_its_commitment(hub: Hub, a: Pen) -> None:
    assert hub.verdicts(a.open("c1", body=b"{}")) == ["exchange.body"]
    ack = {"index": 0, "number": 1, "running": "x"}
    control: dict[str, Any] = {"facts": ack, "lane": Lane.CONTROL}
    closed = a.write("ack/1", ("consortium",), body=SEALED, **control)
    assert hub.verdicts(closed) == ["exchange.body"]
    assert hub.verdicts(a.write("ack/1", ("consortium",), open_bundle=b"{}", **control)) == ["ok"]


def test_what_judge_refuses_has_a_leaf_and_moves_nothing(hub: Hub, a: Pen) -> None:
    assert hub.verdicts(a.open("c1"), a.open("c1")) == ["ok", "test.open"]
    case = hub.value("case:c1")
    assert case is not None
    assert case["opened_at"] == 1


def test_later_ones_of_a_push_see_what_earlier_ones_did(both: Hub) -> None:
    hub = both
    a, b = hub.pens["a"], hub.pens["b"]
    assert hub.verdicts(
        a.claim("ca", "t"), b.claim("cb", "t"), a.write("test.give_back/1", case="ca"),
        b.claim("cb", "t"),
    ) == ["ok got", "test.taken", "ok", "ok got"]  # fmt: skip
    thing = hub.value("thing:t")
    assert thing is not None
    assert thing["holder"] == "b"


# ---------------------------------------------------------------- what breaks is nobody's yes


def test_names_that_no_row_could_hold_are_refused_alone(both: Hub) -> None:
    """On PostgreSQL one of these once failed everybody's batch."""
    hub = both
    a, b = hub.pens["a"], hub.pens["b"]
    long = "x" * 200
    assert hub.verdicts(a.claim("ca", long), b.open("c1")) == ["exchange.facts", "ok"]
    [answer, other] = hub.admit(a.open("c" * 65), b.say("c1"))
    assert (answer.status, verdict(other)) == (Status.MALFORMED, "ok")
    assert hub.verdicts(a.open("c2", after=("nul\0",)), b.say("c1")) == ["malformed", "ok"]


def test_a_link_into_nowhere_moves_nothing(hub: Hub, a: Pen) -> None:
    """A case whose link names a family that no room registered."""
    with hub.database.write() as session:
        case = {"parties": ["a", "lead"], "state": "got", "thing": "nowhere:1", "turn": ""}
        state.write(session, {"case:c1": (case, 0)}, frozenset())
    assert hub.verdicts(a.write("test.give_back/1", case="c1")) == ["ok"]


def test_nothing_is_written_when_the_disk_is_full(
    both: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, a = both, both.pens["a"]
    raw = a.open("c1")

    @event.listens_for(hub.database.engine, "before_cursor_execute")
    def full(_c: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if statement.startswith("INSERT INTO feed"):
            raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    with pytest.raises(OperationalError):
        hub.admit(raw)
    event.remove(hub.database.engine, "before_cursor_execute", full)
    assert hub.size() == 1
    assert hub.value("case:c1") is None
    assert hub.verdicts(raw) == ["ok"]


def test_each_answer_stands_at_its_place(hub: Hub, a: Pen) -> None:
    raws = [a.open("c1"), b"odd", Pen("stranger").open("c1"), a.say("c1")]
    assert hub.verdicts(*raws) == ["ok", "malformed", "node", "ok"]
