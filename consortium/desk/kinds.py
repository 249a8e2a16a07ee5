"""Kinds of exchange that any case may hold: a message, and that a person has opened something."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Final

from sqlalchemy.orm import Session

from consortium.desk import fhir
from consortium.exchange import facts as rules
from consortium.exchange.facts import FactRule, Facts
from consortium.exchange.header import Header
from consortium.exchange.kinds import ExchangeKind, Opened, Values, Verdict
from consortium.fhir import message as messages
from consortium.kernel.errors import Refusal, forbidden, invalid

if TYPE_CHECKING:
    from consortium.fhir.message import Message

MESSAGE: Final = "case.message/1"
READ: Final = "case.read/1"


class _InCase(ExchangeKind):
    """Goes between parties of a case, under no other contract, and moves nothing."""

    charter = True

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return (f"case:{header.case}",)

    def judge(self, values: Values, header: Header, facts: Facts, time: datetime) -> Verdict:
        case = values.get(f"case:{header.case}") if header.case else None
        if case is None or not header.members <= frozenset(case["parties"]):
            return forbidden("desk.not_party")
        return ""


class CaseMessage(_InCase):
    """Words from one party of a case to another, sealed like everything in it."""

    name = MESSAGE

    def facts_of(self, message: "Message") -> Facts:
        return {}

    def inspect(self, session: Session, opened: Opened) -> Refusal | None:
        if opened.message is None:
            return None
        try:
            text = fhir.text_of(opened.message)
        except Refusal as refusal:
            return refusal
        if not 0 < len(text) <= fhir.TEXT_MAX:
            return invalid("desk.message", limit=fhir.TEXT_MAX)
        return None

    def apply(self, session: Session, opened: Opened) -> None:
        from consortium.desk import messages as said

        said.arrived(session, opened)


class CaseRead(_InCase):
    """A person of the recipient has opened an exchange for the first time (PROTOCOL 1)."""

    name = READ
    rules: ClassVar[dict[str, FactRule]] = {"of": rules.code()}

    def facts_of(self, message: "Message") -> Facts:
        return messages.parameters_of(message)

    def apply(self, session: Session, opened: Opened) -> None:
        from consortium.desk import messages as said

        said.read_told(session, opened)


KINDS: Final[list[ExchangeKind]] = [CaseMessage(), CaseRead()]
