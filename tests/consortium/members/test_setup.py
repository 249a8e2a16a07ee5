"""Setting up for real: a hub from nothing, a clinic that joins, its people, on both databases."""

import stat
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from consortium.kernel.actor import Role
from consortium.kernel.errors import Refusal
from consortium.ledger import journal
from consortium.members import (
    directory,
    invitations,
    joining,
    lists,
    setup,
)
from consortium.members.codes import Code
from consortium.members.keys import KeyFolder
from consortium.members.setup import Joined
from tests.consortium.members.consortium_made import (
    CLINIC_PASSPHRASE,
    LEAD,
    PASSPHRASES,
    SHIQIAO,
    Wire,
    World,
    state_of,
)


def files_of(home: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file())


# ---------------------------------------------------------------- hub init


def test_a_new_hub_has_entry_0_a_lead_hospital_and_two_links(world: World) -> None:
    database = world.hub.database
    charter = state_of(database, "charter:")
    assert charter is not None
    assert charter["origin"] == "log.example"
    for member, kind in (("consortium", "consortium"), ("lead", "lead")):
        value = state_of(database, f"member:{member}")
        assert value is not None
        assert (value["state"], value["kind"]) == ("joined", kind)
    with database.read() as session:
        first = journal.leaves(session, [0])[0]
        assert b" ok" in first.split(b"\n")[0]
        assert directory.name(session, "lead") == LEAD["name_zh"]
        assert directory.emergency_phone(session) == LEAD["phone"]
        found = directory.charter(session)
        assert found is not None
        assert found.hash == charter["hash"]
        assert len(found.articles) == 8
    assert set(world.founded.links) == {"consortium", "lead"}
    admin = world.person(
        world.hub, world.founded.links["consortium"].token, login="admin", name="管理员"
    )
    assert Role.CONSORTIUM_ADMIN in admin.roles
    chief = world.person(world.hub, world.founded.links["lead"].token, login="chen", name="陈")
    assert chief.roles == {Role.HEAD, Role.MEMBER_ADMIN}


def test_the_consortiums_seal_leaves_and_signs_when_uploaded(world: World) -> None:
    home = world.folder / "hub"
    assert not (home / "keys" / "consortium" / "seal.json").exists()
    assert (home / "keys" / "lead" / "seal.json").exists()
    assert stat.S_IMODE(world.seal_file.stat().st_mode) == 0o600
    upload = world.seal_file.read_bytes()
    with world.hub.database.write() as session:
        signed = world.hub.seals.sign(
            session, "consortium", PASSPHRASES["consortium"], b"contract", now=world.clock.now(),
            upload=upload,
        )  # fmt: skip
    member = state_of(world.hub.database, "member:consortium")
    assert member is not None
    assert signed.key_id == member["seal"]
    assert upload not in files_of(home)


def test_nothing_of_the_recovery_keys_stays_on_the_machine(world: World) -> None:
    world.join(world.invite())
    assert set(world.shown) == {"consortium", "lead", "shiqiao"}
    for home in (world.folder / "hub", world.folder / "shiqiao"):
        held = files_of(home)
        for page in world.shown.values():
            assert page.age.identity.encode() not in held
            assert page.seed not in held
            assert page.seed.hex().encode() not in held.lower()


def test_a_folder_in_use_is_refused_and_untouched(world: World) -> None:
    before = files_of(world.folder / "hub" / "keys")
    with pytest.raises(Refusal, match="home_exists"):
        setup.hub_init(
            world.folder / "hub", world.plan(), means=world.means(None),
            seal_file=world.folder / "other.seal",
        )  # fmt: skip
    with pytest.raises(Refusal, match="home_exists"):
        world.join(world.invite(), world.folder / "hub")
    assert files_of(world.folder / "hub" / "keys") == before


def test_a_hub_that_cannot_be_set_up_leaves_nothing_behind(world: World) -> None:
    home, seal = world.folder / "second", world.folder / "second.seal"

    def broken(settings: object) -> None:
        raise OSError("disk full")

    means = world.means(None)
    failing = replace(means, prepare=broken)
    with pytest.raises(OSError, match="disk full"):
        setup.hub_init(home, world.plan(), means=failing, seal_file=seal)
    assert not home.exists()
    assert not seal.exists()
    for place in (home / "seal", world.seal_file):
        with pytest.raises(Refusal, match="seal_file_place"):
            setup.hub_init(home, world.plan(), means=means, seal_file=place)
    assert not home.exists()


PLAN = """
[consortium]
name_zh = "清源县医联体"
name_en = "Qingyuan"
phone = "120"
passphrase = "office under the bridge"
[lead]
id = "first"
name_zh = "第一医院"
name_en = "First Hospital"
phone = "0571-1"
services = ["cardiology"]
passphrase = "first hospital's seal"
[hub]
origin = "log.example"
port = 8000
[[articles]]
zh = "一"
en = "One"
"""


def test_a_plan_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    file.write_text(PLAN, encoding="utf-8")
    plan = setup.read_plan(file)
    assert (plan.lead_id, plan.origin, plan.own) == ("first", "log.example", {"port": 8000})
    assert plan.lead["services"] == ["cardiology"]
    assert "bridge" not in repr(plan)
    for old, new in (
        ("[hub]", "[hubs]"),
        ('origin = "log.example"', ""),
        ('passphrase = "first', 'pass = "first'),
        ("port = 8000", "role = 'hub'"),
        ("[lead]", "[lead"),
    ):
        file.write_text(PLAN.replace(old, new), encoding="utf-8")
        with pytest.raises(Refusal, match=r"members\.plan"):
            setup.read_plan(file)


# ---------------------------------------------------------------- joining


def test_a_clinic_joins_and_both_sides_agree(world: World) -> None:
    joined = world.join(world.invite())
    assert (joined.member, joined.name) == ("shiqiao", SHIQIAO["name_zh"])
    home = world.folder / "shiqiao"
    assert not (home / "joining.json").exists()
    assert (home / "policy").read_bytes() == (world.folder / "hub" / "policy").read_bytes()
    assert (home / "charter.json").read_bytes() == (
        world.folder / "hub" / "charter.json"
    ).read_bytes()
    station = world.node(home, world.wire)
    world.settle(station)
    for name in ("charter:", "member:shiqiao", "member:lead", f"key:{station.id}"):
        here, there = state_of(station.database, name), state_of(world.hub.database, name)
        assert here == there
        assert here is not None
    key = state_of(station.database, f"key:{station.id}")
    assert key is not None
    assert key["from"] == joined.index
    assert not station.couriers["shiqiao"].state.trouble
    head = world.person(station, joined.link.token, login="wang", name="王院长")
    assert head.roles == {Role.HEAD, Role.MEMBER_ADMIN}
    with station.database.read() as session:
        assert {one.member for one in directory.members(session)} == {
            "consortium", "lead", "shiqiao",
        }  # fmt: skip


def test_a_wrong_code_counts_and_the_sixth_try_fails_even_if_right(world: World) -> None:
    invited = world.invite()
    wrong = invited.code[:-1] + ("0" if invited.code[-1] != "0" else "1")
    home = world.folder / "shiqiao"
    with pytest.raises(Refusal, match="code_wrong"):
        world.join(invited, code=wrong)
    assert not home.exists()
    made = joining.make_keys(
        KeyFolder(world.folder / "guess"), member="shiqiao", kind="clinic", told=SHIQIAO,
        charter_hash=setup.door_of(world.hub).charter.hash, passphrase=CLINIC_PASSPHRASE,
    )  # fmt: skip
    code = Code(invited.code[:4], "0" * 12)
    guess = joining.request(code, b"guessed", made)
    policy = (world.folder / "hub" / "policy").read_bytes()
    for _ in range(5):
        with pytest.raises(Refusal, match="code_wrong"):
            joining.ask_keys(world.wire, guess, policy=policy)
    with pytest.raises(Refusal, match="code_tries"):
        joining.ask_keys(world.wire, guess, policy=policy)
    with pytest.raises(Refusal, match="code_tries"):
        world.join(invited)
    assert state_of(world.hub.database, "member:shiqiao") is None
    world.join(world.invite())


def test_a_code_ends_after_ten_minutes_and_after_one_use(world: World) -> None:
    late = world.invite()
    world.clock.advance(minutes=10)
    with pytest.raises(Refusal, match="code_expired"):
        world.join(late)
    invited = world.invite()
    with pytest.raises(Refusal, match="code_unknown"):
        world.join(late)
    world.join(invited)
    with pytest.raises(Refusal, match="code_used"):
        world.join(invited, world.folder / "second")
    with pytest.raises(Refusal, match="member_known"):
        world.invite()


def test_the_code_never_travels(world: World) -> None:
    invited = world.invite()
    world.join(invited)
    secret = invited.code.replace("-", "")[4:]
    for _, body in world.wire.heard:
        assert secret.encode() not in body
        assert invited.code[5:].encode() not in body


def test_any_other_log_or_charter_is_refused(world: World) -> None:
    invited = world.invite()
    for address in (
        invited.address[:-1] + ("0" if invited.address[-1] != "0" else "1"),
        invited.address.split("#")[0],
        invited.address + "00",
    ):
        with pytest.raises(Refusal, match="fingerprint"):
            world.join(invited, url=address)
    for part in ("charter", "vkey", "member"):
        wire = Wire(world)

        def change(_path: str, body: bytes, part: str = part) -> bytes:
            said = orjson.loads(body)
            if "offer" in said:
                said["offer"][part] += "x"
            return orjson.dumps(said)

        wire.change = change
        with pytest.raises(Refusal, match="code_wrong"):
            world.join(invited, wire=wire)
    assert not (world.folder / "shiqiao").exists()


@pytest.mark.parametrize("lost", [1, 2, 3, 5])
def test_joining_goes_on_after_lost_answers_and_restarts(world: World, lost: int) -> None:
    """The link dies after the keys were asked for; the same command, run again, ends it."""
    invited, wire = world.invite(), Wire(world)
    own: dict[str, str | int] = {"port": 8001, "database_url": world.make().url}

    def show(page: object, name: str) -> None:
        wire.lose_answers = lost

    means = replace(world.means(wire), show=show)

    def run() -> Joined | str:
        try:
            return setup.join(
                world.folder / "shiqiao", invited.address, invited.code, means=means, own=own,
                passphrase=CLINIC_PASSPHRASE, wait_s=1.0,
            )  # fmt: skip
        except Refusal as refusal:
            return refusal.code

    ends: list[Joined | str] = []
    while len(ends) < 9 and not (ends and isinstance(ends[-1], Joined)):
        ends.append(run())
        world.clock.advance(minutes=11)
    assert set(ends[:-1]) <= {"members.not_yet"}
    assert isinstance(ends[-1], Joined)
    member = state_of(world.hub.database, "member:shiqiao")
    assert member is not None
    assert (member["state"], len(member["nodes"])) == ("joined", 1)


def test_nobody_else_can_use_the_code_with_other_keys_after_it_was_used(world: World) -> None:
    invited = world.invite()
    world.join(invited)
    keys = [body for path, body in world.wire.heard if path == invitations.PATH]
    replay = orjson.loads(keys[-1])
    replay["facts"]["member"] = "yunling"
    said = world.hub.hub.desk.handle(invitations.PATH, orjson.dumps(replay))  # type: ignore[union-attr]
    assert orjson.loads(said.body) == {"state": "refused", "code": "members.code_used"}


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"ask":"x"}', b'{"ask":[],"handle":""}', b'{"ask":"offer","handle":1}',
     b"x" * 20_000],
)  # fmt: skip
def test_nonsense_at_the_door_is_refused(world: World, body: bytes) -> None:
    assert world.hub.desk is not None
    status = 413 if len(body) > invitations.REQUEST_MAX_BYTES else 400
    assert world.hub.desk.handle(invitations.PATH, body).status == status
    assert world.hub.desk.handle(lists.PATH, body).status == status
