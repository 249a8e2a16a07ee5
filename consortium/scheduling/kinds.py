"""Exchanges of scheduling: a session is published to all, and cancelled to all."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from sqlalchemy.orm import Session

from consortium.exchange.facts import Facts, Value, code, number, tree
from consortium.exchange.header import Header
from consortium.exchange.kinds import (
    ExchangeKind,
    Opened,
    QueryType,
    SubjectType,
    Values,
    Verdict,
    everyone,
    parties,
)
from consortium.fhir import parts
from consortium.kernel.errors import Refusal, conflict, forbidden, invalid
from consortium.scheduling import fhir, model, publishing, service
from consortium.scheduling.model import CancelReason, SessionKind

if TYPE_CHECKING:
    from consortium.fhir.message import Message


ID_MAX = 64
"""Ids and codes that every node can keep."""


class SessionPublish(ExchangeKind):
    """A session with its slots. Its id is the id of this exchange, so no two can share one."""

    name = publishing.PUBLISH
    sealed = False
    charter = True
    to_everyone = True
    rules: ClassVar = {
        "session": code(),
        "service": code(),
        "kind": code(*SessionKind),
        "holder": code(),
        "starts": tree(),
        "minutes": number(),
    }

    def facts_of(self, message: "Message") -> Facts:
        return fhir.session_facts(message)

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return (model.session_name(facts["session"]),)

    def judge(self, values: Values, header: Header, facts: Facts, time: datetime) -> Verdict:
        """A new session, to everyone, with starts that lie ahead and apart."""
        if facts["session"] != header.id or not header.everyone or _too_long(facts):
            return invalid("session.malformed")
        if values.get(model.session_name(facts["session"])) is not None:
            return conflict("session.exists")
        starts = facts["starts"]
        if not isinstance(starts, list) or not all(type(one) is int for one in starts):
            return invalid("session.malformed")
        return model.check_starts(starts, facts["minutes"], time=time) or ""

    def step(
        self,
        name: str,
        old: Value | None,
        header: Header,
        facts: Facts,
        time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:
        return model.opened(
            provider=header.sender,
            holder=facts["holder"],
            service=facts["service"],
            kind=facts["kind"],
            starts_ms=facts["starts"],
            minutes=facts["minutes"],
            time=time,
        )

    def apply(self, session: Session, opened: Opened) -> None:
        name = fhir.holder_name(opened.message) if opened.message else ""
        publishing.published(
            session,
            provider=opened.header.sender,
            facts=opened.facts,
            holder_name=name,
            now=opened.now,
        )

    def refused(self, session: Session, opened: Opened) -> None:
        publishing.publish_refused(
            session, opened.facts["session"], code=opened.code, now=opened.now
        )


class SessionCancel(ExchangeKind):
    """A session will not take place. Writes `session:` only; slots and cases read it."""

    name = publishing.CANCEL
    sealed = False
    charter = True
    to_everyone = True
    rules: ClassVar = {"session": code(), "reason": code(*CancelReason)}

    def facts_of(self, message: "Message") -> Facts:
        return parts.parameters_of(message)

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return (model.session_name(facts["session"]),)

    def judge(self, values: Values, header: Header, facts: Facts, time: datetime) -> Verdict:
        """An open session of the sender's own that is not over."""
        if not header.everyone:
            return invalid("session.malformed")
        value = values.get(model.session_name(facts["session"]))
        if value is None:
            return invalid("session.unknown")
        if value["provider"] != header.sender:
            return forbidden("session.not_yours")
        if not model.is_open(value):
            return conflict("session.cancelled")
        return conflict("session.over") if model.is_over(value, time=time) else ""

    def step(
        self,
        name: str,
        old: Value | None,
        header: Header,
        facts: Facts,
        time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:
        return None if old is None else model.cancelled(old, reason=facts["reason"], time=time)

    def apply(self, session: Session, opened: Opened) -> None:
        publishing.cancelled(
            session,
            opened.facts["session"],
            provider=opened.header.sender,
            reason=opened.facts["reason"],
            now=opened.now,
        )

    def refused(self, session: Session, opened: Opened) -> None:
        publishing.cancel_refused(
            session, opened.facts["session"], code=opened.code, now=opened.now
        )


def _too_long(facts: Facts) -> bool:
    return any(len(facts[name]) > ID_MAX for name in ("session", "service", "holder"))


def _holds_slot(name: str, member: str, read: Callable[[str], Value | None]) -> bool:
    """The provider of a session folds its slots, free ones too."""
    try:
        session, _ = model.parse_slot(name)
    except Refusal:
        return False
    value = read(model.session_name(session))
    return value is not None and value["provider"] == member


KINDS: list[ExchangeKind] = [SessionPublish(), SessionCancel()]
SUBJECTS: list[SubjectType] = [
    SubjectType("session", everyone),
    SubjectType("slot", parties, holds=_holds_slot, freed=model.release),
]
QUERIES: list[QueryType] = [QueryType(service.FREE, service.answer)]
