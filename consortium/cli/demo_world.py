"""Builds the demo's nodes in one process, on a clock that begins days ago.

Everything is made through the services and the chain: the hub is initialised, clinics join with
codes, people choose passwords, heads confirm their keys, exchanges are admitted. No row is put in
by hand. Afterwards the same folders are served by processes of their own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy.orm import Session

from consortium import wiring
from consortium.cli.demo_people import (
    CLINICS,
    CONSORTIUM,
    HOSPITAL,
    HUB,
    INSPECTOR,
    PEOPLE,
    REGULATOR,
    SERVICES,
    Person,
    Place,
    person,
    place,
)
from consortium.cli.policy import known_witnesses
from consortium.cli.setup import means as setup_means
from consortium.kernel.actor import Actor, Role
from consortium.members import accounts, invitations, lists, people, setup, trust
from consortium.ports import Link, LinkDown, Reply
from consortium.settings import NodeRole, Settings
from consortium.wiring import Node

SEAL_FILE, RECOVERY_FOLDER = "consortium-seal", "recovery"
_ROUNDS = 30


class PastClock:
    """A clock that begins in the past and moves as the story does (port `Clock`)."""

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._monotonic_s = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic_s

    def pass_to(self, moment: datetime) -> None:
        """Let time pass up to a moment; never back."""
        step = (moment - self._now).total_seconds()
        if step > 0:
            self._now = moment
            self._monotonic_s += step

    def pass_s(self, seconds: float) -> None:
        self.pass_to(self._now + timedelta(seconds=seconds))


class Cable:
    """A link to a hub in this process that can be cut."""

    def __init__(self) -> None:
        self.hub: Node | None = None
        self.cut = False

    def call(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        if self.cut or self.hub is None or self.hub.desk is None:
            raise LinkDown
        return self.hub.desk.handle(path, body)


@dataclass(slots=True)
class DemoWorld:
    """The nodes, open, with everybody signed in.

    `beside`: those of other members than the hub's, by member: the clinics, and the mirror.
    """

    home: Path
    clock: PastClock
    hub: Node
    beside: dict[str, Node]
    cables: dict[str, Cable]
    actors: dict[str, Actor] = field(default_factory=dict)
    people: tuple[Person, ...] = PEOPLE

    def node_of(self, member: str) -> Node:
        """The node at which a member's people sign in."""
        return self.beside.get(member, self.hub)

    def seal_of(self, member: str) -> str:
        return place(member).seal_passphrase

    def consortium_seal(self) -> bytes:
        """The consortium's seal file, which does not stay at the hub."""
        return (self.home / SEAL_FILE).read_bytes()

    def act(self, login: str, what: "Callable[[Session, Actor, Node, datetime], object]") -> object:
        """Let one person do one thing in one transaction of their node."""
        self.clock.pass_s(2)
        actor = self.actors[login]
        node = self.node_of(actor.member)
        with node.database.write() as session:
            return what(session, actor, node, self.clock.now())

    def sign_in(self, login: str) -> None:
        """Let a person sign in at their node."""
        one = person(login)
        node = self.node_of(one.member)
        with node.database.write() as session:
            self.actors[login] = accounts.sign_in(
                session, login, one.password, keyring=node.keyring, now=self.clock.now()
            )

    def settle(self) -> None:
        """Let every node sync until nothing moves."""
        nodes = [self.hub, *self.beside.values()]
        for _ in range(_ROUNDS):
            self.clock.pass_s(0.2)
            now = self.clock.now()
            moved = 0
            for node in nodes:
                node.deliver_keys(now)
                moved += node.sync(now)
            self.hub.publish(now)
            if not moved:
                break
        for node in nodes:
            node.sync(self.clock.now())

    def close(self) -> None:
        for node in (*self.beside.values(), self.hub):
            node.close()


def found(
    home: Path, *, port: int, start: datetime, hub_database: str = "", mirror: bool = False
) -> DemoWorld:
    """Found the consortium in empty folders under `home`; the hub listens on `port` later.

    `hub_database` is the address of an empty database for the hub, SQLite in its folder if empty.
    With `mirror` the health bureau joins as the regulator.
    """
    clock = PastClock(start)
    guard = home.with_name(f"{home.name}-guard")
    hub_home = home / "hub"
    home.mkdir(parents=True, exist_ok=True)
    means = _means(home, clock, None)
    setup.hub_init(
        hub_home, _plan(port, guard, hub_database), means=means, seal_file=home / SEAL_FILE
    )
    hub = wiring.build(Settings.read(hub_home), clock=clock)
    world = DemoWorld(home, clock, hub, {}, {})
    _people_of(world, (HUB, HOSPITAL.member))
    for number, clinic in enumerate(CLINICS, start=1):
        join(world, clinic, port=port + number, guard=guard)
    if mirror:
        world.people = (*PEOPLE, INSPECTOR)
        join(world, REGULATOR, port=port + 1 + len(CLINICS), guard=guard, role=NodeRole.MIRROR)
    for node in (hub, *world.beside.values()):
        _confirm_keys(world, node)
    world.settle()
    _sign_in(world)
    _name_witnesses(world)
    return world


def _means(home: Path, clock: PastClock, link: Link | None) -> setup.Means:
    base = setup_means(home / RECOVERY_FOLDER)

    def build(settings: Settings) -> Node:
        return wiring.build(settings, clock=clock, link=link)

    def link_to(_url: str) -> Link:
        if link is None:
            raise LinkDown
        return link

    return setup.Means(
        build=build, prepare=base.prepare, show=base.show, link_to=link_to, pause=clock.pass_s
    )


def _plan(port: int, guard: Path, hub_database: str) -> setup.Plan:
    own: dict[str, str | int] = {"port": port, "guard_dir": str(guard), "sync_period_s": "0.5"}
    if hub_database:
        own["database_url"] = hub_database
    return setup.Plan(
        consortium=_told(CONSORTIUM),
        lead=_told(HOSPITAL, SERVICES),
        consortium_passphrase=CONSORTIUM.seal_passphrase,
        lead_passphrase=HOSPITAL.seal_passphrase,
        origin="qingyuan.example/ledger",
        own=own,
    )


def _told(one: Place, services: tuple[str, ...] = ()) -> dict[str, object]:
    return {
        "name_zh": one.name_zh,
        "name_en": one.name_en,
        "phone": one.phone,
        "address": one.address,
        "services": list(services),
    }


def join(
    world: DemoWorld,
    clinic: Place,
    *,
    port: int,
    guard: Path,
    role: NodeRole = NodeRole.WORKSTATION,
) -> None:
    """Invite a member and join it as its own installation would."""
    cable = Cable()
    cable.hub = world.hub
    hub, clock = world.hub, world.clock
    admin = next(one for one in PEOPLE if one.member == HUB)
    with hub.database.write() as session:
        invited = invitations.invite(
            session,
            actor=world.actors[admin.login],
            door=setup.door_of(hub),
            member=clinic.member,
            told=_told(clinic),
            kind="regulator" if role is NodeRole.MIRROR else "clinic",
            now=clock.now(),
        )
    patient = _Patient(world)
    means = _means(world.home, clock, cable)
    setup.join(
        world.home / clinic.member,
        invited.address,
        invited.code,
        passphrase=clinic.seal_passphrase,
        means=setup.Means(
            build=means.build,
            prepare=means.prepare,
            show=means.show,
            link_to=means.link_to,
            pause=patient.pause,
        ),
        own={"port": port, "guard_dir": str(guard), "sync_period_s": "1"},
        role=role,
    )
    settings = Settings.read(world.home / clinic.member)
    world.beside[clinic.member] = wiring.build(settings, clock=clock, link=cable)
    world.cables[clinic.member] = cable
    world.settle()
    _people_of(world, (clinic.member,))


class _Patient:
    """While somebody waits for the hub, the hub works."""

    def __init__(self, world: DemoWorld) -> None:
        self._world = world

    def pause(self, seconds: float) -> None:
        self._world.clock.pass_s(seconds)
        now = self._world.clock.now()
        self._world.hub.sync(now)
        self._world.hub.publish(now)


def _people_of(world: DemoWorld, members: tuple[str, ...]) -> None:
    """First accounts by one-time links, then the colleagues whom they add."""
    for member in members:
        first, *others = sorted(
            (one for one in world.people if one.member == member),
            key=lambda one: Role.MEMBER_ADMIN not in one.roles,
        )
        node = world.node_of(member)
        with node.database.write() as session:
            link = people.first_link(
                session, member=member, roles=first.roles, now=world.clock.now()
            )
        _choose_password(world, node, first, link.token)
        for other in others:
            with node.database.write() as session:
                link = people.create(
                    session,
                    actor=world.actors[first.login],
                    login=other.login,
                    name=other.name,
                    roles=other.roles,
                    now=world.clock.now(),
                )
            _choose_password(world, node, other, link.token)


def _choose_password(world: DemoWorld, node: Node, one: Person, token: str) -> None:
    with node.database.write() as session:
        world.actors[one.login] = accounts.use_link(
            session,
            token,
            password=one.password,
            keyring=node.keyring,
            now=world.clock.now(),
            login=one.login,
            name=one.name,
        )


def _sign_in(world: DemoWorld) -> None:
    """Everybody signs in again: a key counts from the sign-in after its index."""
    for one in world.people:
        world.sign_in(one.login)


def _name_witnesses(world: DemoWorld) -> None:
    """Any clinic that cosigns makes a receipt witnessed: two of them are not always on line."""
    hub = world.hub
    with hub.database.write() as session:
        lines = known_witnesses(session)
        names = " ".join(line.split()[1] for line in lines)
        text = hub.policy.decode().replace("quorum none\n", "")
        text += "".join(f"{line}\n" for line in lines) + f"group members any {names}\n"
        trust.send(
            session,
            f"{text}quorum members\n".encode(),
            seals=hub.seals,
            passphrase=world.seal_of(HUB),
            upload=world.consortium_seal(),
            post=hub.post,
            now=world.clock.now(),
        )
    world.settle()


def _confirm_keys(world: DemoWorld, node: Node) -> None:
    """Each member's head confirms the keys of its people under the seal."""
    for member in sorted(node.identities.members):
        head = next(one for one in world.people if one.member == member and Role.HEAD in one.roles)
        actor = world.actors[head.login]
        upload = world.consortium_seal() if member == HUB else None
        with node.database.write() as session:
            waiting = lists.waiting(session, actor=actor)
            lists.confirm(
                session,
                actor=actor,
                seals=node.seals,
                passphrase=world.seal_of(member),
                upload=upload,
                users=[account.actor.user for account in waiting.people],
                now=world.clock.now(),
            )
