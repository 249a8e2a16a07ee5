"""The outbox: how a room sends. Everything is checked, sealed and signed before it is queued.

An exchange that stands here is a promise of this node: it is pushed until the hub has answered,
through restarts and cuts, and its number is never given to another.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from consortium.exchange import blobs, commitment, promise, state
from consortium.exchange.commitment import Part
from consortium.exchange.envelope import check_sizes
from consortium.exchange.facts import Facts, check
from consortium.exchange.header import EVERYONE, Header, Lane
from consortium.exchange.identity import Identities, Identity
from consortium.exchange.judgement import evaluate, resolved, subjects_of
from consortium.exchange.jws import FIRST_PREV, digest_text, sign
from consortium.exchange.kinds import ExchangeKind, Registry
from consortium.exchange.sealing import seal
from consortium.exchange.tables import OutboxRow, OwnHeadRow
from consortium.fhir import message as messages
from consortium.kernel.errors import Refusal, RefusalKind, conflict, invalid
from consortium.kernel.time import from_ms, to_ms
from consortium.ports import Wake

QUEUED, HELD, SENT, REFUSED = "queued", "held", "sent", "refused"
PENDING = (QUEUED, HELD)
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Draft:
    """What a room wants to send. `id` is the exchange id that the form carries.

    `body` is a FHIR message Bundle; the files that it names (`blobs.attachment`) go with it.
    """

    id: str
    kind: str
    sender: str
    to: tuple[str, ...]
    body: bytes
    case: str = ""
    contract: str = ""
    purpose: str = ""
    hint: str = ""
    """A word key that says in a list what this is, where the kind's own word is not enough."""


@dataclass(frozen=True, slots=True)
class Queued:
    """An exchange in the outbox."""

    id: str
    kind: str
    lane: str
    seq: int
    state: str
    queued_at: datetime
    again: bool = False
    """True when this id was queued before: nothing new was signed."""


@dataclass(slots=True)
class _Ready:
    kind: ExchangeKind
    facts: Facts
    lane: Lane
    after: tuple[str, ...]
    parts: list[Part]


class Post:
    """The one way in which rooms send. Made by wiring, one a node; holds no session."""

    def __init__(
        self,
        registry: Registry,
        identities: Identities,
        *,
        wake: Wake,
        query: "Callable[[str, str, Mapping[str, Any]], dict[str, Any] | None]",
    ) -> None:
        self.registry = registry
        self.identities = identities
        self._wake = wake
        self._query = query

    @property
    def members(self) -> frozenset[str]:
        """The members that act from this installation."""
        return self.identities.members

    def query(self, member: str, name: str, params: Mapping[str, Any]) -> dict[str, Any] | None:
        """A signed read at the hub: `{answer, index, time_ms}`; None with no link."""
        return self._query(member, name, params)

    def preview(self, session: Session, draft: Draft, *, now: datetime) -> Refusal | None:
        """Why this would be refused by what this node knows; None if nothing speaks against it."""
        try:
            self._ready(session, draft, now=now)
        except Refusal as refusal:
            return refusal
        return None

    def pending(self, session: Session, *, case: str) -> list[Queued]:
        """Exchanges of a case that the hub has not answered yet, oldest first."""
        rows = session.scalars(
            select(OutboxRow)
            .where(OutboxRow.case == case, OutboxRow.state.in_(PENDING))
            .order_by(OutboxRow.queued_at)
            .limit(100)
        )
        return [_queued(row) for row in rows]

    def send(self, session: Session, draft: Draft, *, now: datetime) -> Queued:
        """Check, seal, sign and queue one exchange in the caller's transaction.

        The same id again gives the first one back and signs nothing.

        Raises:
            Refusal: what the hub would refuse by this node's knowledge; `exchange.restored` when
                this node may not sign; `exchange.too_large`; `exchange.no_key` for a recipient
                that this node does not know.
        """
        if (row := session.get(OutboxRow, draft.id)) is not None:
            if row.kind != draft.kind or row.case != draft.case:
                raise conflict("exchange.id_reused")
            return _queued(row, again=True)
        identity = self.identities.of(draft.sender)
        refuse_if_restored(session, identity.node)
        ready = self._ready(session, draft, now=now)
        head = _lock_head(session, identity.node, ready.lane)
        # on a server two clicks of one form may both have come this far
        if (row := session.get(OutboxRow, draft.id)) is not None:
            return _queued(row, again=True)
        row = self._sign(session, draft, ready, identity, head, now=now)
        session.add(row)
        session.flush()
        promise.keep(session, identity, self._wake)
        return _queued(row)

    def _ready(self, session: Session, draft: Draft, *, now: datetime) -> _Ready:
        kind = self.registry.kind(draft.kind)
        if kind is None:
            raise invalid("exchange.kind")
        message = messages.read(draft.body, now=now)
        facts = kind.facts_of(message)
        if refusal := check(dict(facts), kind.rules):
            raise refusal
        waiting = _last_waiting(session, draft)
        after = (waiting,) if waiting else ()
        header = _header(draft, facts, kind)
        values = state.Held(session)
        names = subjects_of(self.registry, kind, header, facts, now)
        values.load(names)
        judge = not waiting and all(
            holds(self.registry, name, values, draft.sender)
            for name in resolved(self.registry, values, names)
        )
        verdict = evaluate(self.registry, kind, header, facts, values, now, judge=judge)
        if isinstance(verdict, Refusal):
            raise verdict
        return _Ready(kind, facts, header.lane, after, blobs.parts_of(message))

    def _sign(
        self,
        session: Session,
        draft: Draft,
        ready: _Ready,
        identity: Identity,
        head: OwnHeadRow,
        *,
        now: datetime,
    ) -> OutboxRow:
        facts = commitment.facts_bytes(dict(ready.facts), commitment.new_salt())
        salt = commitment.new_salt()
        plain = commitment.plain_body(draft.body, salt)
        body = seal(plain, self._recipients(session, draft)) if ready.kind.sealed else plain
        blobs.attach(session, ready.parts, exchange=draft.id)
        header = Header(
            id=draft.id,
            kind=draft.kind,
            sender=draft.sender,
            to=draft.to,
            node=identity.node,
            lane=ready.lane,
            seq=head.seq + 1,
            prev=head.hash,
            after=ready.after,
            contract=draft.contract,
            case=draft.case,
            at=minute(now),
            purpose=draft.purpose,
            facts=commitment.commit_facts(facts),
            body=commitment.commit_body(draft.body, salt),
            parts=commitment.commit_parts(ready.parts),
        )
        jws = sign(header, identity.signer)
        check_sizes((jws, facts, body))
        head.seq, head.hash = header.seq, digest_text(jws)
        return _row(draft, header, jws=jws, facts=facts, body=body, now=now)

    def _recipients(self, session: Session, draft: Draft) -> list[str]:
        members = {draft.sender, *draft.to} - {EVERYONE}
        known = state.read_many(session, [f"member:{member}" for member in members])
        found: list[str] = []
        for member in sorted(members):
            value = known.get(f"member:{member}")
            if value is None or not value.get("sealing"):
                raise Refusal(RefusalKind.CONFLICT, "exchange.no_key", member=member)
            found += [value["sealing"], *([value["recovery"]] if value.get("recovery") else [])]
        return found


def _lock_head(session: Session, node: str, lane: Lane) -> OwnHeadRow:
    """The head of a lane, held until the transaction ends: two threads never sign one number."""
    head = session.get(OwnHeadRow, (node, lane.value), with_for_update=True)
    if head is not None:
        return head
    try:
        with session.begin_nested():
            session.add(OwnHeadRow(node=node, lane=lane.value, seq=0, hash=FIRST_PREV))
    except IntegrityError:
        pass  # another thread has just begun this lane
    return session.get_one(OwnHeadRow, (node, lane.value), with_for_update=True)


def _last_waiting(session: Session, draft: Draft) -> str:
    """The sender's last exchange of the case that has no answer yet (PROTOCOL 3, `after`)."""
    if not draft.case:
        return ""
    last = session.scalar(
        select(OutboxRow.id)
        .where(
            OutboxRow.member == draft.sender,
            OutboxRow.case == draft.case,
            OutboxRow.state.in_(PENDING),
        )
        .order_by(OutboxRow.queued_at.desc(), OutboxRow.seq.desc())
        .limit(1)
    )
    return last or ""


def holds(registry: Registry, name: str, values: state.Held, member: str) -> bool:
    """Whether a member folds this subject, so that its absence means that it has no value."""
    family = registry.families[name.partition(":")[0]]
    return family.holds is None or family.holds(name, member, values.get)


def minute(now: datetime) -> str:
    """The sender's claim of its time, to the minute (PROTOCOL 3, `at`)."""
    return from_ms(to_ms(now) // 60_000 * 60_000).strftime("%Y-%m-%dT%H:%MZ")


def refuse_if_restored(session: Session, node: str) -> None:
    """Raise Refusal `exchange.restored` when this node's database is behind its guard."""
    from consortium.exchange.restored import is_restored

    if is_restored(session, node):
        raise Refusal(RefusalKind.UNAVAILABLE, "exchange.restored")


def _header(draft: Draft, facts: Facts, kind: ExchangeKind) -> Header:
    """The header as it will be, but for what signing fixes; enough for every check."""
    return Header(
        id=draft.id,
        kind=draft.kind,
        sender=draft.sender,
        to=draft.to,
        node="",
        lane=kind.lane(facts),
        seq=1,
        prev=FIRST_PREV,
        facts="",
        body="",
        at="",
        contract=draft.contract,
        case=draft.case,
        purpose=draft.purpose,
    )


def _row(
    draft: Draft, header: Header, *, jws: bytes, facts: bytes, body: bytes, now: datetime
) -> OutboxRow:
    return OutboxRow(
        id=draft.id,
        member=draft.sender,
        node=header.node,
        lane=header.lane.value,
        seq=header.seq,
        kind=draft.kind,
        case=draft.case,
        recipients=orjson.dumps(list(draft.to)).decode(),
        after=orjson.dumps(list(header.after)).decode(),
        jws=jws,
        jws_hash=commitment.unb64(digest_text(jws)),
        facts=facts,
        body=body,
        state=QUEUED,
        hint=draft.hint,
        queued_at=now,
        verdict="",
    )


def _queued(row: OutboxRow, *, again: bool = False) -> Queued:
    return Queued(
        id=row.id,
        kind=row.kind,
        lane=row.lane,
        seq=row.seq,
        state=row.state,
        queued_at=row.queued_at,
        again=again,
    )


__all__ = ["PENDING", "Draft", "Part", "Post", "Queued", "holds", "minute"]
