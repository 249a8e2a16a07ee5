"""An own exchange gets its place on the ledger in the outbox."""

from dataclasses import dataclass
from datetime import datetime

import orjson

from consortium.exchange.judgement import outcome_of
from consortium.exchange.jws import Signed
from consortium.exchange.tables import OutboxRow


@dataclass(frozen=True, slots=True)
class Place:
    """Index, leaf, verdict and ledger time of an entry."""

    index: int
    leaf: bytes
    verdict: str
    time: datetime


def settle(row: OutboxRow, place: Place) -> None:
    """Write an exchange's place and verdict into its outbox row; a duplicate counts as sent."""
    ok, words = outcome_of(place.verdict)
    row.index, row.leaf, row.verdict = place.index, place.leaf, place.verdict
    row.answered_at = place.time
    row.state = "sent" if ok or words[0] == "duplicate" else "refused"


def taken_back(
    member: str, signed: Signed, *, facts: bytes, body: bytes, place: Place
) -> OutboxRow:
    """An own exchange that a restored database no longer had, as the ledger shows it."""
    header = signed.header
    row = OutboxRow(
        id=header.id,
        member=member,
        node=header.node,
        lane=header.lane.value,
        seq=header.seq,
        kind=header.kind,
        case=header.case,
        recipients=orjson.dumps(list(header.to)).decode(),
        after=orjson.dumps(list(header.after)).decode(),
        jws=signed.raw,
        jws_hash=signed.digest,
        facts=facts,
        body=body,
        hint="",
        queued_at=place.time,
    )
    settle(row, place)
    return row
