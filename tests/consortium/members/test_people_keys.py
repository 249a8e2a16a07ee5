"""People's keys on their way to the ledger, and the directory, between real nodes."""

from typing import Any

import orjson
import pytest

from consortium.kernel.actor import Role
from consortium.kernel.errors import Refusal
from consortium.members import accounts, directory, lists, people, setup
from tests.consortium.members.consortium_made import (
    CLINIC_PASSPHRASE,
    SHIQIAO,
    World,
    state_of,
)


def test_a_persons_key_goes_to_the_ledger_by_the_heads_seal(world: World) -> None:
    joined = world.join(world.invite())
    station = world.node(world.folder / "shiqiao", world.wire)
    head = world.person(station, joined.link.token, login="wang", name="王院长")
    with station.database.write() as session:
        link = people.create(
            session, actor=head, login="li", name="李医生", now=world.clock.now(),
            roles=frozenset({Role.TOWNSHIP_DOCTOR}),
        )  # fmt: skip
    doctor = world.person(station, link.token, login="", name="")
    with pytest.raises(Refusal, match="key_unconfirmed"):
        station.keyring.signer(doctor)
    with station.database.write() as session:
        waiting = lists.waiting(session, actor=head)
        assert {one.login for one in waiting.people} == {"wang", "li"}
        made = lists.confirm(
            session, actor=head, passphrase=CLINIC_PASSPHRASE, seals=station.seals,
            users=[one.actor.user for one in waiting.people], now=world.clock.now(),
        )  # fmt: skip
    assert len(made) == 1
    world.wire.cut = True
    assert lists.deliver(station.database, world.wire) == 0
    with station.database.read() as session:
        now_waiting = lists.waiting(session, actor=head)
        assert (list(now_waiting.people), now_waiting.under_way) == ([], 2)
    world.wire.cut, world.wire.lose_answers = False, 1
    lists.deliver(station.database, world.wire)
    assert lists.deliver(station.database, world.wire) == 1
    world.settle(station)
    with station.database.read() as session:
        found = accounts.find(session, doctor.user)
    assert found is not None
    assert found.key == "confirmed"
    key = state_of(world.hub.database, f"key:{found.key_id}")
    assert key is not None
    assert (key["holder"], key["roles"]) == (doctor.user, ["township_doctor"])
    assert found.key_index == key["from"]
    station.keyring.signer(found.actor)
    assert lists.deliver(station.database, world.wire) == 0


def test_a_reset_persons_old_key_ends_on_the_ledger(world: World) -> None:
    joined = world.join(world.invite())
    station = world.node(world.folder / "shiqiao", world.wire)
    head = world.person(station, joined.link.token, login="wang", name="王院长")

    def confirm() -> None:
        with station.database.write() as session:
            waiting = lists.waiting(session, actor=head)
            lists.confirm(
                session, actor=head, passphrase=CLINIC_PASSPHRASE, seals=station.seals,
                users=[one.actor.user for one in waiting.people],
                ended=[one.key_id for one in waiting.ended], now=world.clock.now(),
            )  # fmt: skip
        lists.deliver(station.database, world.wire)
        world.settle(station)

    confirm()
    with station.database.read() as session:
        before = accounts.find(session, head.user)
    assert before is not None
    link = setup.user_reset(
        station.database, "wang", keyring=station.keyring, now=world.clock.now()
    )
    world.person(station, link.token, login="", name="")
    with station.database.write() as session:
        waiting = lists.waiting(session, actor=head)
        assert [one.key_id for one in waiting.ended] == [before.key_id]
        assert waiting.ended[0].name == "王院长"
    confirm()
    old = state_of(world.hub.database, f"key:{before.key_id}")
    assert old is not None
    assert old["until"] is not None
    with station.database.read() as session:
        after = accounts.find(session, head.user)
        assert after is not None
        assert after.key == "confirmed"
        assert after.key_index == old["until"]
        assert not lists.waiting(session, actor=head).ended


def test_the_hub_carries_no_list_that_the_seal_has_not_signed(world: World) -> None:
    joined = world.join(world.invite())
    station = world.node(world.folder / "shiqiao", world.wire)
    head = world.person(station, joined.link.token, login="wang", name="王院长")
    with station.database.write() as session:
        lists.confirm(
            session, actor=head, passphrase=CLINIC_PASSPHRASE, seals=station.seals,
            users=[head.user], now=world.clock.now(),
        )  # fmt: skip
    lists.deliver(station.database, world.wire)
    request = orjson.loads(next(b for p, b in world.wire.heard if p == lists.PATH))
    desk = world.hub.desk
    assert desk is not None
    changes: list[dict[str, Any]] = [
        {"signature": request["facts"]["signature"][:-4] + "AAAA"},
        {"member": "lead"},
        {"keys": []},
        {"by": "0" * 32},
        {"kind": "clinic"},
    ]
    for change in changes:
        forged = request | {"id": request["id"][:-2] + "ff", "facts": request["facts"] | change}
        reply = desk.handle(lists.PATH, orjson.dumps(forged))
        refused = reply.status == 400 or orjson.loads(reply.body)["state"] == "refused"
        assert refused
    same_id = request | {"facts": request["facts"] | {"by": "0" * 32}}
    assert desk.handle(lists.PATH, orjson.dumps(same_id)).status == 400


def test_the_directory_is_told_anew_by_its_member(world: World) -> None:
    joined = world.join(world.invite())
    station = world.node(world.folder / "shiqiao", world.wire)
    head = world.person(station, joined.link.token, login="wang", name="王院长")
    told = SHIQIAO | {"phone": "0571-2", "services": ["pediatrics"]}
    with station.database.write() as session:
        directory.publish(session, actor=head, told=told, post=station.post, now=world.clock.now())
        with pytest.raises(Refusal, match=r"members\.details"):
            directory.publish(
                session, actor=head, told=told | {"phone": "call me"}, post=station.post,
                now=world.clock.now(),
            )  # fmt: skip
    world.settle(station)
    for node in (station, world.hub):
        with node.database.read() as session:
            found = directory.find(session, "shiqiao")
            assert found is not None
            assert (found.phone, found.services) == ("0571-2", ("pediatrics",))
            assert (found.kind, found.state) == ("clinic", "joined")
