"""What is checked before a node serves, and the recovery of a hub that may not."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from consortium.exchange import behind, gossiping, restored
from consortium.exchange.own_kinds import HUB_MEMBER
from consortium.exchange.recovery import Recovery
from consortium.kernel.errors import Refusal, RefusalKind, missing
from consortium.ledger import gossip, journal, policies, publisher, receipts
from consortium.wiring.node import Node


def start_checks(node: Node, *, recovering: bool = False) -> Mapping[str, str]:
    """Compare guards and tail of the ledger at start; gives why a local node may not sign.

    Args:
        recovering: let a hub that lacks entries serve, to be given them; it gives no index.

    Raises:
        Refusal: `ledger.damaged`; `exchange.behind_guard` when the hub's database is smaller than
            its guard, `ledger.behind` when it is smaller than what a mirror or a member has
            shown: it was restored, and must be recovered first (PROTOCOL 5).
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
        if node.hub is not None and not recovering:
            refuse_behind_guard(size, node.hub.guard.size())
            _refuse_behind_others(node)
    return {member: reason for member, reason in reasons.items() if reason}


def refuse_behind_guard(size: int, kept: int) -> None:
    """Refuse to serve a ledger that is smaller than what its guard has seen."""
    if size < kept:
        raise Refusal(RefusalKind.UNAVAILABLE, "exchange.behind_guard", size=size, kept=kept)


def _refuse_behind_others(node: Node) -> None:
    """Ask mirrors and witnesses what they have seen; nobody who is silent stops the start."""
    with node.database.read() as session:
        own = gossip.own_newest(session)
        known = gossiping.addresses(session, node.witnessing) if node.policy else []
    peers = list(dict.fromkeys([*known, *node.settings.gossip_peers]))[: gossiping.PEERS_MAX]
    told: list[tuple[str, bytes]] = []
    if own and peers:
        with ThreadPoolExecutor(len(peers)) as pool:
            answers = pool.map(lambda peer: node.tell_peer(peer.rstrip("/"), own), peers)
            told = [(peer, one) for peer, one in zip(peers, answers, strict=True) if one]
    if told:
        rules = rules_of(node)
        with node.database.write() as session:
            for peer, one in told:
                behind.shown(session, one, giver=peer, rules=rules, now=node.clock.now())
    with node.database.read() as session:
        behind.refuse(session)


def rules_of(node: Node) -> list[bytes]:
    """Policies whose log keys this hub believes: the one in force, and its own keys."""
    if node.hub is None:
        raise missing("rights.not_here")
    own = [receipts.policy_text(signer.vkey) for signer in node.hub.log.signers]
    with node.database.read() as session:
        return [*([policies.in_force(session, node.policy)] if node.policy else []), *own]


def recovery_of(node: Node) -> Recovery:
    """The recovery of a hub. Raises Refusal `rights.not_here` at any other node."""
    if node.hub is None or HUB_MEMBER not in node.identities.members:
        raise missing("rights.not_here")
    return Recovery(node.database, node.registry, node.hub.guard, rules_of(node))


def begin_recovery(node: Node) -> None:
    """Ask members for what is missing from now on. Raises Refusal `rights.not_here`."""
    needed = recovery_of(node).standing().needed
    with node.database.write() as session:
        behind.mark(session, needed, now=node.clock.now())


def recover(node: Node, now: datetime) -> int:
    """While entries are missing, take those that were given; gives how many entries there are new.

    With its guard the hub knows where its ledger ended, and goes on as soon as all is back. Without
    it somebody has to say that all have been heard: `hub recover`.
    """
    if node.hub is None:
        return 0
    with node.database.read() as session:
        needed, before = behind.needed(session), journal.size(session)
    if not needed:
        _try_again(node)
        return 0
    recovery = recovery_of(node)
    recovery.from_guard()
    told = recovery.refill(now=now)
    # members must find the whole ledger signed when they are answered again
    node.publish(now)
    if node.hub.guard.covered() and recovery.finish(node.identities.by_member.values(), now=now):
        node.hub.admission.cover()
        _try_again(node)
        node.nudge.notify()
    return told.size - before


def _try_again(node: Node) -> None:
    """Own members that may not sign take their chains back as far as feeds go by now."""
    with node.database.read() as session:
        waiting = [
            member
            for member, identity in node.identities.by_member.items()
            if restored.reason(session, identity.node) == "behind"
        ]
    for member in waiting:
        node.couriers[member].caller.forget()
