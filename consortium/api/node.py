"""What the faces for programs need of the node that wiring builds (`app.state.node`)."""

from typing import Protocol

from consortium.exchange.hubdesk import HubDesk
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
    def desk(self) -> HubDesk | None:
        """The hub's side of sync; None at a workstation."""
