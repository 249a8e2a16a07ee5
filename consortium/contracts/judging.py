"""Rules of the contract acts, pure over facts and shared state; each raises what refuses it."""

from collections.abc import Callable
from datetime import datetime

from consortium.contracts import model, statements
from consortium.contracts.model import Action
from consortium.contracts.terms import from_tree
from consortium.exchange.facts import Facts, Value
from consortium.exchange.header import Header
from consortium.kernel.actor import Role
from consortium.kernel.errors import conflict, forbidden, invalid
from consortium.kernel.time import to_ms
from consortium.members.statements import verifies

Get = Callable[[str], Value | None]
_OFFICERS = frozenset({Role.HEAD.value, Role.CONSORTIUM_ADMIN.value})


def propose(get: Get, header: Header, facts: Facts, time: datetime) -> None:
    """A proposal: joined parties, the next version, terms without contradiction.

    Raises:
        Refusal: `contract.case`, `contract.not_party`, `contract.recipients`,
            `contract.party_unknown`, `contract.parties_changed`, `contract.version`,
            `contract.state`, `contract.terms`, `contract.lint` with its clause.
    """
    contract, parties = facts["contract"], tuple(facts["parties"])
    old = get(f"contract:{contract}")
    _addressed(header, contract, parties)
    for member in parties:
        value = get(f"member:{member}")
        if value is None or value["state"] != "joined":
            raise conflict("contract.party_unknown", member=member)
    if old is not None and list(parties) != list(old["parties"]):
        raise conflict("contract.parties_changed")
    if facts["version"] != (len(old["versions"]) if old else 0) + 1:
        raise conflict("contract.version", version=facts["version"])
    model.advance(model.status(old, time_ms=to_ms(time)), Action.PROPOSE)
    for finding in model.lint(from_tree(parties, facts["terms"])):
        if finding.blocks:
            raise invalid("contract.lint", clause=finding.clause, finding=finding.code)


def sign(get: Get, header: Header, facts: Facts, time: datetime) -> str:
    """A party's seal over the newest version; gives `in_force` for the last one.

    Raises:
        Refusal: as `hold`, and `contract.hash`, `contract.signed`.
    """
    old = _known(get, header, facts)
    if facts["hash"] != model.newest(old)["hash"]:
        raise conflict("contract.hash")
    value = model.signed(old, member=header.sender, seal=facts["seal"], time_ms=to_ms(time), here=0)
    statement = statements.signing(
        contract=facts["contract"], version=facts["version"], digest=facts["hash"]
    )
    _sealed(get, header, facts["seal"], statement, facts["signature"])
    return "" if model.unsigned(value) else model.State.IN_FORCE.value


def withdraw(get: Get, header: Header, facts: Facts, time: datetime) -> None:
    """The proposer takes a proposal back, or another party returns it unsigned."""
    old = _known(get, header, facts)
    model.advance(model.status(old, time_ms=to_ms(time)), Action.WITHDRAW)


def hold(get: Get, header: Header, facts: Facts, time: datetime, action: Action) -> None:
    """Suspend, resume or terminate: a party's seal, its officer and a second person in charge.

    Raises:
        Refusal: `contract.unknown`, `contract.case`, `contract.not_party`, `contract.recipients`,
            `contract.version`, `contract.state`, `contract.not_suspender`, `contract.seal`,
            `contract.person`, `contract.same_person`, `contract.no_officer`.
    """
    old = _known(get, header, facts)
    model.advance(model.status(old, time_ms=to_ms(time)), action)
    if action is Action.RESUME and not model.may_resume(old, header.sender):
        raise forbidden("contract.not_suspender", member=old["suspended"]["by"])
    statement = statements.holding(
        action=action.value,
        contract=facts["contract"],
        version=facts["version"],
        reason=facts["reason"],
        exchange=header.id,
    )
    _sealed(get, header, facts["seal"], statement, facts["seal_signature"])
    _two_persons(get, header, facts, old, statement)


def _addressed(header: Header, contract: str, parties: tuple[str, ...]) -> None:
    """An act of several signatures is a case of its own; it goes to every other party."""
    if header.case != contract:
        raise invalid("contract.case")
    if header.sender not in parties:
        raise forbidden("contract.not_party", clause="B1", member=header.sender)
    if frozenset(header.to) != frozenset(parties) - {header.sender}:
        raise invalid("contract.recipients")


def _known(get: Get, header: Header, facts: Facts) -> Value:
    old = get(f"contract:{facts['contract']}")
    if old is None:
        raise conflict("contract.unknown")
    _addressed(header, facts["contract"], tuple(old["parties"]))
    if facts["version"] != len(old["versions"]):
        raise conflict("contract.version", version=facts["version"])
    return old


def _sealed(get: Get, header: Header, seal: str, statement: bytes, signature: str) -> None:
    key = get(f"key:{seal}")
    if key is None or key["use"] != "seal" or key["member"] != header.sender:
        raise forbidden("contract.seal")
    if key["until"] is not None or not verifies(key["public"], statement, signature):
        raise forbidden("contract.seal")


def _two_persons(get: Get, header: Header, facts: Facts, old: Value, statement: bytes) -> None:
    holders, officer, in_charge = set(), False, True
    for which in ("first", "second"):
        key = get(f"key:{facts[which]}")
        if key is None or key["use"] != "person" or key["member"] not in old["parties"]:
            raise forbidden("contract.person", which=which)
        if key["until"] is not None:
            raise forbidden("contract.person", which=which)
        if not verifies(key["public"], statement, facts[f"{which}_signature"]):
            raise forbidden("contract.person", which=which)
        holders.add((key["member"], key["holder"]))
        in_charge &= not model.CONFIRMERS.isdisjoint(key["roles"])
        officer |= key["member"] == header.sender and not _OFFICERS.isdisjoint(key["roles"])
    if len(holders) != 2:
        raise forbidden("contract.same_person")
    if not officer or not in_charge:
        raise forbidden("contract.no_officer")
