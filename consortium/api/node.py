"""What the faces for programs need of the node that wiring builds (`app.state.node`)."""

from typing import Protocol

from consortium.exchange.hubdesk import HubDesk
from consortium.exchange.identity import Identities
from consortium.exchange.links import LinkState
from consortium.exchange.mirrordesk import MirrorDesk
from consortium.exchange.witnessing import Witnessing
from consortium.kernel.database import Database
from consortium.ports import Clock
from consortium.settings import Settings


class ApiNode(Protocol):
    """One node."""

    @property
    def settings(self) -> Settings: ...
    @property
    def database(self) -> Database: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def identities(self) -> Identities: ...
    def link_state(self, member: str) -> LinkState:
        """How the link of a local member's courier is."""

    @property
    def keeps_ledger(self) -> bool:
        """Whether the whole ledger is kept here: at the hub and at a mirror."""

    @property
    def witnessing(self) -> Witnessing:
        """What this node sees of the ledger, cosigns and hears."""

    @property
    def desk(self) -> HubDesk | MirrorDesk | None:
        """What answers other nodes: the hub's side of sync, a mirror's; None at a workstation."""
