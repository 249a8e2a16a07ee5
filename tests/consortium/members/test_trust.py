"""The policy as an exchange: the consortium's seal and nothing else, one step at a time."""

import copy
from typing import Any

import pytest

from chain.note import COSIGNATURE, SigningKey, VerifierKey
from consortium.exchange.commitment import facts_bytes
from consortium.exchange.limits import FACTS_MAX_BYTES
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.ledger import policies
from consortium.members import trust
from consortium.members.keys import SeedSigner
from tests.consortium.members.keys_made import REVOKE, Member, Shared, begun, signed
from tests.support.clock import START

ORIGIN = "log.example"
OLD, NEW, OTHER = (SigningKey(ORIGIN, bytes([one]) * 32).verifier for one in (1, 2, 3))
KIND = trust.KINDS[0]


def cosigner(number: int) -> VerifierKey:
    seed = number.to_bytes(32, "big")
    return VerifierKey(f"{ORIGIN}/witness/{number:032x}", COSIGNATURE, SeedSigner(seed).public)


def text(*logs: VerifierKey, witnesses: int = 0) -> bytes:
    lines = [f"log {key.text}" for key in logs]
    lines += [f"witness w{one} {cosigner(one).text}" for one in range(1, witnesses + 1)]
    if not witnesses:
        return "\n".join([*lines, "quorum none", ""]).encode()
    names = " ".join(f"w{one}" for one in range(1, witnesses + 1))
    return "\n".join([*lines, f"group some any {names}", "quorum some", ""]).encode()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shared, Member, Member]:
    return begun(tmp_path_factory.mktemp("home"))


@pytest.fixture
def shared(world: tuple[Shared, Member, Member]) -> Shared:
    return copy.deepcopy(world[0])


@pytest.fixture(scope="module")
def office(world: tuple[Shared, Member, Member]) -> Member:
    return world[1]


def put(
    shared: Shared,
    office: Member,
    policy: bytes,
    *,
    by: SeedSigner | None = None,
    change: Any = None,
) -> str:
    signer = by or office.seal
    facts = {"policy": policies.lines_of(policy), "by": signer.key_id}
    whole = {**signed(trust.POLICY, facts, signer), **(change or {})}
    verdict = shared.submit(KIND, whole, sender="consortium")
    return verdict.code if isinstance(verdict, Refusal) else f"ok {verdict}".strip()


def test_the_seal_puts_a_policy_in_force_from_its_entry_on(shared: Shared, office: Member) -> None:
    policy = text(OLD, witnesses=3)
    index = shared.size
    assert put(shared, office, policy) == "ok"
    value = shared.values[trust.SUBJECT]
    assert policies.text_of(value["policy"]) == policy
    assert value["from"] == index


def test_nobody_else_s_key_does(
    shared: Shared, office: Member, world: tuple[Shared, Member, Member]
) -> None:
    assert put(shared, office, text(OLD), by=world[2].seal) == "members.signer"
    recovery = office.made.recovery.signer
    assert put(shared, office, text(OLD), by=recovery) == "members.signer"
    assert put(shared, office, text(OLD), change={"policy": []}) == "members.signature"
    facts = signed(trust.POLICY, {"policy": [], "by": office.seal.key_id}, office.seal)
    verdict = shared.submit(KIND, facts, sender="shiqiao")
    assert isinstance(verdict, Refusal)
    assert verdict.code == "members.not_consortium"


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        (text(OLD, witnesses=16), "ledger.policy_witnesses"),
        (text(SigningKey("other.example", b"\x09" * 32).verifier), "ledger.policy_log"),
        (text(), "ledger.policy_log"),
        (text(OLD, NEW), "ok"),
        (text(OLD, witnesses=15), "ok"),
    ],
)
def test_what_a_policy_may_say(shared: Shared, office: Member, policy: bytes, code: str) -> None:
    assert put(shared, office, policy) == code


@pytest.mark.parametrize(
    "lines", [[], "x", [["log"]], [[1]], [["quorum", "none"], ["quorum", "w"]]]
)
def test_what_is_no_policy_is_refused(shared: Shared, office: Member, lines: Any) -> None:
    facts = signed(trust.POLICY, {"policy": lines, "by": office.seal.key_id}, office.seal)
    verdict = shared.submit(KIND, facts, sender="consortium")
    assert isinstance(verdict, Refusal)
    assert verdict.code in ("ledger.policy", "exchange.facts")


def test_a_log_key_is_replaced_by_two_policies_that_overlap(shared: Shared, office: Member) -> None:
    assert put(shared, office, text(OLD)) == "ok"
    assert put(shared, office, text(NEW)) == "ledger.policy_keys"
    assert put(shared, office, text(OLD, NEW)) == "ok"
    assert put(shared, office, text(NEW)) == "ok"
    assert put(shared, office, text(OLD)) == "ledger.policy_keys"


def test_fifteen_witnesses_fit_into_the_facts_of_one_entry(office: Member) -> None:
    facts = {"policy": policies.lines_of(text(OLD, NEW, witnesses=15)), "by": office.seal.key_id}
    whole = signed(trust.POLICY, facts, office.seal)
    assert len(facts_bytes(whole, b"\0" * 32)) <= FACTS_MAX_BYTES


def test_the_pinned_policy_stays_the_root_of_trust(database: Database) -> None:
    """Whatever stands on the ledger: what does not lead back to it is not believed."""
    pinned = text(OLD)
    steps = [text(OTHER, witnesses=1), text(OLD, NEW), text(NEW, witnesses=2), text(OTHER)]
    held = []
    for index, step in enumerate(steps):
        with database.write() as session:
            policies.keep(session, step, index=index, now=START)
            policies.keep(session, text(OTHER), index=index, now=START)
        with database.read() as session:
            held.append((policies.in_force(session, pinned), policies.strange(session, pinned)))
            assert policies.in_force(session, text(OTHER)) != pinned
    assert held == [
        (pinned, True), (steps[1], False), (steps[2], False), (steps[2], True),
    ]  # fmt: skip


def test_a_seal_that_ended_signs_no_policy(shared: Shared, office: Member) -> None:
    fresh = office.list(kind="key.revoke/1", ends=[office.kids["node"]])
    assert not isinstance(shared.submit(REVOKE, fresh, sender="consortium"), Refusal)
    name = f"key:{office.seal.key_id}"
    shared.values[name] = {**shared.values[name], "until": shared.size}
    assert put(shared, office, text(OLD)) == "members.signer"
