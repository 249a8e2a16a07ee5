"""Receipts: C2SP tlog-proof v1 files whose extra line is the leaf itself.

A receipt proves without any server that a leaf is on a log: the leaf hash is computed from the
leaf, the inclusion proof leads from it to the root, and the root is in a checkpoint that the
policy trusts. Keys come from the policy, never from the receipt.
"""

from dataclasses import dataclass

from chain import leaf as leaves
from chain import merkle, note
from chain.encoding import b64, decimal, hash_of, unb64
from chain.errors import FormatError, ProofError
from chain.policy import Policy, Trusted

HEADER = "c2sp.org/tlog-proof@v1"
RECEIPT_BYTES_MAX = note.NOTE_BYTES_MAX + 32 * 1024
_CODE = "receipt.format"


@dataclass(frozen=True, slots=True)
class Receipt:
    """A parsed receipt; nothing in it may be believed before `verify`."""

    index: int
    leaf: bytes
    proof: tuple[bytes, ...]
    checkpoint: bytes

    @property
    def data(self) -> bytes:
        lines = (HEADER, f"extra {b64(self.leaf)}", f"index {self.index}", *map(b64, self.proof))
        return "".join(f"{line}\n" for line in lines).encode() + b"\n" + self.checkpoint


@dataclass(frozen=True, slots=True)
class Checked:
    """A receipt that a policy trusts, with what a page needs to show why."""

    receipt: Receipt
    leaf: leaves.Leaf
    trusted: Trusted

    @property
    def index(self) -> int:
        return self.receipt.index

    @property
    def size(self) -> int:
        return self.trusted.checkpoint.size


def parse(data: bytes) -> Receipt:
    """Read a receipt strictly.

    Raises:
        FormatError: `receipt.format`.
    """
    if len(data) > RECEIPT_BYTES_MAX:
        raise FormatError(_CODE, "The receipt is too long.")
    head, gap, rest = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as fault:
        raise FormatError(_CODE, "The lines of the proof are not ASCII.") from fault
    if not gap or lines[0] != HEADER or len(lines) < 3:
        raise FormatError(_CODE, "The file is not a tlog-proof v1.")
    if not lines[1].startswith("extra ") or not lines[2].startswith("index "):
        raise FormatError(_CODE, "The receipt has no line extra, or no line index.")
    if len(lines) - 3 > merkle.PROOF_MAX:
        raise FormatError(_CODE, "The receipt has too many hashes.")
    return Receipt(
        index=decimal(lines[2].removeprefix("index "), code=_CODE),
        leaf=unb64(lines[1].removeprefix("extra "), code=_CODE),
        proof=tuple(hash_of(line, code=_CODE) for line in lines[3:]),
        checkpoint=rest,
    )


def verify(data: bytes, policy: Policy, *, expect_leaf: bytes | None = None) -> Checked:
    """Check a receipt against a policy (C2SP tlog-proof, "Verifying a tlog proof").

    Args:
        data: the receipt file.
        policy: what the reader trusts.
        expect_leaf: the bytes that the leaf must have, when the reader holds them.

    Raises:
        FormatError, KeyFormatError, SignatureError, PolicyError: as the parts raise them.
        ProofError: `proof.leaf` when the receipt is for another leaf, `proof.inclusion` when the
            leaf is not in the tree.
    """
    receipt = parse(data)
    found = leaves.parse(receipt.leaf)
    if expect_leaf is not None and expect_leaf != receipt.leaf:
        raise ProofError("proof.leaf", "The receipt is for another entry.")
    trusted = policy.trust(receipt.checkpoint)
    head = trusted.checkpoint
    merkle.verify_inclusion(receipt.index, head.size, found.hash, receipt.proof, root=head.root)
    return Checked(receipt, found, trusted)
