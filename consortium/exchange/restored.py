"""A node whose database is behind its guard: it shows, prints, takes drafts, and signs nothing.

PROTOCOL 2 ("Guard file"). It takes its own entries back from its feed and goes on when heads agree.
"""

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from consortium.exchange.guard import GuardDamaged, Kept
from consortium.exchange.identity import Identity
from consortium.exchange.tables import MarkRow, OwnHeadRow

Heads = Mapping[str, tuple[int, str]]
FORK = "fork"
_UNSURE = frozenset({"behind", "no_guard", "other_machine", "damaged"})
"""Reasons that a ledger which is whole again answers."""
_MARK = "restored:"
_NONE = (0, "")


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


def mark(session: Session, node: str, why: str) -> None:
    """This node may not sign from here on."""
    session.merge(MarkRow(name=_MARK + node, value=why))


def check_at_start(session: Session, identity: Identity) -> str:
    """Compare database and guard; mark the node when it was restored. Gives the reason or ""."""
    known = reason(session, identity.node)
    found = known or _compare(session, identity)
    if found:
        mark(session, identity.node, found)
    else:
        identity.guard.advance(heads(session, identity.node))
    return found


def notice_hub(session: Session, identity: Identity, hub: Heads) -> None:
    """The hub has numbers of this node that it never signed by its own memory: it is a copy."""
    known = heads(session, identity.node)
    ahead = any(seq > known.get(lane, _NONE)[0] for lane, (seq, _) in hub.items())
    if ahead and not is_restored(session, identity.node):
        mark(session, identity.node, "behind")


def _read(identity: Identity) -> Kept | str:
    """What the guard keeps, or why it cannot vouch for this node on this machine."""
    try:
        kept = identity.guard.read()
    except GuardDamaged:
        return "damaged"
    if kept is None:
        return "no_guard"
    if kept.node != identity.node:
        return "other_node"
    return kept if kept.machine == identity.guard.machine else "other_machine"


def _compare(session: Session, identity: Identity) -> str:
    kept = _read(identity)
    if isinstance(kept, str):
        return kept
    known = heads(session, identity.node)
    behind = any(seq > known.get(lane, _NONE)[0] for lane, (seq, _) in kept.heads.items())
    return "behind" if behind else ""


def vouch_anew(session: Session, identity: Identity, *, ledger: Heads) -> None:
    """At a hub whose ledger is whole again: its guards begin anew from ledger and database.

    What the lost database had signed and nobody admitted never left this installation, whose own
    members reach admission in process: its numbers are free. The node takes its entries back from
    its feed before it signs.

    Args:
        ledger: heads of this node's chains on the ledger.
    """
    if check_at_start(session, identity) not in _UNSURE:
        return
    known = heads(session, identity.node)
    for lane, head in ledger.items():
        if head[0] > known.get(lane, _NONE)[0]:
            known[lane] = head
    identity.guard.take_over(known)
    mark(session, identity.node, "behind")


def clear_if_whole(session: Session, identity: Identity, *, hub: Heads) -> bool:
    """Let the node sign again once database, guard and hub agree on every lane.

    Args:
        hub: heads of this node's chains as the hub answered; a guard ahead of them means numbers
            that are lost, and the node must enrol anew. So must one that signed two histories.
    """
    row = session.get(MarkRow, _MARK + identity.node)
    if row is None:
        return True
    kept = _read(identity)
    if row.value == FORK or isinstance(kept, str):
        return False
    known = heads(session, identity.node)
    for theirs in (kept.heads, hub):
        for lane, (seq, digest) in theirs.items():
            mine = known.get(lane, _NONE)
            if mine[0] < seq or (mine[0] == seq and mine[1] != digest):
                return False
    session.delete(row)
    return True
