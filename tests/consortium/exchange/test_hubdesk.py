"""What the hub answers to nodes: signed, fresh, once; to each only what is its own."""

import hashlib
from pathlib import Path
from typing import Any

import orjson
import pytest

from consortium.exchange import jws, requests
from consortium.exchange.envelope import frames, unframe
from consortium.exchange.header import Lane
from consortium.exchange.limits import BLOB_MAX_BYTES, PARTS_MAX, PUSH_MAX_BYTES
from consortium.kernel.database import Database
from consortium.ledger import publisher
from consortium.ledger.keys import make_log_key
from tests.consortium.exchange.desks import Desk, code
from tests.consortium.exchange.pens import Pen, header_of
from tests.consortium.exchange.test_admission import ended


@pytest.fixture
def desk(tmp_path: Path, sqlite: Database) -> Desk:
    return Desk(sqlite, tmp_path)


@pytest.fixture
def both(tmp_path: Path, database: Database) -> Desk:
    """A desk on SQLite, and one on PostgreSQL."""
    return Desk(database, tmp_path)


# ---------------------------------------------------------------- who may ask


def test_hello_gives_a_nonce_the_heads_and_the_time(desk: Desk) -> None:
    a = desk.pens["a"]
    desk.hub.admit(a.open("c1"), a.open("c2", urgency="urgent"), a.say("c1"))
    told = orjson.loads(desk.hello(a).body)
    assert told["heads"] == {lane.value: list(head) for lane, head in a.heads.items()}
    assert (told["member"], told["size"]) == ("a", 4)


def test_an_unknown_path_is_told(desk: Desk) -> None:
    assert code(desk.desk.handle("/sync/other", b"")) == "sync.path"


@pytest.mark.parametrize("raw", [b"", b"x", b"a.b.c", b"\xff.e30.e30"])
def test_a_hello_that_is_none(desk: Desk, raw: bytes) -> None:
    assert code(desk.desk.handle("/sync/hello", raw)) == "sync.node"


def test_a_node_that_the_ledger_does_not_know(desk: Desk) -> None:
    assert code(desk.hello(Pen("stranger"))) == "sync.node"
    assert code(desk.hello(Pen("b", "a-9"))) == "sync.node"


def test_a_hello_signed_by_another_key(desk: Desk) -> None:
    raw = jws.sign_statement({}, kid="a-1", signer=desk.pens["b"].key, typ=requests.HELLO)
    assert code(desk.desk.handle("/sync/hello", raw.encode())) == "sync.node"


@pytest.mark.parametrize("body", [b"", b"\0\0\0\5x", b"\0\0\0\1x", b"x"])
def test_requests_that_are_none(desk: Desk, body: bytes) -> None:
    for path in ("/sync/push", "/sync/pull", "/sync/query", "/blobs"):
        assert code(desk.desk.handle(path, body)) in {"exchange.malformed", "sync.node"}


def test_a_request_is_taken_once(desk: Desk) -> None:
    a = desk.pens["a"]
    body = desk.request(a, "/sync/pull", after=0)
    assert code(desk.desk.handle("/sync/pull", body)) == ""
    assert code(desk.desk.handle("/sync/pull", body)) == "sync.nonce"


def test_a_request_is_for_one_path(desk: Desk) -> None:
    body = desk.request(desk.pens["a"], "/sync/pull", after=0)
    assert code(desk.desk.handle("/sync/query", body)) == "sync.node"
    assert code(desk.desk.handle("/sync/push", body)) == "sync.node"


def test_a_request_is_over_its_content(desk: Desk) -> None:
    a = desk.pens["a"]
    statement, content = unframe(desk.request(a, "/sync/push", a.open("c1")), most=2)
    for odd in ([statement, a.open("c2")], [statement], [statement, content, content]):
        assert code(desk.desk.handle("/sync/push", frames(odd))) == "sync.node"
    assert code(desk.desk.handle("/sync/push", frames([statement, content]))) == ""


def test_a_nonce_is_of_its_node_and_of_the_last_15_minutes(desk: Desk) -> None:
    a, b = desk.pens["a"], desk.pens["b"]
    nonce = desk.nonce(a)
    assert code(desk.call(b, "/sync/pull", nonce=nonce)) == "sync.nonce"
    desk.hub.clock.advance(minutes=15)
    assert code(desk.call(a, "/sync/pull", nonce=nonce)) == ""
    desk.hub.clock.advance(seconds=1)
    assert code(desk.call(a, "/sync/pull", nonce=nonce)) == "sync.nonce"


@pytest.mark.parametrize("nonce", ["x", ".", "1.", "²³.x", "9" * 5000 + ".x", "-1.x", "1.ä"])
def test_a_nonce_that_is_none(desk: Desk, nonce: str) -> None:
    assert code(desk.call(desk.pens["a"], "/sync/pull", nonce=nonce)) == "sync.nonce"


def test_a_nonce_from_the_future_of_a_clock_set_back(desk: Desk) -> None:
    nonce = desk.nonce(desk.pens["a"])
    desk.hub.clock.jump(seconds=-5)
    assert code(desk.call(desk.pens["a"], "/sync/pull", nonce=nonce)) == "sync.nonce"


def test_nonces_do_not_outlive_the_process(desk: Desk, tmp_path: Path) -> None:
    nonce = desk.nonce(desk.pens["a"])
    other = requests.Requests()
    raw = desk.request(desk.pens["a"], "/sync/pull", nonce=nonce)
    statement = unframe(raw, most=1)[0]
    with desk.hub.database.read() as session, pytest.raises(Exception, match=r"sync\.nonce"):
        other.check(session, "/sync/pull", statement, b"", now=desk.hub.clock.now())


def test_what_was_seen_is_forgotten_with_its_nonce(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "_SEEN_MAX", 3)
    for _ in range(8):
        assert code(desk.call(desk.pens["a"], "/sync/pull")) == ""
        desk.hub.clock.advance(minutes=10)
    assert len(desk.desk._requests._seen) <= 4


def test_a_revoked_node_may_still_pull_and_learns_why_it_cannot_push(desk: Desk) -> None:
    a = desk.pens["a"]
    desk.hub.admit(a.open("c1"))
    ended(desk.hub, "a-1", at=2)
    meta, _ = desk.pull(a, after=0)
    assert [one["index"] for one in meta["items"]] == [0, 1]
    reply = desk.call(a, "/sync/push", a.open("c2"))
    assert orjson.loads(reply.body)["answers"][0]["status"] == "node"


# ---------------------------------------------------------------- push


def test_answers_without_a_leaf_are_signed_by_the_hubs_node(desk: Desk) -> None:
    a = desk.pens["a"]
    raws = [a.open("c1"), a.open("c2", seq=9), a.open("c3", after=("x",)), b"odd", a.write("no/1")]
    told = orjson.loads(desk.call(a, "/sync/push", *raws).body)["answers"]
    assert [one["status"] for one in told] == ["leaf", "expected", "wait", "malformed", "held"]
    assert "signed" not in told[0]
    for one in told[1:]:
        node, statement = jws.read_statement(one["signed"], typ=requests.ANSWER)
        assert node == "consortium-1"
        assert jws.verify_statement(one["signed"], desk.pens["consortium"].key.public)
        assert abs(statement.pop("at_ms") - 1000 * desk.hub.clock.now().timestamp()) < 1
        assert statement == {name: one[name] for name in one if name != "signed"}


def test_a_push_holds_at_most_256_exchanges(desk: Desk) -> None:
    a = desk.pens["a"]
    raws = [a.open(f"c{n}") for n in range(257)]
    assert code(desk.call(a, "/sync/push", *raws)) == "exchange.malformed"
    reply = desk.call(a, "/sync/push", *raws[:256])
    assert {one["status"] for one in orjson.loads(reply.body)["answers"]} == {"leaf"}


def test_a_push_holds_at_most_1_mib(desk: Desk) -> None:
    a = desk.pens["a"]
    big = b"age-encryption.org/v1\n" + bytes(510 * 1024)
    raws = [a.open(f"c{n}", body=big) for n in range(3)]
    assert code(desk.call(a, "/sync/push", *raws)) == "exchange.too_large"
    assert desk.hub.size() == 1
    assert code(desk.call(a, "/sync/push", *raws[:2])) == ""
    assert desk.hub.size() == 3
    assert 2 * len(big) < PUSH_MAX_BYTES < 3 * len(big)


@pytest.mark.parametrize("final", [None, "x", {"a": 1}, 3, [None, 1, ["x"]]])
def test_odd_members_of_a_statement_do_no_harm(desk: Desk, final: Any) -> None:
    reply = desk.call(desk.pens["a"], "/sync/push", desk.pens["a"].open("c1"), final=final)
    assert code(reply) in {"", "exchange.malformed"}


# ---------------------------------------------------------------- pull


@pytest.mark.parametrize(
    "more",
    [
        {"after": -1}, {"after": True}, {"after": "0"}, {"after": 2**60}, {"size": "x"},
        {"receipts": 5}, {"acks": "all"}, {"acks": {"a": 1}},
    ],
)  # fmt: skip
def test_odd_wishes_of_a_pull_are_refused(desk: Desk, more: dict[str, Any]) -> None:
    assert code(desk.call(desk.pens["a"], "/sync/pull", **more)) == "exchange.malformed"


def test_a_pull_gives_the_members_own_feed(both: Desk) -> None:
    desk = both
    a, b = desk.pens["a"], desk.pens["b"]
    desk.hub.admit(a.open("c1"), a.open("c1"), b.open("c2"), a.open("c3", to="b"))
    meta, parts = desk.pull(b, after=0)
    assert [(one["number"], one["index"]) for one in meta["items"]] == [(1, 0), (2, 3), (3, 4)]
    assert len(parts) == 9
    assert (meta["more"], meta["acks"]) == (False, {})
    assert [one["index"] for one in desk.pull(b, after=2)[0]["items"]] == [4]
    assert desk.pull(b, after=99)[0]["items"] == []


def test_a_long_feed_comes_in_pages(desk: Desk) -> None:
    a = desk.pens["a"]
    big = b"age-encryption.org/v1\n" + bytes(300 * 1024)
    for n in range(7):
        desk.hub.admit(a.open(f"c{n}", body=big))
    after, indices, pages = 0, [], 0
    while True:
        meta, _ = desk.pull(desk.pens["lead"], after=after)
        indices += [one["index"] for one in meta["items"]]
        pages += 1
        if not meta["more"]:
            break
        after = meta["items"][-1]["number"]
    assert (indices, pages) == (list(range(8)), 3)


def test_receipts_are_given_to_whom_the_entry_concerns(both: Desk, tmp_path: Path) -> None:
    """A receipt shows who sends what to whom: a third member must not collect them by index."""
    desk = both
    a, b = desk.pens["a"], desk.pens["b"]
    desk.hub.admit(a.open("c1"), b.open("c2"))
    log = make_log_key(tmp_path / "log.key", origin="hub.test/ledger")
    publisher.publish(desk.hub.database, log, desk.hub.guard, now=desk.hub.clock.now())
    wanted = {"receipts": [0, 1, 2, 3, -1, True, "1", 2**60, 1.5]}
    assert set(desk.pull(a, **wanted)[0]["receipts"]) == {"0", "1"}
    assert set(desk.pull(b, **wanted)[0]["receipts"]) == {"0", "2"}
    assert set(desk.pull(desk.pens["lead"], **wanted)[0]["receipts"]) == {"0", "1", "2"}


def test_acks_are_passed_on(both: Desk) -> None:
    desk = both
    b = desk.pens["b"]
    facts = {"index": 0, "number": 1, "running": "x"}
    raw = b.write("ack/1", ("consortium",), facts=facts, open_bundle=b"{}", lane=Lane.CONTROL)
    assert desk.hub.verdicts(raw) == ["ok"]
    meta, _ = desk.pull(desk.pens["a"], acks=["b", "lead", "nul\0", "b" * 300, 7])
    assert meta["acks"] == {"b": 0}


# ---------------------------------------------------------------- query


def test_a_query_is_answered_to_its_asker_with_its_index(desk: Desk) -> None:
    reply = desk.call(desk.pens["a"], "/sync/query", name="echo", params={"x": 1})
    told = orjson.loads(reply.body)
    assert (told["answer"], told["index"]) == ({"member": "a", "x": 1}, 0)
    for odd in ({"name": "other"}, {"name": "echo", "params": [1]}, {}):
        assert code(desk.call(desk.pens["a"], "/sync/query", **odd)) == "sync.query"


# ---------------------------------------------------------------- blobs


def digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


@pytest.fixture
def sent(desk: Desk) -> str:
    """An admitted exchange from a to b."""
    raw = desk.pens["a"].open("c1", to="b")
    assert desk.hub.verdicts(raw) == ["ok"]
    return header_of(raw).id


def test_sender_puts_and_recipient_gets(desk: Desk, sent: str) -> None:
    a, b = desk.pens["a"], desk.pens["b"]
    wish = {"exchange": sent, "blob": digest(b"image")}
    assert code(desk.call(b, "/blobs", **wish)) == "blob.unknown"
    for _ in range(2):
        assert code(desk.call(a, "/blobs", b"image", **wish)) == ""
    assert desk.call(b, "/blobs", **wish).body == b"image"
    assert desk.call(a, "/blobs", **wish).body == b"image"


def test_a_third_member_neither_gets_nor_puts(desk: Desk, sent: str) -> None:
    lead = desk.pens["lead"]
    wish = {"exchange": sent, "blob": digest(b"image")}
    desk.call(desk.pens["a"], "/blobs", b"image", **wish)
    assert code(desk.call(lead, "/blobs", **wish)) == "blob.unknown"
    assert code(desk.call(lead, "/blobs", b"image", **wish)) == "blob.unknown"


def test_a_blob_is_bound_to_its_exchange(desk: Desk, sent: str) -> None:
    """Knowing a hash from elsewhere does not open it through an exchange of one's own."""
    a, lead = desk.pens["a"], desk.pens["lead"]
    desk.call(a, "/blobs", b"image", exchange=sent, blob=digest(b"image"))
    other = lead.open("c9", to="b")
    desk.hub.admit(other)
    wish = {"exchange": header_of(other).id, "blob": digest(b"image")}
    assert code(desk.call(lead, "/blobs", **wish)) == "blob.unknown"


def test_a_recipient_puts_nothing_and_a_refused_exchange_gives_nothing(
    desk: Desk, sent: str
) -> None:
    wish = {"exchange": sent, "blob": digest(b"x")}
    assert code(desk.call(desk.pens["b"], "/blobs", b"x", **wish)) == "blob.unknown"
    refused = desk.pens["a"].open("c1", to="b")
    assert desk.hub.verdicts(refused) == ["test.open"]
    wish = {"exchange": header_of(refused).id, "blob": digest(b"x")}
    desk.call(desk.pens["a"], "/blobs", b"x", **wish)
    assert code(desk.call(desk.pens["b"], "/blobs", **wish)) == "blob.unknown"


def test_a_blob_is_what_its_hash_says_or_is_not_kept(desk: Desk, sent: str) -> None:
    reply = desk.call(desk.pens["a"], "/blobs", b"other", exchange=sent, blob=digest(b"image"))
    assert code(reply) == "blob.damaged"
    assert desk.store.get(digest(b"other")) is None


def test_a_blob_over_the_limit_is_refused(desk: Desk, sent: str) -> None:
    big = bytes(BLOB_MAX_BYTES + 1)
    reply = desk.call(desk.pens["a"], "/blobs", big, exchange=sent, blob=digest(big))
    assert code(reply) == "blob.too_large"


def test_an_exchange_has_no_more_blobs_than_it_can_commit_to(desk: Desk, sent: str) -> None:
    """Else one exchange would let a member fill the hub's disk."""
    a = desk.pens["a"]
    for n in range(PARTS_MAX):
        one = b"image%d" % n
        assert code(desk.call(a, "/blobs", one, exchange=sent, blob=digest(one))) == ""
    reply = desk.call(a, "/blobs", b"more", exchange=sent, blob=digest(b"more"))
    assert code(reply) == "blob.too_many"
    assert code(desk.call(a, "/blobs", b"image0", exchange=sent, blob=digest(b"image0"))) == ""


@pytest.mark.parametrize("blob", ["", "x", "../../etc", "\0" * 64, "A" * 64, "²" * 64])
def test_a_hash_that_is_none(desk: Desk, sent: str, blob: str) -> None:
    assert code(desk.call(desk.pens["a"], "/blobs", exchange=sent, blob=blob)) == "blob.unknown"
    assert code(desk.call(desk.pens["a"], "/blobs", exchange="nul\0", blob="0" * 64)) != ""


def test_refusals_are_problems_with_their_code(desk: Desk) -> None:
    reply = desk.call(desk.pens["a"], "/sync/query", name="other")
    assert (reply.status, reply.headers["content-type"]) == (404, "application/problem+json")
    assert orjson.loads(reply.body)["type"] == "urn:sharing-chain:sync.query"
