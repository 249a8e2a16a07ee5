"""A node's signed calls to the hub over a link: hello for a nonce, then requests under it."""

import threading
from dataclasses import dataclass, field
from typing import Any

import orjson

from consortium.exchange import jws, requests
from consortium.exchange.envelope import frames
from consortium.exchange.identity import Identity
from consortium.kernel.errors import Refusal, RefusalKind
from consortium.kernel.ids import new_id
from consortium.kernel.time import to_ms
from consortium.ports import Clock, Link, LinkDown

_SIGN_IN = 401
_OK = 200


@dataclass(frozen=True, slots=True)
class Wants:
    """A hub that lost entries asks for those after an index; `turn` tells losses apart."""

    after: int
    turn: int

    @classmethod
    def of(cls, told: Any) -> "Wants | None":
        return None if told is None else cls(int(told["after"]), int(told["turn"]))


@dataclass(frozen=True, slots=True)
class Hello:
    """The hub's answer to a hello: where this node's chains stand there, and both clocks apart."""

    heads: dict[str, tuple[int, str]]
    clock_off_s: int


@dataclass(slots=True)
class Caller:
    """Calls as one node. Not for several threads at once, but for `query`, which waits its turn."""

    identity: Identity
    link: Link
    clock: Clock
    round_trip_ms: int = 0
    show: bytes = b""
    """The newest checkpoint that this node has verified: a hub that lost entries learns it so."""
    wants: Wants | None = None
    """What the hub asked for in its last answer to a hello; None while it lacks nothing."""
    _nonce: str = field(default="", repr=False)
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def greeted(self) -> bool:
        return bool(self._nonce)

    def forget(self) -> None:
        """Say hello again before the next request."""
        self._nonce = ""

    def hello(self) -> Hello:
        """Raises LinkDown, or Refusal `sync.node` when the hub does not know this node."""
        statement = {"member": self.identity.member, "salt": new_id(self.clock.now())}
        if self.show:
            statement["checkpoint"] = self.show.decode()
        raw = jws.sign_statement(
            statement, kid=self.identity.node, signer=self.identity.signer, typ=requests.HELLO
        )
        answer = read_json(*self._timed("/sync/hello", raw.encode()))
        try:
            hello = Hello(
                heads={lane: (int(seq), str(one)) for lane, (seq, one) in answer["heads"].items()},
                clock_off_s=(to_ms(self.clock.now()) - int(answer["time_ms"])) // 1000,
            )
            self._nonce = str(answer["nonce"])
            self.wants = Wants.of(answer.get("wants"))
        except (KeyError, TypeError, ValueError, AttributeError) as odd:
            raise LinkDown from odd
        return hello

    def ask(self, path: str, content: list[bytes], **more: Any) -> dict[str, Any]:
        """A signed request whose good answer is JSON. Raises as `request`."""
        return read_json(_OK, self.request(path, content, **more))

    def request(self, path: str, content: list[bytes], **more: Any) -> bytes:
        """Send a signed request; hello again once when the nonce has gone stale.

        Raises:
            LinkDown: no answer; what was asked may have been done.
            Refusal: the hub's own code.
        """
        if not self._nonce:
            self.hello()
        status, body = self._timed(path, self._signed(path, content, more))
        if status == _SIGN_IN:
            self.hello()
            status, body = self._timed(path, self._signed(path, content, more))
        if status != _OK:
            read_json(status, body)
        return body

    def _signed(self, path: str, content: list[bytes], more: dict[str, Any]) -> bytes:
        statement = requests.make(
            path,
            frames(content),
            node=self.identity.node,
            signer=self.identity.signer,
            nonce=self._nonce,
            more=more,
        )
        return frames([statement, *content])

    def _timed(self, path: str, body: bytes) -> tuple[int, bytes]:
        started = self.clock.monotonic()
        reply = self.link.call(path, body, {})
        self.round_trip_ms = int((self.clock.monotonic() - started) * 1000)
        return reply.status, reply.body

    def query(self, name: str, params: dict[str, Any]) -> dict[str, Any] | None:
        """A signed read at the hub: `{answer, index, time_ms}`; None when there is no link."""
        with self._turn:
            try:
                return read_json(_OK, self.request("/sync/query", [], name=name, params=params))
            except LinkDown:
                self.forget()
                return None


def read_json(status: int, body: bytes) -> dict[str, Any]:
    """The JSON of a good answer; a problem becomes a Refusal, anything else a cut link."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise LinkDown from None
    if status == _OK and isinstance(value, dict):
        return value
    if isinstance(value, dict) and isinstance(value.get("code"), str):
        raise Refusal(RefusalKind.UNAVAILABLE, value["code"])
    raise LinkDown
