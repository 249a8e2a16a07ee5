"""Bad inputs at the doors for programs, over the real app (research/reliability.md 5).

The number in a test's name is the row; test_bad_inputs_table.py says of every row where it is
proved.
"""

import gzip
from collections.abc import Mapping

import orjson
import pytest
from httpx2 import Response
from sqlalchemy import select

from consortium import words
from consortium.exchange import jws
from consortium.exchange.answers import Answer, Status
from consortium.exchange.answers import read as read_answer
from consortium.exchange.commitment import b64
from consortium.exchange.envelope import Envelope, frames, unpack
from consortium.exchange.limits import BLOB_MAX_BYTES, PUSH_MAX_BYTES
from consortium.exchange.tables import EntryRow
from consortium.kernel.errors import Refusal
from tests.support.real_world import World
from tests.support.wire import BYTES, caller, identity, waiting

DOORS = ("/sync/join", "/sync/keys")
"""What is read as JSON before anybody has proved who they are."""
DEEP = b'{"ask":' + b"[" * 200 + b"]" * 200 + b"}"
XXE = (
    b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>'
    b'<Patient xmlns="http://hl7.org/fhir"><id value="&b;"/></Patient>'
)


def outcome(answer: Response) -> tuple[int, str, str]:
    """Status, issue code and our code of an OperationOutcome, whose words are three sentences."""
    assert answer.headers["content-type"].startswith("application/fhir+json"), answer.text
    (issue,) = answer.json()["issue"]
    code = str(issue["details"]["coding"][0]["code"])
    said = words.refusal(code, "zh", size="8.4\N{NO-BREAK SPACE}MB", name="x")
    assert len(said) == 3
    assert said[1] in issue["details"]["text"]
    assert said[2] in issue["details"]["text"]
    return answer.status_code, str(issue["code"]), code


def problem(answer: Response) -> tuple[int, str]:
    """Status and code of problem details."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, str(answer.json()["code"])


BAD_JSON = {
    "1 NaN": (b'{"ask":NaN}', 400, "fhir.number"),
    "1 infinity": (b'{"ask":-Infinity}', 400, "fhir.number"),
    "1 huge exponent": (b'{"ask":1e400}', 400, "fhir.number"),
    "2 a key twice": (b'{"ask":"offer","handle":"a","ask":"keys"}', 400, "fhir.duplicate_key"),
    "3 lone surrogate": (b'{"ask":"\\ud800"}', 400, "fhir.encoding"),
    "3 invalid UTF-8": (b'{"ask":"\xff"}', 400, "fhir.encoding"),
    "3 UTF-16": ('{"ask":"offer"}'.encode("utf-16"), 400, "fhir.encoding"),
    "3 byte order mark": (b'\xef\xbb\xbf{"ask":"offer"}', 400, "fhir.encoding"),
    "4 NUL": (b'{"ask":"a\\u0000"}', 422, "fhir.control"),
    "4 C0": (b'{"ask":"a\\u0007"}', 422, "fhir.control"),
    "5 nesting": (DEEP, 400, "fhir.nesting"),
    "6 5,000 digits": (b'{"ask":' + b"9" * 5000 + b"}", 400, "fhir.integer"),
    "7 too large": (b'{"ask":"' + b"a" * 20_000 + b'"}', 413, "fhir.size"),
    "no JSON": (b"{", 400, "fhir.syntax"),
    "nothing": (b"", 400, "fhir.syntax"),
    "a list": (b"[]", 400, "members.request"),
    "a list for a word": (b'{"ask":[],"handle":"a"}', 400, "members.request"),
    "a decimal in facts": (
        b'{"ask":"keys","handle":"abc","mac":"x","facts":{"member":1.5}}', 400, None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("row", list(BAD_JSON))
def test_rows_1_to_7_json_is_read_strictly(common_world: World, row: str, path: str) -> None:
    raw, status, code = BAD_JSON[row]
    answer = common_world.client("hub").post(
        path, content=raw, headers={"content-type": "application/json"}
    )
    assert (problem(answer)[0], code or problem(answer)[1]) == (status, problem(answer)[1])


def test_row_7_a_push_and_a_file_have_their_sizes(common_world: World) -> None:
    hub = common_world.client("hub")
    calls, wire = caller(common_world, "shiqiao")
    with pytest.raises(Refusal, match=r"exchange\.too_large"):
        calls.request("/sync/push", [bytes(PUSH_MAX_BYTES)] * 2)
    path, body = wire.sent[-1]
    assert problem(hub.post(path, content=body, headers=BYTES)) == (413, "exchange.too_large")
    with pytest.raises(Refusal, match=r"exchange\.too_large"):
        calls.request("/blobs", [bytes(BLOB_MAX_BYTES + 70_000)])
    huge = hub.post("/sync/push", content=b"", headers=BYTES | {"content-length": str(10**9)})
    assert problem(huge) == (413, "web.too_large")
    fhir = hub.post("/fhir/R4/Patient", content=bytes(9 * 1024 * 1024), headers=BYTES)
    assert outcome(fhir) == (413, "too-long", "web.too_large")


def test_row_9_nothing_is_unpacked_before_it_is_known(common_world: World) -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    hub = common_world.client("hub")
    for path in ("/sync/push", "/sync/hello", "/sync/join", "/blobs"):
        answer = hub.post(path, content=bomb, headers=BYTES | {"content-encoding": "gzip"})
        assert problem(answer) == (415, "sync.content_type")
    page = common_world.browser("han").client.post(
        "/patients/new", content=bomb,
        headers={"content-type": "application/x-www-form-urlencoded", "content-encoding": "gzip"},
    )  # fmt: skip
    assert page.status_code == 415


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/fhir+xml", ""])
def test_rows_11_and_12_a_body_of_another_kind_is_not_read(common_world: World, kind: str) -> None:
    hub = common_world.client("hub")
    headers = {"content-type": kind} if kind else {}
    for path in ("/sync/push", "/sync/hello", "/sync/join", "/sync/keys", "/blobs"):
        answer = hub.post(path, content=XXE, headers=headers)
        assert problem(answer) == (415, "sync.content_type")
    refused = hub.post("/fhir/R4/Patient", content=XXE, headers=headers)
    assert outcome(refused) == (405, "not-supported", "web.method")
    assert "root:" not in refused.text
    asked = hub.get("/fhir/R4/metadata", headers={"accept": "application/fhir+xml"})
    assert outcome(asked) == (406, "not-supported", "fhir.format")


FHIR = {
    "16 id of 65": (f"Patient/{'a' * 65}", 422, "value", "fhir.value"),
    "16 id with a path": ("Patient/..%2Fx", 404, "not-found", "web.not_found"),
    "16 id with an emoji": ("Patient/%F0%9F%98%80", 422, "value", "fhir.value"),
    "17 patient of a foreign address": (
        "Observation?patient=https://evil.test/Patient/1", 400, "value", "fhir.parameter_value",
    ),
    "17 patient that would act": (
        "Observation?patient=javascript:alert(1)", 400, "value", "fhir.parameter_value",
    ),
    "24 a count that is none": ("Patient?_count=-1", 400, "value", "fhir.parameter_value"),
    "24 a count of 5,000 digits": (f"Patient?_count={'9' * 5000}", 200, "", ""),
    "25 unknown parameter": ("Patient?nmae=x", 400, "not-supported", "fhir.parameter"),
    "25 a modifier": ("Patient?identifier:not=x", 400, "not-supported", "fhir.parameter"),
    "25 a type that is not kept": ("Basic", 404, "not-supported", "fhir.no_such_type"),
    "4 NUL": ("Patient?identifier=a%00", 422, "value", "web.control"),
    "43 an edited page": ("Patient?_after=%F0", 400, "value", "fhir.parameter_value"),
}  # fmt: skip


@pytest.mark.parametrize("row", list(FHIR))
def test_rows_16_to_25_a_search_is_understood_or_refused(common_world: World, row: str) -> None:
    path, status, issue, code = FHIR[row]
    answer = common_world.browser("han").get(f"/fhir/R4/{path}")
    if status == 200:
        assert answer.status_code == 200
    else:
        assert outcome(answer) == (status, issue, code)


def test_row_24_a_page_holds_a_hundred_at_most(common_world: World) -> None:
    found = common_world.browser("han").get("/fhir/R4/Patient?_count=1000000").json()
    assert found["total"] == len(common_world.told["patients"])
    first = common_world.browser("han").get("/fhir/R4/Patient?_count=1").json()
    assert {one["relation"] for one in first["link"]} == {"self", "next"}
    assert len(first["entry"]) == 1


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH", "DELETE"])
def test_rows_26_27_and_68_nothing_is_written_through_the_fhir_door(
    common_world: World, method: str
) -> None:
    patient = common_world.told["patients"]["wu"]
    client = common_world.browser("han").client
    for path in (f"Patient/{patient}", "Patient", "AuditEvent/1", "metadata"):
        answer = client.request(
            method, f"/fhir/R4/{path}", content=b'{"resourceType":"Patient","verified":true}',
            headers={"content-type": "application/fhir+json", "if-match": 'W/"1"'},
        )  # fmt: skip
        assert outcome(answer) == (405, "not-supported", "web.method")


def test_row_28_another_clinics_patient_is_not_there(common_world: World) -> None:
    patient = common_world.told["patients"]["wu"]
    other = common_world.browser("bai")
    theirs = other.get(f"/fhir/R4/Patient/{patient}")
    nobodys = other.get("/fhir/R4/Patient/01a20b12-9ba8-7a9b-8295-0ad612ecbfff")
    assert outcome(theirs) == (404, "not-found", "fhir.not_found")
    assert theirs.text == nobodys.text


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH", "DELETE"])
def test_row_68_the_ledger_is_only_read(common_world: World, method: str) -> None:
    hub = common_world.client("hub")
    for path in ("checkpoint", "tile/0/000", "receipts/1", "receipts/../checkpoint"):
        answer = hub.request(method, f"/ledger/{path}")
        assert problem(answer) == (405, "web.method")
    before = hub.get("/ledger/checkpoint").text
    assert before == hub.get("/ledger/checkpoint").text


@pytest.mark.parametrize(
    "path", ["tile/9/000", "tile/../../log.key", "tile/0/x001/%00", "receipts/%2e%2e%2fnode.db"]
)
def test_row_16_a_tile_is_no_file_of_the_machine(common_world: World, path: str) -> None:
    answer = common_world.client("hub").get(f"/ledger/{path}")
    assert answer.status_code in {404, 422}
    assert b"SQLite" not in answer.content


# ---------------------------------------------------------------- node to node


def messages(world: World, count: int) -> list[bytes]:
    """Envelopes of a clinic that has signed and not sent."""
    world.cables["shiqiao"].cut = True
    browser = world.browser("han")
    for number in range(count):
        told = {"text": f"补充说明 {number}"}
        answer = browser.post(f"/referrals/{world.told['case']}/message", told)
        assert answer.status_code == 303, answer.text
    return waiting(world, "shiqiao")


def push(world: World, *raws: bytes, member: str = "shiqiao") -> list[Answer]:
    """The hub's answers to a push, each inside 200."""
    calls, _wire = caller(world, member)
    given = orjson.loads(calls.request("/sync/push", list(raws)))
    return [read_answer(one) for one in given["answers"]]


def test_rows_35_and_37_one_that_is_damaged_holds_up_no_other(own_world: World) -> None:
    first, second, third = messages(own_world, 3)
    envelope = unpack(second)
    head, payload, signature = envelope.jws.split(b".")
    turned = b"B" if signature[:1] == b"A" else b"A"
    bad = Envelope(
        b".".join([head, payload, turned + signature[1:]]), envelope.facts, envelope.body
    )
    one, two, three = push(own_world, first, bad.pack(), third)
    assert (one.status, two.status, three.status) == (
        Status.LEAF, Status.SIGNATURE, Status.GAP,
    )  # fmt: skip
    assert three.expected == jws.parse(unpack(second).jws).header.seq
    assert [one.status for one in push(own_world, second, third)] == [Status.LEAF] * 2


def test_row_36_a_second_history_suspends_its_node_alone(own_world: World) -> None:
    (first,) = messages(own_world, 1)
    signed = jws.parse(unpack(first).jws)
    other = signed.header.json() | {"id": "01a20b12-9ba8-7a9b-8295-0ad612ecbfff"}
    payload = b64(orjson.dumps(other))
    head = jws.protected(signed.header.node)
    signer = identity(own_world, "shiqiao").signer
    forked = f"{head}.{payload}"
    forked += "." + b64(signer.sign(forked.encode()))
    raw = Envelope(forked.encode(), unpack(first).facts, unpack(first).body).pack()
    assert [one.status for one in push(own_world, first, raw)] == [Status.LEAF, Status.FORK]
    own_world.cables["shiqiao"].cut = False
    own_world.settle()
    page = own_world.browser("han").get("/").text
    assert "这台机器的钥匙已停用" in page
    assert "这台机器的钥匙已停用" not in own_world.browser("bai").get("/").text


def test_row_39_a_node_signs_for_its_own_member_alone(own_world: World) -> None:
    (first,) = messages(own_world, 1)
    signed = jws.parse(unpack(first).jws)
    payload = b64(orjson.dumps(signed.header.json() | {"from": "yunling"}))
    forged = f"{jws.protected(signed.header.node)}.{payload}"
    forged += "." + b64(identity(own_world, "shiqiao").signer.sign(forged.encode()))
    raw = Envelope(forged.encode(), unpack(first).facts, unpack(first).body).pack()
    assert [one.status for one in push(own_world, raw)] == [Status.NODE]


def hello(world: World, head: Mapping[str, object], *, sign: bool = True) -> Response:
    """A hello whose protected header is what the test wants."""
    own = identity(world, "shiqiao")
    signing = f"{b64(orjson.dumps(head))}.{b64(orjson.dumps({'member': 'shiqiao', 'salt': 'x'}))}"
    signature = b64(own.signer.sign(signing.encode())) if sign else ""
    return world.client("hub").post(
        "/sync/hello", content=f"{signing}.{signature}".encode(), headers=BYTES
    )


def test_row_40_only_one_form_of_a_signature_counts(common_world: World) -> None:
    kid = identity(common_world, "shiqiao").node
    good = {"alg": "Ed25519", "kid": kid, "typ": "hello"}
    assert hello(common_world, good).status_code == 200
    bad: list[dict[str, object]] = [
        {**good, "alg": "none"},
        {**good, "alg": "HS256"},
        {**good, "crit": ["exp"], "exp": 1},
        {**good, "x": "a" * 9000},
        {**good, "typ": "request"},
        {**good, "kid": "nobody"},
        {**good, "kid": ["a"]},
    ]
    for head in bad:
        assert problem(hello(common_world, head)) == (401, "sync.node")
    assert problem(hello(common_world, {**good, "alg": "none"}, sign=False)) == (401, "sync.node")
    assert problem(hello(common_world, good, sign=False)) == (401, "sync.node")


def test_row_41_a_request_is_taken_once(common_world: World) -> None:
    calls, wire = caller(common_world, "shiqiao")
    calls.request("/sync/pull", [], after=0)
    path, body = wire.sent[-1]
    again = common_world.client("hub").post(path, content=body, headers=BYTES)
    assert problem(again) == (401, "sync.nonce")


@pytest.mark.parametrize("after", [-1, 2**60, "0", None, 1.5, True])
def test_row_43_a_cursor_is_a_number_of_ones_own_feed(common_world: World, after: object) -> None:
    calls, wire = caller(common_world, "yunling")
    with pytest.raises(Refusal, match=r"exchange\.malformed"):
        calls.request("/sync/pull", [], after=after)
    path, body = wire.sent[-1]
    assert path == "/sync/pull"
    assert common_world.client("hub").post(path, content=body, headers=BYTES).status_code == 401


def test_rows_44_and_45_a_newer_version_is_held_and_an_unknown_field_refused(
    own_world: World,
) -> None:
    (first,) = messages(own_world, 1)
    signed = jws.parse(unpack(first).jws)
    given = []
    for change in ({"v": 2}, {"colour": "red"}):
        payload = b64(orjson.dumps(signed.header.json() | change))
        raw = f"{jws.protected(signed.header.node)}.{payload}"
        raw += "." + b64(identity(own_world, "shiqiao").signer.sign(raw.encode()))
        given.append(Envelope(raw.encode(), unpack(first).facts, unpack(first).body).pack())
    assert [one.status for one in push(own_world, *given)] == [Status.HELD, Status.MALFORMED]
    assert [one.status for one in push(own_world, first)] == [Status.LEAF]


@pytest.mark.parametrize(
    ("content", "code", "status"),
    [
        (b"other bytes", "blob.damaged", 422),
        (bytes(BLOB_MAX_BYTES + 1), "blob.too_large", 413),
    ],
)
def test_rows_50_and_51_a_file_that_is_not_what_was_said_is_not_kept(
    common_world: World, content: bytes, code: str, status: int
) -> None:
    calls, wire = caller(common_world, "shiqiao")
    with common_world.nodes["hub"].database.read() as session:
        sent = select(EntryRow.exchange).where(EntryRow.kind == "referral.request/1")
        exchange = session.scalars(sent).first()
    with pytest.raises(Refusal, match=code):
        calls.request("/blobs", [content], exchange=exchange, blob="0" * 64)
    assert wire.statuses[-1] == status
    kept = {one.name for one in (common_world.home / "hub" / "blobs").rglob("*") if one.is_file()}
    assert kept.isdisjoint({"0" * 64})


def test_any_bytes_at_a_door_for_nodes_are_answered(common_world: World) -> None:
    hub = common_world.client("hub")
    calls, wire = caller(common_world, "shiqiao")
    calls.request("/sync/pull", [], after=0)
    _path, good = wire.sent[-1]
    junk = [b"", b"\x00", b"\xff" * 100, b"\x00\x00\x00\x05abc", good[:-1], good[1:], good + b"x",
            frames([b"a", b"b"]), frames([b"..", b""]), b"\x00" * 4]  # fmt: skip
    for path in ("/sync/hello", "/sync/push", "/sync/pull", "/sync/query", "/blobs", "/sync/x"):
        for raw in junk:
            answer = hub.post(path, content=raw, headers=BYTES)
            assert answer.status_code in {400, 401, 404}, (path, raw, answer.text)
            assert problem(answer)[1]


def test_a_workstation_is_no_hub(common_world: World) -> None:
    for path in ("/sync/hello", "/blobs", "/sync/join"):
        answer = common_world.client("shiqiao").post(path, content=b"x", headers=BYTES)
        assert problem(answer) == (404, "sync.path")
