"""What a commit promises: guard files first, then the courier is woken (PROTOCOL 2, "Order").

Heads are read as the whole transaction commits. Heads noted earlier could be undone by a savepoint,
and a guard that has seen a number that was never signed would stop its node for good.
"""

from typing import Any

from sqlalchemy import event, select
from sqlalchemy.orm import Session

from consortium.exchange.identity import Identity
from consortium.exchange.tables import OwnHeadRow
from consortium.ports import Wake

_SIGNED, _HEADS = "exchange.signed", "exchange.heads"


def keep(session: Session, identity: Identity, wake: Wake) -> None:
    """Advance a node's guard and wake the courier once the caller's transaction is committed."""
    if _SIGNED not in session.info:
        session.info[_SIGNED] = {}
        event.listen(session, "before_commit", _read)
        event.listen(session, "after_commit", _promise)
    session.info[_SIGNED][identity.node] = (identity, wake)


def _read(session: Session) -> None:
    if session.in_nested_transaction() or not session.info[_SIGNED]:
        return
    heads: dict[str, dict[str, tuple[int, str]]] = {}
    for row in session.scalars(
        select(OwnHeadRow).where(OwnHeadRow.node.in_(session.info[_SIGNED]))
    ):
        heads.setdefault(row.node, {})[row.lane] = (row.seq, row.hash)
    session.info[_HEADS] = heads


def _promise(session: Session) -> None:
    if session.in_nested_transaction():
        return
    signed: dict[str, tuple[Identity, Wake]] = session.info[_SIGNED]
    heads: dict[str, Any] = session.info.pop(_HEADS, {})
    session.info[_SIGNED] = {}
    for node, (identity, wake) in signed.items():
        identity.guard.advance(heads.get(node, {}))
        wake.notify()
