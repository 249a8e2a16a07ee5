"""Reading contracts: what is in force, who covers a service, how much is used, one to review."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy.orm import Session

from consortium.contracts import model, plain, signing, store
from consortium.contracts.local import officer
from consortium.contracts.model import CONFIRMERS, COVERS, HOLDS, SIGN, Action, State
from consortium.contracts.permit import quota_name
from consortium.contracts.tables import ContractActRow, ContractHoldRow
from consortium.contracts.terms import Service, Terms, from_tree, parse
from consortium.exchange import state
from consortium.kernel.actor import Actor, Role
from consortium.kernel.errors import missing
from consortium.kernel.paging import Page, bounded, moment_of
from consortium.kernel.time import from_ms, to_ms

CASES_MAX = 20_000
"""Cases looked through to count the open ones of a contract."""


@dataclass(frozen=True, slots=True)
class Covering:
    """A service that a contract in force gives to a taker, with this month's use."""

    contract: str
    version: int
    service: Service
    used: int

    @property
    def provider(self) -> str:
        return self.service.provider

    @property
    def clause(self) -> str:
        """The number of the service's clause."""
        return self.service.clause("S")

    @property
    def quota(self) -> int:
        return self.service.quota_month

    @property
    def left(self) -> int:
        """How many more this month."""
        return max(0, self.quota - self.used)

    def answer_min(self, urgency: str) -> int:
        """Minutes to the first answer; the default where the clause has no such urgency."""
        return model.answer_min(self.service.answer_min, urgency=urgency)


@dataclass(frozen=True, slots=True)
class InForce:
    """A contract in which new cases may be opened."""

    contract: str
    version: int
    terms: Terms


@dataclass(frozen=True, slots=True)
class Row:
    """A contract in the list."""

    contract: str
    title: str
    version: int
    state: State
    parties: Sequence[str]
    unsigned: Sequence[str]
    mine: bool
    """Whether it waits for the actor: for the seal, or as the second person."""
    since: datetime
    end: datetime | None
    """The first moment at which it is over."""


@dataclass(frozen=True, slots=True)
class Act:
    """One act on a contract."""

    exchange: str
    kind: str
    version: int
    sender: str
    person: str
    second: str
    reason: str
    index: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Hold:
    """What one person asked for and a second has to confirm."""

    action: Action
    reason: str
    member: str
    person: str
    asked_at: datetime
    sent: bool
    mine: bool
    """Asked by the actor, who cannot be the second person too."""


@dataclass(frozen=True, slots=True)
class Use:
    """How much of a service's quota this month has taken."""

    service: Service
    used: int


@dataclass(frozen=True, slots=True)
class Review:
    """A contract as one of its parties sees it."""

    contract: str
    title: str
    version: int
    digest: str
    state: State
    parties: Sequence[str]
    terms: Terms
    lines: Sequence[plain.Line]
    previous: int
    """The version that `lines` compares with; 0 when there is none."""
    signatures: Mapping[str, Act | None]
    acts: Sequence[Act]
    hold: Hold | None
    usage: Sequence[Use]
    can: frozenset[str]
    """What the actor may do: sign, withdraw, suspend, resume, terminate, confirm, drop, revise."""
    proposer: str
    in_force_at: int | None
    suspended: Mapping[str, Any] | None
    ends: datetime | None
    versions: Sequence[int]
    on_the_way: frozenset[str]
    """Kinds of the member's own acts that the hub has not answered yet."""


def in_force(session: Session, *, member: str, now: datetime) -> list[InForce]:
    """The contracts of a member under which new cases may be opened now."""
    ids = store.ids(session, member=member)
    values = state.read_many(session, [f"contract:{one}" for one in ids])
    found = []
    for contract in ids:
        value = values.get(f"contract:{contract}")
        if value is None or model.status(value, time_ms=to_ms(now)) not in COVERS:
            continue
        tree = value["versions"][str(value["version"])]["terms"]
        terms = from_tree(value["parties"], tree)
        found.append(InForce(contract, value["version"], terms))
    return found


def covering(
    session: Session,
    *,
    taker: str,
    now: datetime,
    service: str = "",
    kind: str = "referral",
    provider: str = "",
) -> list[Covering]:
    """Services that contracts in force give to a taker, most left first; narrowed where named."""
    lines = [
        (held, line)
        for held in in_force(session, member=taker, now=now)
        for line in held.terms.services
        if line.taker == taker
        and line.kind == kind
        and service in ("", line.code)
        and provider in ("", line.provider)
    ]
    names = {
        (held.contract, line.no): quota_name(
            held.contract, line.code, line.taker, line.provider, now, kind=line.kind
        )
        for held, line in lines
    }
    counters = state.read_many(session, names.values())
    found = [
        Covering(held.contract, held.version, line, _used(counters, names[held.contract, line.no]))
        for held, line in lines
    ]
    return sorted(found, key=lambda one: (-one.left, one.provider, one.service.code))


def providers(
    session: Session,
    contracts: Iterable[str],
    *,
    taker: str,
    service: str,
    kind: str,
    now: datetime,
) -> frozenset[str]:
    """Members that give a taker a service by these contracts, as shared state has them."""
    values = state.read_many(session, [f"contract:{one}" for one in contracts])
    return frozenset().union(
        *(
            model.providers(one, taker=taker, service=service, kind=kind, time_ms=to_ms(now))
            for one in values.values()
        )
    )


def usage(session: Session, *, contract: str, terms: Terms, month_of: datetime) -> list[Use]:
    """This month's use of every service of a contract."""
    names = {
        line.no: quota_name(
            contract, line.code, line.taker, line.provider, month_of, kind=line.kind
        )
        for line in terms.services
    }
    counters = state.read_many(session, names.values())
    return [Use(line, _used(counters, names[line.no])) for line in terms.services]


def listing(
    session: Session, *, actor: Actor, now: datetime, after: str = "", limit: int = 50
) -> Page[Row]:
    """Contracts of the actor's member, proposed last first.

    Raises:
        Refusal: `paging.after` for a key that no page gave.
    """
    limit = bounded(limit)
    rows = store.newest(session, member=actor.member, after=_after(after), limit=limit + 1)
    ids = [row.contract for row in rows]
    values = state.read_many(session, [f"contract:{one}" for one in ids])
    holds = store.holds(session, contracts=ids)
    seals = actor.may(officer(session, actor.member))
    found = []
    for row in rows[:limit]:
        value = values.get(f"contract:{row.contract}")
        if value is None:
            continue
        at = model.status(value, time_ms=to_ms(now))
        waiting = model.unsigned(value) if Action.SIGN in model.allowed(at) else ()
        hold = holds.get(row.contract)
        end_ms = value["ends"] or model.newest(value)["terms"]["d"][1]
        found.append(
            Row(
                contract=row.contract,
                title=row.title,
                version=row.version,
                state=at,
                parties=value["parties"],
                unsigned=waiting,
                mine=(seals and actor.member in waiting) or _to_confirm(hold, actor),
                since=from_ms(value["since"]),
                end=None if end_ms is None else from_ms(end_ms),
            )
        )
    more = store.after_key(rows[limit - 1]) if len(rows) > limit else None
    return Page(found, more)


def review(
    session: Session, *, actor: Actor, contract: str, now: datetime, version: int | None = None
) -> Review:
    """One contract with its clauses, differences, signatures, use and what the actor may do.

    Raises:
        Refusal: `contract.missing`, also for whoever is no party.
    """
    value = state.read(session, f"contract:{contract}")
    row = store.document(session, contract=contract, member=actor.member, version=version)
    if row is None or value is None or actor.member not in value["parties"]:
        raise missing("contract.missing")
    _title, terms = parse(orjson.loads(row.document))
    old = store.document(session, contract=contract, member=actor.member, version=row.version - 1)
    acts = [_act(one) for one in store.acts(session, contract=contract, member=actor.member)]
    at = model.status(value, time_ms=to_ms(now))
    held = store.hold(session, contract=contract)
    newest = row.version == len(value["versions"])
    waiting = signing.on_the_way(session, member=actor.member, contract=contract)
    return Review(
        contract=contract,
        title=row.title,
        version=row.version,
        digest=row.digest,
        state=at,
        parties=value["parties"],
        terms=terms,
        lines=plain.diff(parse(orjson.loads(old.document))[1] if old else None, terms),
        previous=old.version if old else 0,
        signatures=_signatures(value, row.version, acts),
        acts=acts,
        hold=None if held is None else _hold(held, actor),
        usage=usage(session, contract=contract, terms=terms, month_of=now),
        can=_can(session, actor, value, at, held) if newest and not waiting else frozenset(),
        proposer=value["by"] if at in {State.PROPOSED, State.SIGNED_BY_SOME} else "",
        in_force_at=value["versions"][str(row.version)]["from"],
        suspended=value["suspended"],
        ends=None if value["ends"] is None else from_ms(value["ends"]),
        versions=range(1, len(value["versions"]) + 1),
        on_the_way=frozenset(waiting),
    )


def open_cases(session: Session, *, contract: str) -> int:
    """How many cases under a contract wait for somebody's act, by what this node holds."""
    cases = state.scan(session, "case:", limit=CASES_MAX)
    return sum(1 for _name, case in cases if case.get("contract") == contract and case.get("turn"))


def _can(
    session: Session,
    actor: Actor,
    value: Mapping[str, Any],
    at: State,
    held: ContractHoldRow | None,
) -> frozenset[str]:
    actions = model.allowed(at)
    can: set[str] = set()
    if not model.may_resume(value, actor.member):
        actions -= {Action.RESUME}
    if actor.may(officer(session, actor.member)):
        if Action.SIGN in actions and actor.member in model.unsigned(value):
            can.add("sign")
        if Action.WITHDRAW in actions:
            can.add("withdraw")
        if held is None:
            can |= {action.value for action in HOLDS if action in actions}
        if Action.PROPOSE in actions and actor.may(Role.CONSORTIUM_ADMIN):
            can.add("revise")
    if _to_confirm(held, actor):
        can.add("confirm")
    if held is not None and not held.sent and actor.may(*CONFIRMERS):
        can.add("drop")
    return frozenset(can)


def _to_confirm(held: ContractHoldRow | None, actor: Actor) -> bool:
    waits = held is not None and not held.sent and held.first_user != actor.user
    return waits and actor.may(*CONFIRMERS)


def _signatures(
    value: Mapping[str, Any], version: int, acts: Sequence[Act]
) -> dict[str, Act | None]:
    signed = {one.sender: one for one in acts if one.kind == SIGN and one.version == version}
    return {member: signed.get(member) for member in value["parties"]}


def _act(row: ContractActRow) -> Act:
    return Act(
        exchange=row.exchange,
        kind=row.kind,
        version=row.version,
        sender=row.sender,
        person=row.person,
        second=row.second,
        reason=row.reason,
        index=row.entry,
        at=row.at,
    )


def _hold(row: ContractHoldRow, actor: Actor) -> Hold:
    return Hold(
        action=Action(row.action),
        reason=row.reason,
        member=row.member,
        person=row.first_name,
        asked_at=row.asked_at,
        sent=bool(row.sent),
        mine=row.first_user == actor.user,
    )


def _used(counters: Mapping[str, Mapping[str, Any]], name: str) -> int:
    counter = counters.get(name)
    return 0 if counter is None else int(counter["used"])


def _after(text: str) -> tuple[datetime, str] | None:
    if not text:
        return None
    ms, _, contract = text.partition(".")
    return moment_of(ms), contract
