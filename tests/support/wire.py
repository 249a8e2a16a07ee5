"""A node's signed calls to a hub's real app over HTTP, for hands that send what no node would."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.testclient import TestClient

from consortium.exchange.caller import Caller
from consortium.exchange.identity import Identity
from consortium.exchange.outqueue import envelope_of, next_batch
from consortium.ports import Reply
from tests.support.real_world import World

BYTES = {"content-type": "application/octet-stream"}


@dataclass
class Wire:
    """The port `Link` over the app of the hub; keeps what was sent and how it was answered."""

    client: TestClient
    sent: list[tuple[str, bytes]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def call(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        self.sent.append((path, body))
        answer = self.client.post(path, content=body, headers={**BYTES, **headers})
        self.statuses.append(answer.status_code)
        return Reply(answer.status_code, answer.content, dict(answer.headers))


def caller(world: World, member: str) -> tuple[Caller, Wire]:
    """Calls of a member's node."""
    wire = Wire(world.client("hub"))
    return Caller(identity(world, member), wire, world.clock), wire


def identity(world: World, member: str) -> Identity:
    """The keys with which a member's node signs."""
    return world.nodes.get(member, world.nodes["hub"]).identities.of(member)


def waiting(world: World, member: str) -> list[bytes]:
    """The envelopes that a member's outbox would push next, packed."""
    with world.nodes[member].database.read() as session:
        rows = next_batch(session, identity(world, member).node, now=world.clock.now())
        return [envelope_of(row).pack() for row in rows]
