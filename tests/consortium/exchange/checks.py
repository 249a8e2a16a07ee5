"""What must hold of a whole consortium once it has come to rest."""

import orjson
from sqlalchemy import select

from consortium.exchange.judgement import outcome_of
from consortium.exchange.tables import EntryRow, InboxRow, OutboxRow, SharedStateRow
from tests.consortium.exchange.kinds import taken
from tests.consortium.exchange.world import HUB, LEAD, World


def folds_agree(world: World, *, but: frozenset[str] = frozenset()) -> None:
    """For every node and subject in whose audience it is, its fold equals the hub's."""
    with world.hub_database.read() as session:
        truth = {row.subject: row.value for row in session.scalars(select(SharedStateRow))}
    for name in set(world.clinics) - but:
        with world.databases[name].read() as session:
            own = {row.subject: row.value for row in session.scalars(select(SharedStateRow))}
        mine = {
            subject: value
            for subject, value in truth.items()
            if world.registry.audience(subject, orjson.loads(value)) & {"all", name}
        }
        assert own == mine


def nothing_lost_nothing_twice(world: World) -> None:
    """Every outbox is answered; each admitted exchange was applied once wherever it belongs."""
    with world.hub_database.read() as session:
        entries = list(session.scalars(select(EntryRow).order_by(EntryRow.index)))
    admitted = {row.exchange: row for row in entries if outcome_of(row.verdict)[0]}
    assert len(admitted) == sum(outcome_of(row.verdict)[0] for row in entries)
    for name in (LEAD, *world.clinics):
        with world.databases[name].read() as session:
            own = list(session.scalars(select(OutboxRow).where(OutboxRow.member == name)))
            applied = taken(session, name)
            told = taken(session, name, "refused")
            alarms = [
                (name, row.kind, row.index, row.verdict, row.alarm)
                for row in session.scalars(select(InboxRow).where(InboxRow.member == name))
                if row.state in {"alarm", "newer"}
            ]
        assert alarms == [], alarms
        courier = world.members[name].courier
        trouble = courier.state.trouble if courier is not None else "no courier"
        open_rows = [row for row in own if row.state not in {"sent", "refused"}]
        assert [(row.kind, row.lane, row.seq, row.state) for row in open_rows] == [], trouble
        for row in own:
            assert row.receipt is not None
            assert (row.state == "sent") == (row.id in admitted)
        quiet = {"ack/1", "body.refuse/1", "dispute.raise/1", "node.suspend/1"}
        wanted = [
            row.exchange
            for row in entries
            if row.exchange in admitted
            and admitted[row.exchange].index == row.index
            and row.kind not in quiet
            and {name, "all"} & {row.sender, *orjson.loads(row.recipients)}
        ]
        assert applied == wanted
        refused = [
            row.exchange for row in entries
            if not outcome_of(row.verdict)[0] and row.sender == name and row.kind not in quiet
        ]  # fmt: skip
        assert told == refused


def chains_whole(world: World) -> None:
    """On the ledger every chain counts from 1 without a gap, each naming the one before."""
    with world.hub_database.read() as session:
        rows = list(session.scalars(select(EntryRow).order_by(EntryRow.index)))
    counts: dict[tuple[str, str], int] = {}
    for place, row in enumerate(rows):
        assert row.index == place
        key = (row.node, row.lane)
        counts[key] = counts.get(key, 0) + 1
        assert row.seq == counts[key]
    assert world.restored(HUB) == ""
