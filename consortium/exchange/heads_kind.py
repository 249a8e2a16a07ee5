"""The kind `feed.heads/1`: the hub's node says where every feed stands (PROTOCOL 5, "Feed")."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from consortium.exchange import facts as rules
from consortium.exchange import heads
from consortium.exchange.commitment import b64
from consortium.exchange.facts import FactRule, Facts, Value
from consortium.exchange.header import EVERYONE, Header, Lane
from consortium.exchange.kinds import (
    HERE,
    ExchangeKind,
    Opened,
    QueryType,
    SubjectType,
    Values,
    Verdict,
    everyone,
)
from consortium.exchange.own_kinds import HUB_MEMBER
from consortium.exchange.tables import FeedRow
from consortium.fhir import message as messages
from consortium.kernel.errors import Refusal, conflict, forbidden, invalid
from consortium.kernel.time import to_ms
from consortium.ledger import journal

if TYPE_CHECKING:
    from consortium.fhir.message import Message

NAME = "feed.heads/1"
FEED_OF = "feed.of"
FEED_OF_MAX = 256


class FeedHeads(ExchangeKind):
    """Index, Merkle root over all members' heads as of that index, and how many they are."""

    name = NAME
    lanes = frozenset({Lane.CONTROL})
    sealed = False
    charter = True
    to_everyone = True
    rules: ClassVar[dict[str, FactRule]] = {
        "index": rules.number(),
        "root": rules.code(),
        "count": rules.number(),
    }

    def facts_of(self, message: "Message") -> Facts:
        return messages.parameters_of(message)

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return (heads.SUBJECT,)

    def judge(self, values: Values, header: Header, facts: Facts, time: datetime) -> Verdict:
        """Only the hub, to all, and each time for a later index."""
        if header.sender != HUB_MEMBER:
            return forbidden("exchange.not_hub")
        if header.to != (EVERYONE,):
            return invalid("exchange.recipients")
        old = values.get(heads.SUBJECT)
        if facts["index"] < 0 or (old is not None and facts["index"] <= old["index"]):
            return conflict("heads.backwards")
        return ""

    def step(
        self, name: str, old: Value | None, header: Header, facts: Facts, time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:  # fmt: skip
        return {**facts, "at": to_ms(time), "entry": HERE}

    def inspect(self, session: Session, opened: Opened) -> Refusal | None:
        """Heads of an index that was still to come can be nobody's."""
        ahead = opened.facts["index"] >= opened.index
        return invalid("heads.ahead") if ahead else None


def feed_of(session: Session, member: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Indices and leaf hashes of the asker's own feed after a number, at most 256 (hub, mirror).

    Raises:
        Refusal: `exchange.malformed`.
    """
    after = params.get("after")
    if not isinstance(after, int) or isinstance(after, bool) or not 0 <= after < 2**53:
        raise invalid("exchange.malformed", field="after")
    found = session.scalars(
        select(FeedRow.index)
        .where(FeedRow.member == member, FeedRow.number > after)
        .order_by(FeedRow.number)
        .limit(FEED_OF_MAX + 1)
    ).all()
    leaves = journal.leaves(session, found[:FEED_OF_MAX])
    return {
        "items": [[index, b64(journal.hash_leaf(leaf))] for index, leaf in sorted(leaves.items())],
        "more": len(found) > FEED_OF_MAX,
    }


KINDS: list[ExchangeKind] = [FeedHeads()]
SUBJECTS = [SubjectType("heads", everyone)]
QUERIES = [QueryType(FEED_OF, feed_of)]
