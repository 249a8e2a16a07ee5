"""Signing contracts, returning them, and what takes two persons: suspend, resume, terminate.

The seal opens for one act by its passphrase. The first person's request stays here, with the seal
and the first signature, until a second person confirms; only then does one exchange leave.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from consortium.contracts import model, statements, store
from consortium.contracts.local import officer
from consortium.contracts.model import (
    CONFIRMERS,
    HOLD_REASONS,
    HOLDS,
    SIGN,
    WITHDRAW,
    WITHDRAW_REASONS,
    Action,
)
from consortium.contracts.notices import Notices, Waiting
from consortium.contracts.tables import ContractHoldRow
from consortium.exchange import state, timeline
from consortium.exchange.outbox import PENDING, Draft, Post, Queued
from consortium.fhir import message as messages
from consortium.kernel.actor import Actor
from consortium.kernel.errors import conflict, forbidden, invalid, missing
from consortium.kernel.ids import new_id
from consortium.kernel.time import to_ms
from consortium.members.keyring import Keyring
from consortium.members.seal import Seals
from consortium.members.statements import b64


@dataclass(frozen=True, slots=True)
class Passphrase:
    """How the seal is opened: its passphrase, and the file where it does not lie here."""

    text: str
    upload: bytes | None = None


@dataclass(frozen=True, slots=True)
class Means:
    """What a request for two persons uses of the node."""

    keyring: Keyring
    seals: Seals
    post: Post
    notices: Notices


def sign(
    session: Session,
    *,
    actor: Actor,
    post: Post,
    seals: Seals,
    contract: str,
    version: int,
    passphrase: Passphrase,
    exchange: str,
    now: datetime,
) -> Queued:
    """Put the member's seal to the version that was reviewed; a second press signs nothing.

    Raises:
        Refusal: `contract.missing`, `contract.version` when another version is the newest by now,
            `contract.signed`, `members.seal_*`, and what the exchange refuses.
    """
    value = _value(session, actor, contract)
    actor.require(officer(session, actor.member))
    if version != len(value["versions"]):
        raise conflict("contract.version", version=version)
    waiting = on_the_way(session, member=actor.member, contract=contract)
    if waiting.get(SIGN, exchange) != exchange:
        raise conflict("contract.signed", member=actor.member)
    digest = model.newest(value)["hash"]
    statement = statements.signing(contract=contract, version=version, digest=digest)
    seal = seals.sign(
        session, actor.member, passphrase.text, statement, now=now, upload=passphrase.upload
    )
    act = {
        "contract": contract,
        "version": version,
        "hash": digest,
        "seal": seal.key_id,
        "signature": seal.value,
        "person": actor.name,
    }
    return _send(
        session, post, value, SIGN, sender=actor.member, exchange=exchange, act=act, now=now
    )


def withdraw(
    session: Session,
    *,
    actor: Actor,
    post: Post,
    contract: str,
    version: int,
    reason: str,
    exchange: str,
    now: datetime,
) -> Queued:
    """Take a proposal back, or return it to its proposer unsigned.

    Raises:
        Refusal: `contract.missing`, `contract.reason`, and what the exchange refuses.
    """
    value = _value(session, actor, contract)
    actor.require(officer(session, actor.member))
    if reason not in WITHDRAW_REASONS:
        raise invalid("contract.reason")
    act = {"contract": contract, "version": version, "reason": reason, "person": actor.name}
    return _send(
        session, post, value, WITHDRAW, sender=actor.member, exchange=exchange, act=act, now=now
    )


def ask(
    session: Session,
    *,
    actor: Actor,
    means: Means,
    contract: str,
    action: Action,
    reason: str,
    passphrase: Passphrase,
    now: datetime,
) -> None:
    """The first person asks to suspend, resume or terminate, with the seal and an own signature.

    Raises:
        Refusal: `contract.missing`, `contract.reason`, `contract.state`, `contract.hold_waiting`
            when somebody asked before, `contract.not_suspender`, `members.seal_*`,
            `members.key_*`.
    """
    value = _value(session, actor, contract)
    actor.require(officer(session, actor.member))
    if reason not in HOLD_REASONS:
        raise invalid("contract.reason")
    model.advance(model.status(value, time_ms=to_ms(now)), action)
    if action is Action.RESUME and not model.may_resume(value, actor.member):
        raise forbidden("contract.not_suspender", member=value["suspended"]["by"])
    if store.hold(session, contract=contract) is not None:
        raise conflict("contract.hold_waiting")
    row = _requested(session, value, actor, means, contract, action, reason, passphrase, now)
    session.add(row)
    session.flush()
    for member in _here(means.post, value):
        _tell(session, means.notices, member, contract, actor=actor, action=action, now=now)
    means.notices.moved(session)


def confirm(
    session: Session,
    *,
    actor: Actor,
    keyring: Keyring,
    post: Post,
    contract: str,
    now: datetime,
) -> Queued:
    """A second person confirms; the exchange leaves with both signatures.

    Raises:
        Refusal: `contract.missing`, `contract.hold_gone`, `contract.same_person`,
            `members.key_*`, and what the exchange refuses.
    """
    value, row = _held(session, actor, contract)
    if row.first_user == actor.user:
        raise forbidden("contract.same_person")
    queued = _send(
        session,
        post,
        value,
        HOLDS[Action(row.action)],
        sender=row.member,
        exchange=row.exchange,
        act=_confirmed(row, actor, keyring),
        now=now,
    )
    row.sent = 1
    return queued


def drop(
    session: Session,
    *,
    actor: Actor,
    post: Post,
    notices: Notices,
    contract: str,
    now: datetime,
) -> None:
    """Whoever asked, or the one who should confirm, lets it be.

    Raises:
        Refusal: `contract.missing`, `contract.hold_gone` also when it has been sent.
    """
    value, row = _held(session, actor, contract)
    if row.sent:
        raise conflict("contract.hold_gone")
    session.delete(row)
    for member in _here(post, value):
        notices.close(session, member=member, contract=contract, now=now)
    notices.moved(session)


def _requested(
    session: Session,
    value: Mapping[str, Any],
    actor: Actor,
    means: Means,
    contract: str,
    action: Action,
    reason: str,
    passphrase: Passphrase,
    now: datetime,
) -> ContractHoldRow:
    """The request with the seal's and the first person's signatures over one statement."""
    exchange, version = new_id(now), len(value["versions"])
    statement = statements.holding(
        action=action.value, contract=contract, version=version, reason=reason, exchange=exchange
    )
    signer = means.keyring.signer(actor)
    seal = means.seals.sign(
        session, actor.member, passphrase.text, statement, now=now, upload=passphrase.upload
    )
    return ContractHoldRow(
        contract=contract,
        exchange=exchange,
        member=actor.member,
        version=version,
        action=action.value,
        reason=reason,
        first_user=actor.user,
        first_member=actor.member,
        first_name=actor.name,
        first_key=signer.key_id,
        first_signature=b64(signer.sign(statement)),
        seal=seal.key_id,
        seal_signature=seal.value,
        sent=0,
        asked_at=now,
    )


def _confirmed(row: ContractHoldRow, actor: Actor, keyring: Keyring) -> dict[str, Any]:
    """The act with both signatures."""
    statement = statements.holding(
        action=row.action,
        contract=row.contract,
        version=row.version,
        reason=row.reason,
        exchange=row.exchange,
    )
    signer = keyring.signer(actor)
    return {
        "contract": row.contract,
        "version": row.version,
        "reason": row.reason,
        "seal": row.seal,
        "seal_signature": row.seal_signature,
        "first": row.first_key,
        "first_signature": row.first_signature,
        "second": signer.key_id,
        "second_signature": b64(signer.sign(statement)),
        "person": row.first_name,
        "second_person": actor.name,
    }


def _here(post: Post, value: Mapping[str, Any]) -> list[str]:
    """The parties that act from this installation."""
    return [member for member in value["parties"] if member in post.members]


def _tell(
    session: Session,
    notices: Notices,
    member: str,
    contract: str,
    *,
    actor: Actor,
    action: Action,
    now: datetime,
) -> None:
    document = store.document(session, contract=contract, member=member)
    waiting = Waiting(
        member=member,
        contract=contract,
        need=f"contract.need.confirm_{action.value}",
        source="contract.source.confirm",
        params={"title": document.title if document else contract, "person": actor.name},
        whose=actor.name,
        roles=CONFIRMERS,
        started_at=now,
        link=f"/contracts/{contract}",
    )
    notices.put(session, waiting, now=now)


def on_the_way(session: Session, *, member: str, contract: str) -> dict[str, str]:
    """Acts of a member that the hub has not answered yet: exchange ids by kind."""
    entries = timeline.of_case(session, member=member, case=contract, limit=50)
    return {one.kind: one.id for one in entries if one.mine and one.state in PENDING}


def _held(
    session: Session, actor: Actor, contract: str
) -> tuple[Mapping[str, Any], ContractHoldRow]:
    value = _value(session, actor, contract)
    actor.require(*CONFIRMERS)
    row = store.hold(session, contract=contract)
    if row is None:
        raise conflict("contract.hold_gone")
    return value, row


def _value(session: Session, actor: Actor, contract: str) -> Mapping[str, Any]:
    """Shared state of a contract of the actor's member; to others it does not exist."""
    value = state.read(session, f"contract:{contract}")
    if value is None or actor.member not in value["parties"]:
        raise missing("contract.missing")
    return value


def _send(
    session: Session,
    post: Post,
    value: Mapping[str, Any],
    kind: str,
    *,
    sender: str,
    exchange: str,
    act: Mapping[str, Any],
    now: datetime,
) -> Queued:
    to = tuple(member for member in value["parties"] if member != sender)
    body = messages.build(
        kind,
        source=sender,
        destinations=to,
        resources=[messages.json_part("act", dict(act))],
        exchange_id=exchange,
        now=now,
    )
    draft = Draft(id=exchange, kind=kind, sender=sender, to=to, body=body, case=act["contract"])
    return post.send(session, draft, now=now)
