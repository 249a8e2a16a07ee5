"""One pushed exchange on its way to a leaf: all that can be known of it without the lock."""

from dataclasses import dataclass, field
from datetime import datetime

from consortium.exchange import jws
from consortium.exchange.answers import Answer, Status
from consortium.exchange.commitment import commit_body, open_body
from consortium.exchange.envelope import Envelope, unpack
from consortium.exchange.facts import Facts
from consortium.exchange.judgement import open_checked, sameness, subjects_of
from consortium.exchange.jws import Signed
from consortium.exchange.kinds import ExchangeKind, Registry
from consortium.exchange.sealing import looks_sealed
from consortium.kernel.errors import Refusal, invalid


@dataclass(slots=True)
class Candidate:
    """An exchange that is well formed; whether its claimed key signed it is checked beside.

    `misfit` is what facts or body show by themselves; with one, `facts` are empty. `kind` is None
    where this program does not know it. `final`: its sender no longer waits for a parent.
    `shown`: whether the body is here; one that is not is not judged.
    """

    envelope: Envelope
    signed: Signed
    kind: ExchangeKind | None
    facts: Facts
    misfit: Refusal | None
    same: bytes
    final: bool = False
    shown: bool = True
    names: list[str] = field(default_factory=list)

    def name_subjects(self, registry: Registry, time: datetime) -> list[str]:
        """Every subject that judging it reads or moves; links stand unresolved."""
        if self.kind is not None and self.misfit is None:
            try:
                self.names = subjects_of(registry, self.kind, self.signed.header, self.facts, time)
            except Refusal as refusal:
                self.facts, self.misfit = {}, refusal
        return self.names


def read(raw: bytes, registry: Registry) -> Candidate | Answer:
    """Read one packed envelope; an answer when it is not well formed or of an unknown version."""
    try:
        envelope = unpack(raw)
    except Refusal as refusal:
        return Answer.of_raw(raw, Status.MALFORMED, code=refusal.code)
    try:
        signed = jws.parse(envelope.jws)
    except Refusal as refusal:
        status = Status.HELD if refusal.code == "exchange.version" else Status.MALFORMED
        return Answer.of_raw(envelope.jws, status, code=refusal.code)
    return examined(envelope, signed, registry)


def examined(
    envelope: Envelope, signed: Signed, registry: Registry, *, shown: bool = True
) -> Candidate:
    """What facts, and the body where it is shown, say by themselves; the JWS has been read."""
    kind = registry.kind(signed.header.kind)
    facts: Facts = {}
    misfit: Refusal | None = None
    if kind is not None:
        opened = open_checked(kind, signed.header, envelope.facts)
        if isinstance(opened, Refusal):
            misfit = opened
        elif shown and (misfit := _body_misfit(kind, signed, envelope)):
            pass
        else:
            facts = opened
    same = sameness(signed.header)
    return Candidate(envelope, signed, kind, facts, misfit, same, shown=shown)


def _body_misfit(kind: ExchangeKind, signed: Signed, envelope: Envelope) -> Refusal | None:
    """An open body must open its commitment; a sealed one must be an age file."""
    if kind.sealed:
        return None if looks_sealed(envelope.body) else invalid("exchange.body")
    try:
        salt, bundle = open_body(envelope.body)
    except Refusal:
        return invalid("exchange.body")
    if commit_body(bundle, salt) != signed.header.body:
        return invalid("exchange.body")
    return None
