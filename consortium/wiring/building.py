"""Fits the parts of one node together, without module globals: several fit in one process."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from consortium.exchange import beginning, forks
from consortium.exchange.admission import Admission
from consortium.exchange.asking import Asking
from consortium.exchange.blobs import BlobStore
from consortium.exchange.caller import Caller
from consortium.exchange.courier import Courier
from consortium.exchange.guard import NodeGuard, WitnessGuard, machine_id
from consortium.exchange.hub_guard import HubGuard
from consortium.exchange.hubdesk import Handler, HubDesk
from consortium.exchange.identity import Identities, Identity, WitnessPart
from consortium.exchange.inbox import Inbox
from consortium.exchange.mirror import Mirror
from consortium.exchange.mirrorasking import Mirrors
from consortium.exchange.mirrordesk import MirrorDesk
from consortium.exchange.mirrorpages import MirrorPages
from consortium.exchange.outbox import Post
from consortium.exchange.own_kinds import HUB_MEMBER
from consortium.jobs.lease import LEASE
from consortium.jobs.scheduler import Job, Scheduler
from consortium.kernel.database import Database
from consortium.ledger.keys import load_log_keys
from consortium.ledger.signing import remote_log_key
from consortium.members.keyring import Keyring
from consortium.members.keys import KeyFolder
from consortium.members.model import CONSORTIUM, REGULATOR
from consortium.members.seal import Seals
from consortium.ports import Clock, Link
from consortium.settings import NodeRole, Settings
from consortium.web.wake import Broadcaster
from consortium.wiring.links import HttpLink, InProcessLink, Nudge, Peers, SystemClock, reach
from consortium.wiring.node import Hub, Node
from consortium.wiring.rooms import queries, registry
from consortium.wiring.starting import recover, rules_of

POLICY_FILE = "policy"
PUBLISH_LEASE = timedelta(seconds=6)
"""How long nobody publishes after the process that did has died (PostgreSQL)."""


def build(settings: Settings, *, clock: Clock | None = None, link: Link | None = None) -> Node:
    """A node from its settings, its folder of keys and its database; nothing runs yet.

    Args:
        clock: the machine's own unless given (simulation, seeding).
        link: a workstation's way to its hub; HTTP(S) to `hub_url` unless given.
    """
    clock = clock or SystemClock()
    database = Database(settings.database_url)
    kinds = registry()
    keys = KeyFolder(settings.home)
    identities = local_identities(settings, keys)
    wake = Broadcaster()
    nudge = Nudge(wake)
    callers: dict[str, Caller] = {}

    def ask(member: str, name: str, params: Mapping[str, Any]) -> dict[str, Any] | None:
        return callers[member].query(name, dict(params))

    post = Post(kinds, identities, wake=nudge, query=ask)
    node = Node(
        settings=settings,
        database=database,
        clock=clock,
        registry=kinds,
        identities=identities,
        keys=keys,
        seals=Seals(settings.home),
        keyring=Keyring(),
        store=BlobStore(settings.home / "blobs"),
        wake=wake,
        nudge=nudge,
        post=post,
        policy=_read_policy(settings),
        callers=callers,
    )
    if settings.role is NodeRole.HUB and identities.members:
        node.hub = _hub(node)
    _connect(node, link)
    node.schedulers = _schedulers(node)
    nudge.schedulers = node.schedulers
    return node


def local_identities(settings: Settings, keys: KeyFolder) -> Identities:
    """The members whose node keys lie in this installation, each with its guard."""
    found: dict[str, Identity] = {}
    for member in keys.members():
        signer = keys.node(member)
        guard = NodeGuard(
            signer.key_id,
            inside=settings.home / "guard",
            outside=settings.guard_dir,
            machine=machine_id(),
        )
        unseal = (keys.sealing(member).identity,)
        cosigns = _witness(settings, keys, member, signer.key_id)
        found[member] = Identity(member, signer.key_id, signer, unseal, guard, cosigns)
    return Identities(found)


def _witness(settings: Settings, keys: KeyFolder, member: str, node: str) -> WitnessPart | None:
    signer = keys.witness(member)
    if signer is None:
        return None
    guard = WitnessGuard(node, inside=settings.home / "guard", outside=settings.guard_dir)
    return WitnessPart(signer, guard)


def _read_policy(settings: Settings) -> bytes:
    path = settings.home / POLICY_FILE
    return path.read_bytes() if path.exists() else b""


def _hub(node: Node) -> Hub:
    identity = node.identities.of(HUB_MEMBER)
    process = node.settings.web_process
    guard = HubGuard(node.settings.guard_dir, name=f"hub-{identity.node}", process=process)
    peers = Peers(node.settings)
    admission = Admission(
        node.database,
        node.registry,
        clock=node.clock,
        guard=guard,
        wake=node.nudge,
        on_fork=partial(forks.suspend, node.database, node.post),
    )
    desk = HubDesk(
        node.database,
        admission,
        clock=node.clock,
        hub=identity,
        store=node.store,
        queries=queries(),
        more=_joining(node),
        process=process,
        peer=peers.call,
        mirrors=MirrorPages(node.registry, REGULATOR),
    )
    desk.asking = Asking(
        node.database,
        node.registry,
        clock=node.clock,
        rules=partial(rules_of, node),
        wake=node.nudge,
    )
    address = node.settings.log_signer
    log = remote_log_key(address) if address else load_log_keys(node.settings.home)
    return Hub(admission, desk, guard, log, peers)


def _joining(node: Node) -> dict[str, Handler]:
    """Handlers of the members room for joining and for lists of person keys."""
    from consortium.members import setup

    return setup.handlers(node)


def _link_of(node: Node) -> Link:
    if node.hub is not None:
        return InProcessLink(node.hub.desk)
    https = HttpLink(node.settings.hub_url, timeout_s=node.settings.link_timeout_s)
    node.links.append(https)
    return https


def _connect(node: Node, given: Link | None) -> None:
    """A courier and a caller for each local member."""
    link = given or _link_of(node)
    node.link = link
    mirrors = node.settings.role is NodeRole.MIRROR
    for member, identity in node.identities.by_member.items():
        node.callers[member] = Caller(identity, link, node.clock)
        node.couriers[member] = Courier(
            database=node.database,
            identity=identity,
            post=node.post,
            inbox=Inbox(
                node.registry,
                node.post,
                folds=node.hub is None and not mirrors,
                upto=beginning.judged if mirrors else None,
            ),
            caller=Caller(identity, link, node.clock),
            store=node.store,
            clock=node.clock,
            wake=node.wake,
            policy=node.policy,
        )
        if not mirrors:
            courier = node.couriers[member]
            courier.mirrors = Mirrors(
                courier.witnessing, identity, node.clock, reach, node.settings.gossip_peers
            )
        if mirrors:
            own = Caller(identity, link, node.clock)
            node.mirror = Mirror(
                node.database, node.registry, own, node.policy, whole=node.settings.replay_all
            )
            pages = MirrorPages(node.registry, CONSORTIUM)
            node.mirror_desk = MirrorDesk(node.database, pages, clock=node.clock)


def _schedulers(node: Node) -> tuple[Scheduler, ...]:
    """Publishing waits for no courier, and has a lease of its own that ends soon."""

    def one(jobs: list[Job], name: str, length: timedelta) -> Scheduler:
        return Scheduler(
            node.database,
            jobs,
            clock=node.clock,
            period_s=node.settings.sync_period_s,
            # one process serves a SQLite file; several may share a PostgreSQL
            alone=node.database.dialect == "sqlite",
            name=name,
            length=length,
            process=node.settings.web_process if node.settings.web_processes > 1 else None,
        )

    made = [one(_timetable(node), "jobs", LEASE)]
    if node.hub is not None:
        publish = Job("publish", node.publish, every=timedelta(seconds=0.5), on_wake=True)
        made.append(one([publish], "publish", PUBLISH_LEASE))
    return tuple(made)


def _timetable(node: Node) -> list[Job]:
    """What runs by itself, in the order in which one run helps the next."""
    period = timedelta(seconds=node.settings.sync_period_s)
    hourly = timedelta(minutes=15)
    jobs = [
        Job("keys", node.deliver_keys, every=period, on_wake=True),
        Job("deliver", node.sync, every=period, on_wake=True),
    ]
    if node.hub is not None:
        jobs.append(
            Job("recover", partial(recover, node), every=timedelta(seconds=10), on_wake=True)
        )
        jobs.append(Job("heads", node.say_heads, every=timedelta(minutes=1)))
    if node.keeps_ledger:
        jobs.append(Job("closing", node.close_month, every=timedelta(minutes=1)))
    jobs.append(Job("notices", node.notice, every=timedelta(minutes=1)))
    jobs.append(Job("gossip", node.gossip, every=timedelta(minutes=10), apart=True))
    jobs.append(Job("trim", node.trim, every=timedelta(days=1), apart=True))
    jobs.append(Job("backup", node.back_up, every=hourly, apart=True))
    return jobs
