"""A person's signature holds for these bytes, this exchange and this key, and for nothing else."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium.fhir import gate, message, signature
from consortium.fhir.message import Message
from consortium.fhir.signature import KeyInfo
from consortium.kernel.errors import Refusal
from consortium.kernel.ids import new_id
from tests.consortium.fhir import samples
from tests.support.clock import START

EXCHANGE = new_id(START)
KIND = "referral.report/1"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
INFO = KeyInfo("key-1", KEY.public_key().public_bytes_raw(), "hospital", "user-7", "周主任")


def key_of(key_id: str) -> KeyInfo | None:
    return INFO if key_id == "key-1" else None


def provenance(*resources: bytes, **changed: Any) -> bytes:
    given: dict[str, Any] = {
        "event": KIND,
        "exchange_id": EXCHANGE,
        "key_id": "key-1",
        "role": "specialist",
        "who": "PractitionerRole/specialist-1",
        "now": START,
        "sign": KEY.sign,
    }
    return signature.sign(resources, **(given | changed))


def body(*resources: Any, exchange_id: str = EXCHANGE, kind: str = KIND) -> Message:
    raw = message.build(
        kind,
        source="hospital",
        destinations=["clinic-1"],
        resources=resources,
        exchange_id=exchange_id,
        now=START,
    )
    return message.read(raw, now=START)


PATIENT, REPORT = gate.dump(samples.patient()), gate.dump(samples.report(START))


def test_a_signature_is_checked() -> None:
    one = body(PATIENT, REPORT, provenance(REPORT))
    signed = signature.verify(one, key_of=key_of)
    assert (signed.key, signed.role, signed.at) == (INFO, "specialist", START)
    assert signed.covers(one.one("DiagnosticReport"))
    assert not signed.covers(one.one("Patient"))


def test_the_bytes_count_not_the_meaning() -> None:
    spaced = json.dumps(samples.report(START), ensure_ascii=False, indent=1).encode()
    assert gate.parse(spaced) == gate.parse(REPORT)
    assert signature.verify(body(PATIENT, spaced, provenance(spaced)), key_of=key_of).key == INFO
    with pytest.raises(Refusal) as refused:
        signature.verify(body(PATIENT, spaced, provenance(REPORT)), key_of=key_of)
    assert refused.value.code == "signature.resource"


def reworked(change: Callable[[dict[str, Any], dict[str, Any]], None], *, sign: bool = True) -> Any:
    """A provenance whose JWS header and payload were changed and signed again with the key."""
    whole = json.loads(provenance(REPORT))
    jws = base64.b64decode(whole["signature"][0]["data"]).decode()
    first, second, third = jws.split(".")
    head, payload = (json.loads(base64.urlsafe_b64decode(one + "==")) for one in (first, second))
    change(head, payload)
    signing = ".".join(signature._b64(json.dumps(one).encode()) for one in (head, payload))
    third = signature._b64(KEY.sign(signing.encode())) if sign else third
    whole["signature"][0]["data"] = base64.b64encode(f"{signing}.{third}".encode()).decode()
    return whole


FORGED: dict[str, tuple[Any, str]] = {
    "no algorithm": (reworked(lambda h, p: h.update(alg="none")), "signature.form"),
    "a shared secret": (reworked(lambda h, p: h.update(alg="HS256")), "signature.form"),
    "crit": (reworked(lambda h, p: h.update(crit=["exp"], exp=1)), "signature.form"),
    "a key in the header": (reworked(lambda h, p: h.update(jwk={})), "signature.form"),
    "another family": (reworked(lambda h, p: h.update(typ="JWT")), "signature.form"),
    "unknown key": (reworked(lambda h, p: h.update(kid="key-2")), "signature.key"),
    "key id that is no text": (reworked(lambda h, p: h.update(kid=1)), "signature.form"),
    "other kind": (
        reworked(lambda h, p: p.update(kind="referral.accept/1")),
        "signature.other_exchange",
    ),
    "other exchange": (
        reworked(lambda h, p: p.update(exchange=new_id(START))),
        "signature.other_exchange",
    ),
    "by someone else": (reworked(lambda h, p: p.update(by="key-2")), "signature.resource"),
    "no hashes": (reworked(lambda h, p: p.update(hashes=[])), "signature.form"),
    "the same hash twice": (
        reworked(lambda h, p: p.update(hashes=p["hashes"] * 2)),
        "signature.form",
    ),
    "hash of nothing here": (
        reworked(lambda h, p: p["hashes"].append("A" * 43)),
        "signature.resource",
    ),
    "a time without zone": (reworked(lambda h, p: p.update(at="2026-01-01")), "signature.form"),
    "one more member": (reworked(lambda h, p: p.update(note="x")), "signature.form"),
    "not signed again": (
        reworked(lambda h, p: p.update(role="head"), sign=False),
        "signature.wrong",
    ),
}


@pytest.mark.parametrize(("forged", "code"), FORGED.values(), ids=list(FORGED))
def test_a_forged_signature_is_refused(forged: dict[str, Any], code: str) -> None:
    with pytest.raises(Refusal) as refused:
        signature.verify(body(PATIENT, REPORT, forged), key_of=key_of)
    assert refused.value.code == code


def test_a_signature_of_another_exchange_or_kind_does_not_hold_here() -> None:
    for more in ({"exchange_id": new_id(START)}, {"kind": "referral.accept/1"}):
        with pytest.raises(Refusal) as refused:
            signature.verify(body(PATIENT, REPORT, provenance(REPORT), **more), key_of=key_of)
        assert refused.value.code == "signature.other_exchange"


def test_the_node_cannot_sign_for_the_person() -> None:
    node = Ed25519PrivateKey.generate()
    one = body(PATIENT, REPORT, provenance(REPORT, sign=node.sign))
    with pytest.raises(Refusal) as refused:
        signature.verify(one, key_of=key_of)
    assert refused.value.code == "signature.wrong"


def test_there_must_be_exactly_one() -> None:
    bare = {
        "resourceType": "Provenance",
        "id": "p",
        "target": [{"reference": f"Patient/{samples.PATIENT}"}],
        "recorded": "2026-11-24T01:00:00Z",
        "agent": [{"who": {"display": "周主任"}}],
    }
    for more in ((), (bare,), (provenance(REPORT), provenance(REPORT))):
        with pytest.raises(Refusal) as refused:
            signature.verify(body(PATIENT, REPORT, *more), key_of=key_of)
        assert refused.value.code == "signature.missing"


def test_targets_say_what_is_signed() -> None:
    whole = json.loads(provenance(REPORT))
    whole["target"].append({"reference": f"Patient/{samples.PATIENT}"})
    with pytest.raises(Refusal) as refused:
        signature.verify(body(PATIENT, REPORT, whole), key_of=key_of)
    assert refused.value.code == "signature.resource"


def test_each_flipped_bit_of_the_jws_is_found() -> None:
    whole = json.loads(provenance(REPORT))
    jws = base64.b64decode(whole["signature"][0]["data"])
    for at in range(0, len(jws), 7):
        wrong = bytearray(jws)
        wrong[at] ^= 1 << at % 7
        whole["signature"][0]["data"] = base64.b64encode(bytes(wrong)).decode()
        with pytest.raises(Refusal):
            signature.verify(body(PATIENT, REPORT, whole), key_of=key_of)


def test_a_signature_without_resources_is_not_made() -> None:
    with pytest.raises(ValueError, match="1 to 64"):
        provenance()
