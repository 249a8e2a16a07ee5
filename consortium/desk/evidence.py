"""Evidence against the ledger reaches the persons who must act on it: heads and admins."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy.orm import Session

from consortium.desk import service
from consortium.kernel.actor import Role
from consortium.ledger import witness

ROLES = frozenset({Role.HEAD, Role.MEMBER_ADMIN, Role.CONSORTIUM_ADMIN})
_AT_ONCE = 20


def warn(session: Session, members: Iterable[str], *, now: datetime) -> int:
    """Give each local member one notice for each piece of evidence; gives how many were new."""
    found = witness.evidence(session, limit=_AT_ONCE)
    return sum(
        service.notify(
            session,
            member=member,
            case="",
            word="desk.notice.ledger",
            params={},
            link="/ledger",
            roles=ROLES,
            now=now,
            about=one.digest.hex(),
        )
        for one in found
        for member in members
    )
