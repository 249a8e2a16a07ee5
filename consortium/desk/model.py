"""What a worklist row says and when it is late. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal

from consortium.kernel.actor import Role
from consortium.kernel.ids import CaseId, MemberId, PatientId, UserId
from consortium.kernel.time import ZONE

Turn = Literal["mine", "theirs", "none"]
Urgency = Literal["emergency", "urgent", "routine"]

TURNS: tuple[Turn, ...] = ("mine", "theirs", "none")
URGENCIES: tuple[Urgency, ...] = ("emergency", "urgent", "routine")
# the order is stored in rows: new roles go to the end
_ROLES = (
    Role.TOWNSHIP_DOCTOR,
    Role.SPECIALIST,
    Role.CONSULT_DESK,
    Role.CONSORTIUM_ADMIN,
    Role.HEAD,
    Role.MEMBER_ADMIN,
    Role.REGULATOR,
)
AMBER_SHARE = 0.7
"""Share of the time used from which a deadline is drawn amber (design/ui.md, 4)."""
PUSH_SHARE = 0.8
"""Share of the time used at which a notice is pushed (product.md, 4.8)."""
AWAY_MIN = timedelta(hours=4)
"""Away for longer than this, the first screen says what changed meanwhile."""
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class DeskRow:
    """One case as one member's worklist shows it.

    `need`, `source`, `state` and `act` are word keys; `need_params` and `source_params` fill them
    (a value that begins with `@` is itself a word key). `turn` says whose act is next and
    `turn_name` names them. `roles` are those in whose own list the row stands; with `owner` it
    stands in that person's own list only. `numbers` are further search words (case number, slip).
    """

    member: MemberId
    case: CaseId
    topic: str
    urgency: str
    patient: PatientId | None
    patient_name: str
    patient_sex: str
    patient_birth: date | None
    need: str
    need_params: Mapping[str, Any]
    source: str
    source_params: Mapping[str, Any]
    state: str
    turn: Turn
    turn_name: str
    roles: frozenset[Role]
    due_at: datetime | None
    started_at: datetime
    link: str
    act: str = "desk.act.open"
    owner: UserId | None = None
    numbers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """A row as it is stored: with the local version of its last change."""

    row: DeskRow
    version: int
    updated_at: datetime
    closed_at: datetime | None = None

    @property
    def open(self) -> bool:
        return self.closed_at is None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many open rows: mine, the member's, late ones of mine, and mine by topic and by state."""

    mine: int = 0
    member: int = 0
    late: int = 0
    topics: Mapping[str, int] = field(default_factory=dict)
    states: Mapping[str, int] = field(default_factory=dict)
    late_topics: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Deadline:
    """How far a deadline is: `used` from 0.0 to 1.0, `tone` one of calm, amber, late."""

    due_at: datetime
    used: float
    tone: Literal["calm", "amber", "late"]
    left: timedelta


def deadline(row: DeskRow, *, now: datetime) -> Deadline | None:
    """Where a row stands between its start and its deadline; None when it has no deadline."""
    if row.due_at is None:
        return None
    whole = row.due_at - row.started_at
    left = row.due_at - now
    used = 1.0 if whole <= timedelta(0) else min(1.0, max(0.0, 1 - left / whole))
    if left <= timedelta(0):
        return Deadline(row.due_at, 1.0, "late", left)
    return Deadline(row.due_at, used, "amber" if used >= AMBER_SHARE else "calm", left)


def push_at(row: DeskRow) -> datetime | None:
    """When the one reminder of a row is due: at 80% of its time."""
    if row.due_at is None or row.turn != "mine":
        return None
    return row.started_at + (row.due_at - row.started_at) * PUSH_SHARE


def rank(urgency: str) -> int:
    """Order of urgencies: 0 emergency, 1 urgent, 2 anything else."""
    return URGENCIES.index(urgency) if urgency in URGENCIES else 2


def mask(roles: Iterable[Role]) -> int:
    """Roles as bits, so that one comparison finds the rows of a person."""
    return sum(1 << _ROLES.index(role) for role in set(roles))


def unmask(bits: int) -> frozenset[Role]:
    """Roles of the bits that `mask` made."""
    return frozenset(role for place, role in enumerate(_ROLES) if bits >> place & 1)


def was_away(last: datetime | None, *, now: datetime) -> bool:
    """Whether a screen shown now is the first after a night: hours since the last, or a new day."""
    if last is None:
        return False
    new_day = last.astimezone(ZONE).date() != now.astimezone(ZONE).date()
    return now - last >= AWAY_MIN or (new_day and now - last >= timedelta(hours=1))
