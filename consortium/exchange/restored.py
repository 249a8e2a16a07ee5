"""A node whose database is behind its guard: it shows, prints, takes drafts, and signs nothing.

PROTOCOL 2 ("Guard file"). It takes its own entries back from its feed and goes on when heads agree.
"""

from sqlalchemy import select
from sqlalchemy.orm import Session

from consortium.exchange.guard import GuardDamaged
from consortium.exchange.identity import Identity
from consortium.exchange.tables import MarkRow, OwnHeadRow

_MARK = "restored:"


def heads(session: Session, node: str) -> dict[str, tuple[int, str]]:
    """The last (seq, hash) that this database knows of each lane of a node."""
    rows = session.scalars(select(OwnHeadRow).where(OwnHeadRow.node == node))
    return {row.lane: (row.seq, row.hash) for row in rows}


def is_restored(session: Session, node: str) -> bool:
    """Whether this node may not sign."""
    return session.get(MarkRow, _MARK + node) is not None


def reason(session: Session, node: str) -> str:
    """Why it may not: `behind`, `no_guard`, `other_node`, `other_machine`, `damaged`, `fork`."""
    row = session.get(MarkRow, _MARK + node)
    return row.value if row is not None else ""


def check_at_start(session: Session, identity: Identity) -> str:
    """Compare database and guard; mark the node when it was restored. Gives the reason or ""."""
    found = _compare(session, identity)
    row = session.get(MarkRow, _MARK + identity.node)
    if found and row is None:
        session.add(MarkRow(name=_MARK + identity.node, value=found))
    elif not found and row is None:
        identity.guard.advance(heads(session, identity.node))
    return found or (row.value if row is not None else "")


def _compare(session: Session, identity: Identity) -> str:
    try:
        kept = identity.guard.read()
    except GuardDamaged:
        return "damaged"
    known = heads(session, identity.node)
    if kept is None:
        return "no_guard"
    if kept.node != identity.node:
        return "other_node"
    if kept.machine != identity.guard.machine:
        return "other_machine"
    behind = any(seq > known.get(lane, (0, ""))[0] for lane, (seq, _) in kept.heads.items())
    return "behind" if behind else ""


def clear_if_whole(
    session: Session, identity: Identity, *, hub: dict[str, tuple[int, str]]
) -> bool:
    """Let the node sign again once database, guard and hub agree on every lane.

    Args:
        hub: heads of this node's chains as the hub answered; a guard ahead of them means numbers
            that are lost, and the node must enrol anew.
    """
    row = session.get(MarkRow, _MARK + identity.node)
    if row is None:
        return True
    known = heads(session, identity.node)
    kept = identity.guard.read()
    if kept is None or kept.node != identity.node or kept.machine != identity.guard.machine:
        return False
    lanes = set(known) | set(kept.heads) | set(hub)
    zero = (0, "")
    for lane in lanes:
        mine = known.get(lane, zero)
        if mine[0] < kept.heads.get(lane, zero)[0] or mine[0] < hub.get(lane, zero)[0]:
            return False
    session.delete(row)
    return True
