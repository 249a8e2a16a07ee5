"""The courier carries one member's exchanges to the hub and its feed back when there is a link.

Everything it does can be cut anywhere and done again: the outbox is pushed until it is answered,
the feed is taken from the cursor, blobs and receipts until they are here.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from sqlalchemy.orm import Session

from consortium.exchange import (
    alarms,
    blobs,
    freeze,
    heads_watch,
    jws,
    keeping,
    outqueue,
    received,
    replies,
    restored,
)
from consortium.exchange.answers import Answer, Status
from consortium.exchange.blobs import BlobStore
from consortium.exchange.caller import Caller
from consortium.exchange.commitment import b64
from consortium.exchange.giving import Giver
from consortium.exchange.identity import Identity
from consortium.exchange.inbox import Inbox
from consortium.exchange.links import Done, LinkState
from consortium.exchange.outbox import Draft, Post
from consortium.exchange.own_kinds import HUB_MEMBER
from consortium.exchange.received import FeedBroken, Item
from consortium.exchange.replies import Given, Page
from consortium.exchange.settling import Place, settle, take_back
from consortium.exchange.tables import AckRow, OutboxRow
from consortium.exchange.witnessing import Witnessing
from consortium.fhir import message as messages
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal, conflict
from consortium.kernel.ids import new_id
from consortium.kernel.time import from_ms, to_ms
from consortium.ledger import journal
from consortium.ports import Clock, LinkDown, Wake

_PAUSED = frozenset({"ledger.clock", "ledger.frozen"})
"""The hub gives no index now: what is signed waits, and the feed is read all the same."""
_BEHIND = "ledger.behind"
"""The hub's code while it lacks entries that were on the ledger."""


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
    giver: Giver = field(default_factory=Giver)
    mirrors: Iterable[heads_watch.Query] = ()
    witnessing: Witnessing = field(init=False)

    def __post_init__(self) -> None:
        self.witnessing = Witnessing(self.database, self.identity, self.policy)

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
            if refusal.code == _BEHIND:
                self.caller.forget()
        if done.pushed or done.pulled or done.receipts or done.blobs:
            self.wake.notify()
        return done

    def _run(self, done: Done, now: datetime) -> None:
        if not self.caller.greeted:
            self._hello(now)
        if self.caller.wants is not None:
            done.pushed += self.giver.give(self.database, self.caller, self.member)
        self.state.trouble = ""
        done.pushed += self._push(now)
        done.pulled += self._pull(done, now)
        asks = self.caller.query
        heads_watch.name_missing(self.database, self.member, asks, mirrors=self.mirrors, now=now)
        if self._acknowledge(now):
            done.pushed += self._push(now)
        done.blobs += self._put_blobs() + self._get_blobs(now)
        self._go_on(now)

    def _go_on(self, now: datetime) -> None:
        """What waited for a file goes on when it is here."""
        with self.database.read() as session:
            waiting = [
                (kind, case)
                for kind in self.post.registry.kinds.values()
                for case in kind.waits(session, self.member)
            ]
        for kind, case in waiting:
            with self.database.write() as session:
                kind.go_on(
                    session,
                    self.member,
                    case,
                    files=partial(blobs.open_attachment, self.store),
                    post=self.post,
                    now=now,
                )

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

    def _hello(self, now: datetime) -> None:
        seen = self.witnessing.seen(now)
        self.caller.show = seen.note if seen is not None else b""
        answer = self.caller.hello()
        self.state.clock_off_s = answer.clock_off_s
        with self.database.write() as session:
            restored.notice_hub(session, self.identity, answer.heads)
            marked = restored.is_restored(session, self.identity.node)
        if marked:
            self._take_back(answer.heads, now)

    def _take_back(self, heads: restored.Heads, now: datetime) -> None:
        """The own entries of the feed come first.

        Only with its numbers back may this node sign, and only a node that may sign can answer
        what else it receives; with heads equal to its guard it goes on.
        """
        with self.database.write() as session:
            after = self.inbox.cursor(session, self.member).number
        more = True
        while more:
            page = replies.page(self.caller.request("/sync/pull", [], after=after))
            with self.database.write() as session:
                for item in page.items:
                    self._own_again(session, item)
                    after = item.number
            more = page.more
        with self.database.write() as session:
            restored.clear_if_whole(session, self.identity, hub=heads)

    def _own_again(self, session: Session, item: Item) -> None:
        try:
            entry = received.read(item)
        except FeedBroken:
            return  # the inbox meets it again, and says so
        own = entry.header.node == self.identity.node
        if own and jws.verify(entry.signed, self.identity.signer.public):
            take_back(session, self.member, entry)

    def _push(self, now: datetime) -> int:
        moved = 0
        while True:
            with self.database.read() as session:
                rows = outqueue.next_batch(session, self.identity.node, now=now)
                if restored.is_restored(session, self.identity.node):
                    rows = outqueue.covered(rows, self.identity.guard.heads)
                else:
                    self.identity.guard.advance(outqueue.heads_of(rows))
                final = outqueue.given_up(rows, now=now)
                packed = [outqueue.envelope_of(row).pack() for row in rows]
            if not rows:
                return moved
            try:
                body = self.caller.request("/sync/push", packed, final=final)
            except Refusal as refusal:
                if refusal.code not in _PAUSED:
                    raise
                self.state.trouble = refusal.code
                return moved
            given = replies.pushed(body, count=len(rows))
            settled = self._settle([row.id for row in rows], given, now)
            moved += settled
            if settled < len(rows):
                return moved

    def _settle(self, ids: list[str], given: list[Given], now: datetime) -> int:
        """Write the answers into the outbox; gives how many got their place on the ledger."""
        settled = 0
        with self.database.write() as session:
            for exchange, one in zip(ids, given, strict=True):
                row = session.get_one(OutboxRow, exchange)
                if one.answer.status is Status.LEAF:
                    settled += self._placed(row, one.answer)
                elif one.answer.jws == b64(row.jws_hash) and replies.hub_says(session, one):
                    trouble = outqueue.without_leaf(session, row, one.answer, now=now)
                    self.state.trouble = trouble
                else:
                    self.state.trouble = "sync.answer"
        return settled

    def _placed(self, row: OutboxRow, answer: Answer) -> bool:
        """Believe an answer only if its leaf holds this very JWS."""
        leaf = answer.leaf.encode()
        try:
            view = journal.read_leaf(leaf)
        except Refusal:
            view = None
        if view is None or view.jws != row.jws:
            self.state.trouble = "sync.other_leaf"
            return False
        settle(row, Place(answer.index, leaf, view.verdict, from_ms(view.time_ms)))
        return True

    def _pull(self, done: Done, now: datetime) -> int:
        taken = 0
        while True:
            seen = self.witnessing.seen(now)
            self.caller.show = seen.note if seen is not None else b""
            with self.database.read() as session:
                after = self.inbox.number(session, self.member)
                ledger = self.witnessing.asks(session, seen)
                witnessed = self.witnessing.witnessed
                wanted = keeping.wanted(session, self.member, witnessed=witnessed)
                recipients = outqueue.undelivered(session, self.member)
                acks = outqueue.acks_of(session, recipients)
                known = heads_watch.known_entry(session, self.member)
                frozen = freeze.told(session)
                old = heads_watch.old_changes(
                    session, self.member, online_since=self.state.online_since, now=now
                )
            body = self.caller.request(
                "/sync/pull", [], after=after, receipts=wanted, acks=recipients, heads=known,
                **ledger,
            )  # fmt: skip
            page = replies.page(body)
            self._compare_clocks(page.time_ms)
            self.witnessing.told(page)
            with self.database.read() as session:
                page = self.inbox.within(session, page)
            idle = seen is not None and page.nothing_new(
                checkpoint=seen.note, acks=acks, frozen=frozen
            )
            if idle and not old:
                return taken
            for item in page.items:
                self._take(item, now)
                taken += 1
            with self.database.write() as session:
                done.receipts += self._news(session, page, ledger["size"], now)
            self.witnessing.cosign(page, clock_off_s=self.state.clock_off_s, now=now)
            if not page.more:
                return taken

    def _compare_clocks(self, hub_ms: int) -> None:
        self.state.clock_off_s = (to_ms(self.clock.now()) - hub_ms) // 1000

    def _take(self, item: Item, now: datetime) -> None:
        try:
            with self.database.write() as session:
                self.inbox.take(session, self.member, item, now=now)
        except FeedBroken as broken:
            with self.database.write() as session:
                heads_watch.broken(session, self.member, item, now=now)
            raise conflict("sync.feed") from broken

    def _news(self, session: Session, page: Page, seen: int, now: datetime) -> int:
        """Take the hub's checkpoint, receipts and acks, each only if it proves right."""
        cursor = self.inbox.cursor(session, self.member)
        if page.running and page.running != b64(cursor.running):
            alarms.put(session, "feed.page", about=self.member, now=now, entry=cursor.index)
            self.state.trouble = "sync.feed"
        if code := self.witnessing.take(session, page, seen=seen, now=now):
            self.state.trouble = code
        if not page.more:
            # complete now by the hub's word
            rules, since = self.witnessing.rules(session), self.state.online_since
            heads_watch.watch(
                session, self.member, page.heads, policy=rules, online_since=since, now=now
            )
        news = self._keep_receipts(session, page)
        for member, index in page.acks.items():
            known = session.get(AckRow, member)
            if known is None or known.index != index:
                session.merge(AckRow(member=member, index=index, at=now))
                news += 1
        return news

    def _keep_receipts(self, session: Session, page: Page) -> int:
        kept, rules = 0, self.witnessing.rules(session)
        for index, raw in page.receipts.items():
            new = keeping.keep(session, self.member, index, raw, policy=rules, now=self.clock.now())
            if isinstance(new, Refusal):
                self.state.trouble = new.code
            else:
                kept += new
        return kept

    def _acknowledge(self, now: datetime) -> bool:
        if self.member == HUB_MEMBER:
            return False
        with self.database.read() as session:
            if not self.inbox.to_ack(session, self.member):
                return False
        with self.database.write() as session:
            cursor = self.inbox.cursor(session, self.member)
            if not cursor.to_ack or restored.is_restored(session, self.identity.node):
                return False
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
            cursor.to_ack = 0
        return True

    def _put_blobs(self) -> int:
        moved = 0
        with self.database.read() as session:
            queued = blobs.to_send(session, self.member)
        for digest, exchange in queued:
            sealed = self.store.get(digest)
            if sealed is None:
                continue
            try:
                self.caller.request("/blobs", [sealed], blob=digest, exchange=exchange)
            except Refusal as refusal:
                self.state.trouble = refusal.code  # the others still go
                continue
            with self.database.write() as session:
                blobs.carried(session, digest, exchange=exchange)
            moved += 1
        return moved

    def _get_blobs(self, now: datetime) -> int:
        moved = 0
        with self.database.read() as session:
            wanted = blobs.to_fetch(session, self.member)
        for digest, exchange in wanted:
            try:
                sealed = self.caller.request("/blobs", [], blob=digest, exchange=exchange)
            except Refusal:
                sealed = b""  # not at the hub yet: the sender is still carrying it
            whole = hashlib.sha256(sealed).hexdigest() == digest
            if whole:
                self.store.put(sealed)
            elif sealed:
                self.state.trouble = "blob.damaged"
            with self.database.write() as session:
                if whole:
                    blobs.keep(session, digest, size=len(sealed), exchange=exchange, now=now)
                else:
                    blobs.tried(session, digest, now=now)
            moved += whole
        return moved
