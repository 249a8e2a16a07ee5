"""Attachments: each an age file to a fresh identity whose secret is in the body (PROTOCOL 3).

Sealed once, kept as a file under the home by the SHA-256 of its sealed bytes; the exchange is
admitted without it and the courier carries it afterwards.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from consortium.exchange.commitment import Part, commit_parts
from consortium.exchange.limits import PARTS_MAX
from consortium.exchange.sealing import new_identity, unseal
from consortium.exchange.sealing import seal as seal_to
from consortium.exchange.tables import BlobRow, BlobUseRow, InboxRow, OutboxRow
from consortium.kernel.errors import Refusal, RefusalKind, invalid, missing
from consortium.kernel.system import write_durably

if TYPE_CHECKING:
    from consortium.exchange.header import Header
    from consortium.fhir.message import Message

PLAIN_MAX_BYTES = 5 * 1024 * 1024
HERE, QUEUED, WANTED, DONE = "here", "queued", "wanted", "done"
IDENTITY_URL = "urn:sharing-chain:age-identity"
SEALED_SHA256_URL = "urn:sharing-chain:sealed-sha256"
SEALED_SIZE_URL = "urn:sharing-chain:sealed-size"


@dataclass(frozen=True, slots=True)
class SealedBlob:
    """A sealed attachment: `id` is the SHA-256 (hex) of its sealed bytes, `size` counts them."""

    id: str
    size: int
    name: str
    content_type: str


class BlobStore:
    """Files of sealed bytes under one folder; whole or not there, through any power cut."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def put(self, sealed: bytes) -> str:
        """Keep sealed bytes and give their SHA-256 in hex."""
        digest = hashlib.sha256(sealed).hexdigest()
        place = self._place(digest)
        if place.exists():
            return digest
        write_durably(place, sealed)
        return digest

    def get(self, digest: str) -> bytes | None:
        """The sealed bytes, None when they are not here."""
        try:
            return self._place(digest).read_bytes()
        except FileNotFoundError:
            return None

    def drop(self, digest: str) -> None:
        """Let go of sealed bytes; nothing where they are not here."""
        self._place(digest).unlink(missing_ok=True)

    def _place(self, digest: str) -> Path:
        if len(digest) != 64 or not digest.isalnum():
            raise missing("blob.unknown")
        folder = self._folder / digest[:2]
        folder.mkdir(exist_ok=True, mode=0o700)
        return folder / digest


def seal(
    session: Session,
    store: BlobStore,
    raw: bytes,
    *,
    name: str,
    content_type: str,
    now: datetime,
) -> SealedBlob:
    """Seal one attachment to a fresh identity and keep it here.

    Raises:
        Refusal: `blob.too_large` over 5 MiB, `blob.empty`.
    """
    if len(raw) > PLAIN_MAX_BYTES:
        raise Refusal(RefusalKind.TOO_LARGE, "blob.too_large", limit_mb=5)
    if not raw:
        raise invalid("blob.empty")
    secret, recipient = new_identity()
    sealed = seal_to(raw, [recipient])
    digest = store.put(sealed)
    session.add(
        BlobRow(
            sha256=digest,
            size=len(sealed),
            state=HERE,
            name=name[:255],
            content_type=content_type[:100],
            secret=secret,
            at=now,
        )
    )
    session.flush()
    return SealedBlob(digest, len(sealed), name[:255], content_type[:100])


def attachment(session: Session, digest: str) -> dict[str, Any]:
    """The FHIR Attachment of a sealed blob, with its secret: belongs into a sealed body only."""
    row = _row(session, digest)
    return {
        "extension": [
            {"url": IDENTITY_URL, "valueString": row.secret},
            {"url": SEALED_SHA256_URL, "valueString": row.sha256},
            {"url": SEALED_SIZE_URL, "valueInteger": row.size},
        ],
        "contentType": row.content_type,
        "title": row.name,
    }


def open_attachment(store: BlobStore, attached: Mapping[str, Any]) -> bytes | None:
    """The plain bytes of a FHIR Attachment made by `attachment`; None when it is still to come.

    Raises:
        Refusal: `blob.damaged` when the file does not open with the secret in the body.
    """
    sealed = store.get(digest_of(attached))
    if sealed is None:
        return None
    try:
        return unseal(sealed, [_extension(attached, IDENTITY_URL)])
    except Refusal:
        raise invalid("blob.damaged") from None


def digest_of(attached: Mapping[str, Any]) -> str:
    """The SHA-256 (hex) of the sealed file that a FHIR Attachment names; empty if none."""
    return _extension(attached, SEALED_SHA256_URL)


def size_of(attached: Mapping[str, Any]) -> int:
    """How many bytes the sealed file has that a FHIR Attachment names; 0 if none."""
    return int(_value(attached, SEALED_SIZE_URL, "valueInteger") or 0)


def _extension(attached: Mapping[str, Any], url: str) -> str:
    return str(_value(attached, url, "valueString") or "")


def _value(attached: Mapping[str, Any], url: str, name: str) -> Any:
    for one in attached.get("extension", ()):
        if one.get("url") == url:
            return one.get(name)
    return None


def parts_of(message: "Message") -> list[Part]:
    """The sealed files that a body names, each once, in the order in which they are first named.

    Sender and recipient both take the list of `Header.parts` from here (PROTOCOL 3).
    """
    parts: dict[Part, None] = {}
    for resource in message.resources:
        for attached in attachments_of(resource):
            parts[Part(size=size_of(attached), sha256=digest_of(attached))] = None
    return list(parts)


def attachments_of(value: Any) -> Iterator[Mapping[str, Any]]:
    """The FHIR Attachments below a JSON value that name a sealed file, in its order."""
    if isinstance(value, Mapping):
        if _extension(value, SEALED_SHA256_URL):
            yield value
        for inner in value.values():
            yield from attachments_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from attachments_of(inner)


def check_parts(message: "Message", header: "Header") -> None:
    """Raises Refusal `exchange.parts` when a body names other files than its header commits to."""
    parts = parts_of(message)
    if len(parts) > PARTS_MAX or commit_parts(parts) != header.parts:
        raise invalid("exchange.parts")


def attach(session: Session, parts: Sequence[Part], *, exchange: str) -> None:
    """Bind the sealed files that a body names to the exchange that carries them.

    Raises:
        Refusal: `blob.too_many`, `blob.unknown` for one that is not known here.
    """
    if len(parts) > PARTS_MAX:
        raise invalid("blob.too_many", limit=PARTS_MAX)
    for part in parts:
        _row(session, part.sha256)
        use(session, part.sha256, exchange=exchange, state=QUEUED)


def use(session: Session, digest: str, *, exchange: str, state: str) -> None:
    """Note that an exchange carries a blob; one that is done stays so."""
    known = session.get(BlobUseRow, (digest, exchange))
    if known is None:
        session.add(BlobUseRow(sha256=digest, exchange=exchange, state=state))
        session.flush()
    elif known.state != DONE:
        known.state = state


def want(session: Session, digest: str, *, exchange: str, now: datetime) -> None:
    """Note that an attachment of a received exchange is still to be fetched, unless it is here."""
    row = session.get(BlobRow, digest)
    if row is None:
        row = BlobRow(
            sha256=digest, size=0, state=WANTED, at=now, name="", content_type="", secret=""
        )
        session.add(row)
    use(session, digest, exchange=exchange, state=DONE if row.state == HERE else WANTED)


def keep(session: Session, digest: str, *, size: int, exchange: str, now: datetime) -> None:
    """Note that the bytes of an attachment of this exchange are here."""
    row = session.get(BlobRow, digest)
    if row is None:
        session.add(
            BlobRow(
                sha256=digest, size=size, state=HERE, at=now, name="", content_type="", secret=""
            )
        )
    else:
        row.state, row.size = HERE, size
    use(session, digest, exchange=exchange, state=DONE)
    for other in session.scalars(
        select(BlobUseRow).where(BlobUseRow.sha256 == digest, BlobUseRow.state == WANTED)
    ):
        other.state = DONE


def count(session: Session, exchange: str) -> int:
    """How many attachments of an exchange are known here."""
    query = select(func.count()).select_from(BlobUseRow).where(BlobUseRow.exchange == exchange)
    return session.scalar(query) or 0


def bound(session: Session, digest: str, *, exchange: str) -> bool:
    """Whether an exchange carries this blob, as far as is known here."""
    return session.get(BlobUseRow, (digest, exchange)) is not None


def carried(session: Session, digest: str, *, exchange: str) -> None:
    """Note that the hub holds an attachment for an exchange."""
    use(session, digest, exchange=exchange, state=DONE)


def coming(session: Session, digests: Iterable[str]) -> frozenset[str]:
    """Those of these files whose bytes are still to come."""
    rows = session.scalars(
        select(BlobRow.sha256).where(BlobRow.sha256.in_(list(digests)), BlobRow.state == WANTED)
    )
    return frozenset(rows)


def to_send(session: Session, member: str, *, limit: int = 20) -> list[tuple[str, str]]:
    """(SHA-256, exchange) of a member's admitted exchanges that the hub lacks, oldest first."""
    rows = session.execute(
        select(BlobUseRow.sha256, BlobUseRow.exchange)
        .join(OutboxRow, OutboxRow.id == BlobUseRow.exchange)
        .where(BlobUseRow.state == QUEUED, OutboxRow.member == member, OutboxRow.state == "sent")
        .order_by(OutboxRow.queued_at, BlobUseRow.sha256)
        .limit(limit)
    )
    return [(digest, exchange) for digest, exchange in rows]


def to_fetch(session: Session, member: str, *, limit: int = 20) -> list[tuple[str, str]]:
    """(SHA-256, exchange) in a member's feed that are still to come, longest untried first."""
    here = select(InboxRow.exchange).where(InboxRow.member == member)
    rows = session.execute(
        select(BlobUseRow.sha256, BlobUseRow.exchange)
        .join(BlobRow, BlobRow.sha256 == BlobUseRow.sha256)
        .where(BlobUseRow.state == WANTED, BlobUseRow.exchange.in_(here))
        .order_by(BlobRow.at, BlobUseRow.sha256)
        .limit(limit)
    )
    return [(digest, exchange) for digest, exchange in rows]


def tried(session: Session, digest: str, *, now: datetime) -> None:
    """A wanted attachment has not reached the hub yet: others are asked for before it again."""
    if (row := session.get(BlobRow, digest)) is not None:
        row.at = now


def _row(session: Session, digest: str) -> BlobRow:
    row = session.get(BlobRow, digest)
    if row is None:
        raise missing("blob.unknown")
    return row
