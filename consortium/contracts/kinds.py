"""The kinds of exchange by which a contract comes, holds and ends (PROTOCOL 6).

| kind                 | facts                                          | the contract is then     |
| -------------------- | ---------------------------------------------- | ------------------------ |
| contract.propose/1   | contract, version, hash, parties, terms (tree) | proposed                 |
| contract.sign/1      | contract, version, hash, seal, signature       | signed_by_some, in_force |
| contract.withdraw/1  | contract, version, reason                      | withdrawn                |
| contract.suspend/1   | contract, version, reason, seal, two persons   | suspended                |
| contract.resume/1    | the same                                       | in_force                 |
| contract.terminate/1 | the same                                       | ending, terminated       |

All have open bodies, go to every other party and are judged by no contract. A contract's acts are
one case under the contract's id.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from sqlalchemy.orm import Session

from consortium.contracts import fhir, judging, local, model
from consortium.contracts.judging import Get
from consortium.contracts.model import (
    HOLD_REASONS,
    HOLDS,
    PROPOSE,
    SIGN,
    WITHDRAW,
    WITHDRAW_REASONS,
    Action,
)
from consortium.contracts.notices import Notices
from consortium.contracts.permit import QUOTA
from consortium.contracts.terms import digest, parse, tree
from consortium.exchange.facts import FactRule, Facts, Value, code, codes, number
from consortium.exchange.facts import tree as tree_fact
from consortium.exchange.header import Header, Lane
from consortium.exchange.kinds import (
    HERE,
    ExchangeKind,
    Opened,
    SubjectType,
    Values,
    Verdict,
    parties,
)
from consortium.kernel.errors import Refusal, invalid
from consortium.kernel.time import to_ms

if TYPE_CHECKING:
    from consortium.fhir.message import Message

_ID: Mapping[str, FactRule] = {"contract": code(), "version": number()}


class _ContractKind(ExchangeKind):
    sealed = False
    charter = True
    lanes = frozenset({Lane.CONTROL})
    part: ClassVar[str] = "act"

    def __init__(self, notices: Notices) -> None:
        self._notices = notices

    def facts_of(self, message: "Message") -> Facts:
        """The machine's share of the act that the body tells."""
        from consortium.fhir.message import json_of

        act = json_of(message, self.part)
        if not isinstance(act, dict):
            raise invalid("contract.body", field=self.part)
        return {name: act[name] for name in self.rules if name in act}

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return [f"contract:{facts['contract']}"]

    def judge(self, values: Values, header: Header, facts: Facts, time: datetime) -> Verdict:
        try:
            return self.rule(values.get, header, facts, time)
        except Refusal as refusal:
            return refusal

    @abstractmethod
    def rule(self, get: Get, header: Header, facts: Facts, time: datetime) -> str:
        """The outcome words. Raises the Refusal that `judge` gives back."""

    def apply(self, session: Session, opened: Opened) -> None:
        """Note the act for the page, and tell who must act next."""
        local.note(session, opened, notices=self._notices)

    def refused(self, session: Session, opened: Opened) -> None:
        local.refused(session, opened)


class Propose(_ContractKind):
    """Terms are put before the other parties."""

    name = PROPOSE
    rules: ClassVar[Mapping[str, FactRule]] = {
        **_ID,
        "hash": code(),
        "parties": codes(),
        "terms": tree_fact(),
    }

    def facts_of(self, message: "Message") -> Facts:
        """Machine terms and hash, from the document in the body."""
        from consortium.fhir.message import json_bytes_of, json_of

        _title, terms = parse(json_of(message, "terms"))
        act = json_of(message, self.part)
        return {
            **{name: act[name] for name in _ID if isinstance(act, dict) and name in act},
            "hash": digest(json_bytes_of(message, "terms")),
            "parties": list(terms.parties),
            "terms": tree(terms),
        }

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return [f"contract:{facts['contract']}", *(f"member:{one}" for one in facts["parties"])]

    def rule(self, get: Get, header: Header, facts: Facts, time: datetime) -> str:
        judging.propose(get, header, facts, time)
        return ""

    def step(
        self,
        name: str,
        old: Value | None,
        header: Header,
        facts: Facts,
        time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:
        if not name.startswith("contract:"):
            return old
        return model.proposed(
            old,
            parties=facts["parties"],
            digest=facts["hash"],
            tree=facts["terms"],
            by=header.sender,
            time_ms=to_ms(time),
        )

    def inspect(self, session: Session, opened: Opened) -> Refusal | None:
        """Whether the FHIR Contract in the body says what the terms say."""
        return None if opened.message is None else fhir.disagrees(opened.message, opened.facts)


class Sign(_ContractKind):
    """A party puts its seal to the terms; the last one puts them in force."""

    name = SIGN
    rules: ClassVar[Mapping[str, FactRule]] = {
        **_ID,
        "hash": code(),
        "seal": code(),
        "signature": code(),
    }

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return [f"contract:{facts['contract']}", f"key:{facts['seal']}"]

    def rule(self, get: Get, header: Header, facts: Facts, time: datetime) -> str:
        return judging.sign(get, header, facts, time)

    def step(
        self,
        name: str,
        old: Value | None,
        header: Header,
        facts: Facts,
        time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:
        if old is None or not name.startswith("contract:"):
            return old
        return model.signed(
            old, member=header.sender, seal=facts["seal"], time_ms=to_ms(time), here=HERE
        )


class Withdraw(_ContractKind):
    """A proposal is taken back by its sender or returned by another party."""

    name = WITHDRAW
    rules: ClassVar[Mapping[str, FactRule]] = {**_ID, "reason": code(*WITHDRAW_REASONS)}

    def rule(self, get: Get, header: Header, facts: Facts, time: datetime) -> str:
        judging.withdraw(get, header, facts, time)
        return ""

    def step(
        self,
        name: str,
        old: Value | None,
        header: Header,
        facts: Facts,
        time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:
        return _changed(old, header, facts, time, Action.WITHDRAW)


class _Hold(_ContractKind):
    rules: ClassVar[Mapping[str, FactRule]] = {
        **_ID,
        "reason": code(*HOLD_REASONS),
        "seal": code(),
        "seal_signature": code(),
        "first": code(),
        "first_signature": code(),
        "second": code(),
        "second_signature": code(),
    }
    action: ClassVar[Action]

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        keys = (facts["seal"], facts["first"], facts["second"])
        return [f"contract:{facts['contract']}", *(f"key:{one}" for one in keys)]

    def rule(self, get: Get, header: Header, facts: Facts, time: datetime) -> str:
        judging.hold(get, header, facts, time, self.action)
        return ""

    def step(
        self,
        name: str,
        old: Value | None,
        header: Header,
        facts: Facts,
        time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:
        if not name.startswith("contract:"):
            return old
        return _changed(old, header, facts, time, self.action)


class Suspend(_Hold):
    """New cases stop; open ones go on by the version that opened them."""

    name = HOLDS[Action.SUSPEND]
    action = Action.SUSPEND


class Resume(_Hold):
    """New cases may be opened again."""

    name = HOLDS[Action.RESUME]
    action = Action.RESUME


class Terminate(_Hold):
    """It ends, after the notice that its terms name."""

    name = HOLDS[Action.TERMINATE]
    action = Action.TERMINATE


def _changed(
    old: Value | None, header: Header, facts: Facts, time: datetime, action: Action
) -> Value | None:
    if old is None:
        return old
    return model.changed(
        old, action=action, by=header.sender, reason=facts["reason"], time_ms=to_ms(time)
    )


def kinds(notices: Notices) -> list[ExchangeKind]:
    """The room's kinds; `notices` puts contracts that wait for a person on the worklist."""
    made = (Propose, Sign, Withdraw, Suspend, Resume, Terminate)
    return [kind(notices) for kind in made]


def _moved(
    name: str,
    old: Value | None,
    kind: ExchangeKind,
    header: Header,
    facts: Facts,
    time: datetime,
    outcome: str,
) -> Value | None:
    """The permit names the contract of every exchange; only this room's acts may move it."""
    if isinstance(kind, _ContractKind):
        return kind.step(name, old, header, facts, time, outcome.split())
    return old


KINDS: list[ExchangeKind] = kinds(Notices())
SUBJECTS: list[SubjectType] = [SubjectType("contract", parties, _moved), QUOTA]
