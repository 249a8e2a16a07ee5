"""Inviting a member, at the hub: a code for ten minutes, five tries, one use (PROTOCOL 2)."""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy.orm import Session

from consortium.audit import service as audit
from consortium.exchange import state
from consortium.exchange.facts import check
from consortium.exchange.outbox import Post
from consortium.fhir import gate
from consortium.kernel.actor import Actor, Role
from consortium.kernel.errors import Refusal, conflict, forbidden, invalid, missing
from consortium.kernel.ids import new_id
from consortium.ledger import receipts
from consortium.members import codes, details, kinds, lists, model, statements, store
from consortium.members.charter import Charter, fingerprint
from consortium.members.qr import svg
from consortium.members.statements import b64, canonical, code_mac
from consortium.members.tables import InvitationRow, KeyListRow

PATH = "/sync/join"
LIFE = timedelta(minutes=10)
TRIES_MAX = 5
REQUEST_MAX_BYTES = 16 * 1024
OFFER, KEYS, STATE = "offer", "keys", "state"
"""What a joining machine asks for, and the roles of the MACs on question and answer."""


@dataclass(frozen=True, slots=True)
class Door:
    """What a hub shows to those who join: where it is, its log key, its charter."""

    url: str
    vkey: str
    charter: Charter

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.vkey, self.charter.hash)

    @property
    def address(self) -> str:
        """The address that an invitation carries: the hub's, with the fingerprint behind it."""
        return f"{self.url}#{self.fingerprint}"


@dataclass(frozen=True, slots=True)
class Invitation:
    """A new invitation; the code is shown once and not kept."""

    member: str
    kind: str
    address: str
    fingerprint: str
    expires_at: datetime
    code: str = field(repr=False)

    @property
    def command(self) -> str:
        """What is typed at the new machine."""
        verb = "mirror" if self.kind == model.REGULATOR else "workstation join"
        return f"consortium {verb} {self.address} {self.code}"

    def qr(self) -> str:
        """Address and code as an SVG picture."""
        return svg(f"{self.address} {self.code}")


def invite(
    session: Session,
    *,
    actor: Actor,
    door: Door,
    told: Mapping[str, Any],
    now: datetime,
    member: str = "",
    kind: str = "clinic",
) -> Invitation:
    """Invite a clinic or a regulator under a new member id, or again one that has not joined.

    Raises:
        Refusal: `members.details` with the field, `members.member_id`, `members.member_known`,
            `members.kind` for a kind that nobody is invited as.
    """
    actor.require(Role.CONSORTIUM_ADMIN)
    if kind not in model.INVITED_KINDS:
        raise invalid("members.kind")
    return new(session, door=door, member=member, kind=kind, told=told, by=actor.user, now=now)


def new(
    session: Session,
    *,
    door: Door,
    member: str,
    kind: str,
    told: Mapping[str, Any],
    by: str,
    now: datetime,
) -> Invitation:
    """Make an invitation; an older one of the same member ends. Raises as `invite`."""
    if field_name := details.fault(told):
        raise invalid("members.details", field=field_name)
    member = member or f"{kind}-{secrets.token_hex(4)}"
    if not model.good_member_id(member):
        raise invalid("members.member_id")
    if state.read(session, f"member:{member}") is not None:
        raise conflict("members.member_known")
    code = codes.make()
    while store.invitation(session, code.handle) is not None:
        code = codes.make()
    row = InvitationRow(
        handle=code.handle,
        secret=code.key(),
        member=member,
        kind=kind,
        details=canonical(told).decode(),
        made_by=by,
        expires_at=now + LIFE,
        tries=0,
        answered="",
        key_list="",
    )
    store.replace_invitation(session, row)
    audit.record(session, actor=by, action="members.invited", subject=f"member:{member}", now=now)
    return Invitation(member, kind, door.address, door.fingerprint, row.expires_at, code.text)


def answer(session: Session, raw: bytes, *, door: Door, post: Post, now: datetime) -> bytes:
    """Answer a machine that wants to join. Commits with its answer, refusals included.

    A refusal is an answer, `{"state": "refused", "code": ...}`, so that the try it counted is kept.

    Raises:
        Refusal: `members.request`, or what `gate.parse` says, for what is no request.
    """
    asked = _read(raw)
    try:
        row = _open_invitation(session, asked, now=now)
        if asked["ask"] == OFFER:
            said = _offer(row, door)
        else:
            said = _take_keys(session, row, asked, post=post, now=now)
    except Refusal as refusal:
        said = {"state": "refused", "code": refusal.code}
    return orjson.dumps(said)


def _read(raw: bytes) -> dict[str, Any]:
    wrong = invalid("members.request")
    asked = gate.parse(raw, limit_bytes=REQUEST_MAX_BYTES)
    if not isinstance(asked, dict):
        raise wrong
    if not all(isinstance(asked.get(name), str) for name in ("ask", "handle")):
        raise wrong
    wanted = {OFFER: {"ask", "handle"}, KEYS: {"ask", "handle", "facts", "mac"}}
    if asked["ask"] not in wanted or asked.keys() != wanted[asked["ask"]]:
        raise wrong
    if asked["ask"] == KEYS:
        if refusal := check(asked["facts"], kinds.KeyAdd.rules):
            raise refusal
        if not isinstance(asked["mac"], str):
            raise wrong
    return asked


def _open_invitation(session: Session, asked: Mapping[str, Any], *, now: datetime) -> InvitationRow:
    row = store.invitation(session, asked["handle"][:8])
    if row is None:
        raise missing("members.code_unknown")
    if row.answered:
        # the same keys may ask again after a lost answer; an offer is made once
        if asked["ask"] == OFFER or _digest(asked["facts"]) != row.answered:
            raise conflict("members.code_used")
        return row
    if row.tries >= TRIES_MAX:
        raise forbidden("members.code_tries")
    if now >= row.expires_at:
        raise conflict("members.code_expired")
    return row


def _offer(row: InvitationRow, door: Door) -> dict[str, Any]:
    offer = {
        "member": row.member,
        "kind": row.kind,
        "details": orjson.loads(row.details),
        "vkey": door.vkey,
        "charter": door.charter.document.decode(),
    }
    return {"state": OFFER, "offer": offer, "mac": code_mac(row.secret, OFFER, offer)}


def _take_keys(
    session: Session, row: InvitationRow, asked: Mapping[str, Any], *, post: Post, now: datetime
) -> dict[str, Any]:
    facts = asked["facts"]
    if row.answered:
        return _standing(session, row, facts)
    if not hmac.compare_digest(code_mac(row.secret, KEYS, facts).encode(), asked["mac"].encode()):
        row.tries += 1
        raise forbidden("members.code_wrong", left=TRIES_MAX - row.tries)
    told = orjson.loads(row.details)
    if (facts["member"], facts.get("kind")) != (row.member, row.kind):
        raise invalid("members.request")
    if facts.get("details") != statements.details_hash(told):
        raise invalid("members.details", field="hash")
    list_id = new_id(now)
    lists.send(
        session, model.ADD, facts, list_id=list_id, post=post, now=now, told=told, mac=asked["mac"]
    )
    row.key_list, row.answered = list_id, _digest(facts)
    session.add(
        KeyListRow(
            id=list_id,
            member=row.member,
            kind=model.ADD,
            facts=canonical(facts).decode(),
            state=store.SENT,
            made_at=now,
            made_by=row.made_by,
        )
    )
    return {"state": "queued"}


def _standing(session: Session, row: InvitationRow, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Where the keys of a joining machine stand: queued, refused, or done with a receipt."""
    listed = store.key_list(session, row.key_list)
    if listed is not None and listed.state == store.REFUSED:
        return {"state": "refused", "code": listed.code}
    node = model.uses_of(model.keys_of(facts)).get("node", "")
    key = state.read(session, f"key:{node}")
    receipt = receipts.receipt(session, key["from"]) if key is not None else None
    if key is None or receipt is None:
        return {"state": "queued"}
    return {"state": "done", "index": key["from"], "receipt": b64(receipt)}


def _digest(facts: object) -> str:
    content = orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)
    return b64(statements.digest(b"sharing-chain/join/1\0", content))
