"""A hub set up by `hub_init` and clinics that join it, all in one process, on real nodes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from consortium import wiring
from consortium.exchange import state
from consortium.kernel.actor import Actor, Role
from consortium.kernel.database import Database
from consortium.kernel.ids import MemberId, UserId
from consortium.members import accounts, details, invitations, setup
from consortium.members.invitations import Invitation
from consortium.members.recovery import Recovery
from consortium.members.setup import Founded, Joined, Means, Plan
from consortium.ports import LinkDown, Reply
from consortium.settings import Settings
from consortium.wiring import Node
from tests.support.clock import VirtualClock

PASSPHRASES = {"consortium": "office under the bridge", "lead": "first hospital's seal"}
CLINIC_PASSPHRASE = "the clinic on the hill"
PASSWORD = "three horses walk"
OFFICE = details.of(
    name_zh="清源县医联体", name_en="Qingyuan County Medical Consortium", phone="120"
)
LEAD = details.of(
    name_zh="清源市第一人民医院", name_en="Qingyuan First Hospital", phone="0571-8800 0120",
    services=("cardiology", "neurology"),
)  # fmt: skip
SHIQIAO = details.of(name_zh="石桥镇卫生院", name_en="Shiqiao Township Clinic", phone="0571-1")


class Wire:
    """A link to the hub that a test can cut, make lossy, or listen to."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.cut = False
        self.lose_answers = 0
        self.heard: list[tuple[str, bytes]] = []
        self.change: Callable[[str, bytes], bytes] = lambda _path, body: body

    def call(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        if self.cut or self.world.hub.desk is None:
            raise LinkDown
        self.heard.append((path, body))
        reply = self.world.hub.desk.handle(path, body)
        if self.lose_answers:
            self.lose_answers -= 1
            raise LinkDown
        return Reply(reply.status, self.change(path, reply.body), reply.headers)


class World:
    """One hub and whoever has joined it."""

    def __init__(self, folder: Path, make: Callable[[], Database]) -> None:
        self.folder = folder
        self.make = make
        self.clock = VirtualClock()
        self.shown: dict[str, Recovery] = {}
        self.nodes: list[Node] = []
        self.seal_file = folder / "stick" / "consortium.seal"
        self.seal_file.parent.mkdir()
        self.founded: Founded = setup.hub_init(
            folder / "hub", self.plan(), means=self.means(None), seal_file=self.seal_file
        )
        self.hub = self.node(folder / "hub", None)
        self.wire = Wire(self)

    def plan(self, **own: Any) -> Plan:
        return Plan(
            consortium=OFFICE, lead=LEAD, origin="log.example",
            consortium_passphrase=PASSPHRASES["consortium"], lead_passphrase=PASSPHRASES["lead"],
            own={"public_url": "https://hub.example", "database_url": self.make().url, **own},
        )  # fmt: skip

    def means(self, wire: Wire | None) -> Means:
        def link_to(url: str) -> Wire:
            assert url == "https://hub.example"
            assert wire is not None
            return wire

        return Means(
            build=lambda settings: self._build(settings.home, wire),
            prepare=lambda settings: None,
            show=lambda page, name: self.shown.__setitem__(page.member, page),
            link_to=link_to,
            pause=lambda seconds: self.turn(),
        )

    def node(self, home: Path, wire: Wire | None) -> Node:
        """Start the node of a folder, until the end of the test."""
        self.nodes.append(self._build(home, wire))
        return self.nodes[-1]

    def _build(self, home: Path, wire: Wire | None) -> Node:
        node = wiring.build(Settings.read(home), clock=self.clock)
        if wire is not None:
            for member in node.couriers:
                node.couriers[member].caller.link = wire
                node.callers[member].link = wire
        return node

    def turn(self, *more: Node) -> None:
        """Some seconds pass; the hub and these nodes do what they do by themselves."""
        self.clock.advance(seconds=5)
        for node in (self.hub, *more, self.hub):
            node.sync(self.clock.now())
            node.publish(self.clock.now())

    def settle(self, *more: Node, rounds: int = 6) -> None:
        for _ in range(rounds):
            self.turn(*more)

    def person(self, node: Node, token: str, *, login: str, name: str) -> Actor:
        with node.database.write() as session:
            return accounts.use_link(
                session, token, password=PASSWORD, keyring=node.keyring, now=self.clock.now(),
                login=login, name=name,
            )  # fmt: skip

    def invite(self, member: str = "shiqiao", told: Mapping[str, Any] = SHIQIAO) -> Invitation:
        admin = Actor(
            UserId("admin"), "管理员", MemberId("consortium"), frozenset({Role.CONSORTIUM_ADMIN})
        )
        with self.hub.database.write() as session:
            return invitations.invite(
                session, actor=admin, door=setup.door_of(self.hub), told=told,
                now=self.clock.now(), member=member,
            )  # fmt: skip

    def join(
        self, invited: Invitation, home: Path | None = None, *, wire: Wire | None = None,
        **more: Any,
    ) -> Joined:  # fmt: skip
        given: dict[str, Any] = {
            "url": invited.address, "code": invited.code, "passphrase": CLINIC_PASSPHRASE,
            "own": {"port": 8001, "database_url": self.make().url}, "wait_s": 30.0,
        }  # fmt: skip
        return setup.join(
            home or self.folder / invited.member, **(given | more),
            means=self.means(wire or self.wire),
        )  # fmt: skip

    def close(self) -> None:
        for node in self.nodes:
            node.close()


def state_of(node: Database, name: str) -> dict[str, Any] | None:
    with node.read() as session:
        return state.read(session, name)
