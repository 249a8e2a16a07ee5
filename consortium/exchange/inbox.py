"""The inbox: a member takes its feed, checks what it can see again, opens, and applies.

PROTOCOL 1 ("Shared state", who runs `judge` and `step`) and 4 (recipient's own checks). Each entry
is taken in one transaction: inbox row, shared state, local rows, cursor.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from consortium.exchange import bodies, jws
from consortium.exchange.erasing import is_erased
from consortium.exchange.facts import Facts, Value
from consortium.exchange.feed import ZERO, running_hash
from consortium.exchange.header import EVERYONE
from consortium.exchange.judgement import (
    UNFORESEEN,
    evaluate,
    fold,
    key_public,
    open_checked,
    resolved,
    subjects_of,
    verdict_text,
)
from consortium.exchange.kinds import ExchangeKind, Opened, Registry, placed
from consortium.exchange.objections import QUIET, dispute, refuse_body
from consortium.exchange.outbox import Post, holds
from consortium.exchange.received import Entry, FeedBroken, Item, read, row_of
from consortium.exchange.replies import Page
from consortium.exchange.settling import take_back
from consortium.exchange.state import Held
from consortium.exchange.tables import FeedCursorRow
from consortium.kernel import crash
from consortium.kernel.errors import Refusal, invalid
from consortium.kernel.log import logger
from consortium.ledger import journal

APPLIED, KEPT, ALARM, REFUSED, NEWER = "applied", "kept", "alarm", "refused", "newer"

_FOREIGN = (*UNFORESEEN, DataError, IntegrityError)
"""What a body can cause that no rule foresaw. A full disk or a lost database is none of these."""
_log = logger(__name__)


@dataclass(slots=True)
class _Fault:
    """Why a room could not take an entry; empty when it could."""

    code: str = ""


@contextmanager
def _unfit(session: Session, entry: Entry) -> Iterator[_Fault]:
    """Let a room look at an entry and apply it, all or nothing.

    One member's odd body must not stop another member's feed: what the room wrote is undone, the
    entry is kept with the code, and the feed goes on.
    """
    fault = _Fault()
    try:
        with session.begin_nested():
            yield fault
    except Refusal as refusal:
        fault.code = refusal.code
    except _FOREIGN as error:
        fault.code = "exchange.unfit"
        _log.error("inbox.unfit", kind=entry.header.kind, index=entry.item.index, exc_info=error)


class Inbox:
    """Takes the feeds of the local members.

    Args:
        folds: False at the hub, whose admission has folded shared state already, and at a mirror,
            whose replay has.
        upto: at a mirror, how many entries its replay has taken; none beyond is looked at.
    """

    def __init__(
        self,
        registry: Registry,
        post: Post,
        *,
        folds: bool,
        upto: Callable[[Session], int] | None = None,
    ) -> None:
        self._registry = registry
        self._post = post
        self._folds = folds
        self._upto = upto

    def within(self, session: Session, page: Page) -> Page:
        """Of a page only the entries that may be taken now; the rest comes again."""
        if self._upto is None or not page.items or page.items[-1].index < self._upto(session):
            return page
        size = self._upto(session)
        items = [item for item in page.items if item.index < size]
        return replace(page, items=items, running="", more=False, heads=None)

    def cursor(self, session: Session, member: str) -> FeedCursorRow:
        """Where a local member stands in its feed."""
        row = session.get(FeedCursorRow, member)
        if row is None:
            row = FeedCursorRow(member=member, number=0, index=-1, running=ZERO, to_ack=0)
            session.add(row)
            session.flush()
        return row

    def number(self, session: Session, member: str) -> int:
        """The number of the last entry that a local member has taken; 0 before the first."""
        row = session.get(FeedCursorRow, member)
        return row.number if row is not None else 0

    def to_ack(self, session: Session, member: str) -> bool:
        """Whether something came that a local member has not acknowledged yet."""
        row = session.get(FeedCursorRow, member)
        return row is not None and bool(row.to_ack)

    def take(self, session: Session, member: str, item: Item, *, now: datetime) -> str:
        """Take one entry, in the caller's transaction; gives the state it was kept in.

        Raises:
            FeedBroken: `number` does not follow, or the leaf cannot be read.
        """
        cursor = self.cursor(session, member)
        if item.number != cursor.number + 1 or item.index <= cursor.index:
            raise FeedBroken(f"number {item.number} after {cursor.number}")
        entry = read(item)
        cursor.number, cursor.index = item.number, item.index
        cursor.running = running_hash(cursor.running, item.index, journal.hash_leaf(item.leaf))
        row = row_of(member, entry, running=cursor.running, state=KEPT)
        session.add(row)
        if entry.header.kind not in QUIET:
            cursor.to_ack = 1
        row.state, row.alarm = self._judge_and_apply(session, member, entry, now=now)
        session.flush()
        if row.state == ALARM and self._folds:
            dispute(
                session, self._post, member, index=item.index, verdict=entry.verdict,
                found=row.alarm, now=now,
            )  # fmt: skip
        return row.state

    def _judge_and_apply(
        self, session: Session, member: str, entry: Entry, *, now: datetime
    ) -> tuple[str, str]:
        header = entry.header
        values = Held(session)
        if alarm := self._not_authentic(member, entry, values):
            return ALARM, alarm
        if header.node == self._post.identities.of(member).node:
            take_back(session, member, entry)
        kind = self._registry.kind(header.kind)
        if kind is None:
            return NEWER, "update_needed"
        facts = self._facts(kind, entry)
        if isinstance(facts, Refusal):
            return _without_facts(entry, facts, now=now)
        if not entry.ok:
            # a duplicate counts as what it repeats, which has been told already
            if header.sender == member and entry.words[0] != "duplicate":
                with _unfit(session, entry) as fault:
                    self._told_refused(session, member, kind, entry, facts, now=now)
                return REFUSED, fault.code
            return REFUSED, ""
        before: dict[str, Value | None] = {}
        if self._folds:
            alarm, before = self._follow(kind, entry, facts, values, member)
            if alarm:
                return ALARM, alarm
        kept = (KEPT, "")
        with _unfit(session, entry) as fault:
            kept = self._apply(session, member, kind, entry, facts, before, now=now)
        if fault.code:
            refuse_body(session, self._post, member, entry, fault.code, now=now)
            return KEPT, fault.code
        return kept

    def _not_authentic(self, member: str, entry: Entry, values: Held) -> str:
        """Addressed to this member and signed by a key valid at that index, or an alarm's code."""
        header = entry.header
        if member not in header.members and not header.everyone:
            return "address"
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

    def _facts(self, kind: ExchangeKind, entry: Entry) -> Facts | Refusal:
        sent = entry.item.facts
        if sent is None:
            return invalid("exchange.facts", field="absent")
        return open_checked(kind, entry.header, sent)

    def _follow(
        self, kind: ExchangeKind, entry: Entry, facts: Facts, values: Held, member: str
    ) -> tuple[str, dict[str, Value | None]]:
        """Check and fold what the hub admitted: what differs, and the values from before."""
        try:
            names = self._names(kind, entry, facts, values)
            if alarm := self._differs(kind, entry, facts, names, values, member):
                return alarm, {}
            before = {name: values.get(name) for name in names}
            self._fold(kind, entry, facts, names, values, member)
        except Refusal as refusal:
            return refusal.code, {}
        return "", before

    def _names(self, kind: ExchangeKind, entry: Entry, facts: Facts, values: Held) -> list[str]:
        names = subjects_of(self._registry, kind, entry.header, facts, entry.time)
        values.load(names)
        return resolved(self._registry, values, names)

    def _differs(
        self,
        kind: ExchangeKind,
        entry: Entry,
        facts: Facts,
        names: Sequence[str],
        values: Held,
        member: str,
    ) -> str:
        """Run the hub's checks again where all subjects are held; say what they found if not ok."""
        all_held = all(holds(self._registry, name, values, member) for name in names)
        if not all_held:
            return ""
        verdict = evaluate(self._registry, kind, entry.header, facts, values, entry.time)
        text = verdict_text(verdict)
        return "" if text == entry.verdict else text.split(" ")[0][:64] or "differs"

    def _fold(
        self,
        kind: ExchangeKind,
        entry: Entry,
        facts: Facts,
        names: Sequence[str],
        values: Held,
        member: str,
    ) -> None:
        header = entry.header
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
        entry: Entry,
        facts: Facts,
        before: dict[str, Value | None],
        *,
        now: datetime,
    ) -> tuple[str, str]:
        opened = self._opened(session, member, kind, entry, facts, before, now=now)
        if isinstance(opened, Refusal):
            refuse_body(session, self._post, member, entry, opened.code, now=now)
            return KEPT, opened.code
        refusal = self._look_inside(session, kind, opened)
        if refusal is not None and not opened.mine:
            refuse_body(session, self._post, member, entry, refusal.code, now=now)
            return KEPT, refusal.code
        kind.apply(session, opened)
        crash.point(f"inbox.apply:{kind.name}")
        return APPLIED, ""

    def _opened(
        self,
        session: Session,
        member: str,
        kind: ExchangeKind,
        entry: Entry,
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
                    entry.header,
                    entry.item.body,
                    self._post.identities.of(member),
                    now=now,
                )
            except Refusal as refusal:
                return refusal
        return Opened(
            member=member,
            header=entry.header,
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
                bodies.check_person(session, opened, signers=kind.signers)
            return kind.inspect(session, opened)
        except Refusal as refusal:
            return refusal

    def _told_refused(
        self,
        session: Session,
        member: str,
        kind: ExchangeKind,
        entry: Entry,
        facts: Facts,
        *,
        now: datetime,
    ) -> None:
        opened = self._opened(session, member, kind, entry, facts, {}, now=now)
        if not isinstance(opened, Refusal):
            kind.refused(session, opened)


def _without_facts(entry: Entry, refusal: Refusal, *, now: datetime) -> tuple[str, str]:
    """What becomes of an entry whose facts are not here, or are not what its header commits to."""
    if not entry.ok:
        return REFUSED, ""
    erased = entry.item.facts is None and is_erased(entry.time, now)
    return (KEPT, "") if erased else (ALARM, refusal.code)
