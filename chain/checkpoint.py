"""Checkpoints (C2SP tlog-checkpoint v1): origin, size and root of a log, as the text of a note."""

from collections.abc import Sequence
from dataclasses import dataclass

from chain import note
from chain.encoding import b64, tree_head
from chain.errors import FormatError
from chain.merkle import EMPTY_ROOT


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself (C2SP tlog-checkpoint, "Note text").

    `extensions` are further lines, opaque and not recommended.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        lines = (self.origin, str(self.size), b64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


def parse(text: str) -> Checkpoint:
    """Read the text of a checkpoint strictly (C2SP tlog-checkpoint, "Note text").

    Raises:
        FormatError: `checkpoint.format`; `checkpoint.empty` for a size of zero with another root
            than that of the empty tree (a witness answers it otherwise: C2SP tlog-witness).
    """
    origin, size, root, extensions = tree_head(text, code="checkpoint.format")
    if not size and root != EMPTY_ROOT:
        raise FormatError("checkpoint.empty", "An empty log has only one root, and not this one.")
    return Checkpoint(origin, size, root, extensions)


def sign(checkpoint: Checkpoint, signers: Sequence[note.Signer]) -> bytes:
    """Sign a checkpoint as a note (C2SP tlog-checkpoint, "Signatures").

    Each signature is checked again before it is given out.

    Raises:
        FormatError: when the checkpoint cannot be read back as it is.
        SignatureError: when a signer gave a signature that does not verify.
    """
    data = note.sign(checkpoint.text, signers)
    if parse(checkpoint.text) != checkpoint:
        raise FormatError("checkpoint.format", "The checkpoint cannot be written as text.")
    note.verify(data, [signer.verifier for signer in signers])
    return data
