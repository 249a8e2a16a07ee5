"""A hub's desk with callers that sign as any node, without couriers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from consortium.exchange import jws, requests
from consortium.exchange.blobs import BlobStore
from consortium.exchange.envelope import frames, unframe
from consortium.exchange.guard import NodeGuard
from consortium.exchange.hubdesk import HubDesk
from consortium.exchange.identity import Identity
from consortium.exchange.kinds import QueryType
from consortium.kernel.database import Database
from consortium.ports import Reply
from tests.consortium.exchange.pens import Hub, Pen


class Desk:
    """A desk, and the calls of nodes to it, right or wrong as a test wants them."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.hub = Hub(database, folder)
        self.pens = self.hub.pens
        node = self.pens["consortium"]
        guard = NodeGuard(node.node, inside=folder / "in", outside=folder / "out", machine="m")
        self.store = BlobStore(folder / "blobs")
        echo = QueryType("echo", lambda _session, member, params: {"member": member, **params})
        self.desk = HubDesk(
            database, self.hub.admission, clock=self.hub.clock,
            hub=Identity("consortium", node.node, node.key, (), guard), store=self.store,
            queries={"echo": echo}, more={},
        )  # fmt: skip

    def hello(self, pen: Pen) -> Reply:
        raw = jws.sign_statement({"salt": "x"}, kid=pen.node, signer=pen.key, typ=requests.HELLO)
        return self.desk.handle("/sync/hello", raw.encode())

    def nonce(self, pen: Pen) -> str:
        return str(orjson.loads(self.hello(pen).body)["nonce"])

    def request(self, pen: Pen, path: str, *content: bytes, nonce: str = "", **more: Any) -> bytes:
        """The bytes of a signed request."""
        statement = requests.make(
            path, frames(content), node=pen.node, signer=pen.key,
            nonce=nonce or self.nonce(pen), more=more,
        )  # fmt: skip
        return frames([statement, *content])

    def call(self, pen: Pen, path: str, *content: bytes, **more: Any) -> Reply:
        return self.desk.handle(path, self.request(pen, path, *content, **more))

    def pull(self, pen: Pen, **more: Any) -> tuple[dict[str, Any], list[bytes]]:
        reply = self.call(pen, "/sync/pull", **more)
        assert reply.status == 200, reply.body
        meta, *parts = unframe(reply.body, most=1000)
        return orjson.loads(meta), parts


def code(reply: Reply) -> str:
    """The code of a problem, empty for a good answer."""
    if reply.status == 200:
        return ""
    told: Mapping[str, Any] = orjson.loads(reply.body)
    assert told["status"] == reply.status
    return str(told["code"])
