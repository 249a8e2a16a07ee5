"""Receipts that this node keeps, checked again: for `consortium ledger verify`."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from consortium.exchange.tables import InboxRow, OutboxRow
from consortium.kernel.errors import Refusal
from consortium.ledger import receipts

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Doubtful:
    """A receipt that does not hold: the entry that it is for, the table it stands in, and why."""

    index: int
    table: str
    reason: str


def doubtful_receipts(session: Session, policy: bytes) -> Iterator[Doubtful]:
    """Receipts kept beside sent and received exchanges that do not hold for their leaf.

    Raises:
        Refusal: `ledger.policy` when the policy cannot be read.
    """
    for table in (InboxRow, OutboxRow):
        held = select(table.index, table.leaf, table.receipt).where(
            table.receipt.is_not(None), table.index.is_not(None)
        )
        for index, leaf, raw in session.execute(held.order_by(table.index)).yield_per(_PAGE):
            try:
                checked = receipts.believed(session, raw or b"", policy, expect_leaf=leaf)
            except Refusal as refusal:
                if refusal.code != "ledger.receipt":
                    raise
                yield Doubtful(index or 0, table.__tablename__, str(refusal.facts["reason"]))
            else:
                if checked.index != index:
                    yield Doubtful(index or 0, table.__tablename__, "proof.leaf")
