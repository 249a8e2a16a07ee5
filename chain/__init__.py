"""A signed, append-only log in the formats of C2SP, usable without the rest of the product.

Standard library and `cryptography` only. Formats: RFC 6962 (tree), C2SP signed-note v1,
tlog-checkpoint v1, tlog-cosignature (Ed25519 and ML-DSA-44), tlog-policy, tlog-proof v1,
tlog-tiles, tlog-witness, tlog-mirror; leaves as `chain.leaf` defines them.

What is here reads and checks evidence. Who keeps a log goes to the modules by name: `chain.log`
and `chain.store` write one in a folder, `chain.verify` checks it whole, `chain.witness` and
`chain.mirror` answer for one; the parts are in `chain.merkle`, `chain.note`, `chain.tiles`, ...
"""

from chain.checkpoint import Checkpoint
from chain.checkpoint import parse as parse_checkpoint
from chain.checkpoint import sign as sign_checkpoint
from chain.cosignature import check as verify_cosignature
from chain.cosignature import cosign
from chain.errors import ChainError
from chain.leaf import Leaf
from chain.merkle import (
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from chain.note import Signer, SigningKey, VerifierKey
from chain.note import verify as verify_note
from chain.policy import Policy, Trusted
from chain.policy import parse as parse_policy
from chain.receipt import Proof, Receipt
from chain.receipt import verify as verify_receipt
from chain.tiles import Tile

__all__ = [
    "ChainError",
    "Checkpoint",
    "Frontier",
    "Leaf",
    "Policy",
    "Proof",
    "Receipt",
    "Signer",
    "SigningKey",
    "Tile",
    "Trusted",
    "VerifierKey",
    "consistency_proof",
    "cosign",
    "inclusion_proof",
    "leaf_hash",
    "parse_checkpoint",
    "parse_policy",
    "sign_checkpoint",
    "verify_consistency",
    "verify_cosignature",
    "verify_inclusion",
    "verify_note",
    "verify_receipt",
]
