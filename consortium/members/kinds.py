"""Exchange kinds of members: charter, keys, directory. All open, to everyone, without a contract.

Facts hold every key, proof and signature, so that the fold itself refuses a forged list; the body
holds what is for people: the charter's words, a member's entry in the directory.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy.orm import Session

from consortium.exchange import facts as rules
from consortium.exchange.facts import FactRule, Facts, Value
from consortium.exchange.header import Header, Lane
from consortium.exchange.kinds import (
    HERE,
    ExchangeKind,
    Opened,
    SubjectType,
    Values,
    Verdict,
    everyone,
)
from consortium.fhir import message as messages
from consortium.kernel.errors import Refusal, invalid
from consortium.members import details, model, statements, store

if TYPE_CHECKING:
    from consortium.fhir.message import Message

FACTS_PART, DETAILS_PART, CHARTER_PART, CODE_PART = "facts", "details", "charter", "code-mac"


class _Open(ExchangeKind):
    """What the kinds of this room have in common."""

    lanes = frozenset({Lane.CONTROL})
    sealed = False
    charter = True
    to_everyone = True

    def facts_of(self, message: "Message") -> Facts:
        facts = messages.json_of(message, FACTS_PART)
        if not isinstance(facts, dict):
            raise invalid("exchange.facts", field="")
        return facts

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return model.subjects(header.sender, facts)

    def judge(self, values: Values, header: Header, facts: Facts, time: datetime) -> Verdict:
        if not header.everyone:
            return invalid("exchange.recipients")
        return self.decide(values, header, facts) or ""

    def decide(self, values: Values, header: Header, facts: Facts) -> Refusal | None:
        """The rule of the model for this kind."""
        raise NotImplementedError

    def inspect(self, session: Session, opened: Opened) -> Refusal | None:
        if opened.message is None or "details" not in opened.facts:
            return None
        told = messages.json_of(opened.message, DETAILS_PART)
        if details.fault(told) or statements.details_hash(told) != opened.facts["details"]:
            return invalid("members.details")
        return None


class _Keys(_Open):
    """A list of keys: moves `key:` and `member:` subjects."""

    def step(
        self, name: str, old: Value | None, header: Header, facts: Facts, time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:  # fmt: skip
        family, _, subject = name.partition(":")
        if family == "key":
            return model.key_value(name, old, facts, here=HERE)
        if family == "member" and subject == facts["member"]:
            return model.member_value(old, facts)
        return old

    def apply(self, session: Session, opened: Opened) -> None:
        """Directory row of a new member; at the people's own node, whose key is good from now."""
        _tell_directory(session, opened)
        for key in model.keys_of(opened.facts):
            if key["use"] == "person":
                store.confirm_key(
                    session, key_id=model.kid(key), roles=key["roles"], index=opened.index
                )
        store.end_keys(session, model.ends_of(opened.facts))
        store.settle_list(session, opened.header.id, code="")

    def refused(self, session: Session, opened: Opened) -> None:
        """Remembered at the hub, whose node sent it; the member hears of it when it asks again."""
        store.settle_list(session, opened.header.id, code=opened.code)


class CharterSign(_Keys):
    """Entry 0 by the consortium; afterwards each member's own signature, which lets it in."""

    name = model.SIGN
    rules: ClassVar[Mapping[str, FactRule]] = {
        "member": rules.code(),
        "charter": rules.code(),
        "by": rules.code(),
        "signature": rules.code(),
        "origin": rules.code(optional=True),
        "zone": rules.code(optional=True),
        "kind": rules.code(*model.MEMBER_KINDS, optional=True),
        "details": rules.code(optional=True),
        "keys": rules.tree(optional=True),
    }

    def decide(self, values: Values, header: Header, facts: Facts) -> Refusal | None:
        if model.is_genesis(facts):
            return model.judge_genesis(values.get, sender=header.sender, facts=facts)
        return model.judge_sign(values.get, sender=header.sender, facts=facts)

    def step(
        self, name: str, old: Value | None, header: Header, facts: Facts, time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:  # fmt: skip
        if model.is_genesis(facts):
            if name == model.CHARTER:
                return model.charter_value(facts)
            return super().step(name, old, header, facts, time, outcome)
        if name == f"member:{header.sender}" and old is not None:
            return {**old, "state": model.JOINED}
        return old

    def introduces(self, header: Header, facts: Facts) -> Value | None:
        return model.introduced(header.node, facts) if model.is_genesis(facts) else None

    def inspect(self, session: Session, opened: Opened) -> Refusal | None:
        if opened.message is None or not model.is_genesis(opened.facts):
            return None
        document = messages.json_bytes_of(opened.message, CHARTER_PART)
        if statements.charter_hash(document) != opened.facts["charter"]:
            return invalid("members.charter_other")
        return super().inspect(session, opened)

    def apply(self, session: Session, opened: Opened) -> None:
        if not model.is_genesis(opened.facts):
            return
        _tell_directory(session, opened)
        if opened.message is not None:
            document = messages.json_bytes_of(opened.message, CHARTER_PART)
            store.keep_charter(
                session, digest=opened.facts["charter"], document=document, index=opened.index
            )


class KeyAdd(_Keys):
    """New keys of a member, sent by the hub's node; the member's own authority is inside."""

    name = model.ADD
    rules: ClassVar[Mapping[str, FactRule]] = {
        "member": rules.code(),
        "keys": rules.tree(),
        "ends": rules.codes(optional=True),
        "by": rules.code(),
        "signature": rules.code(),
        "kind": rules.code(*model.MEMBER_KINDS, optional=True),
        "details": rules.code(optional=True),
    }

    def decide(self, values: Values, header: Header, facts: Facts) -> Refusal | None:
        return model.judge_add(values.get, sender=header.sender, facts=facts)


class KeyRevoke(_Keys):
    """Keys of a member end, by its seal or recovery key."""

    name = model.REVOKE
    rules: ClassVar[Mapping[str, FactRule]] = {
        "member": rules.code(),
        "ends": rules.codes(),
        "by": rules.code(),
        "signature": rules.code(),
    }

    def decide(self, values: Values, header: Header, facts: Facts) -> Refusal | None:
        return model.judge_revoke(values.get, sender=header.sender, facts=facts)


class DirectoryPublish(_Open):
    """A member's own entry in the directory, told anew: names, telephone, services."""

    name = model.DIRECTORY
    rules: ClassVar[Mapping[str, FactRule]] = {"details": rules.code()}

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return (f"member:{header.sender}",)

    def decide(self, values: Values, header: Header, facts: Facts) -> Refusal | None:
        return model.judge_directory(values.get, sender=header.sender)

    def step(
        self, name: str, old: Value | None, header: Header, facts: Facts, time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:  # fmt: skip
        return None if old is None else {**old, "details": facts["details"]}

    def apply(self, session: Session, opened: Opened) -> None:
        _tell_directory(session, opened)


def body(
    kind: str,
    *,
    sender: str,
    exchange_id: str,
    facts: Facts,
    now: datetime,
    told: Mapping[str, Any] | None = None,
    charter: Any = None,
    mac: str = "",
) -> bytes:
    """The open body of an exchange of this room."""
    parts = [messages.json_part(FACTS_PART, dict(facts))]
    if told is not None:
        parts.append(messages.json_part(DETAILS_PART, dict(told)))
    if charter is not None:
        parts.append(messages.json_part(CHARTER_PART, charter))
    if mac:
        parts.append(messages.json_part(CODE_PART, {"mac": mac}))
    return messages.build(
        kind.partition("/")[0],
        source=sender,
        destinations=(),
        resources=parts,
        exchange_id=exchange_id,
        now=now,
    )


def _tell_directory(session: Session, opened: Opened) -> None:
    if opened.message is None or "details" not in opened.facts:
        return
    member = opened.facts.get("member", opened.header.sender)
    store.tell(
        session,
        member=member,
        kind=opened.facts.get("kind", ""),
        told=messages.json_of(opened.message, DETAILS_PART),
        index=opened.index,
    )


KINDS: list[ExchangeKind] = [CharterSign(), KeyAdd(), KeyRevoke(), DirectoryPublish()]
SUBJECTS = [SubjectType(family, everyone) for family in ("charter", "member", "key")]
