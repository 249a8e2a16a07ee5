"""The contract check of one exchange: 500 contracts of 40 services each, held in memory."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import cycle
from typing import Any

from consortium.contracts import model
from consortium.contracts.permit import PERMIT
from consortium.contracts.terms import SERVICES, Service, Terms, canonical, digest, document, tree
from consortium.exchange.facts import Facts, Value
from consortium.exchange.header import Header, Lane
from consortium.exchange.kinds import ExchangeKind
from consortium.kernel.time import to_ms
from tests.bench.measure import Measure, rate

NOW = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
CONTRACTS = 500
LIMIT_US = 20.0
_ROUNDS = 2_000


class _Open(ExchangeKind):
    name = "referral.bench/1"
    opens_case = True
    quota = 1

    def facts_of(self, message: object) -> Facts:
        raise NotImplementedError

    def subjects(self, header: Header, facts: Facts) -> tuple[str, ...]:
        return ()


class _Values:
    def __init__(self) -> None:
        self.held: dict[str, Value] = {}

    def get(self, name: str) -> Value | None:
        return self.held.get(name)

    def link(self, name: str) -> tuple[str, Value | None]:
        raise NotImplementedError(name)


def _terms(clinic: str) -> Terms:
    """40 services, both ways and of two hospitals; the one asked for is the last."""
    parties = (clinic, "lead", "consortium")
    directions = ((clinic, "consortium"), ("lead", clinic), (clinic, "lead"))
    lines = [
        (code, kind, taker, provider)
        for kind in ("teleconsult", "referral")
        for taker, provider in directions
        for code in SERVICES
    ][-40:]
    answers: Mapping[str, int] = {"routine": 1440, "urgent": 240, "emergency": 30}
    return Terms(
        parties=parties,
        services=tuple(
            Service(no, code, kind, provider, taker, 40, tuple(answers), dict(answers))
            for no, (code, kind, taker, provider) in enumerate(lines, start=1)
        ),
        types=("Patient", "Condition", "Observation", "DocumentReference"),
        purposes=("TREAT", "ETREAT"),
    )


def _signed(made: Terms) -> dict[str, Any]:
    value = model.proposed(
        None,
        parties=made.parties,
        digest=digest(canonical(document("x", made))),
        tree=tree(made),
        by="consortium",
        time_ms=to_ms(NOW),
    )
    for member in made.parties:
        value = model.signed(value, member=member, seal="s", time_ms=to_ms(NOW), here=1)
    return value


def _header(number: int) -> Header:
    return Header(
        id=f"x{number}", kind=_Open.name, sender=f"clinic-{number}", to=("lead",), node="n",
        lane=Lane.ROUTINE, seq=1, prev="", facts="", body="", at="", contract=f"c{number}",
        case=f"k{number}", purpose="TREAT",
    )  # fmt: skip


def run() -> Iterator[Measure]:
    """Microseconds a decision, with the counter of the month read."""
    values, kind = _Values(), _Open()
    for number in range(CONTRACTS):
        values.held[f"contract:c{number}"] = _signed(_terms(f"clinic-{number}"))
    facts = {"service": SERVICES[-1], "urgency": "urgent", "types": ["Patient", "Condition"]}
    headers = cycle([_header(number) for number in range(CONTRACTS)])
    for header in (_header(number) for number in range(CONTRACTS)):
        for name in PERMIT.subjects(kind, header, facts, NOW):
            if name.startswith("quota:"):
                values.held[name] = {"parties": [header.sender, "lead"], "used": 3}

    def decide() -> int:
        for _ in range(_ROUNDS):
            if PERMIT.decide(kind, next(headers), facts, values, NOW) != "v1":
                raise ValueError("the bench's own requests are covered")
        return _ROUNDS

    taken_us = 1e6 / rate(decide)
    yield Measure("permit", taken_us, "us", "promise", LIMIT_US, smaller=True)
