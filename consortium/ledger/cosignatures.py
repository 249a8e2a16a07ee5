"""Cosignatures: lines by which witnesses say that a checkpoint extends what they saw.

At a witness: its key and its newest line. At the hub: lines that verified, and the checkpoints that
bear them. A line is checked when it comes and again when it is put on a note, so that a bad one
never reaches a reader, who would have to refuse the whole note (C2SP signed-note).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from chain import checkpoint, cosignature, note
from chain.errors import ChainError, KeyFormatError
from chain.note import COSIGNATURE, VerifierKey
from consortium.kernel.errors import invalid
from consortium.kernel.paging import bounded
from consortium.kernel.time import from_ms, to_ms
from consortium.ledger import policies, store
from consortium.ledger.store import CHECKPOINT, Published
from consortium.ledger.tables import CosignatureRow, OwnCosignatureRow
from consortium.ports import Signer

Cosigner = VerifierKey
"""Who cosigns: name and public key (C2SP tlog-cosignature, type 0x04)."""
PERIOD = timedelta(seconds=10)
"""Witnesses are asked for the newest checkpoint of the period before, so that they meet in one."""
KEPT_EACH = 4
_LINE_MAX_CHARS = 8192


class WitnessKey:
    """A node's cosigning key under the name `ORIGIN/witness/NODE`.

    Raises:
        Refusal: `ledger.key` for a name or key that cannot be used.
    """

    def __init__(self, origin: str, node: str, signer: Signer) -> None:
        self._signer = signer
        self.verifier = cosigner(origin, node, signer.public)

    def sign(self, message: bytes) -> bytes:
        """Sign what `chain.cosignature` lays out."""
        return self._signer.sign(message)


@dataclass(frozen=True, slots=True)
class Line:
    """A cosignature of this node and the size that it is for."""

    size: int
    line: str


@dataclass(frozen=True, slots=True)
class Latest:
    """How far a witness has followed the ledger, as its newest line proves."""

    witness: str
    size: int
    at: datetime


def cosigner_name(origin: str, node: str) -> str:
    """The name under which a node cosigns the log of this origin."""
    return f"{origin}/witness/{node}"


def cosigner(origin: str, node: str, public: bytes) -> VerifierKey:
    """The cosigner of a node. Raises Refusal `ledger.key`."""
    try:
        return VerifierKey(cosigner_name(origin, node), COSIGNATURE, public)
    except KeyFormatError as fault:
        raise invalid("ledger.key", reason=fault.code) from fault


def vkey(origin: str, node: str, public: bytes) -> str:
    """A node's cosigner as a policy file names it (C2SP tlog-policy)."""
    return cosigner(origin, node, public).text


# ---------------------------------------------------------------- at a witness


def cosign(checkpoint: bytes, key: WitnessKey, *, now: datetime) -> str:
    """The line for a signed checkpoint that is this node's view, kept where nothing loses it."""
    text = note.parse(checkpoint).text
    return cosignature.cosign(text, key, time_s=to_ms(now) // 1000).line


def keep_own(session: Session, origin: str, *, size: int, line: str) -> None:
    """Keep this node's newest line until the hub has it."""
    session.merge(OwnCosignatureRow(origin=origin, size=size, line=line))


def own(session: Session, origin: str) -> Line | None:
    """This node's newest line for a log."""
    row = session.get(OwnCosignatureRow, origin)
    return None if row is None else Line(row.size, row.line)


def bearing(session: Session, signed: bytes, *, size: int, origin_hash: str) -> bytes | None:
    """A checkpoint that this node cosigned, with the log's line and its own newest (for monitors).

    None when the newest line is for another size, or the log another than the one whose origin has
    this SHA-256 (lower-case hex).
    """
    read = note.parse(signed)
    origin = read.text.partition("\n")[0]
    line = own(session, origin)
    if line is None or line.size != size or sha256(origin.encode()).hexdigest() != origin_hash:
        return None
    logs = "".join(one.line for one in read.signatures if one.name == origin)
    return f"{read.text}\n{logs}{line.line}".encode()


def on(notes: Iterable[bytes], policy_bytes: bytes) -> dict[str, Latest]:
    """What the policy's witnesses prove on checkpoints that this node holds, by the policy's name.

    A note that the log has not signed says nothing.
    """
    rules = policies.read_policy(policy_bytes)
    found: dict[str, Latest] = {}
    for signed in notes:
        try:
            trusted = rules.examine(signed)
        except ChainError:
            continue
        for name, time_s in trusted.cosigners.items():
            told = Latest(name, trusted.checkpoint.size, from_ms(time_s * 1000))
            if name not in found or found[name].size < told.size:
                found[name] = told
    return found


# ---------------------------------------------------------------- at the hub


def asked(session: Session, *, cosigned: int, seen: int, now: datetime) -> Published | None:
    """The checkpoint that a witness is asked to cosign now: the last one of the period before.

    Args:
        cosigned: the size that the witness has cosigned last.
        seen: the size that it has seen; it is never asked for a smaller one.

    Returns:
        None when it has it, or has seen more.
    """
    period_ms = PERIOD // timedelta(milliseconds=1)
    since_ms = to_ms(now) % period_ms
    row = session.execute(
        select(CHECKPOINT.size, CHECKPOINT.root, CHECKPOINT.note, CHECKPOINT.published_at)
        .where(CHECKPOINT.published_at <= now - timedelta(milliseconds=since_ms))
        .order_by(CHECKPOINT.size.desc())
        .limit(1)
    ).one_or_none()
    if row is None or row.size <= cosigned or row.size < seen:
        return None
    return Published(*row)


def take(session: Session, line: str, *, size: int, cosigner: VerifierKey, now: datetime) -> str:
    """Keep a witness's line for a published checkpoint, if it is what it claims.

    Args:
        line: the signature line as it came.
        size: the size of the checkpoint that it is said to be for.
        cosigner: the witness, as shared state knows its key now.

    Returns:
        "" when it was kept; `checkpoint.unknown` when no checkpoint of this size was published,
        or the code of `chain` for a line that does not sign its text.
    """
    at_size = published(session, size)
    if at_size is None:
        return "checkpoint.unknown"
    text = note.parse(at_size.note).text
    try:
        found = _line(line)
        cosignature.check(text, found, [cosigner])
    except ChainError as fault:
        return fault.code
    session.merge(CosignatureRow(witness=cosigner.name, size=size, line=found.line, at=now))
    session.flush()
    _prune(session, cosigner.name)
    return ""


def adopt(session: Session, signed: bytes, *, policy_bytes: bytes, now: datetime) -> None:
    """At a mirror: keep the lines of the policy's witnesses on a checkpoint that is kept here too.

    Each is checked against the text that is kept here; what else the note holds is passed over.
    """
    try:
        read = note.parse(signed)
        size = checkpoint.parse(read.text).size
    except ChainError:
        return
    witnesses = policies.read_policy(policy_bytes).witnesses.values()
    keys = {(key.name, key.key_id): key for key in witnesses}
    for one in read.signatures:
        key = keys.get((one.name, one.key_id))
        if key is not None:
            take(session, one.line, size=size, cosigner=key, now=now)


def latest(session: Session) -> Published | None:
    """The newest published checkpoint with the lines of the policy's witnesses, None before it."""
    found = store.newest(session)
    return None if found is None else _dressed(session, found)


def witnessed(session: Session) -> Published | None:
    """The newest published checkpoint that meets the policy's quorum, None while none does."""
    text = policies.newest(session)
    if text is None:
        return None
    names = [key.name for key in policies.read_policy(text).witnesses.values()]
    sizes = session.scalars(
        select(CosignatureRow.size)
        .where(CosignatureRow.witness.in_(names))
        .distinct()
        .order_by(CosignatureRow.size.desc())
        .limit(KEPT_EACH * policies.WITNESSES_MAX)
    )
    for size in sizes:
        found = published(session, size)
        if found is not None:
            dressed = _dressed(session, found)
            if policies.quorum_met(text, dressed.note):
                return dressed
    return None


def progress(session: Session, *, limit: int = 50) -> list[Latest]:
    """The newest size of each witness, furthest first, at most 100."""
    size = func.max(CosignatureRow.size)
    rows = session.execute(
        select(CosignatureRow.witness, size, func.max(CosignatureRow.at))
        .group_by(CosignatureRow.witness)
        .order_by(size.desc(), CosignatureRow.witness)
        .limit(bounded(limit))
    )
    return [Latest(*row) for row in rows]


def cosigned_size(session: Session, witness: str) -> int:
    """The newest size that the hub holds a line of this witness for; 0 without one."""
    newest = select(func.max(CosignatureRow.size)).where(CosignatureRow.witness == witness)
    return session.scalar(newest) or 0


def origin(checkpoint: Published) -> str:
    """The log that a published checkpoint is of."""
    return note.parse(checkpoint.note).text.partition("\n")[0]


def published(session: Session, size: int) -> Published | None:
    """The checkpoint of this size as the log signed it, None when there was none."""
    row = session.execute(
        select(CHECKPOINT.size, CHECKPOINT.root, CHECKPOINT.note, CHECKPOINT.published_at).where(
            CHECKPOINT.size == size
        )
    ).one_or_none()
    return None if row is None else Published(*row)


def _line(text: str) -> note.Signature:
    """One signature line, read as the strict reader of notes reads it."""
    if len(text) > _LINE_MAX_CHARS:
        raise KeyFormatError("note.format", "The line is too long.")
    (one,) = note.parse(f"a line\n\n{text}".encode()).signatures[:1]
    if one.line != text:
        raise KeyFormatError("note.format", "There is more than one line.")
    return one


def _dressed(session: Session, bare: Published) -> Published:
    text = policies.newest(session)
    if text is None:
        return bare
    names = [key.name for key in policies.read_policy(text).witnesses.values()]
    lines = session.scalars(
        select(CosignatureRow.line)
        .where(CosignatureRow.size == bare.size, CosignatureRow.witness.in_(names))
        .order_by(CosignatureRow.witness)
    )
    return replace(bare, note=_with_lines(bare.note, tuple(lines), text))


@lru_cache(maxsize=64)
def _with_lines(bare: bytes, lines: tuple[str, ...], policy: bytes) -> bytes:
    known = policies.read_policy(policy).witnesses.values()
    return cosignature.add(bare, _readable(lines), known).data


def _readable(lines: Iterable[str]) -> list[note.Signature]:
    found = []
    for line in lines:
        try:
            found.append(_line(line))
        except ChainError:
            continue  # a flipped bit in the database loses a line, never the checkpoint
    return found


def _prune(session: Session, witness: str) -> None:
    """Keep the newest lines of a witness, and the one on the checkpoint that receipts use."""
    newest = session.scalars(
        select(CosignatureRow.size)
        .where(CosignatureRow.witness == witness)
        .order_by(CosignatureRow.size.desc())
        .limit(KEPT_EACH)
    ).all()
    if len(newest) < KEPT_EACH:
        return
    sure = witnessed(session)
    session.execute(
        delete(CosignatureRow).where(
            CosignatureRow.witness == witness,
            CosignatureRow.size < newest[-1],
            CosignatureRow.size != (sure.size if sure is not None else 0),
        )
    )
