"""Checkpoints past the hub: what is told to others, and what they tell (PROTOCOL 5).

A hub that shows two histories must keep everybody who saw one from everybody who saw the other.
"""

from collections.abc import Callable, Iterable
from datetime import datetime

from sqlalchemy.orm import Session

from consortium.exchange.witnessing import Witnessing
from consortium.kernel.errors import Refusal
from consortium.ledger import gossip, policies

PATH = "/ledger/gossip"
BODY_MAX_BYTES = 64 * 1024
PEERS_MAX = 16

Tell = Callable[[str, bytes], bytes | None]
"""Posts bytes to an address; its answer, None when there was none."""


def heard(witnessing: Witnessing, body: bytes, *, now: datetime) -> tuple[Refusal | None, bytes]:
    """Take a checkpoint that somebody brought; what it contradicts, and this node's own newest."""
    with witnessing.database.write() as session:
        found = gossip.hear(session, body, policy_bytes=witnessing.rules(session), now=now)
        return found, gossip.own_newest(session)


def tell(witnessing: Witnessing, peers: Iterable[str], post: Tell, *, now: datetime) -> int:
    """Tell this node's newest checkpoint to peers and hear theirs; gives how many answered.

    No answer, and one that is no checkpoint of the log, is nothing: gossip is an extra chance.
    """
    with witnessing.database.read() as session:
        own = gossip.own_newest(session)
        wanted = list(dict.fromkeys([*addresses(session, witnessing), *peers]))[:PEERS_MAX]
    answered = 0
    for address in wanted if own else ():
        answer = post(address.rstrip("/"), own)
        if answer:
            answered += 1
            heard(witnessing, answer[:BODY_MAX_BYTES], now=now)
    return answered


def addresses(session: Session, witnessing: Witnessing) -> list[str]:
    """The addresses that the policy in force gives for its witnesses."""
    rules = policies.read_policy(witnessing.rules(session))
    return [url for url in rules.witness_urls.values() if url.startswith(("https://", "http://"))]
