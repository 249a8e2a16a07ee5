"""A member asks mirrors, past the hub, what the hub may have hidden from it (PROTOCOL 5, "Feed").

Only signed reads of what is the asker's own go there, and nothing is believed but what leads to
what the hub has signed itself.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from consortium.exchange import gossiping
from consortium.exchange.caller import Caller
from consortium.exchange.heads_watch import Query
from consortium.exchange.identity import Identity
from consortium.exchange.witnessing import Witnessing
from consortium.ports import Clock, Link

Reach = Callable[[str], AbstractContextManager[Link]]
"""A link to an address, open for as long as it is used."""


@dataclass(frozen=True, slots=True)
class Mirrors:
    """Signed reads at each address that may be a mirror's, one after the other.

    Args:
        peers: addresses of the settings, beside those of the witnesses in the policy in force.
    """

    witnessing: Witnessing
    identity: Identity
    clock: Clock
    reach: Reach
    peers: Sequence[str] = ()

    def __iter__(self) -> Iterator[Query]:
        with self.witnessing.database.read() as session:
            known = gossiping.addresses(session, self.witnessing)
        for address in list(dict.fromkeys([*known, *self.peers]))[: gossiping.PEERS_MAX]:
            with self.reach(address.rstrip("/")) as link:
                yield Caller(self.identity, link, self.clock).query
