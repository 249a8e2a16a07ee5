"""Receipts of a member: which are still to come, and each kept only if it proves right."""

from datetime import datetime

from sqlalchemy import and_, not_, select
from sqlalchemy.orm import Session

from consortium.exchange import alarms, heads_watch
from consortium.exchange.tables import InboxRow, OutboxRow
from consortium.kernel.errors import Refusal
from consortium.ledger import receipts

_AT_ONCE = 128


def wanted(session: Session, member: str, *, witnessed: int) -> list[int]:
    """Entries without a receipt, or with one that by now can name its witnesses; at most 128.

    Args:
        witnessed: size of the newest checkpoint that has its quorum.
    """
    late = and_(InboxRow.receipt.is_not(None), InboxRow.index >= witnessed)
    rows = session.scalars(
        select(InboxRow.index)
        .where(InboxRow.member == member, InboxRow.witnessed.is_(False), not_(late))
        .order_by(InboxRow.index)
        .limit(_AT_ONCE)
    )
    return list(rows)


def keep(
    session: Session, member: str, index: int, raw: bytes, *, policy: bytes, now: datetime
) -> bool | Refusal:
    """Keep a receipt that holds under the policy in force, and says more than the one kept.

    Returns:
        Whether it was kept; or why it does not hold, with the alarm raised.
    """
    row = session.get(InboxRow, (member, index))
    if row is None:
        return False
    about = f"{member}:{index}"
    try:
        held = receipts.believed(session, raw, policy, expect_leaf=row.leaf)
    except Refusal as refusal:
        row.alarm = refusal.code
        alarms.put(session, "receipt", about=about, now=now, entry=index, found=refusal.code)
        return refusal
    alarms.drop(session, "receipt", about=about)
    if row.receipt is not None and not held.quorum:
        return False
    row.receipt, row.witnessed = raw, held.quorum
    own = session.get(OutboxRow, row.exchange)
    signed_at = None
    # an exchange signed again after a loss has one receipt for each of its leaves
    if own is not None and own.index == index:
        own.receipt, signed_at = raw, own.queued_at
    heads_watch.notice_time(session, member, time=held.time, signed_at=signed_at, now=now)
    return True
