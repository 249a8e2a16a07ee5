"""What pages need of the node that wiring builds (`app.state.node`)."""

from typing import Protocol

from consortium.exchange.blobs import BlobStore
from consortium.exchange.identity import Identities
from consortium.exchange.links import LinkState
from consortium.exchange.outbox import Post
from consortium.kernel.database import Database
from consortium.members.keyring import Keyring
from consortium.members.seal import Seals
from consortium.ports import Clock
from consortium.settings import Settings
from consortium.web.wake import Broadcaster


class WebNode(Protocol):
    """One node. Everything here is made once, at the start, and holds no session."""

    @property
    def id(self) -> str:
        """The node id; names the cookies, which ports do not keep apart."""

    @property
    def settings(self) -> Settings: ...
    @property
    def database(self) -> Database: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def wake(self) -> Broadcaster: ...
    @property
    def keyring(self) -> Keyring: ...
    @property
    def post(self) -> Post: ...
    @property
    def seals(self) -> Seals: ...
    @property
    def store(self) -> BlobStore:
        """Sealed files of attachments."""

    @property
    def identities(self) -> Identities: ...
    @property
    def policy(self) -> bytes:
        """The tlog-policy pinned at joining."""

    def link_state(self, member: str) -> LinkState:
        """How the link of a local member's courier is."""
