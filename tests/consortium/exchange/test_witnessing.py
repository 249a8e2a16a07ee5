"""Every clinic's node cosigns what extends what it saw; the hub keeps and shows what verifies."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from chain import note
from consortium.exchange.commitment import b64
from consortium.exchange.guard import WitnessGuard
from consortium.exchange.identity import WitnessPart
from consortium.exchange.tables import InboxRow
from consortium.kernel.database import Database
from consortium.ledger import cosignatures, policies, receipts
from consortium.ledger.tables import CosignatureRow, SeenRow
from tests.consortium.exchange.copies import copy_of, put_back
from tests.consortium.exchange.world import Member, World

Make = Callable[..., World]
ORIGIN = "hub.test/ledger"


def policy_of(world: World, quorum: str = "all") -> bytes:
    lines = []
    for name in world.clinics:
        part = world.identities[name].witness
        assert part is not None
        vkey = cosignatures.vkey(ORIGIN, f"{name}-1", part.signer.public)
        lines.append(f"witness {name} {vkey}")
    return receipts.policy_text(
        world.log.vkey, *lines, f"group clinics {quorum} {' '.join(world.clinics)}",
        "quorum clinics",
    )  # fmt: skip


def put_in_force(world: World, text: bytes) -> None:
    for database in set(world.databases.values()):
        with database.write() as session:
            policies.keep(session, text, index=1, now=world.clock.now())


def pass_period(world: World) -> None:
    world.clock.advance(seconds=cosignatures.PERIOD.total_seconds())


def grow(world: World, number: int = 0) -> None:
    world.members["a"].send("test.open/1", ("b",), case=f"g{number}", urgency="routine")
    world.members["a"].sync()
    world.publish()


def rows(database: Database) -> list[tuple[str, int]]:
    with database.read() as session:
        found = session.execute(
            select(CosignatureRow.witness, CosignatureRow.size).order_by(
                CosignatureRow.size, CosignatureRow.witness
            )
        )
        return [(name.rsplit("/")[-1], size) for name, size in found]


def own(member: Member) -> int:
    with member.database.read() as session:
        line = cosignatures.own(session, ORIGIN)
    return line.size if line is not None else 0


def newest(world: World) -> int:
    with world.hub_database.read() as session:
        found = cosignatures.latest(session)
    assert found is not None
    return found.size


def test_both_clinics_cosign_one_checkpoint_and_receipts_say_so(
    tmp_path: Path, new_database: Callable[[], Database]
) -> None:
    world = World(tmp_path, new_database, witnesses=True)
    put_in_force(world, policy_of(world))
    grow(world)
    world.settle()
    size = newest(world)
    assert rows(world.hub_database)[-2:] == [("a-1", size), ("b-1", size)]
    for name in ("a", "b", "lead"):
        world.members[name].sync()
        world.members[name].sync()
        with world.databases[name].read() as session:
            row = session.scalars(
                select(InboxRow).where(InboxRow.member == name).order_by(InboxRow.index.desc())
            ).first()
            assert row is not None
            assert row.witnessed
            checked = receipts.check(row.receipt or b"", policies.in_force(session, world.policy))
        assert checked.quorum
        assert checked.cosigners.keys() == {"a", "b"}
        assert checked.index < checked.size <= size


def test_publishing_and_receipts_wait_for_no_witness(make_world: Make) -> None:
    world = make_world(witnesses=True)
    put_in_force(world, policy_of(world))
    world.members["b"].link.cut = True
    grow(world)
    for _ in range(4):
        pass_period(world)
        world.members["a"].sync()
    with world.databases["a"].read() as session:
        row = session.scalars(select(InboxRow).order_by(InboxRow.index.desc())).first()
        assert row is not None
        assert row.receipt is not None
        assert not row.witnessed
        hub_only = receipts.check(row.receipt, policies.in_force(session, world.policy))
    assert (hub_only.quorum, {*hub_only.cosigners} - {"a"}) == (False, set())
    # one round trip after any absence, and the line with the next
    world.members["b"].link.cut = False
    for _ in range(2):
        world.members["b"].sync()
    world.members["a"].sync()
    world.members["a"].sync()
    with world.databases["a"].read() as session:
        row = session.scalars(select(InboxRow).order_by(InboxRow.index.desc())).first()
        assert row is not None
        assert row.witnessed


def test_busy_witnesses_meet_in_one_checkpoint_of_a_period(make_world: Make) -> None:
    """Each polls at another moment, while the ledger grows all the time."""
    world = make_world(witnesses=True)
    put_in_force(world, policy_of(world))
    world.settle()
    start = newest(world)
    for number in range(8):
        world.clock.advance(seconds=3)
        grow(world, number)
        world.members["b" if number % 2 else "a"].sync()
    with world.hub_database.read() as session:
        sure = cosignatures.witnessed(session)
    assert sure is not None
    assert start < sure.size < newest(world)


def test_the_view_is_on_disk_twice_before_a_line_exists(
    make_world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(witnesses=True)
    world.settle()
    a = world.members["a"]
    part = world.identities["a"].witness
    assert part is not None
    real = cosignatures.cosign
    seen: list[tuple[int, int]] = []

    def watched(checkpoint: bytes, *rest: Any, **more: Any) -> str:
        again = WitnessGuard("a-1", inside=world.folder / "a", outside=world.folder / "guards")
        with a.database.read() as session:
            stored = session.scalar(select(SeenRow.size))
        seen.append((stored or 0, again.size))
        return real(checkpoint, *rest, **more)

    monkeypatch.setattr(cosignatures, "cosign", watched)
    grow(world)
    pass_period(world)
    a.sync()
    size = newest(world)
    assert seen == [(size, size)]
    assert own(a) == size


def test_a_restored_database_never_cosigns_less_than_before(make_world: Make) -> None:
    world = make_world(witnesses=True)
    world.settle()
    a = world.members["a"]
    old = copy_of(a.database, world.folder / "old.db")
    before = newest(world)
    world.members["b"].send("test.open/1", ("lead",), case="z", urgency="routine")
    world.settle()
    last = own(a)
    assert last > before
    a.database.close()
    file = world.folder / "restored.db"
    world.databases["a"] = put_back(old, file)
    world.opened.append(world.databases["a"])
    again = WitnessGuard("a-1", inside=world.folder / "a", outside=world.folder / "guards")
    part = world.identities["a"].witness
    assert part is not None
    world.identities["a"] = replaced(world, "a", WitnessPart(part.signer, again))
    assert a.courier is not None
    a.courier.database = a.database = world.databases["a"]
    a.courier.identity = world.identities["a"]
    a.courier.__post_init__()
    # a hub that shows the old, smaller tree gets no line, and leaves evidence
    held = a.courier.witnessing.seen(world.clock.now())
    assert held is not None
    assert held.size == last
    with pytest.raises(ValueError, match="goes back"):
        again.advance(before, b"x")
    lines = own(a)
    world.settle()
    assert own(a) in (lines, *range(last, newest(world) + 1))


def test_two_processes_of_a_node_share_what_they_cosigned(tmp_path: Path) -> None:
    one, other = (WitnessGuard("n", inside=tmp_path / "i", outside=tmp_path / "o") for _ in "12")
    one.advance(7, b"seven")
    with pytest.raises(ValueError, match="goes back"):
        other.advance(6, b"six")
    assert (other.size, other.read()) == (7, (7, b"seven"))
    other.advance(8, b"eight")
    with pytest.raises(ValueError, match="goes back"):
        one.advance(7, b"seven")


def test_a_witness_whose_guard_is_gone_waits_for_what_the_hub_holds_of_it(
    make_world: Make,
) -> None:
    world = make_world(witnesses=True)
    world.settle()
    a = world.members["a"]
    last = own(a)
    for kept in world.folder.rglob("a-1.witness"):
        kept.unlink()
    part = world.identities["a"].witness
    assert part is not None
    fresh = WitnessGuard("a-1", inside=world.folder / "a", outside=world.folder / "guards")
    a.identity = world.identities["a"] = replaced(world, "a", WitnessPart(part.signer, fresh))
    a.connect(a.link, world.policy)
    assert a.courier is not None
    witnessing, now = a.courier.witnessing, world.clock.now()
    view = witnessing.seen(now)
    assert view is not None
    assert view.size == last
    brought = f"old {view.size}\n\n".encode() + view.note
    # before the hub has told, and while it tells of more than is seen here
    assert witnessing.submit(brought, now=now) == (503, "")
    witnessing._cosigned_there = last + 1
    assert witnessing.submit(brought, now=now) == (503, "")
    assert fresh.size == 0
    grow(world)
    pass_period(world)
    a.sync()
    assert own(a) == fresh.size == newest(world) > last


def replaced(world: World, name: str, part: WitnessPart) -> Any:
    from dataclasses import replace

    return replace(world.identities[name], witness=part)


def test_a_node_whose_clock_is_wrong_cosigns_nothing(make_world: Make) -> None:
    world = make_world(witnesses=True)
    world.settle()
    grow(world)
    pass_period(world)
    a = world.members["a"]
    assert a.courier is not None
    before = own(a)

    class Ahead:
        def now(self) -> Any:
            from datetime import timedelta

            return world.clock.now() + timedelta(minutes=6)

        def monotonic(self) -> float:
            return world.clock.monotonic()

    a.courier.clock = a.courier.caller.clock = Ahead()
    a.sync()
    assert own(a) == before
    a.courier.clock = a.courier.caller.clock = world.clock
    a.sync()
    assert own(a) == newest(world)


BAD = ["garbage", "another's key", "another text", "two lines", "unpublished size", "no text"]


def test_a_bad_line_reaches_no_checkpoint_and_no_receipt(make_world: Make) -> None:
    world = make_world(witnesses=True)
    put_in_force(world, policy_of(world, "any"))
    world.settle()
    a = world.members["a"]
    assert a.courier is not None
    grow(world)
    size = newest(world)
    before = rows(world.hub_database)
    rules = policies.read_policy(policy_of(world, "any"))
    for how in BAD:
        line, at = bad_line(world, how, size)
        said = {"cosigned": {"size": at, "line": line}, "witness": "a-1"}
        a.courier.caller.request("/sync/pull", [], after=0, size=size, receipts=[], acks=[], **said)
        assert rows(world.hub_database) == before, how
        with world.hub_database.read() as session:
            shown = cosignatures.latest(session)
        assert shown is not None
        _, signed = note.verify(shown.note, [*rules.logs, *rules.witnesses.values()])
        assert [one.key.name for one in signed] == [ORIGIN], how


def bad_line(world: World, how: str, size: int) -> tuple[str, int]:
    parts = {name: world.identities[name].witness for name in ("a", "b")}
    mine, other = parts["a"], parts["b"]
    assert mine is not None
    assert other is not None
    with world.hub_database.read() as session:
        shown = cosignatures.published(session, size)
    assert shown is not None
    now = world.clock.now()
    key = cosignatures.WitnessKey(ORIGIN, "a-1", mine.signer)
    good = cosignatures.cosign(shown.note, key, now=now)
    match how:
        case "garbage":
            return good[:-6] + "AAAA=\n", size
        case "another's key":
            stolen = cosignatures.WitnessKey(ORIGIN, "a-1", other.signer)
            return cosignatures.cosign(shown.note, stolen, now=now), size
        case "another text":
            forged = note.sign(
                f"{ORIGIN}\n{size}\n{'A' * 43}=\n", [note.SigningKey.make("x")]
            )  # fmt: skip
            return cosignatures.cosign(forged, key, now=now), size
        case "two lines":
            return good * 2, size
        case "unpublished size":
            return good, size + 1
        case _:
            return "", size


def test_a_flipped_bit_in_a_stored_line_loses_that_line_alone(make_world: Make) -> None:
    world = make_world(witnesses=True)
    put_in_force(world, policy_of(world, "any"))
    grow(world)
    world.settle()
    size = newest(world)
    with world.hub_database.write() as session:
        line = session.scalar(
            select(CosignatureRow.line).where(
                CosignatureRow.size == size, CosignatureRow.witness.endswith("a-1")
            )
        )
        assert line is not None
        flipped = line[:-20] + ("A" if line[-20] != "A" else "B") + line[-19:]
        session.execute(
            update(CosignatureRow)
            .where(CosignatureRow.size == size, CosignatureRow.witness.endswith("a-1"))
            .values(line=flipped)
        )
    with world.hub_database.read() as session:
        shown = cosignatures.witnessed(session)
    assert shown is not None
    rules = policies.read_policy(policy_of(world, "any"))
    assert rules.trust(shown.note).cosigners.keys() == {"b"}


def test_lines_of_a_witness_are_bounded(make_world: Make) -> None:
    world = make_world(witnesses=True)
    put_in_force(world, policy_of(world))
    grow(world)
    world.settle()
    with world.hub_database.read() as session:
        sure = cosignatures.witnessed(session)
    assert sure is not None
    world.members["b"].link.cut = True
    for number in range(1, 7):
        grow(world, number)
        pass_period(world)
        world.members["a"].sync()
        world.members["a"].sync()
    mine = [size for name, size in rows(world.hub_database) if name == "a-1"]
    assert len(mine) == cosignatures.KEPT_EACH + 1
    assert mine[0] == sure.size
    with world.hub_database.read() as session:
        again = cosignatures.witnessed(session)
        assert again is not None
        assert again.size == sure.size
        told = {one.witness: one.size for one in cosignatures.progress(session)}
    assert told[cosignatures.cosigner_name(ORIGIN, "a-1")] == mine[-1]


def test_public_keys_stand_apart(make_world: Make) -> None:
    world = make_world(witnesses=True)
    texts = {b64(one.signer.public) for one in world.identities.values()}
    texts |= {b64(w.signer.public) for one in world.identities.values() if (w := one.witness)}
    assert len(texts) == len(world.identities) + len(world.witnesses)
