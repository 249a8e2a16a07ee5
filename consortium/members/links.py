"""One-time links: how a person gets to choose a password. Only a hash of the token is kept."""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from consortium.kernel.actor import Role
from consortium.kernel.errors import missing
from consortium.members import store
from consortium.members.tables import LinkRow

LIFE = timedelta(hours=24)
_TOKEN_MAX = 64


@dataclass(frozen=True, slots=True)
class OneTimeLink:
    """A link by which one person sets a password, once."""

    token: str = field(repr=False)
    expires_at: datetime

    @property
    def path(self) -> str:
        """Where it leads, on the node's own pages."""
        return f"/welcome/{self.token}"


def new(
    session: Session, *, member: str, roles: frozenset[Role], now: datetime, user: str = ""
) -> OneTimeLink:
    """A link for an account, or for the first account of a member when `user` is empty.

    Earlier links of the same account end.
    """
    token, expires = secrets.token_urlsafe(24), now + LIFE
    store.drop_links(session, user=user, before=now)
    row = LinkRow(
        token=_hashed(token),
        member=member,
        roles=store.roles_text(roles),
        user=user,
        expires_at=expires,
    )
    session.add(row)
    session.flush()
    return OneTimeLink(token, expires)


def find(session: Session, token: str, *, now: datetime) -> LinkRow:
    """The link of a token. Raises Refusal `members.link` when used, too old or unknown."""
    row = store.link(session, _hashed(token)) if len(token) <= _TOKEN_MAX else None
    if row is None or row.used_at is not None or now >= row.expires_at:
        raise missing("members.link")
    return row


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
