"""Terms, contracts and exchanges for tests of the contracts room."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar

from consortium.contracts import model
from consortium.contracts.terms import Service, Terms, canonical, digest, document, tree
from consortium.exchange.facts import Facts, Value
from consortium.exchange.header import Header, Lane
from consortium.exchange.kinds import ExchangeKind
from consortium.kernel.time import to_ms

NOW = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
PARTIES = ("yunling", "lead", "consortium")
NAMES = {"yunling": "云岭乡卫生院", "lead": "清源市第一人民医院", "consortium": "清源县医联体"}


def name_of(member: str) -> str:
    return NAMES.get(member, member)


def service(no: int = 1, **changes: Any) -> Service:
    whole: dict[str, Any] = {
        "no": no,
        "code": "cardiology",
        "kind": "referral",
        "provider": "lead",
        "taker": "yunling",
        "quota_month": 3,
        "urgencies": ("routine", "urgent", "emergency"),
        "answer_min": {"routine": 1440, "urgent": 240, "emergency": 30},
    }
    return Service(**(whole | changes))


def terms(*services: Service, **changes: Any) -> Terms:
    whole: dict[str, Any] = {
        "parties": PARTIES,
        "services": services or (service(),),
        "types": ("Patient", "Condition", "Observation"),
        "purposes": ("TREAT", "ETREAT"),
        "start_ms": None,
        "end_ms": None,
        "notice_days": 30,
    }
    return Terms(**(whole | changes))


def digest_of(of: Terms, title: str = "协议") -> str:
    return digest(canonical(document(title, of)))


def proposed(of: Terms, *, time: datetime = NOW, old: Value | None = None) -> dict[str, Any]:
    return model.proposed(
        old,
        parties=of.parties,
        digest=digest_of(of),
        tree=tree(of),
        by="consortium",
        time_ms=to_ms(time),
    )


def in_force(of: Terms, *, time: datetime = NOW) -> dict[str, Any]:
    """A contract that every party has signed."""
    value = proposed(of, time=time)
    for number, member in enumerate(of.parties):
        value = model.signed(
            value, member=member, seal=f"seal-{member}", time_ms=to_ms(time), here=10 + number
        )
    return value


def header(kind: str = "test.open/1", **changes: Any) -> Header:
    whole: dict[str, Any] = {
        "id": "x1",
        "kind": kind,
        "sender": "yunling",
        "to": ("lead",),
        "node": "n",
        "lane": Lane.ROUTINE,
        "seq": 1,
        "prev": "",
        "facts": "",
        "body": "",
        "at": "",
        "contract": "c1",
        "case": "k1",
        "purpose": "TREAT",
    }
    return Header(**(whole | changes))


@dataclass
class Shared:
    """Shared state in memory, as `judge` and `decide` read it."""

    values: dict[str, Value] = field(default_factory=dict)

    def get(self, name: str) -> Value | None:
        return self.values.get(name)

    def link(self, name: str) -> tuple[str, Value | None]:
        subject, _, named = name.partition(">")
        target = str((self.values.get(subject) or {}).get(named, ""))
        return target, self.values.get(target)


class Kind(ExchangeKind):
    """A kind that lives in tests; its service is one of referrals unless it is named otherwise."""

    def facts_of(self, message: object) -> Facts:
        raise NotImplementedError

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return ()


class Opens(Kind):
    name: ClassVar[str] = "test.open/1"
    opens_case = True
    quota = 1


class OpensSession(Opens):
    name: ClassVar[str] = "booking.request/1"


class Asks(Kind):
    """Opens a case without a service and without a quota."""

    name: ClassVar[str] = "test.ask/1"
    opens_case = True


class Goes(Kind):
    name: ClassVar[str] = "test.go/1"


class GivesBack(Kind):
    name: ClassVar[str] = "test.back/1"
    quota = -1


class Charter(Kind):
    name: ClassVar[str] = "test.charter/1"
    charter = True


REQUEST: Mapping[str, Any] = {"service": "cardiology", "urgency": "routine"}
