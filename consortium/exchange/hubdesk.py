"""The hub's side of sync: hello, push, pull, query, blobs; bytes in, bytes out.

Called by the in-process link of the hub's own members and by the HTTP face alike, so that there is
one way to share. The wire is described in PROTOCOL.md beside this file.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from consortium.exchange import behind, blobs, feed, jws, state, witness_desk
from consortium.exchange.admission import Admission
from consortium.exchange.answers import Answer, Status
from consortium.exchange.asking import Asking
from consortium.exchange.blobs import BlobStore
from consortium.exchange.commitment import b64
from consortium.exchange.envelope import frames, unframe
from consortium.exchange.giving import RECORDS_MAX
from consortium.exchange.header import TOKEN
from consortium.exchange.heads_hub import HeadsTold
from consortium.exchange.identity import Identity
from consortium.exchange.judgement import outcome_of
from consortium.exchange.kinds import QueryType
from consortium.exchange.limits import (
    BLOB_MAX_BYTES,
    PARTS_MAX,
    PULL_MAX_BYTES,
    PUSH_MAX_BYTES,
    PUSH_MAX_EXCHANGES,
)
from consortium.exchange.mirrorpages import MirrorPages
from consortium.exchange.problems import answered, refused
from consortium.exchange.requests import ANSWER, Elsewhere, Requests
from consortium.exchange.tables import ChainHeadRow, EntryRow
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal, RefusalKind, invalid, missing
from consortium.kernel.time import to_ms
from consortium.ledger import journal, receipts
from consortium.ports import Clock, LinkDown, Reply

Handler = Callable[[bytes], Reply]
Peer = Callable[[int, str, bytes], Reply]
"""Asks another web process of this hub by its number. Raises LinkDown when it is not there."""
_RECEIPTS_MAX = 256
_MEMBERS_MAX = 600
_INDEX_MAX = 2**53
_SHA256 = re.compile("[0-9a-f]{64}")


class HubDesk:
    """Answers nodes.

    `more` are handlers of other rooms for their own paths (joining, keys); `mirrors` gives out the
    whole ledger to whoever may have it, nobody where it is None; `asking` takes back what was lost.
    `process` is the number of this web process, `peer` the way to the others.
    """

    def __init__(
        self,
        database: Database,
        admission: Admission,
        *,
        clock: Clock,
        hub: Identity,
        store: BlobStore,
        queries: Mapping[str, QueryType],
        more: Mapping[str, Handler],
        process: int = 0,
        peer: "Peer | None" = None,
        mirrors: MirrorPages | None = None,
    ) -> None:
        self._database = database
        self._admission = admission
        self._clock = clock
        self._hub = hub
        self._store = store
        self._queries = queries
        self._requests = Requests(process)
        self._peer = peer
        self._heads = HeadsTold()
        self._mirrors = mirrors
        self.asking: Asking | None = None
        self._paths: dict[str, Handler] = {
            "/sync/hello": self._hello,
            "/sync/push": self._push,
            "/sync/pull": self._pull,
            "/sync/query": self._query,
            "/sync/mirror": self._mirror,
            "/sync/recover": self._recover,
            "/blobs": self._blob,
            **more,
        }

    @property
    def paths(self) -> frozenset[str]:
        return frozenset(self._paths)

    def handle(self, path: str, body: bytes) -> Reply:
        """Answer one request. A refusal is a reply with its code, never an exception."""
        handler = self._paths.get(path)
        try:
            if handler is None:
                raise missing("sync.path")
            return handler(body)
        except Refusal as refusal:
            return refused(refusal)
        except Elsewhere as other:
            return self._elsewhere(other.process, path, body)

    def _elsewhere(self, process: int, path: str, body: bytes) -> Reply:
        """Let the web process answer under whose nonce it was asked: it knows what it has seen."""
        try:
            if self._peer is not None:
                return self._peer(process, path, body)
        except LinkDown:
            pass  # it is no more, and its nonces with it
        return refused(Refusal(RefusalKind.SIGN_IN, "sync.nonce"))

    def _hello(self, body: bytes) -> Reply:
        now = self._clock.now()
        with self._database.read() as session:
            node, member, statement = self._requests.hello(session, body)
        if self.asking is not None:
            self.asking.look(member, statement)
        with self._database.read() as session:
            chains = session.execute(
                select(ChainHeadRow.lane, ChainHeadRow.seq, ChainHeadRow.hash).where(
                    ChainHeadRow.node == node
                )
            )
            heads = {lane: [seq, digest] for lane, seq, digest in chains}
            size = journal.size(session)
            wants = self.asking.wants(session, member) if self.asking is not None else {}
        return answered(
            {
                **wants,
                "nonce": self._requests.nonce(node, now=now),
                "member": member,
                "time_ms": to_ms(now),
                "heads": heads,
                "size": size,
            }
        )

    def _opened(
        self, session: Session, path: str, body: bytes, *, most: int
    ) -> tuple[str, dict[str, Any], list[bytes]]:
        """Member, statement and the frames after it; nothing while entries are missing here."""
        behind.refuse(session)
        return self._authentic(session, path, body, most=most)

    def _authentic(
        self, session: Session, path: str, body: bytes, *, most: int
    ) -> tuple[str, dict[str, Any], list[bytes]]:
        parts = unframe(body, most=most + 1)
        if not parts:
            raise invalid("exchange.malformed", field="frames")
        content = frames(parts[1:])
        _node, member, statement = self._requests.check(
            session, path, parts[0], content, now=self._clock.now()
        )
        return member, statement, parts[1:]

    def _push(self, body: bytes) -> Reply:
        if len(body) > PUSH_MAX_BYTES + 64 * 1024:
            raise Refusal(RefusalKind.TOO_LARGE, "exchange.too_large", part="push")
        with self._database.read() as session:
            _member, statement, raws = self._opened(
                session, "/sync/push", body, most=PUSH_MAX_EXCHANGES
            )
        final = frozenset(one for one in _listed(statement, "final") if isinstance(one, str))
        answers = self._admission.admit(raws, final=final)
        return answered({"answers": [self._answer(answer) for answer in answers]})

    def _answer(self, answer: Answer) -> dict[str, Any]:
        """An answer without a leaf is signed by the hub's node with its time (PROTOCOL 4, 1)."""
        out = answer.json()
        if answer.status is not Status.LEAF:
            out["signed"] = jws.sign_statement(
                {**out, "at_ms": to_ms(self._clock.now())},
                kid=self._hub.node,
                signer=self._hub.signer,
                typ=ANSWER,
            )
        return out

    def _pull(self, body: bytes) -> Reply:
        with self._database.read() as session:
            member, statement, _ = self._opened(session, "/sync/pull", body, most=0)
        witness_desk.take(self._database, member, statement, now=self._clock.now())
        with self._database.read() as session:
            after = _number(statement, "after")
            # first, so that the feed that follows reaches as far as these heads
            told = self._heads.answer(session, member, known=_number(statement, "heads"))
            items = feed.page(session, member, after=after, limit=256, most_bytes=PULL_MAX_BYTES)
            leaves = journal.leaves(session, [item.index for item in items])
            meta: dict[str, Any] = {
                "items": [
                    {
                        "number": item.number,
                        "index": item.index,
                        "has": (item.facts is not None) + 2 * (item.body is not None),
                    }
                    for item in items
                ],
                "running": b64(items[-1].running) if items else "",
                "more": bool(items) and _has_more(session, member, items[-1].number),
                "time_ms": to_ms(self._clock.now()),
                # signed heads lie ahead of a feed that waits for a body
                "heads": {} if feed.waits(session, member) else told,
                **self._ledger_news(session, member, statement),
            }
        parts = [orjson.dumps(meta)]
        for item in items:
            parts += [leaves[item.index], item.facts or b"", item.body or b""]
        return Reply(200, frames(parts), {"content-type": "application/octet-stream"})

    def _ledger_news(
        self, session: Session, member: str, statement: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Newest checkpoint with a consistency proof, receipts asked for, acks of recipients.

        A receipt holds the leaf: a member gets those of its own feed and no others.
        """
        wanted = [one for one in _listed(statement, "receipts") if _is_index(one)]
        members = [one for one in _listed(statement, "acks") if isinstance(one, str)]
        own = feed.among(session, member, wanted[:_RECEIPTS_MAX])
        found = receipts.receipts(session, own)
        acks = state.read_many(
            session, [f"ack:{one}" for one in members[:_MEMBERS_MAX] if TOKEN.fullmatch(one)]
        )
        return {
            **witness_desk.news(
                session,
                member,
                statement,
                seen=_number(statement, "size"),
                now=self._clock.now(),
            ),
            "receipts": {str(index): b64(raw) for index, raw in found.items()},
            "acks": {name.partition(":")[2]: value["index"] for name, value in acks.items()},
        }

    def _mirror(self, body: bytes) -> Reply:
        with self._database.read() as session:
            [raw] = unframe(body, most=1) or [b""]
            node, member, statement = self._requests.check(
                session, "/sync/mirror", raw, b"", now=self._clock.now()
            )
            if self._mirrors is None:
                raise missing("sync.path")
            if statement.get("beginning") is True:
                after = str(statement.get("after", ""))
                parts = self._mirrors.beginning(session, member=member, node=node, after=after)
            else:
                start = _number(statement, "from")
                parts = self._mirrors.page(session, member=member, node=node, start=start)
        return Reply(200, frames(parts), {"content-type": "application/octet-stream"})

    def _recover(self, body: bytes) -> Reply:
        with self._database.read() as session:
            member, statement, records = self._authentic(
                session, "/sync/recover", body, most=RECORDS_MAX
            )
        if self.asking is None:
            raise missing("sync.path")
        return answered(self.asking.take(member, statement, records))

    def _query(self, body: bytes) -> Reply:
        with self._database.read() as session:
            member, statement, _ = self._opened(session, "/sync/query", body, most=0)
            query = self._queries.get(str(statement.get("name", "")))
            params = statement.get("params", {})
            if query is None or not isinstance(params, dict):
                raise missing("sync.query")
            answer = query.answer(session, member, params)
            return answered(
                {
                    "answer": answer,
                    "index": journal.size(session) - 1,
                    "time_ms": to_ms(self._clock.now()),
                }
            )

    def _blob(self, body: bytes) -> Reply:
        with self._database.read() as session:
            member, statement, rest = self._opened(session, "/blobs", body, most=1)
            exchange, digest = str(statement.get("exchange", "")), str(statement.get("blob", ""))
            if not TOKEN.fullmatch(exchange) or not _SHA256.fullmatch(digest):
                raise missing("blob.unknown")
            entries = session.execute(
                select(EntryRow.sender, EntryRow.recipients, EntryRow.verdict)
                .where(EntryRow.exchange == exchange)
                .order_by(EntryRow.index)
            ).all()
        # an id used again under other bytes gives no right to the files of the first
        may_put = any(
            sender == member and (place == 0 or outcome_of(verdict)[0])
            for place, (sender, _, verdict) in enumerate(entries)
        )
        may_get = may_put or any(
            outcome_of(verdict)[0] and member in orjson.loads(to) for _, to, verdict in entries
        )
        if rest:
            if not may_put:
                raise missing("blob.unknown")
            return self._put_blob(rest[0], digest, exchange)
        sealed = self._store.get(digest) if may_get and self._bound(digest, exchange) else None
        if sealed is None:
            raise missing("blob.unknown")
        return Reply(200, sealed, {"content-type": "application/octet-stream"})

    def _bound(self, digest: str, exchange: str) -> bool:
        with self._database.read() as session:
            return blobs.bound(session, digest, exchange=exchange)

    def _put_blob(self, sealed: bytes, digest: str, exchange: str) -> Reply:
        """Keep a sealed file; an exchange has at most as many as its header can commit to."""
        if len(sealed) > BLOB_MAX_BYTES:
            raise Refusal(RefusalKind.TOO_LARGE, "blob.too_large", limit_mb=5)
        if hashlib.sha256(sealed).hexdigest() != digest:
            raise invalid("blob.damaged")
        with self._database.write() as session:
            journal.lock_head(session)
            known = blobs.bound(session, digest, exchange=exchange)
            if not known and blobs.count(session, exchange) >= PARTS_MAX:
                raise invalid("blob.too_many", limit=PARTS_MAX)
            blobs.keep(session, digest, size=len(sealed), exchange=exchange, now=self._clock.now())
            self._store.put(sealed)
        return answered({"blob": digest, "size": len(sealed)})


def _has_more(session: Session, member: str, number: int) -> bool:
    return bool(feed.page(session, member, after=number, limit=1, most_bytes=1))


def _number(statement: Mapping[str, Any], name: str) -> int:
    value = statement.get(name, 0)
    if not _is_index(value):
        raise invalid("exchange.malformed", field=name)
    return int(value)


def _listed(statement: Mapping[str, Any], name: str) -> list[Any]:
    value = statement.get(name, [])
    if not isinstance(value, list):
        raise invalid("exchange.malformed", field=name)
    return value


def _is_index(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _INDEX_MAX
