"""Rules of charter and keys over a fold in a dict: what is admitted, and that nothing forged is."""

import copy
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.exchange.commitment import facts_bytes
from consortium.exchange.limits import FACTS_MAX_BYTES
from consortium.kernel.actor import Role
from consortium.kernel.errors import Refusal
from consortium.members import lists, model, statements
from consortium.members.keys import Age, SeedSigner
from consortium.members.statements import canonical
from tests.consortium.members.keys_made import (
    ADD,
    DIRECTORY,
    REVOKE,
    SIGN,
    Member,
    Shared,
    begun,
    header_of,
    key_entry,
    make,
    signed,
)

HOLDER = "0190a1b2-0000-7000-8000-000000000001"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def world(folder: Path) -> tuple[Shared, Member, Member]:
    return begun(folder)


@pytest.fixture
def shared(world: tuple[Shared, Member, Member]) -> Shared:
    return copy.deepcopy(world[0])


@pytest.fixture(scope="module")
def clinic(world: tuple[Shared, Member, Member]) -> Member:
    return world[2]


def code_of(verdict: str | Refusal) -> str:
    return verdict.code if isinstance(verdict, Refusal) else f"ok {verdict}".strip()


# ---------------------------------------------------------------- entry 0, joining


def test_entry_0_brings_charter_consortium_and_its_keys(
    shared: Shared, world: tuple[Shared, Member, Member]
) -> None:
    office = world[1]
    charter = shared.values["charter:"]
    assert charter["origin"] == "log.example"
    assert charter["consortium"] == "consortium"
    member = shared.values["member:consortium"]
    assert member["state"] == "joined"
    assert member["nodes"] == [office.kids["node"]]
    assert member["seal"] == office.seal.key_id
    assert shared.values[f"key:{office.kids['node']}"]["from"] == 0


def test_the_node_key_of_entry_0_is_introduced_by_itself_alone(
    world: tuple[Shared, Member, Member],
) -> None:
    office, clinic = world[1], world[2]
    node = office.kids["node"]
    facts = office.made.facts
    header = header_of(SIGN.name, sender="consortium", node=node)
    introduced = SIGN.introduces(header, facts)
    assert introduced is not None
    assert introduced["from"] == 0
    assert introduced["use"] == "node"
    other = header_of(SIGN.name, sender="consortium", node=clinic.kids["node"])
    assert SIGN.introduces(other, facts) is None
    later = world[0]
    assert SIGN.introduces(header, clinic.charter_signature(later)) is None


def test_a_second_charter_is_refused(shared: Shared, folder: Path) -> None:
    other = make(folder, "consortium", "consortium")
    assert code_of(shared.submit(SIGN, dict(other.made.facts), sender="consortium")) == (
        "members.charter_known"
    )


def test_joining_has_two_steps(folder: Path, world: tuple[Shared, Member, Member]) -> None:
    shared = copy.deepcopy(world[0])
    second = make(folder, "yunling", "clinic")
    assert shared.submit(ADD, dict(second.made.facts), sender="consortium") == ""
    assert shared.values["member:yunling"]["state"] == "invited"
    assert (
        code_of(shared.submit(DIRECTORY, {"details": "x"}, sender="yunling"))
        == "members.not_joined"
    )
    assert shared.submit(SIGN, second.charter_signature(shared), sender="yunling") == ""
    assert shared.values["member:yunling"]["state"] == "joined"
    again = shared.submit(SIGN, second.charter_signature(shared), sender="yunling")
    assert code_of(again) == "members.charter_signed"


def test_only_the_hubs_node_adds_and_only_to_everyone(shared: Shared, clinic: Member) -> None:
    facts = clinic.list(keys=[clinic.person_key(HOLDER)])
    assert code_of(shared.submit(ADD, facts, sender="shiqiao")) == "members.not_consortium"
    to_one = shared.submit(ADD, facts, sender="consortium", to=("shiqiao",))
    assert code_of(to_one) == "exchange.recipients"
    assert code_of(shared.submit(ADD, facts, sender="consortium")) == "ok"


def test_a_member_cannot_sign_for_another(
    shared: Shared, folder: Path, world: tuple[Shared, Member, Member]
) -> None:
    second = make(folder, "yunling", "clinic")
    shared.submit(ADD, dict(second.made.facts), sender="consortium")
    forged = world[2].charter_signature(shared) | {"member": "yunling"}
    assert code_of(shared.submit(SIGN, forged, sender="yunling")) == "members.signer"
    assert code_of(shared.submit(SIGN, forged, sender="shiqiao")) == "members.member_unknown"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda f: f.update(keys=f["keys"][:-1]), "members.key_list"),
        (lambda f: f.update(keys=[*f["keys"], f["keys"][0]]), "members.key_twice"),
        (lambda f: f.update(member="Alls"), "members.key_list"),
        (lambda f: f.update(member="shiqiao"), "members.member_known"),
        (lambda f: f.update(kind="consortium"), "members.key_list"),
        (lambda f: f.pop("details"), "members.key_list"),
        (lambda f: f.update(details="other"), "members.signature"),
        (lambda f: f.update(kind="lead"), "members.key_list"),
        (lambda f: f.update(kind="lead", keys=f["keys"][:-1]), "members.signature"),
        (lambda f: f["keys"][3].update(public=Age.make().recipient), "members.signature"),
        (lambda f: f["keys"][0].update(use="recovery_seal"), "members.key_proof"),
    ],
)
def test_first_keys_that_do_not_hold_together_are_refused(
    shared: Shared, folder: Path, change: Callable[[dict[str, Any]], object], code: str
) -> None:
    facts = copy.deepcopy(dict(make(folder, "yunling", "clinic").made.facts))
    change(facts)
    assert code_of(shared.submit(ADD, facts, sender="consortium")) == code


# ---------------------------------------------------------------- later lists


def test_person_keys_hold_until_they_end(shared: Shared, clinic: Member) -> None:
    old, new = clinic.person_key(HOLDER), clinic.person_key(HOLDER)
    kid = model.kid(old)
    shared.submit(ADD, clinic.list(keys=[old]), sender="consortium")
    index = shared.size - 1
    record = shared.values[f"key:{kid}"]
    assert (record["from"], record["until"], record["holder"]) == (index, None, HOLDER)
    assert record["roles"] == ["township_doctor"]
    assert shared.submit(ADD, clinic.list(keys=[new], ends=[kid]), sender="consortium") == ""
    assert shared.values[f"key:{kid}"]["until"] == index + 1
    assert shared.values[f"key:{model.kid(new)}"]["until"] is None
    again = shared.submit(ADD, clinic.list(keys=[old]), sender="consortium")
    assert code_of(again) == "members.key_known"
    gone = shared.submit(REVOKE, clinic.list(kind=model.REVOKE, ends=[kid]), sender="consortium")
    assert code_of(gone) == "members.key_gone"


def test_the_recovery_key_replaces_a_lost_seal(shared: Shared, clinic: Member) -> None:
    fresh = SeedSigner(b"\x07" * 32)
    added = [key_entry(fresh, "seal", "shiqiao")]
    recovery = clinic.made.recovery.signer
    without_end = clinic.list(by=recovery, keys=added)
    assert code_of(shared.submit(ADD, without_end, sender="consortium")) == "members.key_single"
    facts = clinic.list(by=recovery, keys=added, ends=[clinic.kids["seal"]])
    assert shared.submit(ADD, facts, sender="consortium") == ""
    assert shared.values["member:shiqiao"]["seal"] == fresh.key_id
    late = clinic.list(keys=[clinic.person_key(HOLDER)])
    assert code_of(shared.submit(ADD, late, sender="consortium")) == "members.signer"


def test_the_seal_cannot_be_ended_without_another(shared: Shared, clinic: Member) -> None:
    for use in ("seal", "recovery_seal", "sealing", "recovery_age"):
        facts = clinic.list(kind=model.REVOKE, ends=[clinic.kids[use]])
        assert code_of(shared.submit(REVOKE, facts, sender="shiqiao")) == "members.key_single"


def test_a_lost_node_is_revoked_by_the_member_or_for_it(shared: Shared, clinic: Member) -> None:
    facts = clinic.list(kind=model.REVOKE, ends=[clinic.kids["node"]])
    assert code_of(shared.submit(REVOKE, facts, sender="yunling")) == "members.not_consortium"
    assert shared.submit(REVOKE, facts, sender="consortium") == ""
    assert shared.values["member:shiqiao"]["nodes"] == []


def test_a_node_or_person_key_signs_no_list(shared: Shared, clinic: Member) -> None:
    person = clinic.person_key(HOLDER)
    shared.submit(ADD, clinic.list(keys=[person]), sender="consortium")
    signer = clinic.persons[model.kid(person)]
    facts = clinic.list(by=signer, keys=[clinic.person_key("holder-2")])
    assert code_of(shared.submit(ADD, facts, sender="consortium")) == "members.signer"


def test_another_members_seal_signs_no_list(
    shared: Shared, clinic: Member, world: tuple[Shared, Member, Member]
) -> None:
    office = world[1]
    facts = clinic.list(by=office.seal, keys=[clinic.person_key(HOLDER)])
    assert code_of(shared.submit(ADD, facts, sender="consortium")) == "members.signer"


def test_a_list_from_another_consortium_does_not_count(shared: Shared, clinic: Member) -> None:
    other = statements.charter_hash(b"another")
    signer = SeedSigner(b"\x09" * 32)
    entry = key_entry(signer, "person", "shiqiao", holder=HOLDER, roles=("head",), charter=other)
    bare = {"member": "shiqiao", "by": clinic.seal.key_id, "keys": [entry]}
    foreign = signed(model.ADD, bare, clinic.seal, charter=other)
    assert code_of(shared.submit(ADD, foreign, sender="consortium")) == "members.key_proof"
    own = key_entry(signer, "person", "shiqiao", holder=HOLDER, roles=("head",))
    foreign = signed(model.ADD, {**bare, "keys": [own]}, clinic.seal, charter=other)
    assert code_of(shared.submit(ADD, foreign, sender="consortium")) == "members.signature"


def test_a_signature_for_adding_does_not_revoke(shared: Shared, clinic: Member) -> None:
    facts = clinic.list(kind=model.ADD, ends=[clinic.kids["node"]])
    assert code_of(shared.submit(REVOKE, facts, sender="shiqiao")) == "members.signature"


def test_thirty_two_keys_need_more_than_one_exchange_but_sixteen_do_not(clinic: Member) -> None:
    keys = [clinic.person_key(f"{HOLDER[:-2]}{n:02}") for n in range(14)]
    assert len(facts_bytes(clinic.list(keys=keys), bytes(32))) <= FACTS_MAX_BYTES


def test_one_key_for_two_uses_is_refused(shared: Shared, folder: Path) -> None:
    member = make(folder, "yunling", "clinic")
    facts = copy.deepcopy(dict(member.made.facts))
    seal = key_entry(member.seal, "recovery_seal", "yunling")
    facts["keys"][2] = seal
    facts = signed(model.ADD, facts, member.seal)
    assert code_of(shared.submit(ADD, facts, sender="consortium")) == "members.key_twice"


# ---------------------------------------------------------------- nothing forged


def _mutations(value: Any, rng: random.Random) -> Any:
    """One small change somewhere in a list: a letter, a missing or doubled item, another type."""
    value = copy.deepcopy(value)
    spots: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for place in node if isinstance(node, dict) else range(len(node)):
            spots.append((node, place))
            if isinstance(node[place], dict | list):
                walk(node[place])

    walk(value)
    node, place = rng.choice(spots)
    old = node[place]
    if isinstance(old, str) and old and rng.random() < 0.8:
        at = rng.randrange(len(old))
        letter = rng.choice("abcABC0189-_")
        node[place] = old[:at] + letter + old[at + 1 :]
    else:
        doubled = old * 2 if isinstance(old, list) else 1
        node[place] = rng.choice([None, 0, "", [], {}, "x", doubled])
    return value


@given(seed=st.integers(0, 2**32))
def test_no_changed_list_is_admitted(
    world: tuple[Shared, Member, Member], folder: Path, seed: int
) -> None:
    rng = random.Random(seed)
    shared, _, clinic = copy.deepcopy(world[0]), world[1], world[2]
    joiner = make_once(folder)
    kind, facts = rng.choice(
        [
            (ADD, dict(joiner.made.facts)),
            (ADD, clinic.list(keys=[clinic.person_key(HOLDER)], ends=[clinic.kids["node"]])),
            (REVOKE, clinic.list(kind=model.REVOKE, ends=[clinic.kids["node"]])),
        ]
    )
    changed = _mutations(facts, rng)
    if canonical(changed) == canonical(facts):
        return
    before = copy.deepcopy(shared.values)
    verdict = shared.submit(kind, changed, sender="consortium")
    assert isinstance(verdict, Refusal)
    assert shared.values == before
    assert shared.submit(kind, facts, sender="consortium") == ""


_ONCE: dict[str, Member] = {}


def make_once(folder: Path) -> Member:
    if "yunling" not in _ONCE:
        _ONCE["yunling"] = make(folder, "yunling", "clinic")
    return _ONCE["yunling"]


@given(seed=st.integers(0, 2**32))
def test_mixed_lists_are_never_admitted(world: tuple[Shared, Member, Member], seed: int) -> None:
    """Signatures, proofs and keys taken from good lists and put together anew."""
    rng = random.Random(seed)
    shared, clinic = copy.deepcopy(world[0]), world[2]
    good = [clinic.list(keys=[clinic.person_key(HOLDER)]) for _ in range(3)]
    mixed = copy.deepcopy(rng.choice(good))
    for _ in range(rng.randint(1, 3)):
        other = rng.choice(good)
        where = rng.choice(["signature", "keys", "proof", "public"])
        if where in ("signature", "keys"):
            mixed[where] = copy.deepcopy(other[where])
        else:
            mixed["keys"][0][where] = other["keys"][0][where]
    if any(canonical(mixed) == canonical(one) for one in good):
        return
    assert isinstance(shared.submit(ADD, mixed, sender="consortium"), Refusal)


def test_a_heads_act_of_32_keys_fits_into_a_few_exchanges(
    shared: Shared, world: tuple[Shared, Member, Member]
) -> None:
    """Each list is whole in itself: it is signed, admitted and folded without the others."""
    clinic = world[2]
    old = [clinic.person_key(f"{HOLDER[:-2]}{n:02}") for n in range(12)]
    shared.submit(ADD, clinic.list(keys=old), sender="consortium")
    roles = tuple(sorted(set(Role) - {Role.CONSORTIUM_ADMIN}))
    keys = [clinic.person_key(f"{HOLDER[:-2]}{n:02}", roles=roles) for n in range(32)]
    ends = [model.kid(key) for key in old]
    parts = list(lists._parts("shiqiao", clinic.seal.key_id, keys, ends))
    assert len(parts) > 1
    for part in parts:
        kind = ADD if "keys" in part else REVOKE
        facts = signed(kind.name, part, clinic.seal)
        assert len(facts_bytes(facts, bytes(32))) <= FACTS_MAX_BYTES
        assert shared.submit(kind, facts, sender="consortium") == ""
    valid = {
        name.removeprefix("key:")
        for name, value in shared.values.items()
        if value.get("use") == "person" and value["until"] is None
    }
    assert valid == {model.kid(key) for key in keys}
