"""Pushes over HTTP: signed statements through the product's own sync face, beside a bare route."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import orjson
import uvicorn
from fastapi import FastAPI, Request

from consortium.api import sync
from consortium.exchange import commitment, jws, requests
from consortium.exchange.caller import Caller
from consortium.exchange.envelope import Envelope, frames
from consortium.exchange.header import Header, Lane
from consortium.kernel.database import Database
from consortium.kernel.ids import new_id
from tests.bench.measure import Measure, rate
from tests.consortium.exchange.world import Link, World

BATCH = 64


class Sender:
    """Signs well-formed exchanges of one node without end; each opens a case of its own."""

    def __init__(self, world: World, member: str) -> None:
        identity = world.identities[member]
        self._node, self._signer, self._member = identity.node, identity.signer, member
        self._seq, self._prev = 0, jws.FIRST_PREV
        self._body = b"age-encryption.org/v1\n" + bytes(900)
        self._world = world

    def next(self, count: int) -> list[bytes]:
        """Packed envelopes, the next of the node's routine lane."""
        return [self._one() for _ in range(count)]

    def _one(self) -> bytes:
        facts = commitment.facts_bytes({"urgency": "routine"}, commitment.new_salt())
        self._seq += 1
        exchange = new_id(self._world.clock.now())
        header = Header(
            id=exchange,
            kind="test.open/1",
            sender=self._member,
            to=("lead",),
            node=self._node,
            lane=Lane.ROUTINE,
            seq=self._seq,
            prev=self._prev,
            case=exchange,
            at="2026-11-24T01:00Z",
            facts=commitment.commit_facts(facts),
            body=commitment.commit_facts(facts),
        )
        raw = jws.sign(header, self._signer)
        self._prev = jws.digest_text(raw)
        return Envelope(raw, facts, self._body).pack()


class _Served:
    """The hub's desk behind the product's own sync face, with a bare route beside it."""

    def __init__(self, world: World) -> None:
        class Node:
            desk = world.desk

        self.app = FastAPI()
        self.app.state.node = Node()
        self.app.include_router(sync.router)

        @self.app.post("/bare")
        def bare(_request: Request) -> dict[str, bool]:
            return {"ok": True}

        config = uvicorn.Config(self.app, port=0, log_level="critical")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)

    def __enter__(self) -> str:
        self.thread.start()
        while not self.server.started:
            threading.Event().wait(0.01)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.thread.join()


def pushes(make: Callable[[], Database], folder: Path, name: str) -> Iterator[Measure]:
    """Batches and lone exchanges, against an empty POST on the same server."""
    world = World(folder / f"http-{name}", make, ("a",))
    sender, identity = Sender(world, "a"), world.identities["a"]
    link: Link = world.members["a"].link
    caller = Caller(identity, link, world.clock)
    caller.hello()
    nonce = str(orjson.loads(link.call("/sync/hello", _hello(world), {}).body)["nonce"])
    with (
        _Served(world) as base,
        httpx2.Client(
            base_url=base, trust_env=False, headers={"content-type": "application/octet-stream"}
        ) as client,
    ):

        def bare() -> int:
            client.post("/bare", content=b"{}").raise_for_status()
            return 1

        limit = rate(bare, seconds=1.0)
        for batch in (BATCH, 1):
            ready = [
                _push(identity, nonce, sender.next(batch)) for _ in range(150 if batch > 1 else 900)
            ]
            supply = iter(ready)

            def push(batch: int = batch, supply: Any = supply) -> int:
                body = next(supply, None)
                if body is None:
                    return 0
                client.post("/sync/push", content=body).raise_for_status()
                return batch

            value = rate(push, seconds=1.5)
            label = "admission.http" if batch > 1 else "admission.http.single"
            yield Measure(
                f"{label}.{name}", value, "1/s", "bare POST", limit, goal=1.0 if batch > 1 else 0.2
            )


def _hello(world: World) -> bytes:
    identity = world.identities["a"]
    return jws.sign_statement(
        {"member": "a", "salt": "bench"}, kid=identity.node, signer=identity.signer,
        typ=requests.HELLO,
    ).encode()  # fmt: skip


def _push(identity: Any, nonce: str, raws: list[bytes]) -> bytes:
    statement = requests.make(
        "/sync/push", frames(raws), node=identity.node, signer=identity.signer, nonce=nonce,
        more={"final": []},
    )  # fmt: skip
    return frames([statement, *raws])
