"""A signed, append-only log in the formats of C2SP, usable without the rest of the product.

Standard library and `cryptography` only; reads no clock, no network and no database.
Formats: RFC 6962 (tree), C2SP signed-note, tlog-checkpoint, tlog-cosignature, tlog-policy,
tlog-proof v1, tlog-tiles; leaves as `chain.leaf` defines them.
"""

from chain.checkpoint import Checkpoint
from chain.cosignature import cosign
from chain.errors import (
    ChainError,
    FormatError,
    KeyFormatError,
    PolicyError,
    ProofError,
    SignatureError,
)
from chain.keys import public_key
from chain.leaf import Leaf
from chain.merkle import (
    EMPTY_ROOT,
    Frontier,
    HashReader,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_after,
    verify_consistency,
    verify_inclusion,
)
from chain.note import Note, Signer, SigningKey, VerifierKey
from chain.policy import Policy, Trusted
from chain.receipt import Checked, Receipt
from chain.tiles import Tile

__all__ = [
    "EMPTY_ROOT",
    "ChainError",
    "Checked",
    "Checkpoint",
    "FormatError",
    "Frontier",
    "HashReader",
    "KeyFormatError",
    "Leaf",
    "Note",
    "Policy",
    "PolicyError",
    "ProofError",
    "Receipt",
    "SignatureError",
    "Signer",
    "SigningKey",
    "Tile",
    "Trusted",
    "VerifierKey",
    "consistency_proof",
    "cosign",
    "inclusion_proof",
    "leaf_hash",
    "node_hash",
    "public_key",
    "root_after",
    "verify_consistency",
    "verify_inclusion",
]
