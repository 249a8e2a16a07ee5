"""The inbox: a member takes its feed, checks what it can see again, opens, and applies.

PROTOCOL 1 ("Shared state", who runs `judge` and `step`) and 4 (recipient's own checks). Each entry
is taken in one transaction: inbox row, shared state, local rows, cursor.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from consortium.exchange import bodies, jws
from consortium.exchange.facts import Facts, Value
from consortium.exchange.feed import ZERO, running_hash
from consortium.exchange.header import EVERYONE
from consortium.exchange.judgement import (
    evaluate,
    fold,
    key_public,
    open_checked,
    outcome_of,
    subjects_of,
    verdict_text,
)
from consortium.exchange.kinds import ExchangeKind, Opened, Registry, placed
from consortium.exchange.outbox import Draft, Post, holds
from consortium.exchange.settling import Place, settle, taken_back
from consortium.exchange.state import Held
from consortium.exchange.tables import FeedCursorRow, InboxRow, OutboxRow, OwnHeadRow
from consortium.fhir import message as messages
from consortium.kernel import crash
from consortium.kernel.errors import Refusal, invalid
from consortium.kernel.ids import new_id
from consortium.kernel.time import from_ms
from consortium.ledger import journal

APPLIED, KEPT, ALARM, REFUSED, NEWER = "applied", "kept", "alarm", "refused", "newer"
_QUIET = ("ack/1", "feed.heads/1")


class FeedBroken(Exception):  # noqa: N818 - a state of the feed
    """The feed does not go on from where this member stands: nothing more is taken."""


@dataclass(frozen=True, slots=True)
class Item:
    """One entry as pulled: facts and body are None where this member may not see them."""

    number: int
    index: int
    leaf: bytes
    facts: bytes | None
    body: bytes | None


@dataclass(frozen=True, slots=True)
class _Entry:
    """A pulled entry whose leaf has been read."""

    item: Item
    signed: jws.Signed
    time: datetime
    verdict: str
    ok: bool
    words: tuple[str, ...]


class Inbox:
    """Takes the feeds of the local members.

    Args:
        folds: False at the hub, whose admission has folded shared state already.
    """

    def __init__(self, registry: Registry, post: Post, *, folds: bool) -> None:
        self._registry = registry
        self._post = post
        self._folds = folds

    def cursor(self, session: Session, member: str) -> FeedCursorRow:
        """Where a local member stands in its feed."""
        row = session.get(FeedCursorRow, member)
        if row is None:
            row = FeedCursorRow(member=member, number=0, index=-1, running=ZERO, to_ack=0)
            session.add(row)
            session.flush()
        return row

    def take(self, session: Session, member: str, item: Item, *, now: datetime) -> str:
        """Take one entry, in the caller's transaction; gives the state it was kept in.

        Raises:
            FeedBroken: `number` does not follow, or the leaf cannot be read.
        """
        cursor = self.cursor(session, member)
        if item.number != cursor.number + 1 or item.index <= cursor.index:
            raise FeedBroken(f"number {item.number} after {cursor.number}")
        entry = _read(item)
        row = _inbox_row(member, entry)
        session.add(row)
        cursor.number, cursor.index = item.number, item.index
        cursor.running = running_hash(cursor.running, item.index, journal.hash_leaf(item.leaf))
        if entry.signed.header.kind not in _QUIET:
            cursor.to_ack = 1
        row.state, row.alarm = self._judge_and_apply(session, member, entry, now=now)
        session.flush()
        if row.state == ALARM:
            self._dispute(session, member, entry, row.alarm, now=now)
        return row.state

    def _judge_and_apply(
        self, session: Session, member: str, entry: _Entry, *, now: datetime
    ) -> tuple[str, str]:
        header = entry.signed.header
        values = Held(session)
        if alarm := self._not_authentic(entry, values):
            return ALARM, alarm
        self._own(session, member, entry)
        kind = self._registry.kind(header.kind)
        if kind is None:
            return NEWER, "update_needed"
        facts = self._facts(kind, entry)
        if isinstance(facts, Refusal):
            return (REFUSED, "") if not entry.ok else (ALARM, facts.code)
        if not entry.ok:
            if header.sender == member:
                self._told_refused(session, member, kind, entry, facts, now=now)
            return REFUSED, ""
        names = self._names(kind, entry, facts, values)
        if self._folds and (alarm := self._differs(kind, entry, facts, names, values, member)):
            return ALARM, alarm
        before = {name: values.get(name) for name in names}
        if self._folds:
            self._fold(kind, entry, facts, names, values, member)
        return self._apply(session, member, kind, entry, facts, before, now=now)

    def _not_authentic(self, entry: _Entry, values: Held) -> str:
        """The signature, by a key valid at that index: an alarm's code, or nothing."""
        header = entry.signed.header
        record = values.get(f"key:{header.node}")
        if record is None and entry.item.index == 0:
            kind = self._registry.kind(header.kind)
            facts = self._facts(kind, entry) if kind is not None else None
            if kind is None or facts is None or isinstance(facts, Refusal):
                return "node"
            record = kind.introduces(header, facts)
        public = key_public(record, member=header.sender, index=entry.item.index)
        if public is None:
            return "node"
        if not jws.verify(entry.signed, public):
            return "signature"
        return ""

    def _facts(self, kind: ExchangeKind, entry: _Entry) -> Facts | Refusal:
        sent = entry.item.facts
        if sent is None:
            return invalid("exchange.facts", field="absent")
        return open_checked(kind, entry.signed.header, sent)

    def _names(self, kind: ExchangeKind, entry: _Entry, facts: Facts, values: Held) -> list[str]:
        names = subjects_of(self._registry, kind, entry.signed.header, facts, entry.time)
        values.load(names)
        return values.resolve(names)

    def _differs(
        self,
        kind: ExchangeKind,
        entry: _Entry,
        facts: Facts,
        names: Sequence[str],
        values: Held,
        member: str,
    ) -> str:
        """Run the hub's checks again where all subjects are held; say what they found if not ok."""
        all_held = all(holds(self._registry, name, values, member) for name in names)
        if not all_held:
            return ""
        verdict = evaluate(self._registry, kind, entry.signed.header, facts, values, entry.time)
        text = verdict_text(verdict)
        return "" if text == entry.verdict else text.split(" ")[0][:64] or "differs"

    def _fold(
        self,
        kind: ExchangeKind,
        entry: _Entry,
        facts: Facts,
        names: Sequence[str],
        values: Held,
        member: str,
    ) -> None:
        header = entry.signed.header
        held = [name for name in names if holds(self._registry, name, values, member)]
        moved = fold(self._registry, kind, header, facts, entry.time, entry.words, held, values)
        for name, value in moved.items():
            if self._concerns(member, name, value, values.get(name)):
                values.put(name, placed(value, entry.item.index), entry.item.index)
        values.flush()

    def _concerns(self, member: str, name: str, new: Value, old: Value | None) -> bool:
        audience = self._registry.audience(name, new)
        if old is not None:
            audience = audience | self._registry.audience(name, old)
        return EVERYONE in audience or member in audience

    def _apply(
        self,
        session: Session,
        member: str,
        kind: ExchangeKind,
        entry: _Entry,
        facts: Facts,
        before: dict[str, Value | None],
        *,
        now: datetime,
    ) -> tuple[str, str]:
        opened = self._opened(session, member, kind, entry, facts, before, now=now)
        if isinstance(opened, Refusal):
            self._refuse_body(session, member, entry, opened, now=now)
            return KEPT, opened.code
        refusal = self._look_inside(session, kind, opened)
        if refusal is not None and not opened.mine:
            self._refuse_body(session, member, entry, refusal, now=now)
            return KEPT, refusal.code
        kind.apply(session, opened)
        crash.point(f"inbox.apply:{kind.name}")
        return APPLIED, ""

    def _opened(
        self,
        session: Session,
        member: str,
        kind: ExchangeKind,
        entry: _Entry,
        facts: Facts,
        before: dict[str, Value | None],
        *,
        now: datetime,
    ) -> Opened | Refusal:
        message = None
        if entry.item.body is not None:
            try:
                message = bodies.open_message(
                    kind,
                    entry.signed.header,
                    entry.item.body,
                    self._post.identities.of(member),
                    now=now,
                )
            except Refusal as refusal:
                return refusal
        return Opened(
            member=member,
            header=entry.signed.header,
            facts=facts,
            message=message,
            index=entry.item.index,
            time=entry.time,
            outcome=entry.words if entry.ok else (),
            now=now,
            post=self._post,
            code="" if entry.ok else entry.words[0],
            clause=" ".join(entry.words[1:]) if not entry.ok else "",
            before=before,
        )

    def _look_inside(self, session: Session, kind: ExchangeKind, opened: Opened) -> Refusal | None:
        """What only the body shows: facts as said, a person's signature, the room's own rules."""
        message = opened.message
        if message is None:
            return None
        try:
            if dict(kind.facts_of(message)) != dict(opened.facts):
                return invalid("exchange.facts_differ")
            if kind.person_signed:
                bodies.check_person(session, opened)
            return kind.inspect(session, opened)
        except Refusal as refusal:
            return refusal

    def _told_refused(
        self,
        session: Session,
        member: str,
        kind: ExchangeKind,
        entry: _Entry,
        facts: Facts,
        *,
        now: datetime,
    ) -> None:
        opened = self._opened(session, member, kind, entry, facts, {}, now=now)
        if not isinstance(opened, Refusal):
            kind.refused(session, opened)

    def _own(self, session: Session, member: str, entry: _Entry) -> None:
        """An entry of this node: its outbox row gets its index; a lost row is taken back."""
        header = entry.signed.header
        if member != header.sender or header.node != self._post.identities.of(member).node:
            return
        row = session.get(OutboxRow, header.id)
        if row is None and entry.item.facts is not None and entry.item.body is not None:
            session.add(
                taken_back(
                    member,
                    entry.signed,
                    facts=entry.item.facts,
                    body=entry.item.body,
                    place=Place(entry.item.index, entry.item.leaf, entry.verdict, entry.time),
                )
            )
        elif row is not None and row.jws_hash == entry.signed.digest:
            settle(row, Place(entry.item.index, entry.item.leaf, entry.verdict, entry.time))
        head = session.get(OwnHeadRow, (header.node, header.lane.value))
        if head is None:
            head = OwnHeadRow(node=header.node, lane=header.lane.value, seq=0, hash="")
            session.add(head)
        if header.seq > head.seq:
            head.seq, head.hash = header.seq, jws.digest_text(entry.signed.raw)

    def _refuse_body(
        self, session: Session, member: str, entry: _Entry, refusal: Refusal, *, now: datetime
    ) -> None:
        header = entry.signed.header
        if header.sender == member or header.kind in ("body.refuse/1", *_QUIET) or header.everyone:
            return
        body = messages.build(
            "body.refuse",
            source=member,
            destinations=(header.sender,),
            resources=[messages.parameters(of=header.id, code=refusal.code)],
            exchange_id=(exchange := new_id(now)),
            now=now,
        )
        self._post.send(
            session,
            Draft(
                id=exchange, kind="body.refuse/1", sender=member, to=(header.sender,), body=body,
                case=header.case,
            ),
            now=now,
        )  # fmt: skip

    def _dispute(
        self, session: Session, member: str, entry: _Entry, found: str, *, now: datetime
    ) -> None:
        """Tell the hub that this member finds another verdict than the leaf says."""
        if not self._folds:
            return
        verdict = entry.verdict.split(" ")[0]
        body = messages.build(
            "dispute.raise",
            source=member,
            destinations=("consortium",),
            resources=[
                messages.parameters(index=entry.item.index, verdict=verdict, found=found or "node")
            ],
            exchange_id=(exchange := new_id(now)),
            now=now,
        )
        draft = Draft(
            id=exchange, kind="dispute.raise/1", sender=member, to=("consortium",), body=body
        )
        try:
            self._post.send(session, draft, now=now)
        except Refusal:
            return  # a node that may not sign yet still keeps the alarm in its inbox row


def _read(item: Item) -> _Entry:
    try:
        time_ms, verdict, raw = journal.read_leaf(item.leaf)
        signed = jws.parse(raw)
    except (Refusal, ValueError) as error:
        raise FeedBroken(f"leaf {item.index}") from error
    ok, words = outcome_of(verdict)
    return _Entry(item, signed, from_ms(time_ms), verdict, ok, words)


def _inbox_row(member: str, entry: _Entry) -> InboxRow:
    header = entry.signed.header
    return InboxRow(
        member=member,
        index=entry.item.index,
        number=entry.item.number,
        exchange=header.id,
        kind=header.kind,
        case=header.case,
        sender=header.sender,
        time=entry.time,
        verdict=entry.verdict,
        leaf=entry.item.leaf,
        facts=entry.item.facts,
        body=entry.item.body,
        state=KEPT,
        alarm="",
    )
