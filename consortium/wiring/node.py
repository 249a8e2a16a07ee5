"""A node, built: its parts and what jobs ask of it."""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from consortium.desk import evidence
from consortium.desk import service as desk
from consortium.exchange import behind, closing_desk, erasing, gossiping, heads_hub, trimming
from consortium.exchange.admission import Admission
from consortium.exchange.blobs import BlobStore
from consortium.exchange.caller import Caller
from consortium.exchange.courier import Courier
from consortium.exchange.hub_guard import HubGuard
from consortium.exchange.hubdesk import HubDesk
from consortium.exchange.identity import Identities
from consortium.exchange.kinds import Registry
from consortium.exchange.links import LinkState
from consortium.exchange.mirror import Mirror
from consortium.exchange.mirrordesk import MirrorDesk
from consortium.exchange.outbox import Post
from consortium.exchange.own_kinds import HUB_MEMBER
from consortium.exchange.witnessing import Witnessing
from consortium.jobs.scheduler import Scheduler
from consortium.kernel.database import Database
from consortium.ledger import journal, publisher
from consortium.ledger.keys import LogKey
from consortium.members import directory, lists
from consortium.members.keyring import Keyring
from consortium.members.keys import KeyFolder
from consortium.members.seal import Seals
from consortium.ports import Clock, Link
from consortium.referrals import following as referrals
from consortium.settings import Settings
from consortium.teleconsult import following as bookings
from consortium.upkeep import service as upkeep
from consortium.web.wake import Broadcaster
from consortium.wiring.links import HttpLink, Nudge, Peers, tell_over_http


@dataclass(slots=True)
class Hub:
    """What only the hub's installation has."""

    admission: Admission
    desk: HubDesk
    guard: HubGuard
    log: LogKey
    peers: Peers


@dataclass(slots=True)
class Node:
    """One node, built. Jobs run from `start` on; `close` releases everything."""

    settings: Settings
    database: Database
    clock: Clock
    registry: Registry
    identities: Identities
    keys: KeyFolder
    seals: Seals
    keyring: Keyring
    store: BlobStore
    wake: Broadcaster
    nudge: Nudge
    post: Post
    policy: bytes
    hub: Hub | None = None
    mirror: Mirror | None = None
    mirror_desk: MirrorDesk | None = None
    couriers: dict[str, Courier] = field(default_factory=dict)
    callers: dict[str, Caller] = field(default_factory=dict)
    schedulers: tuple[Scheduler, ...] = ()
    links: list[HttpLink] = field(default_factory=list)
    link: Link | None = None
    tell_peer: gossiping.Tell = tell_over_http

    @property
    def id(self) -> str:
        """The node id; at the hub the consortium's, whose node signs for the hub."""
        first = HUB_MEMBER if self.hub is not None else next(iter(self.identities.by_member))
        return self.identities.of(first).node

    @property
    def witnessing(self) -> Witnessing:
        """What this node sees of the ledger, cosigns and hears."""
        first = HUB_MEMBER if self.hub is not None else next(iter(self.couriers))
        return self.couriers[first].witnessing

    @property
    def desk(self) -> HubDesk | MirrorDesk | None:
        """What answers other nodes; at a mirror the hub that lost its database, None elsewhere."""
        return self.hub.desk if self.hub is not None else self.mirror_desk

    @property
    def keeps_ledger(self) -> bool:
        """Whether the whole ledger is kept here: at the hub and at a mirror."""
        return self.hub is not None or self.mirror is not None

    def link_state(self, member: str) -> LinkState:
        """How the link of a local member's courier is."""
        return self.couriers[member].state

    def member_name(self, session: Session, member: str) -> str:
        """A member's name as its directory entry tells it; the id where there is none."""
        return directory.name(session, member)

    def sync(self, now: datetime) -> int:
        """Run every courier once; gives how many exchanges were moved.

        One member's fault is raised after the others have had their turn. A mirror replays first:
        only what it has replayed is taken from its feed.
        """
        moved, faults = 0, []
        if self.mirror is not None:
            moved += self.mirror.run_once(now)
        for courier in self.couriers.values():
            try:
                done = courier.run_once(now)
            except Exception as fault:  # a door between members: raised below
                faults.append(fault)
                continue
            moved += done.pushed + done.pulled
            if self.mirror is not None and self.mirror.trouble:
                courier.state.trouble = self.mirror.trouble
        if faults:
            raise faults[0]
        return moved

    def deliver_keys(self, _now: datetime) -> int:
        """Carry lists of person keys that a head confirmed to the hub."""
        return lists.deliver(self.database, self.link) if self.link is not None else 0

    def gossip(self, now: datetime) -> int:
        """Tell witnesses and peers the newest checkpoint, past the hub, and hear theirs."""
        return gossiping.tell(self.witnessing, self.settings.gossip_peers, self.tell_peer, now=now)

    def notice(self, now: datetime) -> int:
        """Remind of deadlines, follow bookings and referrals whose session was cancelled."""
        with self.database.write() as session:
            told = desk.remind(session, now=now)
            told += evidence.warn(session, self.identities.members, now=now)
            told += bookings.follow(session, now=now) + referrals.follow(session, now=now)
        if told:
            self.wake.notify()
        return told

    def back_up(self, now: datetime) -> None:
        """Write the night's backup if it is due."""
        if self.hub is None:
            upkeep.nightly(self.settings, self.database, now=now)
        else:
            upkeep.hub_nightly(
                self.settings, self.database, post=self.post, guard=self.hub.guard, now=now
            )

    def publish(self, now: datetime) -> None:
        """Publish checkpoints until all leaves are covered."""
        if self.hub is None:
            return
        with self.database.read() as session:
            # a checkpoint of less than was signed before would speak against this hub
            if journal.size(session) < behind.needed(session):
                return
        while publisher.publish(self.database, self.hub.log, self.hub.guard, now=now) is not None:
            self.nudge.notify()

    def start(self) -> None:
        """Begin to run what runs by itself."""
        for scheduler in self.schedulers:
            scheduler.start()

    def say_heads(self, now: datetime) -> bool:
        """At the hub, say where every feed stands, if it is time."""
        return self.hub is not None and heads_hub.send(self.database, self.post, now=now)

    def close_month(self, now: datetime) -> str:
        """Say of a month that is over what everything was; at a mirror, that it is so."""
        if self.hub is not None:
            return closing_desk.close(self.database, self.post, now=now)
        if self.mirror is None:
            return ""
        [member] = self.identities.members
        return closing_desk.answer(self.database, self.post, member, now=now)

    def trim(self, now: datetime) -> None:
        """Let go of sealed bodies and files that nobody needs any more."""
        trimming.trim_outbox(self.database, now=now)
        if self.hub is not None:
            trimming.trim(self.database, now=now)
            local = self.identities.members
            trimming.trim_files(self.database, self.store, local=local, now=now)
        erasing.erase(self.database, self.registry, whole=self.keeps_ledger, now=now)

    def close(self) -> None:
        """Stop jobs, end threads and connections."""
        for scheduler in self.schedulers:
            scheduler.stop()
        for link in self.links:
            link.close()
        self.nudge.close()
        if self.hub is not None:
            self.hub.peers.close()
            self.hub.admission.close()
            self.hub.guard.close()
        self.database.close()
