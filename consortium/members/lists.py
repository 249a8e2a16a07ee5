"""Lists of keys that a member's seal signs, and their way to the ledger (PROTOCOL 2).

The head confirms people in one act. The signed list goes to the hub's node, which can carry it but
not write it; it waits here until there is a link, and is the same list however often it is sent.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy.orm import Session

from consortium.exchange import state
from consortium.exchange.commitment import SALT_BYTES
from consortium.exchange.facts import check
from consortium.exchange.limits import FACTS_MAX_BYTES
from consortium.exchange.outbox import Draft, Post
from consortium.fhir import gate
from consortium.kernel.actor import Actor, Role
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal, RefusalKind, conflict, invalid
from consortium.kernel.ids import UserId, new_id
from consortium.members import kinds, model, store
from consortium.members.keys import SeedSigner
from consortium.members.person import Account, account_of, note
from consortium.members.seal import Seals
from consortium.members.statements import SIGNATURE_BYTES, b64, canonical, listed
from consortium.members.tables import AccountRow, KeyListRow
from consortium.ports import Link, LinkDown

PATH = "/sync/keys"
REQUEST_MAX_BYTES = 16 * 1024
AT_ONCE = 16
_FIELDS = {"id", "kind", "facts"}
_OPEN_STATES = (store.WAITING, store.SENT)
_UNDECIDED = (RefusalKind.UNAVAILABLE, RefusalKind.THROTTLED)
_OK = 200


@dataclass(frozen=True, slots=True)
class EndedKey:
    """A key that its owner has left and the ledger still holds valid; `name` as far as known."""

    key_id: str
    user: UserId
    name: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the head has to confirm, and how many keys are on their way."""

    people: Sequence[Account]
    ended: Sequence[EndedKey]
    under_way: int
    refused: str
    """The code of the newest list that the hub refused, or an empty string."""


def waiting(session: Session, *, actor: Actor) -> Waiting:
    """Keys of the actor's member that wait for the head."""
    actor.require(Role.HEAD, Role.MEMBER_ADMIN)
    rows, ended, sent = _unlisted(session, actor.member)
    lost = store.key_lists(session, states=(store.REFUSED,), member=actor.member, limit=AT_ONCE)
    return Waiting(
        people=[account_of(row) for row in rows],
        ended=ended,
        under_way=len(sent),
        refused=lost[-1].code if lost else "",
    )


def confirm(
    session: Session,
    *,
    actor: Actor,
    passphrase: str,
    seals: Seals,
    users: Sequence[UserId],
    ended: Sequence[str] = (),
    upload: bytes | None = None,
    now: datetime,
) -> list[str]:
    """Sign the chosen people's keys, and the end of keys left behind, under the member's seal.

    At most 32 of each. Several lists are made when one exchange cannot hold them all; their ids
    are given back.

    Raises:
        Refusal: `members.nothing_to_confirm`, `members.too_many_keys`, or as `Seals.sign`.
    """
    actor.require(Role.HEAD)
    if max(len(users), len(ended)) > model.KEYS_MAX:
        raise invalid("members.too_many_keys", most=model.KEYS_MAX)
    rows, left, _ = _unlisted(session, actor.member)
    chosen = [row for row in rows if row.user in users]
    ends = [one.key_id for one in left if one.key_id in ended]
    if not chosen and not ends:
        raise conflict("members.nothing_to_confirm")
    charter = state.read(session, model.CHARTER)
    if charter is None:
        raise conflict("members.charter_unknown")
    signer = seals.open(session, actor.member, passphrase, now=now, upload=upload)
    made = [
        _sign(session, part, charter["hash"], signer, by=actor.user, now=now)
        for part in _parts(actor.member, signer.key_id, list(map(_person_key, chosen)), ends)
    ]
    for row in chosen:
        note(session, "members.key_confirmed", row=row, by=actor.user, now=now)
    return made


def deliver(database: Database, link: Link) -> int:
    """Take waiting lists to the hub's node; give how many it has answered.

    Asked again for what is under way, so that a refusal is heard of. Holds no transaction while
    it calls: at the hub itself the other end writes into the same database.
    """
    with database.read() as session:
        rows = store.key_lists(session, states=_OPEN_STATES, limit=AT_ONCE)
        requests = {row.id: _request(row) for row in rows}
    answered = 0
    for list_id, request in requests.items():
        try:
            reply = link.call(PATH, request, {"content-type": "application/json"})
        except LinkDown:
            return answered
        word, code = _answer_of(reply.body) if reply.status == _OK else ("", "")
        if word not in (store.SENT, store.REFUSED):
            continue
        answered += 1
        with database.write() as session:
            row = store.key_list(session, list_id)
            if row is not None and row.state in _OPEN_STATES:
                row.state, row.code = word, code
    return answered


def answer(session: Session, raw: bytes, *, post: Post, now: datetime) -> bytes:
    """At the hub: check a signed list as admission will, and send it under the hub's node.

    The answer is JSON: state sent, done, refused (with code) or wait. Nobody needs to sign in to
    ask: the list carries its member's own signature.

    Raises:
        Refusal: `members.request` for what is no list.
    """
    list_id, kind, facts = _read(raw)
    row = store.key_list(session, list_id)
    if row is None:
        row = KeyListRow(
            id=list_id,
            member=str(facts.get("member", ""))[:32],
            kind=kind,
            facts=canonical(facts).decode(),
            state=store.WAITING,
            made_at=now,
            made_by="",
        )
    elif row.facts != canonical(facts).decode():
        raise invalid("members.request")
    if row.state == store.WAITING:
        try:
            send(session, kind, facts, list_id=list_id, post=post, now=now)
        except Refusal as refusal:
            if refusal.kind in _UNDECIDED:
                return _said("wait", refusal.code)
            return _said(store.REFUSED, refusal.code)
        row.state = store.SENT
        session.add(row)
        session.flush()
    return _said(row.state, row.code)


def send(
    session: Session,
    kind: str,
    facts: Mapping[str, Any],
    *,
    list_id: str,
    post: Post,
    now: datetime,
    told: Mapping[str, Any] | None = None,
    mac: str = "",
) -> None:
    """Queue a list under the hub's node. Raises Refusal as `Post.send`."""
    body = kinds.body(
        kind,
        sender=model.CONSORTIUM,
        exchange_id=list_id,
        facts=facts,
        now=now,
        told=told,
        mac=mac,
    )
    draft = Draft(id=list_id, kind=kind, sender=model.CONSORTIUM, to=("all",), body=body)
    post.send(session, draft, now=now)


def _unlisted(session: Session, member: str) -> tuple[list[AccountRow], list[EndedKey], set[str]]:
    """Accounts and ended keys that no list holds yet, and the key ids of lists under way."""
    under_way: set[str] = set()
    for row in store.key_lists(session, states=_OPEN_STATES, member=member, limit=AT_ONCE):
        facts = orjson.loads(row.facts)
        under_way |= {model.kid(key) for key in model.keys_of(facts)} | set(model.ends_of(facts))
    people = store.waiting_keys(session, member=member, limit=10 * model.KEYS_MAX)
    ended = store.to_end(session, member=member, limit=10 * model.KEYS_MAX)
    return (
        [row for row in people if row.key_id not in under_way],
        [_ended(session, one.key_id, one.user) for one in ended if one.key_id not in under_way],
        under_way,
    )


def _ended(session: Session, key_id: str, user: str) -> EndedKey:
    row = store.account(session, user)
    return EndedKey(key_id, UserId(user), row.name if row is not None else "")


def _person_key(row: AccountRow) -> dict[str, Any]:
    return {
        "use": "person",
        "public": row.key_public,
        "proof": row.key_proof,
        "holder": row.user,
        "roles": sorted(store.roles(row.roles)),
    }


def _parts(
    member: str, by: str, keys: Sequence[Mapping[str, Any]], ends: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Facts of as few lists as hold everything within the size of one exchange's facts."""
    empty: dict[str, Any] = {"member": member, "by": by, "signature": b64(bytes(SIGNATURE_BYTES))}
    part = dict(empty)
    for field, item in [*(("ends", one) for one in ends), *(("keys", key) for key in keys)]:
        longer = {**part, field: [*part.get(field, []), item]}
        if SALT_BYTES + len(canonical(longer)) > FACTS_MAX_BYTES:
            yield part
            longer = {**empty, field: [item]}
        part = longer
    yield part


def _sign(
    session: Session,
    facts: dict[str, Any],
    charter: str,
    signer: SeedSigner,
    *,
    by: UserId,
    now: datetime,
) -> str:
    kind = model.ADD if "keys" in facts else model.REVOKE
    signature = b64(signer.sign(listed(kind, charter, facts)))
    row = KeyListRow(
        id=new_id(now),
        member=facts["member"],
        kind=kind,
        facts=canonical({**facts, "signature": signature}).decode(),
        state=store.WAITING,
        made_at=now,
        made_by=by,
    )
    session.add(row)
    session.flush()
    return row.id


def _request(row: KeyListRow) -> bytes:
    return orjson.dumps({"id": row.id, "kind": row.kind, "facts": orjson.loads(row.facts)})


def _read(raw: bytes) -> tuple[str, str, dict[str, Any]]:
    wrong = invalid("members.request")
    asked = gate.parse(raw, limit_bytes=REQUEST_MAX_BYTES)
    if not isinstance(asked, dict) or asked.keys() != _FIELDS:
        raise wrong
    list_id, kind, facts = asked["id"], asked["kind"], asked["facts"]
    if kind not in (model.ADD, model.REVOKE) or not isinstance(facts, dict):
        raise wrong
    # the first keys of a member come with its one-time code, by joining only
    if not isinstance(list_id, str) or not 8 <= len(list_id) <= 40 or "kind" in facts:
        raise wrong
    rules = kinds.KeyAdd.rules if kind == model.ADD else kinds.KeyRevoke.rules
    if refusal := check(facts, rules):
        raise refusal
    return list_id, kind, facts


def _said(word: str, code: str) -> bytes:
    return orjson.dumps({"state": word, "code": code})


def _answer_of(body: bytes) -> tuple[str, str]:
    try:
        said = orjson.loads(body)
        word, code = str(said["state"]), str(said["code"])[:80]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "", ""
    return (store.SENT if word == store.DONE else word), code
