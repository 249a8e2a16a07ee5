"""Proofs in a file (C2SP tlog-proof v1), and receipts: those whose extra line is the leaf itself.

A proof shows without any server that an entry is on a log: the inclusion proof leads from its
leaf hash to the root, and the root is in a checkpoint that the policy trusts. Keys come from the
policy, never from the file. In a receipt the leaf hash is computed from the leaf beside it.
"""

from collections.abc import Callable
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
class Proof:
    """A parsed proof (C2SP tlog-proof, "Format").

    Nothing in it may be believed before `verify`, `extra` not even then.

    `hashes` lead from the leaf's sibling to the root's child; `extra` is None without the line.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    @property
    def data(self) -> bytes:
        extra = [] if self.extra is None else [f"extra {b64(self.extra)}"]
        lines = (HEADER, *extra, f"index {self.index}", *map(b64, self.hashes))
        return "".join(f"{line}\n" for line in lines).encode() + b"\n" + self.checkpoint

    @classmethod
    def parse(cls, data: bytes) -> "Proof":
        """Read a tlog-proof strictly (C2SP tlog-proof, "Format"). Raises as `receipt.parse`."""
        if len(data) > RECEIPT_BYTES_MAX:
            raise FormatError(_CODE, "The receipt is too long.")
        head, gap, rest = data.partition(b"\n\n")
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError as fault:
            raise FormatError(_CODE, "The lines of the proof are not ASCII.") from fault
        if not gap or lines.pop(0) != HEADER:
            raise FormatError(_CODE, "The file is not a tlog-proof v1.")
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = unb64(lines.pop(0).removeprefix("extra "), code=_CODE)
        if not lines or not lines[0].startswith("index "):
            raise FormatError(_CODE, "The proof has no line index.")
        index = decimal(lines.pop(0).removeprefix("index "), code=_CODE)
        if len(lines) > merkle.PROOF_MAX:
            raise FormatError(_CODE, "The receipt has too many hashes.")
        return cls(index, tuple(hash_of(line, code=_CODE) for line in lines), rest, extra)

    def verify(self, leaf_hash: bytes, policy: Policy) -> Trusted:
        """Check that the entry with this leaf hash is on a log (C2SP tlog-proof, "Verifying").

        Raises:
            FormatError, SignatureError, PolicyError: as `Policy.trust`.
            ProofError: `proof.inclusion`.
        """
        return self.included(leaf_hash, policy.trust(self.checkpoint))

    def included(self, leaf_hash: bytes, trusted: Trusted) -> Trusted:
        """Check the hashes against a checkpoint that is trusted. Raises ProofError."""
        head = trusted.checkpoint
        merkle.verify_inclusion(self.index, head.size, leaf_hash, self.hashes, root=head.root)
        return trusted


@dataclass(frozen=True, slots=True)
class Receipt:
    """A parsed receipt, a proof (C2SP tlog-proof, "Format") with the leaf in its extra line.

    Nothing in it may be believed before `verify`.
    """

    index: int
    leaf: bytes
    proof: tuple[bytes, ...]
    checkpoint: bytes

    @property
    def data(self) -> bytes:
        return self.whole.data

    @property
    def whole(self) -> Proof:
        """The tlog-proof that the receipt is."""
        return Proof(self.index, self.proof, self.checkpoint, self.leaf)


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
    read = Proof.parse(data)
    if read.extra is None:
        raise FormatError(_CODE, "The receipt has no line extra: it does not hold the entry.")
    return Receipt(read.index, read.extra, read.hashes, read.checkpoint)


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
    return _checked(data, policy.trust, expect_leaf)


def examine(data: bytes, policy: Policy, *, expect_leaf: bytes | None = None) -> Checked:
    """Check as `verify`, but only report whether the quorum is met (`Policy.examine`).

    For a reader to whom the log's own signature says something already: the receipt is good, and
    `trusted.quorum` tells whether enough witnesses stand behind it.
    """
    return _checked(data, policy.examine, expect_leaf)


def _checked(data: bytes, trust: Callable[[bytes], Trusted], expect_leaf: bytes | None) -> Checked:
    receipt = parse(data)
    found = leaves.parse(receipt.leaf)
    if expect_leaf is not None and expect_leaf != receipt.leaf:
        raise ProofError("proof.leaf", "The receipt is for another entry.")
    trusted = receipt.whole.included(found.hash, trust(receipt.checkpoint))
    return Checked(receipt, found, trusted)
