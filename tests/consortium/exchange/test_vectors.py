"""Version 1's bytes, one for one, and read back by a library that is not ours."""

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from joserfc import jws as other_jws
from joserfc.jwk import OKPKey

from consortium.exchange import commitment, envelope, jws
from tests.vectors import exchange_v1

KNOWN = orjson.loads(exchange_v1.FILE.read_bytes())


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_bytes_are_those_of_the_vector(name: str) -> None:
    assert exchange_v1.make()[name] == KNOWN[name]


def test_the_vector_is_read_back_whole() -> None:
    opened = envelope.unpack(bytes.fromhex(KNOWN["envelope"]))
    signed = jws.parse(opened.jws)
    assert jws.verify(signed, bytes.fromhex(KNOWN["public"]))
    assert commitment.commit_facts(opened.facts) == signed.header.facts
    salt, bundle = commitment.open_body(opened.body)
    assert commitment.commit_body(bundle, salt) == signed.header.body
    assert commitment.open_facts(opened.facts) == exchange_v1.FACTS


def test_another_library_verifies_the_jws() -> None:
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(KNOWN["public"]))
    key = OKPKey.import_key(
        {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": commitment.b64(public.public_bytes_raw()),
        }
    )
    read = other_jws.deserialize_compact(KNOWN["jws"], key, algorithms=["Ed25519"])
    assert read.payload.decode() == KNOWN["header"]
