"""The courier carries one member's exchanges to the hub and its feed back when there is a link.

Everything it does can be cut anywhere and done again: the outbox is pushed until it is answered,
the feed is taken from the cursor, blobs and receipts until they are here.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from consortium.exchange import answers, blobs, outqueue, restored
from consortium.exchange.answers import Answer, Status
from consortium.exchange.blobs import BlobStore
from consortium.exchange.caller import Caller
from consortium.exchange.commitment import b64, unb64
from consortium.exchange.envelope import unframe
from consortium.exchange.identity import Identity
from consortium.exchange.inbox import FeedBroken, Inbox, Item
from consortium.exchange.outbox import Draft, Post
from consortium.exchange.own_kinds import HUB_MEMBER
from consortium.exchange.settling import Place, settle
from consortium.exchange.tables import AckRow, InboxRow, MarkRow, OutboxRow
from consortium.fhir import message as messages
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal, conflict
from consortium.kernel.ids import new_id
from consortium.kernel.time import from_ms
from consortium.ledger import journal, receipts, witness
from consortium.ports import Clock, LinkDown, Wake

_PULL_FRAMES_MAX = 3 * 256 + 1
_RECEIPTS_AT_ONCE = 128


@dataclass(slots=True)
class LinkState:
    """What the status strip shows of the link."""

    online: bool = False
    since: datetime | None = None
    last_sync: datetime | None = None
    round_trip_ms: int = 0
    clock_off_s: int = 0
    trouble: str = ""
    """A stable code when the hub answered and something is wrong; empty when all is well."""


@dataclass(slots=True)
class Done:
    """What one run moved."""

    pushed: int = 0
    pulled: int = 0
    receipts: int = 0
    blobs: int = 0
    down: bool = False


@dataclass(slots=True)
class Courier:
    """One member's courier.

    Args:
        policy: text of the tlog-policy pinned at joining; receipts and checkpoints are checked
            against it and nothing else.
    """

    database: Database
    identity: Identity
    post: Post
    inbox: Inbox
    caller: Caller
    store: BlobStore
    clock: Clock
    wake: Wake
    policy: bytes
    state: LinkState = field(default_factory=LinkState)

    @property
    def member(self) -> str:
        return self.identity.member

    def run_once(self, now: datetime) -> Done:
        """Push, pull, acknowledge, carry blobs; gives what was moved. Never raises for a cut."""
        done = Done()
        try:
            self._run(done, now)
            self._went_well(now)
        except LinkDown:
            done.down = True
            self._went_down(now)
        except Refusal as refusal:
            self._went_well(now)
            self.state.trouble = refusal.code
        if done.pushed or done.pulled or done.receipts or done.blobs:
            self.wake.notify()
        return done

    def _run(self, done: Done, now: datetime) -> None:
        if not self.caller.greeted:
            self._hello()
        self.state.trouble = ""
        done.pushed += self._push(now)
        done.pulled += self._pull(done, now)
        if self._acknowledge(now):
            done.pushed += self._push(now)
        done.blobs += self._put_blobs() + self._get_blobs()

    def _went_well(self, now: datetime) -> None:
        if not self.state.online:
            self.state.online, self.state.since = True, now
            self.wake.notify()
        self.state.last_sync = now
        self.state.round_trip_ms = self.caller.round_trip_ms

    def _went_down(self, now: datetime) -> None:
        if self.state.online or self.state.since is None:
            self.state.online, self.state.since = False, now
            self.wake.notify()
        self.caller.forget()

    def _hello(self) -> None:
        answer = self.caller.hello()
        self.state.clock_off_s = answer.clock_off_s
        with self.database.read() as session:
            marked = restored.is_restored(session, self.identity.node)
        if marked:
            self._take_back(answer.heads)

    def _take_back(self, heads: dict[str, tuple[int, str]]) -> None:
        """A restored node takes its feed first; with heads equal to its guard it may sign again."""
        self._pull(Done(), self.clock.now())
        with self.database.write() as session:
            restored.clear_if_whole(session, self.identity, hub=heads)

    def _push(self, now: datetime) -> int:
        moved = 0
        while True:
            with self.database.read() as session:
                rows = outqueue.next_batch(session, self.identity.node, now=now)
                final = outqueue.given_up(rows, now=now)
                packed = [outqueue.envelope_of(row).pack() for row in rows]
            if not rows:
                return moved
            self.identity.guard.advance(outqueue.heads_of(rows))
            body = self.caller.request("/sync/push", packed, final=final)
            answered = [answers.read(one) for one in orjson.loads(body)["answers"]]
            settled = self._settle([row.id for row in rows], answered, now)
            moved += settled
            if settled < len(rows):
                return moved

    def _settle(self, ids: list[str], answered: list[Answer], now: datetime) -> int:
        """Write the answers into the outbox; gives how many got their place on the ledger."""
        settled = 0
        with self.database.write() as session:
            for exchange, answer in zip(ids, answered, strict=True):
                row = session.get_one(OutboxRow, exchange)
                if answer.status is Status.LEAF:
                    settled += self._placed(row, answer)
                    continue
                self.state.trouble = outqueue.without_leaf(session, row, answer, now=now)
        return settled

    def _placed(self, row: OutboxRow, answer: Answer) -> bool:
        """Believe an answer only if its leaf holds this very JWS."""
        view = journal.read_leaf(answer.leaf.encode("ascii"))
        if view.jws != row.jws:
            self.state.trouble = "sync.other_leaf"
            return False
        leaf = answer.leaf.encode("ascii")
        settle(row, Place(answer.index, leaf, view.verdict, from_ms(view.time_ms)))
        return True

    def _pull(self, done: Done, now: datetime) -> int:
        taken = 0
        while True:
            with self.database.write() as session:
                cursor = self.inbox.cursor(session, self.member)
                after = cursor.number
                seen = _seen_size(session)
                wanted = self._receipts_wanted(session)
                recipients = outqueue.undelivered(session, self.member)
            body = self.caller.request(
                "/sync/pull", [], after=after, size=seen, receipts=wanted, acks=recipients
            )
            meta, items = _items(body)
            for item in items:
                with self.database.write() as session:
                    self._take(session, item, now)
                taken += 1
            with self.database.write() as session:
                done.receipts += self._news(session, meta, seen, now)
            if not meta["more"]:
                return taken

    def _take(self, session: Session, item: Item, now: datetime) -> None:
        try:
            self.inbox.take(session, self.member, item, now=now)
        except FeedBroken as broken:
            self.state.trouble = "sync.feed"
            raise conflict("sync.feed") from broken

    def _receipts_wanted(self, session: Session) -> list[int]:
        rows = session.scalars(
            select(InboxRow.index)
            .where(InboxRow.member == self.member, InboxRow.receipt.is_(None))
            .order_by(InboxRow.index)
            .limit(_RECEIPTS_AT_ONCE)
        )
        return list(rows)

    def _news(self, session: Session, meta: dict[str, Any], seen: int, now: datetime) -> int:
        """Take the hub's checkpoint, receipts and acks, each only if it proves right."""
        running = str(meta["running"])
        cursor = self.inbox.cursor(session, self.member)
        if running and running != b64(cursor.running):
            session.merge(MarkRow(name="alarm:feed", value="differs"))
            self.state.trouble = "sync.feed"
        note = str(meta["checkpoint"])
        if note and seen == _seen_size(session):
            proof = [unb64(one) for one in meta["consistency"]]
            view = witness.advance(session, note.encode(), proof, policy_bytes=self.policy, now=now)
            if isinstance(view, Refusal):
                self.state.trouble = view.code
        stored = sum(
            self._keep_receipt(session, int(index), unb64(raw))
            for index, raw in meta["receipts"].items()
        )
        for member, index in meta["acks"].items():
            session.merge(AckRow(member=member, index=int(index), at=now))
        return stored + len(meta["acks"])

    def _keep_receipt(self, session: Session, index: int, raw: bytes) -> bool:
        row = session.get(InboxRow, (self.member, index))
        if row is None:
            return False
        try:
            receipts.check(raw, self.policy, expect_leaf=row.leaf)
        except Refusal as refusal:
            row.alarm = refusal.code
            self.state.trouble = refusal.code
            return False
        row.receipt = raw
        if (own := session.get(OutboxRow, row.exchange)) is not None:
            own.receipt = raw
        return True

    def _acknowledge(self, now: datetime) -> bool:
        if self.member == HUB_MEMBER:
            return False
        with self.database.write() as session:
            cursor = self.inbox.cursor(session, self.member)
            if not cursor.to_ack or restored.is_restored(session, self.identity.node):
                return False
            cursor.to_ack = 0
            exchange = new_id(now)
            body = messages.build(
                "ack",
                source=self.member,
                destinations=(HUB_MEMBER,),
                resources=[
                    messages.parameters(
                        index=cursor.index, number=cursor.number, running=b64(cursor.running)
                    )
                ],
                exchange_id=exchange,
                now=now,
            )
            draft = Draft(
                id=exchange, kind="ack/1", sender=self.member, to=(HUB_MEMBER,), body=body
            )
            try:
                self.post.send(session, draft, now=now)
            except Refusal as refusal:
                self.state.trouble = refusal.code
                return False
        return True

    def _put_blobs(self) -> int:
        moved = 0
        with self.database.read() as session:
            queued = blobs.waiting(session, blobs.QUEUED)
            sent = {
                row.exchange
                for row in queued
                if (out := session.get(OutboxRow, row.exchange)) is not None
                and out.member == self.member and out.state == "sent"
            }  # fmt: skip
        for row in queued:
            sealed = self.store.get(row.sha256) if row.exchange in sent else None
            if sealed is None:
                continue
            self.caller.request("/blobs", [sealed], blob=row.sha256, exchange=row.exchange)
            with self.database.write() as session:
                blobs.arrived(session, row.sha256, size=len(sealed))
            moved += 1
        return moved

    def _get_blobs(self) -> int:
        moved = 0
        with self.database.read() as session:
            wanted = blobs.waiting(session, blobs.WANTED)
            mine = set(
                session.scalars(
                    select(InboxRow.exchange).where(
                        InboxRow.member == self.member,
                        or_(*(InboxRow.exchange == row.exchange for row in wanted)),
                    )
                )
            ) if wanted else set()  # fmt: skip
        for row in wanted:
            if row.exchange not in mine:
                continue
            try:
                sealed = self.caller.request("/blobs", [], blob=row.sha256, exchange=row.exchange)
            except Refusal:
                continue  # not at the hub yet: the sender is still carrying it
            if self.store.put(sealed) == row.sha256:
                with self.database.write() as session:
                    blobs.arrived(session, row.sha256, size=len(sealed))
                moved += 1
        return moved


def _seen_size(session: Session) -> int:
    view = witness.checkpoint_view(session)
    return view.size if view is not None else 0


def _items(body: bytes) -> tuple[dict[str, Any], list[Item]]:
    meta_raw, *rest = unframe(body, most=_PULL_FRAMES_MAX)
    meta: dict[str, Any] = orjson.loads(meta_raw)
    items: list[Item] = []
    for place, one in enumerate(meta["items"]):
        leaf, facts, sealed = rest[3 * place : 3 * place + 3]
        has = int(one["has"])
        items.append(
            Item(
                number=int(one["number"]),
                index=int(one["index"]),
                leaf=leaf,
                facts=facts if has & 1 else None,
                body=sealed if has & 2 else None,
            )
        )
    return meta, items
