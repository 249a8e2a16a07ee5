"""A member watches its feed: heads that the hub signed against the feed as it came (PROTOCOL 5).

What does not fit becomes an alarm and stays one. Between the last heads that fit and the first that
do not lies the entry that is missing; a list of the feed that makes the signed running hash names
it.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from consortium.exchange import alarms, heads, heads_audit, jws, received, state
from consortium.exchange.commitment import b64, unb64
from consortium.exchange.feed import ZERO
from consortium.exchange.heads import Head
from consortium.exchange.heads_audit import Item, Part
from consortium.exchange.heads_kind import FEED_OF, NAME, FeedHeads
from consortium.exchange.judgement import key_public, open_checked, outcome_of
from consortium.exchange.objections import QUIET
from consortium.exchange.own_kinds import HUB_MEMBER
from consortium.exchange.replies import HeadsSaid
from consortium.exchange.tables import InboxRow, MarkRow
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal, invalid
from consortium.ledger import freezing, journal, receipts

CLOCK_OFF_MAX = timedelta(minutes=5)
OLD = timedelta(hours=2)
LINK_MIN = timedelta(minutes=5)
"""How long a link must have been there before old heads are the hub's fault."""
_KIND = FeedHeads()
_MARK = "heads:"
_PAGES_MAX = 64
Query = Callable[[str, dict[str, Any]], Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Claim:
    """What a receipt proves that the hub said: root and count of all heads as of an index."""

    entry: int
    index: int
    root: bytes
    count: int


@dataclass(frozen=True, slots=True)
class _Known:
    """The newest heads that were looked at, and the last that fitted the feed."""

    entry: int = 0
    seen: int = -1
    good: int = -1
    number: int = 0
    running: str = b64(ZERO)
    asked: int = 0


def known_entry(session: Session, member: str) -> int:
    """The entry of the newest heads that this member has looked at, 0 before the first."""
    return _known(session, member).entry


def compare(
    session: Session, member: str, said: HeadsSaid, *, policy: bytes, now: datetime
) -> None:
    """Check the heads of a pull answer, and the feed as of their index; raise what does not fit.

    Called when everything that the same answer and those before it hold has been taken.
    """
    known = _known(session, member)
    if said.entry <= known.entry:
        return
    try:
        claim = proved(session, said, policy)
    except Refusal as refusal:
        alarms.put(session, "feed.unproven", about=member, now=now, found=refusal.code)
        return
    if claim.index <= known.seen:
        alarms.put(session, "feed.back", about=member, now=now, entry=claim.entry, upto=claim.index)
        return
    head = Head(member, said.number, said.running)
    if not heads.stands_under(
        claim.root, head, place=said.place, count=claim.count, path=said.path
    ):
        alarms.put(session, "feed.unproven", about=member, now=now, found="path")
        return
    mine = _own_head(session, member, claim.index)
    changed: dict[str, int | str] = {"entry": claim.entry, "seen": claim.index}
    if mine == head:
        changed |= {"good": claim.index, "number": head.number, "running": b64(head.running)}
    else:
        _raise(session, known, claim, head, mine, now=now)
    _keep(session, member, {**asdict(known), **changed})


def _raise(
    session: Session, known: _Known, claim: Claim, head: Head, mine: Head, *, now: datetime
) -> None:
    code = "feed.differs"
    if mine.number != head.number:
        code = "feed.short" if mine.number < head.number else "feed.long"
    alarms.put(
        session, code, about=head.member, now=now, after=known.good, upto=claim.index,
        heads=claim.entry, number=head.number, mine=mine.number, running=b64(head.running),
    )  # fmt: skip


def proved(session: Session, said: HeadsSaid, policy: bytes) -> Claim:
    """What the receipt proves: the hub's node signed these facts, and the ledger holds them.

    Raises:
        Refusal: `ledger.receipt`, `ledger.policy`, `ledger.leaf`, `exchange.facts`; `heads.not_hub`
            for an entry that is none of the hub's heads.
    """
    held = receipts.believed(session, said.receipt, policy)
    signed = jws.parse(held.jws)
    header = signed.header
    record = state.read(session, f"key:{header.node}")
    public = key_public(record, member=HUB_MEMBER, index=held.index)
    if (
        (header.kind, header.sender) != (NAME, HUB_MEMBER)
        or held.index != said.entry
        or not outcome_of(held.verdict)[0]
        or public is None
        or not jws.verify(signed, public)
    ):
        raise invalid("heads.not_hub")
    facts = open_checked(_KIND, header, said.facts)
    if isinstance(facts, Refusal):
        raise facts
    if facts["index"] >= held.index:
        raise invalid("heads.ahead")
    return Claim(held.index, facts["index"], unb64(facts["root"]), facts["count"])


def _own_head(session: Session, member: str, index: int) -> Head:
    row = session.execute(
        select(InboxRow.number, InboxRow.running)
        .where(InboxRow.member == member, InboxRow.index <= index)
        .order_by(InboxRow.index.desc())
        .limit(1)
    ).one_or_none()
    return Head(member, *(row or (0, ZERO)))


def watch(
    session: Session,
    member: str,
    said: HeadsSaid | None,
    *,
    policy: bytes,
    online_since: datetime | None,
    now: datetime,
) -> None:
    """What a courier does when its feed is complete: compare with new heads, notice old ones."""
    if said is not None:
        compare(session, member, said, policy=policy, now=now)
    notice_old(session, member, online_since=online_since, now=now)


def broken(session: Session, member: str, item: received.Item, *, now: datetime) -> None:
    """An entry does not follow: the alarm, unless another process has just taken this very one."""
    row = session.get(InboxRow, (member, item.index))
    if row is None or (row.number, row.leaf) != (item.number, item.leaf):
        facts = {"entry": item.index, "number": item.number}
        alarms.put(session, "feed.broken", about=member, now=now, **facts)


# ---------------------------------------------------------------- naming


def name_missing(
    database: Database, member: str, query: Query, *, mirrors: Iterable[Query] = (), now: datetime
) -> None:
    """Where the feed does not fit, ask for its list once for each new heads, and name the entry.

    Args:
        query: a signed read at the hub, None for no link. Called outside of any lock.
        mirrors: the same at each mirror, asked when the hub's list is not the one it signed.

    Raises:
        Refusal: the hub's code, where no mirror names the entry either.
    """
    with database.read() as session:
        known, doubt = _known(session, member), _doubt(session, member)
    if doubt is None or "entry" in doubt.facts or known.asked == known.entry:
        return
    refused, found = None, None
    try:
        told = _told(query, known.number, upto=doubt.facts["upto"])
        if told is None:
            return
        found = _named(database, member, doubt, known, told)
    except Refusal as refusal:
        refused = refusal
    named = found or _at_mirrors(database, member, doubt, known, mirrors)
    if named is None and refused is not None:
        raise refused
    with database.write() as session:
        facts = found or {"list": "unproven", **(named or {})}
        alarms.put(session, doubt.code, about=member, now=now, **facts)
        _keep(session, member, {**asdict(_known(session, member)), "asked": known.entry})


def _at_mirrors(
    database: Database,
    member: str,
    doubt: alarms.Alarm,
    known: _Known,
    mirrors: Iterable[Query],
) -> dict[str, str | int] | None:
    """What a mirror's list names; a mirror that refuses, or has not got so far, says nothing."""
    for query in mirrors:
        with suppress(Refusal):
            told = _told(query, known.number, upto=doubt.facts["upto"])
            found = told and _named(database, member, doubt, known, told)
            if found:
                return found
    return None


def _doubt(session: Session, member: str) -> alarms.Alarm | None:
    for code in ("feed.short", "feed.differs", "feed.long"):
        if found := alarms.standing(session, code, about=member):
            return found
    return None


def _told(query: Query, number: int, *, upto: int) -> list[Item] | None:
    items: list[Item] = []
    for _ in range(_PAGES_MAX):
        reply = query(FEED_OF, {"after": number + len(items)})
        if reply is None:
            return None
        try:
            answer = reply["answer"]
            page = [(int(index), unb64(str(digest))) for index, digest in answer["items"]]
            more = bool(answer["more"])
        except (KeyError, TypeError, ValueError) as odd:
            raise invalid("sync.answer") from odd
        items += page
        if not page or not more or page[-1][0] > upto:
            break
    return [one for one in items if one[0] <= upto]


def _named(
    database: Database, member: str, doubt: alarms.Alarm, known: _Known, told: list[Item]
) -> dict[str, str | int] | None:
    """The entry in question, if the list told is the one that was signed; else None."""
    signed = (doubt.facts["number"], unb64(str(doubt.facts["running"])))
    if heads_audit.running_over(Part(known.number, unb64(known.running), told)) != signed:
        return None
    own = (
        select(InboxRow.index, InboxRow.leaf)
        .where(
            InboxRow.member == member,
            InboxRow.number > known.number,
            InboxRow.index <= doubt.facts["upto"],
        )
        .order_by(InboxRow.index)
        .limit(_PAGES_MAX * 256)
    )
    with database.read() as session:
        mine = [(index, journal.hash_leaf(leaf)) for index, leaf in session.execute(own)]
    found = heads_audit.compare(mine, told)
    return {"entry": found.index, "what": found.what}


# ---------------------------------------------------------------- time


def old_changes(
    session: Session, member: str, *, online_since: datetime | None, now: datetime
) -> bool:
    """Whether heads have become old, or are no longer so: `notice_old` would write."""
    standing = alarms.standing(session, "feed.old", about=member) is not None
    late = _late(session, member, online_since=online_since, now=now)
    return standing != (late is not None)


def notice_old(
    session: Session, member: str, *, online_since: datetime | None, now: datetime
) -> None:
    """Raise the alarm when heads are over 2 hours behind entries that came, with a link; else end.

    Args:
        online_since: since when there has been a link without a break.
    """
    late = _late(session, member, online_since=online_since, now=now)
    if late is None:
        alarms.drop(session, "feed.old", about=member)
    elif alarms.standing(session, "feed.old", about=member) is None:
        alarms.put(session, "feed.old", about=member, now=now, entry=late)


def _late(
    session: Session, member: str, *, online_since: datetime | None, now: datetime
) -> int | None:
    """The first entry that no heads cover although it is over 2 hours old.

    None once the log is frozen: heads would have to be entered.
    """
    if online_since is None or now < online_since + LINK_MIN:
        return None
    if freezing.newest(session) is not None:
        return None
    return session.scalar(
        select(InboxRow.index)
        .where(
            InboxRow.member == member,
            InboxRow.index > _known(session, member).seen,
            InboxRow.kind.not_in(sorted(QUIET)),
            InboxRow.time < now - OLD,
        )
        .order_by(InboxRow.index)
        .limit(1)
    )


def notice_time(
    session: Session, member: str, *, time: datetime, signed_at: datetime | None, now: datetime
) -> None:
    """Compare the ledger time in a receipt with this node's clock: alarm over 5 minutes.

    A time may not lie ahead, nor before an own exchange was signed; one that fits, of an exchange
    signed in the last 5 minutes, ends the alarm.
    """
    off = time - now
    if signed_at is not None and time < signed_at:
        off = time - signed_at
    wrong = off > CLOCK_OFF_MAX or (
        signed_at is not None and time < signed_at and -off > CLOCK_OFF_MAX
    )
    if wrong:
        if alarms.standing(session, "clock", about=member) is None:
            seconds = abs(off) // timedelta(seconds=1)
            alarms.put(session, "clock", about=member, now=now, minutes=seconds // 60)
    elif signed_at is not None and abs(now - signed_at) <= CLOCK_OFF_MAX:
        alarms.drop(session, "clock", about=member)


def _known(session: Session, member: str) -> _Known:
    row = session.get(MarkRow, _MARK + member)
    return _Known() if row is None else _Known(**orjson.loads(row.value))


def _keep(session: Session, member: str, known: Mapping[str, int | str]) -> None:
    session.merge(MarkRow(name=_MARK + member, value=orjson.dumps(known).decode()))
    session.flush()
