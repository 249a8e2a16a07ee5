"""One entry of a feed as it was pulled, read strictly."""

from dataclasses import dataclass
from datetime import datetime

from consortium.exchange import jws
from consortium.exchange.header import Header
from consortium.exchange.judgement import outcome_of
from consortium.exchange.settling import Place
from consortium.exchange.tables import InboxRow
from consortium.kernel.errors import Refusal
from consortium.kernel.time import from_ms
from consortium.ledger import journal


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
class Entry:
    """A pulled entry whose leaf has been read. `words`: outcome words, or code and clause."""

    item: Item
    signed: jws.Signed
    time: datetime
    verdict: str
    ok: bool
    words: tuple[str, ...]

    @property
    def header(self) -> Header:
        return self.signed.header

    @property
    def place(self) -> Place:
        return Place(self.item.index, self.item.leaf, self.verdict, self.time)


def read(item: Item) -> Entry:
    """Raises FeedBroken when the leaf is none, or holds no exchange."""
    try:
        time_ms, verdict, raw = journal.read_leaf(item.leaf)
        signed = jws.parse(raw)
    except Refusal as refusal:
        raise FeedBroken(f"leaf {item.index}") from refusal
    ok, words = outcome_of(verdict)
    return Entry(item, signed, from_ms(time_ms), verdict, ok, words)


def row_of(member: str, entry: Entry, *, running: bytes, state: str) -> InboxRow:
    """The row that keeps an entry as it came; `running` is the feed's hash with it."""
    header = entry.header
    return InboxRow(
        member=member,
        index=entry.item.index,
        number=entry.item.number,
        running=running,
        exchange=header.id,
        kind=header.kind,
        case=header.case,
        sender=header.sender,
        time=entry.time,
        verdict=entry.verdict,
        leaf=entry.item.leaf,
        facts=entry.item.facts,
        body=entry.item.body,
        state=state,
        alarm="",
    )
