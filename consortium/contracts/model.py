"""The life of a contract: states x actions, contradictions in terms, times to answer. Pure.

Draft is local; every other state is a fold of the ledger. `agreed`, `ending` and `expired` are
never written: they follow from comparing spans with a time (PROTOCOL 5).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from consortium.contracts.terms import (
    SERVICES,
    TREE_MAX_BYTES,
    Service,
    Terms,
    from_tree,
    tree_bytes,
)
from consortium.kernel.actor import Role
from consortium.kernel.errors import conflict, forbidden

PROPOSE, SIGN, WITHDRAW = "contract.propose/1", "contract.sign/1", "contract.withdraw/1"
SUSPEND, RESUME = "contract.suspend/1", "contract.resume/1"
TERMINATE = "contract.terminate/1"
WITHDRAW_REASONS = ("taken_back", "terms", "parties", "period", "other")
HOLD_REASONS = ("safety", "quality", "breach", "payment", "technical", "agreed", "settled", "other")

DAY_MS = 24 * 3600 * 1000
ANSWER_LEAST_MIN = 5
ANSWER_MOST_MIN = 30 * 24 * 60
DEFAULT_ANSWER_MIN = {"emergency": 30, "urgent": 240, "routine": 1440}
"""First answer where no contract says otherwise (research/product.md 4.8)."""


class State(StrEnum):
    """Where a contract stands."""

    DRAFT = "draft"
    PROPOSED = "proposed"
    SIGNED_BY_SOME = "signed_by_some"
    AGREED = "agreed"
    IN_FORCE = "in_force"
    SUSPENDED = "suspended"
    ENDING = "ending"
    WITHDRAWN = "withdrawn"
    TERMINATED = "terminated"
    EXPIRED = "expired"


class Action(StrEnum):
    """What a party can do to it; each is one exchange."""

    PROPOSE = "propose"
    SIGN = "sign"
    SIGN_LAST = "sign_last"
    WITHDRAW = "withdraw"
    SUSPEND = "suspend"
    RESUME = "resume"
    TERMINATE = "terminate"


HOLDS: Mapping[Action, str] = {
    Action.SUSPEND: SUSPEND,
    Action.RESUME: RESUME,
    Action.TERMINATE: TERMINATE,
}
"""Acts that hold a seal and two persons' signatures, and their kinds of exchange."""
CONSORTIUM = "consortium"
CONFIRMERS = frozenset({Role.CONSORTIUM_ADMIN, Role.HEAD, Role.MEMBER_ADMIN})
"""Who may be the second person of such an act."""
COVERS = frozenset({State.IN_FORCE, State.ENDING})
"""The states in which a new case may be opened."""

TABLE: Mapping[tuple[State, Action], State] = {
    (State.DRAFT, Action.PROPOSE): State.PROPOSED,
    (State.WITHDRAWN, Action.PROPOSE): State.PROPOSED,
    (State.PROPOSED, Action.SIGN): State.SIGNED_BY_SOME,
    (State.SIGNED_BY_SOME, Action.SIGN): State.SIGNED_BY_SOME,
    (State.SIGNED_BY_SOME, Action.SIGN_LAST): State.IN_FORCE,
    (State.PROPOSED, Action.WITHDRAW): State.WITHDRAWN,
    (State.SIGNED_BY_SOME, Action.WITHDRAW): State.WITHDRAWN,
    (State.AGREED, Action.SUSPEND): State.SUSPENDED,
    (State.IN_FORCE, Action.SUSPEND): State.SUSPENDED,
    (State.ENDING, Action.SUSPEND): State.SUSPENDED,
    (State.SUSPENDED, Action.RESUME): State.IN_FORCE,
    (State.AGREED, Action.TERMINATE): State.TERMINATED,
    (State.IN_FORCE, Action.TERMINATE): State.TERMINATED,
    (State.SUSPENDED, Action.TERMINATE): State.TERMINATED,
}
"""Every transition there is. What is not here is refused with `contract.state`."""


def advance(state: State, action: Action) -> State:
    """The state after an action.

    Raises:
        Refusal: `contract.state` for a transition that the table does not name.
    """
    after = TABLE.get((state, action))
    if after is None:
        raise conflict("contract.state", state=state.value, action=action.value)
    return after


def allowed(state: State) -> frozenset[Action]:
    """The actions that the table names for a state."""
    return frozenset(action for at, action in TABLE if at is state)


# ---------------------------------------------------------------- contract value


def status(value: Mapping[str, Any] | None, *, time_ms: int) -> State:
    """Where a contract stands at a ledger time, spans compared; DRAFT when it has no value yet."""
    if value is None:
        return State.DRAFT
    state = State(value["state"])
    if state is State.WITHDRAWN:
        return state
    start_ms, end_ms = newest(value)["terms"]["d"]
    if value["ends"] is not None and time_ms >= value["ends"]:
        return State.TERMINATED
    if end_ms is not None and time_ms >= end_ms:
        return State.EXPIRED
    if state is State.TERMINATED:
        return State.ENDING
    if state is State.IN_FORCE and start_ms is not None and time_ms < start_ms:
        return State.AGREED
    return state


def newest(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """The version proposed last."""
    version: Mapping[str, Any] = value["versions"][str(len(value["versions"]))]
    return version


def may_resume(value: Mapping[str, Any], member: str) -> bool:
    """Whether a party may lift a suspension: its own one, and the consortium any."""
    held = value["suspended"]
    return held is not None and member in {held["by"], CONSORTIUM}


def unsigned(value: Mapping[str, Any]) -> tuple[str, ...]:
    """Parties whose signature the newest version lacks, in the order of the contract."""
    signed = newest(value)["signed"]
    return tuple(member for member in value["parties"] if member not in signed)


def proposed(
    old: Mapping[str, Any] | None,
    *,
    parties: Iterable[str],
    digest: str,
    tree: Mapping[str, Any],
    by: str,
    time_ms: int,
) -> dict[str, Any]:
    """The value after a proposal: a further version, signed by nobody; old ones stay readable."""
    state = advance(status(old, time_ms=time_ms), Action.PROPOSE)
    versions = dict(old["versions"]) if old else {}
    versions[str(len(versions) + 1)] = {
        "hash": digest,
        "terms": tree,
        "signed": {},
        "proposed": time_ms,
        "from": None,
    }
    return {
        "parties": list(parties),
        "state": state.value,
        "version": 0,
        "versions": versions,
        "suspended": None,
        "ends": None,
        "by": by,
        "since": time_ms,
    }


def signed(
    old: Mapping[str, Any], *, member: str, seal: str, time_ms: int, here: int
) -> dict[str, Any]:
    """The value after a party's seal; the last one puts the version in force at this leaf.

    Args:
        seal: the id of the seal key.
        here: the leaf's index, or the number that the fold replaces by it.

    Raises:
        Refusal: `contract.state` where nothing is to be signed, `contract.not_party`,
            `contract.signed` when this party's seal is on it already.
    """
    if member not in old["parties"]:
        raise forbidden("contract.not_party", clause="B1", member=member)
    waiting = unsigned(old)
    action = Action.SIGN_LAST if waiting == (member,) else Action.SIGN
    state = advance(status(old, time_ms=time_ms), action)
    if member not in waiting:
        raise conflict("contract.signed", member=member)
    number = len(old["versions"])
    version = dict(newest(old))
    version["signed"] = {**version["signed"], member: seal}
    value = {**old, "state": state.value, "since": time_ms}
    if action is Action.SIGN_LAST:
        version["from"] = here
        value["version"] = number
    value["versions"] = {**old["versions"], str(number): version}
    return value


def changed(
    old: Mapping[str, Any], *, action: Action, by: str, reason: str, time_ms: int
) -> dict[str, Any]:
    """The value after a withdrawal, suspension, resumption or termination.

    Terminating ends a contract in force after the notice that its terms name (`ending`), any other
    at once. A contract that was ending when it was suspended is ending again when it resumes.

    Raises:
        Refusal: `contract.state`.
    """
    before = status(old, time_ms=time_ms)
    state = advance(before, action)
    value = {**old, "state": state.value, "by": by, "since": time_ms, "suspended": None}
    if action is Action.SUSPEND:
        value["suspended"] = {"by": by, "reason": reason, "since": time_ms}
    elif action is Action.RESUME and old["ends"] is not None:
        value["state"] = State.TERMINATED.value
    elif action is Action.TERMINATE:
        notice_ms = newest(old)["terms"]["n"] * DAY_MS
        value["ends"] = time_ms if before is not State.IN_FORCE else time_ms + notice_ms
    return value


def providers(
    value: Mapping[str, Any], *, taker: str, service: str, kind: str, time_ms: int
) -> frozenset[str]:
    """Members that give a party a service by this contract, none while it is not in force."""
    if taker not in value["parties"] or status(value, time_ms=time_ms) not in COVERS:
        return frozenset()
    terms = from_tree(value["parties"], value["versions"][str(value["version"])]["terms"])
    asked = (taker, service, kind)
    return frozenset(
        one.provider for one in terms.services if (one.taker, one.code, one.kind) == asked
    )


# ---------------------------------------------------------------- times to answer


def answer_min(answers: Mapping[str, int], *, urgency: str) -> int:
    """Minutes to the first answer: the service's clause, else the default of an uncovered case."""
    return answers.get(urgency, DEFAULT_ANSWER_MIN[urgency])


# ---------------------------------------------------------------- contradictions


@dataclass(frozen=True, slots=True)
class Finding:
    """A contradiction in terms: the clause, its code (a word key), and what the sentence names."""

    clause: str
    code: str
    params: Mapping[str, Any] = field(default_factory=dict, hash=False)
    blocks: bool = True
    """False: allowed, but probably not what was meant."""


def lint(terms: Terms) -> list[Finding]:
    """Everything in well-formed terms that contradicts itself or could never be kept."""
    findings = [*_whole(terms), *_twice(terms)]
    for one in terms.services:
        findings += _line(one, terms)
    return findings


def _whole(terms: Terms) -> Iterator[Finding]:
    if len(terms.parties) < 2:
        yield Finding("B1", "one_party")
    if not terms.services:
        yield Finding("S", "no_service")
    if not terms.types:
        yield Finding("T1", "no_type")
    if not terms.purposes:
        yield Finding("P1", "no_purpose")
    if "HRESCH" in terms.purposes:
        yield Finding("P1", "research", blocks=False)
    if terms.start_ms is not None and terms.end_ms is not None and terms.end_ms <= terms.start_ms:
        yield Finding("D1", "ends_before_start")
    if _too_long(terms):
        yield Finding("S", "too_many", {"limit": TREE_MAX_BYTES})
    with_service = {member for one in terms.services for member in (one.taker, one.provider)}
    for member in terms.parties:
        if member not in with_service and terms.services:
            yield Finding("B1", "no_part", {"member": member}, blocks=False)


def _too_long(terms: Terms) -> bool:
    """Whether the terms are too long for the facts of one exchange."""
    strangers = {one.taker for one in terms.services} | {one.provider for one in terms.services}
    return strangers <= set(terms.parties) and tree_bytes(terms) > TREE_MAX_BYTES


def _twice(terms: Terms) -> Iterator[Finding]:
    seen: dict[tuple[str, str, str, str], Service] = {}
    for one in terms.services:
        first = seen.setdefault((one.code, one.kind, one.taker, one.provider), one)
        if first is not one:
            yield Finding(one.clause("S"), "duplicate", {"other": first.clause("S")})


def _line(one: Service, terms: Terms) -> Iterator[Finding]:
    clause = one.clause
    if one.code not in SERVICES:
        yield Finding(clause("S"), "unknown_service", {"code": one.code})
    if one.taker == one.provider:
        yield Finding(clause("S"), "same_member")
    for member in (one.taker, one.provider):
        if member not in terms.parties:
            yield Finding(clause("S"), "not_party", {"member": member})
    if one.quota_month == 0:
        yield Finding(clause("Q"), "quota_zero")
    yield from _times(one)


def _times(one: Service) -> Iterator[Finding]:
    clause = one.clause
    if not one.urgencies:
        yield Finding(clause("U"), "no_urgency")
    elif "emergency" not in one.urgencies and one.kind == "referral":
        yield Finding(clause("U"), "emergency_anyway", blocks=False)
    for urgency, minutes in one.answer_min.items():
        if not ANSWER_LEAST_MIN <= minutes <= ANSWER_MOST_MIN:
            yield Finding(clause("A"), "answer_range", {"urgency": urgency, "minutes": minutes})
    promised = [one.answer_min[u] for u in one.urgencies]
    if promised != sorted(promised, reverse=True):
        yield Finding(clause("A"), "answer_order")
