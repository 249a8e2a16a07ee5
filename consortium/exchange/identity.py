"""The identities that act from one installation: their node key, their sealing key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from consortium.exchange.guard import NodeGuard, WitnessGuard
from consortium.ports import Signer


@dataclass(frozen=True, slots=True)
class WitnessPart:
    """What makes a node a witness of the log: its cosigning key, the guard of what it cosigned."""

    signer: Signer
    guard: WitnessGuard


@dataclass(frozen=True, slots=True)
class Identity:
    """A member as this installation holds it.

    A workstation holds one; the hub holds the consortium (whose unattended kinds the hub's node
    signs) and the lead hospital. `unseal` are age identities that open bodies, newest first.
    `witness` is None at the hub.
    """

    member: str
    node: str
    signer: Signer
    unseal: Sequence[str]
    guard: NodeGuard
    witness: WitnessPart | None = None


@dataclass(frozen=True, slots=True)
class Identities:
    """All identities of an installation, by member."""

    by_member: Mapping[str, Identity]

    def of(self, member: str) -> Identity:
        """The identity of a local member. Raises KeyError for one that is not local."""
        return self.by_member[member]

    @property
    def members(self) -> frozenset[str]:
        return frozenset(self.by_member)
