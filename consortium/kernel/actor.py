"""Who acts: a person of a member, in one or more roles, on this node."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from consortium.kernel.errors import missing
from consortium.kernel.ids import MemberId, UserId


class Role(StrEnum):
    """Roles of people (issue: People)."""

    TOWNSHIP_DOCTOR = "township_doctor"
    SPECIALIST = "specialist"
    CONSULT_DESK = "consult_desk"
    CONSORTIUM_ADMIN = "consortium_admin"
    HEAD = "head"
    MEMBER_ADMIN = "member_admin"
    REGULATOR = "regulator"
    """Reads ledger, members, contracts and alarms at a mirror; writes nothing."""


PATIENT_READERS: Final = (Role.TOWNSHIP_DOCTOR, Role.SPECIALIST, Role.CONSULT_DESK)
"""Who may see patients; heads and administrators see contracts and figures."""


@dataclass(frozen=True, slots=True)
class Actor:
    """A signed-in person. `key` is the id of the person's current key, empty when there is none."""

    user: UserId
    name: str
    member: MemberId
    roles: frozenset[Role]
    key: str = ""

    def may(self, *roles: Role) -> bool:
        """Whether the actor has one of these roles."""
        return not self.roles.isdisjoint(roles)

    def require(self, *roles: Role) -> None:
        """Answer as for a page that does not exist unless the actor has one of these roles."""
        if not self.may(*roles):
            raise missing("rights.not_here")
