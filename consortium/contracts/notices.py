"""Tells who must act on a contract next.

The worklist lies above this room, so wiring gives a `Notices` that writes there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from consortium.kernel.actor import Role
from consortium.words import Lang


@dataclass(frozen=True, slots=True)
class Waiting:
    """A contract that waits for somebody of `member` in one of `roles`.

    `need` and `source` are word keys, `source` with `params`; `whose` is who put it there.
    """

    member: str
    contract: str
    need: str
    source: str
    params: Mapping[str, object]
    whose: str
    roles: frozenset[Role]
    started_at: datetime
    link: str


@dataclass(frozen=True, slots=True)
class News:
    """What another party did to a contract, for the people of `member` in `roles`."""

    member: str
    contract: str
    word: str
    title: str
    party: Mapping[Lang, str]
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
