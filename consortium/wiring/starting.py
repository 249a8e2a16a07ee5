"""What is checked before a node serves."""

from collections.abc import Mapping

from consortium.exchange import restored
from consortium.kernel.errors import Refusal, RefusalKind
from consortium.ledger import journal, publisher
from consortium.wiring.node import Node


def start_checks(node: Node) -> Mapping[str, str]:
    """Compare guards and tail of the ledger at start; gives why a local node may not sign.

    Raises:
        Refusal: `ledger.damaged`, or `exchange.behind_guard` when the hub's database is smaller
            than its guard: it was restored, and must be recovered first (PROTOCOL 5).
    """
    with node.database.write() as session:
        reasons = {
            member: restored.check_at_start(session, identity)
            for member, identity in node.identities.by_member.items()
        }
    if node.keeps_ledger:
        with node.database.read() as session:
            publisher.check_tail(session)
            size = journal.size(session)
        if node.hub is not None:
            refuse_behind_guard(size, node.hub.guard.size())
    return {member: reason for member, reason in reasons.items() if reason}


def refuse_behind_guard(size: int, kept: int) -> None:
    """Refuse to serve a ledger that is smaller than what its guard has seen."""
    if size < kept:
        raise Refusal(RefusalKind.UNAVAILABLE, "exchange.behind_guard", size=size, kept=kept)
