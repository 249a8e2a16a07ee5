"""Makes the vectors of version 1's bytes from fixed keys and salts.

python -m tests.vectors.exchange_v1
"""

import hashlib
import sys
from pathlib import Path
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium.exchange import closing, commitment, feed, jws
from consortium.exchange.commitment import Part, b64
from consortium.exchange.envelope import Envelope
from consortium.exchange.header import Header, Lane
from consortium.exchange.heads import Head, Heads
from consortium.ledger.trees import root_of

FILE = Path(__file__).parent / "exchange-v1.json"
NODE = "node-1"
BUNDLE = b'{"resourceType":"Bundle","type":"message"}'
FACTS: dict[str, Any] = {"urgency": "routine", "service": "cardiology", "count": 3}
PARTS = (Part(1234, "ab" * 32), Part(5, "cd" * 32))


class FixedKey:
    """The key whose seed is 32 bytes of 7."""

    key_id = NODE

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32)
        self.public = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


def header(facts: bytes, salt: bytes) -> Header:
    """A header in which every member stands."""
    return Header(
        id="01a20b17-3500-7b9e-853c-ac877fb4141a",
        kind="referral.request/1",
        sender="shiqiao",
        to=("lead", "yunling"),
        node=NODE,
        lane=Lane.ROUTINE,
        seq=2,
        prev=b64(hashlib.sha256(b"before").digest()),
        after=("01a20b17-3500-7b9e-853c-ac877fb41419",),
        contract="c-1",
        case="k-1",
        at="2026-11-24T01:00Z",
        purpose="TREAT",
        facts=commitment.commit_facts(facts),
        body=commitment.commit_body(BUNDLE, salt),
        parts=commitment.commit_parts(PARTS),
    )


def _closing() -> dict[str, Any]:
    """What `state.closed/1` says of two subjects, one chain and a month's figures."""
    subjects = [
        ("case:k-1", '{"parties":["lead","shiqiao"],"state":"open"}', 7),
        ("key:n", "{}", 0),
    ]
    figures = closing.figures_of(
        [("referral.request/1", "shiqiao", "ok v1", 2), ("ack/1", "lead", "ack.backwards", 1)],
        [("c-1/cardiology/shiqiao/lead", 2)],
    )
    state, _ = root_of(closing.leaf_hash(*one) for one in subjects)
    chain = ("node-1", "routine", 2, hashlib.sha256(b"before").digest())
    return {
        "subjects": [list(one) for one in subjects],
        "state": state.hex(),
        "chain": [*chain[:3], chain[3].hex()],
        "chains": root_of([closing.chain_leaf_hash(*chain)])[0].hex(),
        "figures": figures.decode(),
        "figures_hash": closing.figures_hash(figures),
    }


def make() -> dict[str, Any]:
    """Every vector by name; bytes as hex."""
    facts = commitment.facts_bytes(FACTS, bytes([1]) * 32)
    salt = bytes([2]) * 32
    plain = salt + bytes([commitment.PLAIN]) + BUNDLE
    key, head = FixedKey(), header(facts, salt)
    signed = jws.sign(head, key)
    one = feed.running_hash(feed.ZERO, 0, hashlib.sha256(b"leaf 0").digest())
    two = feed.running_hash(one, 7, hashlib.sha256(b"leaf 7").digest())
    told = Heads([Head("shiqiao", 2, two), Head("lead", 1, one), Head("consortium", 0, feed.ZERO)])
    return {
        "public": key.public.hex(),
        "facts_sent": facts.hex(),
        "facts": head.facts,
        "body_plain": plain.hex(),
        "body": head.body,
        "parts": head.parts,
        "header": orjson.dumps(head.json()).decode(),
        "jws": signed.decode("ascii"),
        "envelope": Envelope(signed, facts, plain).pack().hex(),
        "prev_of_next": jws.digest_text(signed),
        "first_prev": jws.FIRST_PREV,
        "feed": [feed.ZERO.hex(), one.hex(), two.hex()],
        "closing": _closing(),
        "feed_heads": {
            "leaves": [[head.member, head.number, head.leaf_hash.hex()] for head in told.all],
            "root": told.root.hex(),
            "path_of_last": [one.hex() for one in told.path(2)],
        },
    }


if __name__ == "__main__":
    FILE.write_bytes(orjson.dumps(make(), option=orjson.OPT_INDENT_2) + b"\n")
    sys.stdout.write(f"{FILE.name}\n")
