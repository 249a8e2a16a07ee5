"""Tells who must act on a contract next.

The worklist lies above this room, so wiring gives a `Notices` that writes there.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from consortium.kernel.actor import Role


@dataclass(frozen=True, slots=True)
class Waiting:
    """A contract that waits for the seal of `member`, used by a person in one of `roles`."""

    member: str
    contract: str
    title: str
    proposer: str
    signed: int
    parties: int
    roles: frozenset[Role]
    started_at: datetime

    @property
    def link(self) -> str:
        """The page on which it is signed."""
        return f"/contracts/{self.contract}"


@dataclass(frozen=True, slots=True)
class News:
    """What another party did to a contract, for the people of `member` in `roles`."""

    member: str
    contract: str
    word: str
    title: str
    party: str
    roles: frozenset[Role]
    about: str

    @property
    def link(self) -> str:
        """The contract's page."""
        return f"/contracts/{self.contract}"


class Notices:
    """Rows and notices of the worklist, one row a member and contract; this one tells nobody."""

    def put(self, session: Session, waiting: Waiting, *, now: datetime) -> None:
        """Show that it waits; the same again changes nothing."""

    def close(self, session: Session, *, member: str, contract: str, now: datetime) -> None:
        """It waits for this member no more."""

    def tell(self, session: Session, news: News, *, now: datetime) -> None:
        """Give a notice once for each act."""

    def moved(self, session: Session) -> None:
        """A contract changed: open pages are to be drawn anew."""
