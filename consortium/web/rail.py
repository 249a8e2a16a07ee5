"""The rail: which pages a role has, in which order, under which icon."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from consortium.kernel.actor import Role
from consortium.web.views import RailItem

_DOCTORS = frozenset({Role.TOWNSHIP_DOCTOR, Role.SPECIALIST, Role.CONSULT_DESK})
_TOWNSHIP = frozenset({Role.TOWNSHIP_DOCTOR})
_HOSPITAL = frozenset({Role.SPECIALIST, Role.CONSULT_DESK})
_SPECIALIST = frozenset({Role.SPECIALIST})
_CONTRACTS = frozenset({Role.CONSORTIUM_ADMIN, Role.HEAD, Role.REGULATOR})
_PEOPLE = frozenset({Role.MEMBER_ADMIN, Role.HEAD})
_ALL = frozenset(Role)


@dataclass(frozen=True, slots=True)
class _Entry:
    page: str
    href: str
    icon: str
    roles: frozenset[Role]
    topics: tuple[str, ...] = ()
    """Topics of the worklist whose rows are counted here."""


ENTRIES = (
    _Entry("todo", "/", "list-checks", _ALL),
    _Entry("patients", "/patients", "user-round", _DOCTORS),
    _Entry("referrals", "/referrals", "arrow-up-right", _TOWNSHIP, ("referral",)),
    _Entry("triage", "/referrals", "stethoscope", _HOSPITAL, ("referral",)),
    _Entry("slots", "/bookings", "calendar-clock", _DOCTORS, ("teleconsult", "booking")),
    _Entry("my_slots", "/slots", "calendar-cog", _SPECIALIST),
    _Entry("records", "/records", "file-search", _DOCTORS, ("record", "records")),
    _Entry("contracts", "/contracts", "handshake", _CONTRACTS, ("contract",)),
    _Entry("people", "/people", "users-round", _PEOPLE, ("person_key",)),
    _Entry("members", "/members", "building-2", _CONTRACTS | _PEOPLE),
    _Entry("outbox", "/outbox", "send", _ALL),
)
FOOT = (
    _Entry("ledger", "/ledger", "shield-check", _ALL),
    _Entry("help", "/help", "circle-question-mark", _ALL),
)


def entries(
    roles: frozenset[Role],
    *,
    topics: Mapping[str, int],
    late_topics: Mapping[str, int],
    mine: int,
    late: int,
    outbox: int,
) -> Sequence[RailItem]:
    """The rail of a person, with counts; a red count has late rows in it."""
    found = []
    for entry in ENTRIES:
        if roles.isdisjoint(entry.roles):
            continue
        count = sum(topics.get(topic, 0) for topic in entry.topics)
        hot = any(late_topics.get(topic, 0) for topic in entry.topics)
        if entry.page == "todo":
            count, hot = mine, late > 0
        elif entry.page == "outbox":
            count = outbox
        found.append(RailItem(entry.page, entry.href, entry.icon, count, hot))
    return found


def foot() -> Sequence[RailItem]:
    """The entries that everybody has, at the foot."""
    return [RailItem(entry.page, entry.href, entry.icon) for entry in FOOT]
