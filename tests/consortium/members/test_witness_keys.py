"""Witness keys: one to a node, proven, followed by another only when it ends (PROTOCOL 2, 5)."""

import copy
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from consortium.kernel.errors import Refusal
from consortium.members import model
from consortium.members.keys import KeyFolder, SeedSigner
from tests.consortium.members.keys_made import ADD, REVOKE, Member, Shared, begun, key_entry


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shared, Member, Member]:
    return begun(tmp_path_factory.mktemp("home"))


@pytest.fixture
def shared(world: tuple[Shared, Member, Member]) -> Shared:
    return copy.deepcopy(world[0])


@pytest.fixture(scope="module")
def clinic(world: tuple[Shared, Member, Member]) -> Member:
    return world[2]


def code_of(verdict: str | Refusal) -> str:
    return verdict.code if isinstance(verdict, Refusal) else f"ok {verdict}".strip()


def test_a_clinic_brings_a_witness_key_of_its_own_and_the_hub_s_members_none(
    shared: Shared, world: tuple[Shared, Member, Member]
) -> None:
    office, clinic = world[1:]
    kids = clinic.kids
    record = shared.values[f"key:{kids['witness']}"]
    assert (record["use"], record["node"], record["until"]) == ("witness", kids["node"], None)
    assert shared.values["member:shiqiao"]["witnesses"] == {kids["node"]: kids["witness"]}
    assert "witness" not in office.kids
    assert "witnesses" not in shared.values["member:consortium"]


def test_the_key_lies_in_a_file_of_its_owner_alone_and_is_made_once(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path)
    assert folder.witness("shiqiao") is None
    made = folder.make_witness("shiqiao")
    again = folder.witness("shiqiao")
    assert again is not None
    assert folder.make_witness("shiqiao").key_id == again.key_id == made.key_id
    (file,) = folder.path.glob("shiqiao/*")
    assert os.name != "posix" or stat.S_IMODE(file.stat().st_mode) == 0o600


def witness_key(clinic: Member, signer: SeedSigner, node: str, *, proven: str = "") -> Any:
    entry = key_entry(signer, "witness", clinic.id, holder=proven or node)
    return {**entry, "node": node}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda c, s: {"keys": [witness_key(c, s, c.kids["node"])]}, "members.key_witness"),
        (lambda c, s: {"keys": [witness_key(c, s, "0" * 32)]}, "members.key_witness"),
        (lambda c, s: {"keys": [witness_key(c, s, "x")]}, "members.key_list"),
        (
            lambda c, s: {
                "keys": [witness_key(c, s, c.kids["node"], proven="another")],
                "ends": [c.kids["witness"]],
            },
            "members.key_proof",
        ),
        (
            lambda c, s: {
                "keys": [witness_key(c, s, c.kids["node"])],
                "ends": [c.kids["witness"]],
            },
            "ok",
        ),
    ],
)
def test_a_node_has_one_witness_key_which_it_has_proven(
    shared: Shared, clinic: Member, change: Any, code: str
) -> None:
    facts = clinic.list(**change(clinic, SeedSigner(b"w" * 32)))
    assert code_of(shared.submit(ADD, facts, sender="consortium")) == code


def test_a_witness_key_ends_and_may_be_followed_by_another(shared: Shared, clinic: Member) -> None:
    gone = clinic.list(kind=model.REVOKE, ends=[clinic.kids["witness"]])
    assert code_of(shared.submit(REVOKE, gone, sender="shiqiao")) == "ok"
    assert shared.values["member:shiqiao"]["witnesses"] == {}
    fresh = SeedSigner(b"v" * 32)
    facts = clinic.list(keys=[witness_key(clinic, fresh, clinic.kids["node"])])
    assert code_of(shared.submit(ADD, facts, sender="consortium")) == "ok"
    assert shared.values["member:shiqiao"]["witnesses"] == {clinic.kids["node"]: fresh.key_id}
