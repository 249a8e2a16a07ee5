"""A person's signature over resources of a body: Provenance with a JWS (PROTOCOL 2, person key).

The JWS is compact with its payload inside: {kind, exchange, hashes, by, role, at}. Hashes are
SHA-256 over the exact bytes of each signed resource as they stand in the body, so nothing is
serialised again to check it, and the signature holds for this exchange only.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from consortium.fhir import gate, systems
from consortium.fhir.message import Message
from consortium.fhir.parts import instant
from consortium.kernel.errors import Refusal, invalid
from consortium.kernel.ids import new_id

ALGORITHM = "Ed25519"
TYPE = "sharing-chain-person"
RESOURCES_MAX = 64
_AUTHOR = "1.2.840.10065.1.12.1.1"
_AGENT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_HEADER_KEYS = frozenset({"alg", "kid", "typ"})
_PAYLOAD_KEYS = frozenset({"kind", "exchange", "hashes", "by", "role", "at"})
_B64URL = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """A person's key as the key record has it; `public` is 32 bytes."""

    key_id: str
    public: bytes
    member: str
    person: str
    name: str = ""
    alg: str = ALGORITHM


@dataclass(frozen=True, slots=True)
class Signed:
    """A checked signature: by whom, in which role, when they say, and over which resources."""

    key: KeyInfo
    role: str
    at: datetime
    covered: frozenset[str]
    """`Type/id` of each resource whose bytes are signed."""

    def covers(self, resource: Mapping[str, Any]) -> bool:
        """Whether this resource of the message is among those signed."""
        return f"{resource['resourceType']}/{resource['id']}" in self.covered


def sign(
    resources: Sequence[bytes],
    *,
    event: str,
    exchange_id: str,
    key_id: str,
    role: str,
    who: str,
    now: datetime,
    sign: Callable[[bytes], bytes],
) -> bytes:
    """The bytes of a Provenance that signs these resources for one exchange.

    `who` is the reference of the signer (`PractitionerRole/ID`); `sign` is the key's Ed25519 over
    the bytes it is given. The resources must then stand in the message with these very bytes.
    """
    if not 1 <= len(resources) <= RESOURCES_MAX:
        raise ValueError("a signature covers 1 to 64 resources")
    at = instant(now)
    payload = {
        "kind": event,
        "exchange": exchange_id,
        "hashes": [_b64(hashlib.sha256(one).digest()) for one in resources],
        "by": key_id,
        "role": role,
        "at": at,
    }
    head = {"alg": ALGORITHM, "kid": key_id, "typ": TYPE}
    signing = f"{_b64(gate.dump(head))}.{_b64(gate.dump(payload))}"
    jws = f"{signing}.{_b64(sign(signing.encode('ascii')))}"
    author = {"coding": [{"system": _AGENT, "code": "author"}]}
    return gate.dump(
        {
            "resourceType": "Provenance",
            "id": new_id(now),
            "target": [{"reference": _reference(one)} for one in resources],
            "recorded": at,
            "agent": [{"type": author, "who": {"reference": who}}],
            "signature": [
                {
                    "type": [{"system": systems.SIGNATURE_TYPE, "code": _AUTHOR}],
                    "when": at,
                    "who": {"reference": who},
                    "targetFormat": "application/fhir+json",
                    "sigFormat": "application/jose",
                    "data": base64.b64encode(jws.encode("ascii")).decode("ascii"),
                }
            ],
        }
    )


def verify(message: Message, *, key_of: Callable[[str], KeyInfo | None]) -> Signed:
    """Check the one person's signature of a body.

    `key_of` gives the record of a key that is valid for this exchange, None for any other.

    Raises:
        Refusal: `signature.missing` (not exactly one), `signature.form`, `signature.key` (unknown,
            ended or of another algorithm), `signature.wrong`, `signature.other_exchange`,
            `signature.resource` (a signed resource is not here with these bytes).
    """
    provenance = _signed_provenance(message)
    jws = base64.b64decode(provenance["signature"][0]["data"], validate=True)
    head, payload, signing, raw = _read(jws)
    key = key_of(head["kid"])
    if key is None or key.key_id != head["kid"] or key.alg != head["alg"]:
        raise invalid("signature.key", key=head["kid"][:64])
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(raw, signing)
    except (InvalidSignature, ValueError):
        raise invalid("signature.wrong", key=key.key_id) from None
    if payload["kind"] != message.event or payload["exchange"] != message.exchange_id:
        raise invalid("signature.other_exchange", key=key.key_id)
    covered = _covered(message, payload["hashes"])
    targets = {one.get("reference", "") for one in provenance["target"]}
    if targets != covered or payload["by"] != key.key_id:
        raise invalid("signature.resource", key=key.key_id)
    at = datetime.fromisoformat(payload["at"])
    return Signed(key=key, role=payload["role"], at=at, covered=frozenset(covered))


def _signed_provenance(message: Message) -> Mapping[str, Any]:
    found = [one for one in message.all("Provenance") if "signature" in one]
    if len(found) != 1 or len(found[0]["signature"]) != 1:
        raise invalid("signature.missing", count=len(found))
    signature = found[0]["signature"][0]
    if signature.get("sigFormat") != "application/jose" or "data" not in signature:
        raise invalid("signature.form")
    return found[0]


def _read(jws: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    """Header, payload, signed bytes and signature of a compact JWS, in its one form only."""
    try:
        first, second, third = jws.decode("ascii").split(".")
        head, payload = gate.parse(_unb64(first)), gate.parse(_unb64(second))
        raw = _unb64(third)
    except (ValueError, Refusal):
        raise invalid("signature.form") from None
    if not isinstance(head, dict) or head.keys() != _HEADER_KEYS:
        raise invalid("signature.form")
    if head["alg"] != ALGORITHM or head["typ"] != TYPE or not isinstance(head["kid"], str):
        raise invalid("signature.form")
    if not isinstance(payload, dict) or payload.keys() != _PAYLOAD_KEYS:
        raise invalid("signature.form")
    if not _payload_fits(payload):
        raise invalid("signature.form")
    return head, payload, f"{first}.{second}".encode("ascii"), raw


def _payload_fits(payload: Mapping[str, Any]) -> bool:
    texts = all(isinstance(payload[name], str) for name in _PAYLOAD_KEYS - {"hashes"})
    hashes = payload["hashes"]
    if not texts or not isinstance(hashes, list) or not 1 <= len(hashes) <= RESOURCES_MAX:
        return False
    if not all(isinstance(one, str) for one in hashes) or len(set(hashes)) != len(hashes):
        return False
    try:
        return datetime.fromisoformat(payload["at"]).tzinfo is not None
    except ValueError:
        return False


def _covered(message: Message, hashes: Sequence[str]) -> set[str]:
    here = {
        _b64(hashlib.sha256(message.bytes_of(number)).digest()): one
        for number, one in enumerate(message.resources)
    }
    if not here.keys() >= set(hashes):
        raise invalid("signature.resource")
    return {f"{here[one]['resourceType']}/{here[one]['id']}" for one in hashes}


def _reference(raw: bytes) -> str:
    resource = gate.parse(raw)
    return f"{resource['resourceType']}/{resource['id']}"


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _unb64(text: str) -> bytes:
    if _B64URL.fullmatch(text) is None:
        raise ValueError("no base64url")
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _b64(raw) != text:
        raise ValueError("more than one form")
    return raw
