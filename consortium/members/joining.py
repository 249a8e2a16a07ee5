"""Joining, at the machine that joins: every key is made here and none leaves (PROTOCOL 2).

Two questions to the hub: what is offered under this code, checked against the invitation's
fingerprint; then the public keys with their proofs, until the ledger holds them. What was asked is
kept in a file, so that a cut between question and answer only means asking again.
"""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from consortium.exchange import jws
from consortium.kernel.errors import Refusal, RefusalKind, conflict, forbidden, invalid
from consortium.kernel.system import write_durably
from consortium.ledger import receipts
from consortium.members import charter, details, model, statements
from consortium.members.charter import Charter
from consortium.members.codes import Code
from consortium.members.invitations import KEYS, OFFER, PATH
from consortium.members.keys import KeyFolder, SeedSigner
from consortium.members.recovery import Recovery
from consortium.members.seal import SealFile, Seals
from consortium.members.statements import b64, code_mac, listed, unb64
from consortium.ports import Link

ANSWER_MAX_BYTES = 512 * 1024
CHARTER_FILE, POLICY_FILE, PENDING_FILE = "charter.json", "policy", "joining.json"
_FINGERPRINT_CHARS = 32
_OK = 200


@dataclass(frozen=True, slots=True)
class Address:
    """Where an invitation leads: the hub's address and the fingerprint that it must show."""

    url: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Offer:
    """What the hub offers under a code, after every check of it."""

    member: str
    kind: str
    told: Mapping[str, Any]
    vkey: str
    charter: Charter


@dataclass(frozen=True, slots=True)
class Request:
    """The public keys of a new member with their proofs, and the MAC by the code."""

    handle: str
    facts: Mapping[str, Any]
    mac: str


@dataclass(frozen=True, slots=True)
class Made:
    """Keys made for a member; recovery and the open seal are in memory only."""

    facts: Mapping[str, Any]
    recovery: Recovery = field(repr=False)
    seal: SeedSigner = field(repr=False)
    seal_file: SealFile = field(repr=False)


def address(text: str, fingerprint: str = "") -> Address:
    """Read the address of an invitation, `https://hub#fingerprint`.

    Raises:
        Refusal: `members.fingerprint_needed` when neither it nor the argument has one.
    """
    url, _, behind = text.strip().partition("#")
    plain = (fingerprint or behind).replace("-", "").lower()
    if len(plain) != _FINGERPRINT_CHARS or not set(plain) <= set("0123456789abcdef"):
        raise invalid("members.fingerprint_needed")
    return Address(url.rstrip("/"), plain)


def ask_offer(link: Link, *, code: Code, key: bytes, expected: str) -> Offer:
    """What the hub offers under this code.

    Args:
        key: the code's key (`Code.key`).
        expected: the invitation's fingerprint.

    Raises:
        Refusal: `members.fingerprint` for any other log or charter, `members.code_wrong` when the
            hub does not know the code's secret, or the hub's own refusal.
        LinkDown: no answer.
    """
    said = _ask(link, {"ask": OFFER, "handle": code.handle})
    offer, mac = said.get("offer"), said.get("mac")
    if not isinstance(offer, dict) or not isinstance(mac, str):
        raise invalid("members.answer")
    if not hmac.compare_digest(code_mac(key, OFFER, offer).encode(), mac.encode()):
        raise forbidden("members.code_wrong", left=0)
    texts = [offer.get(name) for name in ("member", "kind", "vkey", "charter")]
    if not all(isinstance(text, str) for text in texts) or details.fault(offer.get("details")):
        raise invalid("members.answer")
    member, kind, vkey, document = map(str, texts)
    read = charter.read(document.encode())
    if not hmac.compare_digest(charter.fingerprint(vkey, read.hash), expected):
        raise forbidden("members.fingerprint")
    if not vkey.startswith(f"{read.origin}+"):
        raise forbidden("members.fingerprint")
    return Offer(member, kind, offer["details"], vkey, read)


def make_keys(
    folder: KeyFolder,
    *,
    member: str,
    kind: str,
    told: Mapping[str, Any],
    charter_hash: str,
    passphrase: str,
    list_kind: str = model.ADD,
    extra: Mapping[str, Any] | None = None,
) -> Made:
    """Make node, sealing, seal and recovery keys, and the signed list of their public halves.

    Node, sealing and witness key are written into the folder; the seal only by whoever keeps its
    file. A member of the hub has no witness key: a hub that cosigns its own log proves nothing.

    Raises:
        Refusal: `members.passphrase_short`.
    """
    seal_file, seal = SealFile.make(member, passphrase)
    node, sealing = folder.make(member)
    recovery = Recovery.make(member)
    keys = [
        _proven("node", node, charter_hash, member),
        _proven("seal", seal, charter_hash, member),
        _proven("recovery_seal", recovery.signer, charter_hash, member),
        {"use": "sealing", "public": sealing.recipient},
        {"use": "recovery_age", "public": recovery.age.recipient},
    ]
    if kind in model.WITNESSING:
        witness = folder.make_witness(member)
        proven = _proven("witness", witness, charter_hash, member, holder=node.key_id)
        keys.append({**proven, "node": node.key_id})
    facts: dict[str, Any] = {
        "member": member,
        "kind": kind,
        "details": statements.details_hash(told),
        "keys": keys,
        "by": seal.key_id,
        **(extra or {}),
    }
    signature = b64(seal.sign(listed(list_kind, charter_hash, facts)))
    return Made({**facts, "signature": signature}, recovery, seal, seal_file)


def request(code: Code, key: bytes, made: Made) -> Request:
    """The question that brings the keys."""
    return Request(code.handle, made.facts, code_mac(key, KEYS, made.facts))


def policy_of(offer: Offer) -> bytes:
    """The policy that trusts the log of an offer."""
    return receipts.policy_text(offer.vkey)


def origin_of(document: bytes) -> str:
    """The log's origin as a charter names it."""
    return charter.read(document).origin


def ask_keys(link: Link, asked: Request, *, policy: bytes) -> int | None:
    """Bring the keys, or ask again where they stand; the index of their entry once it has one.

    The index counts only with a receipt under the log that the invitation named.

    Raises:
        Refusal: the hub's own, or `members.answer`, `ledger.receipt` for an answer that is wrong.
        LinkDown: no answer; ask again.
    """
    said = _ask(
        link, {"ask": KEYS, "handle": asked.handle, "facts": dict(asked.facts), "mac": asked.mac}
    )
    if said["state"] != "done":
        return None
    raw = unb64(str(said.get("receipt")), None)
    if raw is None:
        raise invalid("members.answer")
    checked = receipts.check(raw, policy)
    header = jws.parse(checked.jws).header
    if header.kind != model.ADD or checked.index != said.get("index"):
        raise invalid("members.answer")
    if checked.verdict != "ok":
        raise conflict("members.join_refused", verdict=checked.verdict)
    return checked.index


def remember(home: Path, offer: Offer, asked: Request) -> None:
    """Keep what was asked, to ask the same again after a cut; holds no secret key."""
    whole = {
        "offer": {
            "member": offer.member,
            "kind": offer.kind,
            "details": dict(offer.told),
            "vkey": offer.vkey,
            "charter": offer.charter.document.decode(),
        },
        "handle": asked.handle,
        "facts": dict(asked.facts),
        "mac": asked.mac,
    }
    write_durably(home / PENDING_FILE, orjson.dumps(whole))


def remembered(home: Path) -> tuple[Offer, Request] | None:
    """What an interrupted joining had asked, None when there is none."""
    try:
        whole = json.loads((home / PENDING_FILE).read_bytes())
    except OSError:
        return None
    offer = whole["offer"]
    return (
        Offer(
            offer["member"],
            offer["kind"],
            offer["details"],
            offer["vkey"],
            charter.read(offer["charter"].encode()),
        ),
        Request(whole["handle"], whole["facts"], whole["mac"]),
    )


def pin(home: Path, *, vkey: str, document: bytes) -> None:
    """Keep the log's policy and the charter: what this node believes for good."""
    write_durably(home / POLICY_FILE, receipts.policy_text(vkey))
    write_durably(home / CHARTER_FILE, document)


def keep_seal(home: Path, made: Made) -> None:
    """Put the closed seal into the folder, in place of one that an earlier run never used."""
    Seals(home).keep(made.seal_file)


def _proven(
    use: str, signer: SeedSigner, charter_hash: str, member: str, *, holder: str = ""
) -> dict[str, str]:
    statement = statements.proof(
        charter=charter_hash, member=member, use=use, public=signer.text, holder=holder
    )
    return {"use": use, "public": signer.text, "proof": b64(signer.sign(statement))}


def _ask(link: Link, question: Mapping[str, Any]) -> dict[str, Any]:
    reply = link.call(PATH, orjson.dumps(question), {"content-type": "application/json"})
    if reply.status != _OK or len(reply.body) > ANSWER_MAX_BYTES:
        raise Refusal(RefusalKind.UNAVAILABLE, "members.answer")
    try:
        said = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        raise invalid("members.answer") from None
    if not isinstance(said, dict) or not isinstance(said.get("state"), str):
        raise invalid("members.answer")
    if said["state"] == "refused":
        raise conflict(str(said.get("code", "members.answer"))[:80])
    return said
