"""The trust policy of the ledger as an exchange: which log keys and witnesses everybody believes.

The consortium puts it on the ledger under its seal; each node believes it where it leads back to
the policy pinned at joining (`ledger.policies`). So witnesses are named, and a log key is replaced,
without a file that would have to be carried to every clinic.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy.orm import Session

from consortium.exchange import facts as rules
from consortium.exchange import state
from consortium.exchange.commitment import SALT_BYTES
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
from consortium.exchange.limits import FACTS_MAX_BYTES
from consortium.exchange.outbox import Draft, Post, Queued
from consortium.fhir import message as messages
from consortium.kernel.errors import Refusal, RefusalKind, conflict, forbidden, invalid
from consortium.kernel.ids import new_id
from consortium.ledger import policies
from consortium.members import model
from consortium.members.seal import Seals
from consortium.members.statements import b64, canonical, listed, verifies

if TYPE_CHECKING:
    from consortium.fhir.message import Message

POLICY, SUBJECT = "ledger.policy/1", "policy:"
_PART = "facts"


class LedgerPolicy(ExchangeKind):
    """The consortium's seal says which policy is in force from this entry on."""

    name = POLICY
    lanes = frozenset({Lane.CONTROL})
    sealed = False
    charter = True
    to_everyone = True
    rules: ClassVar[Mapping[str, FactRule]] = {
        "policy": rules.tree(),
        "by": rules.code(),
        "signature": rules.code(),
    }

    def facts_of(self, message: "Message") -> Facts:
        facts = messages.json_of(message, _PART)
        if not isinstance(facts, dict):
            raise invalid("exchange.facts", field="")
        return facts

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return (model.CHARTER, SUBJECT, f"key:{facts['by']}")

    def judge(self, values: Values, header: Header, facts: Facts, time: datetime) -> Verdict:
        if not header.everyone:
            return invalid("exchange.recipients")
        charter = values.get(model.CHARTER)
        if charter is None:
            return conflict("members.charter_unknown")
        if header.sender != charter["consortium"]:
            return forbidden("members.not_consortium")
        key = values.get(f"key:{facts['by']}")
        if (
            key is None
            or (key["member"], key["use"]) != (header.sender, "seal")
            or key["until"] is not None
        ):
            return forbidden("members.signer")
        message = listed(POLICY, charter["hash"], facts)
        if not verifies(key["public"], message, facts["signature"]):
            return forbidden("members.signature")
        text = _text(facts["policy"])
        if text is None:
            return invalid("exchange.facts", field="policy")
        before = values.get(SUBJECT)
        held = _text(before["policy"]) if before is not None else None
        return policies.check(text, origin=charter["origin"], before=held) or ""

    def step(
        self, name: str, old: Value | None, header: Header, facts: Facts, time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:  # fmt: skip
        return {"policy": facts["policy"], "from": HERE} if name == SUBJECT else old

    def apply(self, session: Session, opened: Opened) -> None:
        """Every node keeps it; which one counts follows from the pinned policy."""
        text = _text(opened.facts["policy"])
        if text is not None:
            policies.keep(session, text, index=opened.index, now=opened.now)


def _text(lines: Any) -> bytes | None:
    """The policy's text; None for what is no list of lines of words."""
    if not isinstance(lines, list):
        return None
    for words in lines:
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            return None
    return policies.text_of(lines)


def send(
    session: Session,
    text: bytes,
    *,
    seals: Seals,
    passphrase: str,
    upload: bytes,
    post: Post,
    now: datetime,
) -> Queued:
    """Sign a policy with the consortium's seal and send it to everybody.

    Args:
        session: the transaction in which it is queued, at the hub.
        text: a policy file (C2SP tlog-policy); comments are left out.
        upload: the consortium's seal file, which does not lie at the hub.

    Raises:
        Refusal: `ledger.policy*`, `members.policy_long`, what the seal refuses, or what the hub
            would refuse.
    """
    charter = state.read(session, model.CHARTER)
    if charter is None:
        raise conflict("members.charter_unknown")
    lines = policies.lines_of(text)
    bare: dict[str, Any] = {"policy": lines}
    if len(canonical(bare)) > FACTS_MAX_BYTES - SALT_BYTES - 256:
        raise Refusal(RefusalKind.TOO_LARGE, "members.policy_long")
    before = state.read(session, SUBJECT)
    held = policies.text_of(before["policy"]) if before is not None else None
    plain = policies.text_of(lines)
    if refusal := policies.check(plain, origin=charter["origin"], before=held):
        raise refusal
    signer = seals.open(session, model.CONSORTIUM, passphrase, now=now, upload=upload)
    bare["by"] = signer.key_id
    signature = b64(signer.sign(listed(POLICY, charter["hash"], bare)))
    exchange_id = new_id(now)
    body = messages.build(
        POLICY.partition("/")[0],
        source=model.CONSORTIUM,
        destinations=(),
        resources=[messages.json_part(_PART, {**bare, "signature": signature})],
        exchange_id=exchange_id,
        now=now,
    )
    draft = Draft(id=exchange_id, kind=POLICY, sender=model.CONSORTIUM, to=("all",), body=body)
    return post.send(session, draft, now=now)


KINDS: list[ExchangeKind] = [LedgerPolicy()]
SUBJECTS = [SubjectType(SUBJECT.rstrip(":"), everyone)]
