"""The contract check of admission: pure over shared state, the same at sender, hub and mirror.

A kind that opens a case is judged by the version in force at its own leaf; every later exchange of
the case by the version that opened it, also after suspension, termination or expiry. Emergencies
are never refused here: they are admitted and flagged (PROTOCOL 4). It runs under the head row's
lock, so it reads the tree form in place and builds nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from consortium.contracts.model import COVERS, State, status
from consortium.contracts.terms import URGENCIES
from consortium.exchange.facts import Facts, Value
from consortium.exchange.header import Header
from consortium.exchange.kinds import ExchangeKind, SubjectType, Values, Verdict, parties
from consortium.kernel.errors import Refusal, forbidden
from consortium.kernel.time import month_of, to_ms

UNCOVERED: Final = "uncovered"
OVER_QUOTA: Final = "over_quota"
EMERGENCY: Final = "emergency"
_LETTERS = {urgency: urgency[0] for urgency in URGENCIES}
_TELECONSULT = frozenset({"booking", "teleconsult", "consult", "session"})


def quota_name(
    contract: str,
    service: str,
    taker: str,
    provider: str,
    time: datetime,
    *,
    kind: str = "referral",
) -> str:
    """The subject that counts a service's use in the month of a ledger time.

    `kind` is that of the service: referrals and teleconsultations of one service have their own
    quotas, so the counter of a teleconsultation has its own name.
    """
    counted = service if kind == "referral" else f"{service}.{kind}"
    return f"quota:{contract}/{counted}/{taker}/{provider}/{month_of(time)}"


def service_kind(kind: ExchangeKind) -> str:
    """`teleconsult` for the kinds that work on slots, `referral` for all others."""
    return "teleconsult" if kind.name.partition(".")[0] in _TELECONSULT else "referral"


def quota_of(kind: ExchangeKind, header: Header, facts: Facts, time: datetime) -> str:
    """The quota subject from which an exchange takes one; empty when it takes none.

    The taker is the sender, the provider the first recipient.
    """
    if kind.quota != 1 or not kind.opens_case or not header.contract:
        return ""
    service = kind.needs(header, facts).get("service")
    if not service:
        return ""
    return quota_name(
        header.contract, service, header.sender, header.to[0], time, kind=service_kind(kind)
    )


def quota_taken(
    kind: ExchangeKind,
    header: Header,
    facts: Facts,
    time: datetime,
    outcome: Sequence[str],
) -> str:
    """What a case writes into its `quota`: the name of the counter taken from, empty if none was.

    An uncovered emergency takes nothing, so nothing may be given back for it.
    """
    return "" if UNCOVERED in outcome else quota_of(kind, header, facts, time)


class ContractPermit:
    """The permit that wiring gives to exchange."""

    def subjects(
        self, kind: ExchangeKind, header: Header, facts: Facts, time: datetime
    ) -> Sequence[str]:
        """Contract, case and quota: read by `decide`, the quota moved by its family's step."""
        names = []
        if not kind.charter and header.contract:
            names.append(f"contract:{header.contract}")
        if not kind.charter and not kind.opens_case and header.case:
            names.append(f"case:{header.case}")
        if quota := quota_of(kind, header, facts, time):
            names.append(quota)
        elif kind.quota == -1 and header.case:
            names.append(f"case:{header.case}>quota")
        return names

    def decide(
        self, kind: ExchangeKind, header: Header, facts: Facts, values: Values, time: datetime
    ) -> Verdict:
        """Words `vN`, `vN over_quota`, `uncovered` or none; else a refusal with its clause."""
        if kind.charter:
            return ""
        if not kind.opens_case:
            return _go_on(kind, header, facts, values)
        needs = {"urgency": facts.get("urgency"), **kind.needs(header, facts)}
        contract = values.get(f"contract:{header.contract}") if header.contract else None
        found = _covered(kind, header, needs, contract, to_ms(time))
        if isinstance(found, Refusal):
            return UNCOVERED if needs.get("urgency") == EMERGENCY else found
        word, row = found
        if row is None or kind.quota != 1:
            return word
        counter = values.get(quota_of(kind, header, facts, time))
        if counter is None or counter["used"] < row[5]:
            return word
        if needs.get("urgency") == EMERGENCY:
            return f"{word} {OVER_QUOTA}"
        return forbidden("contract.quota", clause=f"Q{row[0]}", quota=row[5])


PERMIT: Final = ContractPermit()


def _covered(
    kind: ExchangeKind, header: Header, needs: Mapping[str, Any], value: Value | None, time_ms: int
) -> tuple[str, Sequence[Any] | None] | Refusal:
    """The word of the version in force and the service's row, or what is missing."""
    if value is None:
        return forbidden("contract.none", clause="S")
    if refusal := _between(header, value["parties"]) or _in_force(value, time_ms):
        return refusal
    version: int = value["version"]
    tree = value["versions"][str(version)]["terms"]
    row = None
    if service := needs.get("service"):
        row = _row(tree, value["parties"], service, service_kind(kind)[0], header)
        if row is None:
            return forbidden("contract.service", clause="S", service=service)
        if refusal := _urgency(row, needs):
            return refusal
    if refusal := _purpose(header.purpose, needs, tree):
        return refusal
    return f"v{version}", row


def _in_force(value: Value, time_ms: int) -> Refusal | None:
    state = status(value, time_ms=time_ms)
    if state in COVERS:
        return None
    if state is State.SUSPENDED:
        return forbidden("contract.suspended", clause="N1")
    return forbidden("contract.not_in_force", clause="D1", state=state.value)


def _urgency(row: Sequence[Any], needs: Mapping[str, Any]) -> Refusal | None:
    urgency = needs.get("urgency")
    if not urgency:
        return None
    if _LETTERS.get(urgency, "") not in row[6]:
        return forbidden("contract.urgency", clause=f"U{row[0]}", urgency=urgency)
    return None


def _go_on(kind: ExchangeKind, header: Header, facts: Facts, values: Values) -> Verdict:
    """A later exchange: by the version that opened the case, whatever became of the contract."""
    case = values.get(f"case:{header.case}") if header.case else None
    if case is None:
        # at the sender the request may still be in the outbox; at the hub `judge` refuses
        return ""
    version = case.get("version", 0)
    if not version:
        return _between(header, case["parties"]) or ""
    value = values.get(f"contract:{header.contract}") if header.contract else None
    if value is None or header.contract != case["contract"]:
        return forbidden("contract.other", clause="B1")
    if refusal := _between(header, value["parties"]):
        return refusal
    tree = value["versions"][str(version)]["terms"]
    needs = kind.needs(header, facts)
    refused = _purpose(header.purpose or tree["p"][0], needs, tree)
    if refused and case.get("urgency") != EMERGENCY:
        return refused
    return f"v{version}"


def _between(header: Header, members: Sequence[str]) -> Refusal | None:
    if header.sender not in members:
        return forbidden("contract.not_party", clause="B1", member=header.sender)
    for member in header.to:
        if member not in members:
            return forbidden("contract.not_party", clause="B1", member=member)
    return None


def _row(
    tree: Mapping[str, Any], members: Sequence[str], service: str, letter: str, header: Header
) -> Sequence[Any] | None:
    taker, provider = members.index(header.sender), members.index(header.to[0])
    for row in tree["s"]:
        if row[1] == service and row[3] == taker and row[4] == provider and row[2] == letter:
            found: Sequence[Any] = row
            return found
    return None


def _purpose(purpose: str, needs: Mapping[str, Any], tree: Mapping[str, Any]) -> Refusal | None:
    if purpose not in tree["p"]:
        return forbidden("contract.purpose", clause="P1", purpose=purpose)
    allowed = tree["t"]
    for name in needs.get("types", ()):
        if name not in allowed:
            return forbidden("contract.types", clause="T1", type=name)
    return None


# ---------------------------------------------------------------- quota subjects


def _count(
    name: str,
    old: Value | None,
    kind: ExchangeKind,
    _header: Header,
    _facts: Facts,
    _time: datetime,
    outcome: str,
) -> Value | None:
    """One more for a request, one less, in the month it was taken from, for what gives it back."""
    if kind.quota == 1 and UNCOVERED not in outcome.split():
        _contract, _service, taker, provider, _month = name.partition(":")[2].rsplit("/", 4)
        used = old["used"] if old else 0
        return {"parties": [taker, provider], "used": used + 1}
    if kind.quota == -1 and old is not None:
        return {**old, "used": max(0, old["used"] - 1)}
    return old


QUOTA: Final = SubjectType("quota", parties, _count)
