"""Witnesses and mirrors as they lie on a disk: key, state and copies, begun once and gone on with.

    KEY          skeys of the cosigner, one a line: Ed25519 and, where it can be had, ML-DSA-44
    KEY.seen     sizes and roots that it has signed
    DIR          a witness's state, or a mirror's copies by origin hash, its state in `.state`

A key is made together with its state and never given another: see `chain.views`.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from chain import checkpoint, cosignature, merkle, note
from chain import mirror as mirrors
from chain.checkpoint import Checkpoint
from chain.errors import ChainError, FormatError, KeyFormatError
from chain.mirror import INFO, Mirror
from chain.note import COSIGNATURE, COSIGNER_KINDS, MLDSA_COSIGNATURE, SigningKey, VerifierKey
from chain.policy import Policy
from chain.store import CHECKPOINT, Folder
from chain.tiles import Fetch, TileReader
from chain.views import Seen, StateError, Views, origin_hash
from chain.witness import SIZE, Answer, Request, Witness

Role = Witness | Mirror


def write_secret(path: Path, text: str) -> None:
    """Write a new file that only its owner reads. Raises FileExistsError, OSError."""
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(number, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def read_keys(path: Path) -> tuple[SigningKey, ...]:
    """The cosigner keys in a file.

    Raises:
        KeyFormatError: for a line that is no cosigner's skey, or a file without any.
        OSError: when it cannot be read.
    """
    lines = path.read_text(encoding="utf-8").split("\n")
    keys = tuple(SigningKey.parse(line, kinds=COSIGNER_KINDS) for line in lines if line)
    if not keys:
        raise KeyFormatError("key.format", "The key file holds no key.")
    return keys


class Keeper:
    """One witness or mirror on a disk. Use `witness` or `mirror` to name it."""

    def __init__(
        self, policy: Policy, key: Path | None, *, state: Path, copies: Callable[[str], Path] | None
    ) -> None:
        self._policy, self._key, self._state, self._copies = policy, key, state, copies
        self._signers: tuple[SigningKey, ...] = ()
        self._views: Views | None = None

    def begin(self, name: str) -> list[VerifierKey]:
        """Make key and state; the public keys, which may now be given to logs and readers.

        Raises:
            StateError: `state.exists`.
            KeyFormatError: `key.name`, or `key.format` when no key file was named.
            FileExistsError, OSError: when the key is there already, or the disk cannot.
        """
        if self._key is None:
            raise KeyFormatError("key.format", "Name the file that the key is to be written to.")
        made = [SigningKey.make(name, kind=COSIGNATURE)]
        try:
            made.append(SigningKey.make(name, kind=MLDSA_COSIGNATURE))
            public = [key.verifier for key in made]
        except KeyFormatError as fault:
            if fault.code != "key.kind":
                raise
            made, public = made[:1], [made[0].verifier]
        write_secret(self._key, "".join(f"{key.text}\n" for key in made))
        views = self._of(public)
        views.create()
        views.close()
        return public

    def open(self) -> "Keeper":
        """Take up key and state; without a key, a state that signs nothing may be new.

        Raises:
            StateError, FormatError, SignatureError: as `Views.open`.
            KeyFormatError, OSError: as `read_keys`.
        """
        self._signers = () if self._key is None else read_keys(self._key)
        self._views = self._of([key.verifier for key in self._signers])
        try:
            self._views.open()
        except StateError as fault:
            if fault.code != "state.lost" or self._signers:
                raise
            self._views.create()
        return self

    def close(self) -> None:
        """Let another process have the state."""
        if self._views is not None:
            self._views.close()

    def witness(self) -> Witness:
        """The witness, after `open`."""
        return Witness(self._policy, self._signers, self._opened())

    def mirror(self) -> Mirror:
        """The mirror, after `open`."""
        if self._copies is None:
            raise StateError("state.key", "The state is that of a witness.")
        return Mirror(self._policy, self._signers, self._opened(), place=self._copies)

    def pull(self, role: Mirror, fetch: Fetch, *, now_s: int) -> Checkpoint:
        """As `chain.mirror.pull`."""
        return mirrors.pull(role, self._policy, self._opened(), fetch, now_s=now_s)

    def _opened(self) -> Views:
        if self._views is None:
            raise StateError("state.lost", "The state is not open.")
        return self._views

    def _of(self, public: Sequence[VerifierKey]) -> Views:
        seen = None if self._key is None else Seen(self._key.with_name(self._key.name + ".seen"))
        # a witness serves what it signed; what a mirror has pending, only the log has signed
        checks = public if self._copies is None else self._policy.logs
        return Views(self._state, public, checks=checks, seen=seen)


def witness(root: Path, policy: Policy, key: Path) -> Keeper:
    """A witness for the logs of a policy, its state in this folder."""
    return Keeper(policy, key, state=root, copies=None)


def mirror(root: Path, policy: Policy, key: Path | None, *, pulled: bool) -> Keeper:
    """A mirror for the logs of a policy; `pulled`: the folder itself is the copy of one log."""

    def copies(origin: str) -> Path:
        return root if pulled else root / origin_hash(origin)

    return Keeper(policy, key, state=root / ".state", copies=copies)


# ---------------------------------------------------------------- the log's side


@dataclass(frozen=True, slots=True)
class Pushed:
    """Signature lines that came back, and how many of them were put on the checkpoint."""

    lines: bytes
    added: int


def push(
    folder: Folder, post: Callable[[str, bytes], Answer], known: Sequence[VerifierKey]
) -> Pushed:
    """Bring a witness or mirror up to the checkpoint in a folder (C2SP tlog-witness, tlog-mirror).

    A mirror is told from a witness by its empty answer to a checkpoint, and is sent the entries.

    Args:
        folder: the log.
        post: sends a body to a path under the submission prefix.
        known: cosigners whose lines, where they verify, are put on the checkpoint in the folder.

    Raises:
        ChainError: `push.refused` with what was answered.
        OSError: of the disk, or as `post` raises it.
    """
    data = folder.read(CHECKPOINT)
    if data is None:
        raise FormatError("store.missing", "The folder has no checkpoint.")
    head = checkpoint.parse(note.parse(data).text)
    read = TileReader(folder.read, head.size)
    answer, old = Answer(409, b"0\n", SIZE), 0
    for _ in range(3):
        proof = tuple(merkle.consistency_proof(old, head.size, read))
        answer = post("add-checkpoint", Request(old, proof, data).body)
        if answer.status != 409:
            break
        old = _number(answer, 0)
        if old > head.size:
            raise ChainError("push.refused", f"It has seen {old} entries, more than are here.")
    if answer.status == 200 and not answer.body:
        answer = _entries(post, read, head)
    if answer.status != 200:
        said = answer.body.decode("utf-8", "replace").strip()
        raise ChainError("push.refused", f"It answers {answer.status}: {said}")
    lines = note.parse(data + answer.body).signatures[len(note.parse(data).signatures) :]
    before = cosignature.add(data, (), known)
    after = cosignature.add(data, lines, known)
    if after.data != data:
        folder.put_checkpoint(after.data)
    return Pushed(answer.body, len(after.signed) - len(before.signed))


def _entries(post: Callable[[str, bytes], Answer], read: TileReader, head: Checkpoint) -> Answer:
    start, last = 0, -1
    while True:
        answer = post("add-entries", b"".join(mirrors.upload(read, head.origin, start)))
        if answer.status not in (202, 409) or not answer.content_type.startswith(INFO):
            return answer
        start = _number(answer, 1)
        if not last < start <= head.size:
            # it asks for the same again, or for what is not here
            return answer
        last = start


def _number(answer: Answer, line: int) -> int:
    lines = answer.body.split(b"\n")
    if len(lines) <= line or not lines[line].isdigit() or len(lines[line]) > 18:
        raise ChainError("push.refused", "Its answer names no size.")
    return int(lines[line])
