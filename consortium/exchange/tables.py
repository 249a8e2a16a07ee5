"""Rows of the exchange: shared state, the hub's entries and feeds, each node's outbox and inbox."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, LargeBinary, SmallInteger, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from consortium.kernel.database import Base, Instant


class SharedStateRow(Base):
    """A subject's value (JSON) and the index of the entry that wrote it last (PROTOCOL 1)."""

    __tablename__ = "shared_state"
    subject: Mapped[str] = mapped_column(String(200), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
    entry: Mapped[int] = mapped_column(BigInteger)


class EntryRow(Base):
    """Hub: what belongs to a leaf and is not in it. The leaf itself is the ledger's."""

    __tablename__ = "exchange_entry"
    __table_args__ = (
        UniqueConstraint("node", "lane", "seq"),
        UniqueConstraint("jws_hash"),
        Index("ix_exchange_entry_exchange", "exchange"),
    )
    index: Mapped[int] = mapped_column("entry", BigInteger, primary_key=True, autoincrement=False)
    exchange: Mapped[str] = mapped_column(String(64))
    jws_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    node: Mapped[str] = mapped_column(String(64))
    lane: Mapped[str] = mapped_column(String(8))
    seq: Mapped[int] = mapped_column(BigInteger)
    sender: Mapped[str] = mapped_column(String(64))
    recipients: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(64))
    case: Mapped[str] = mapped_column("case_id", String(64))
    sameness: Mapped[bytes] = mapped_column(LargeBinary(32))
    verdict: Mapped[str] = mapped_column(String(200))
    time: Mapped[datetime] = mapped_column(Instant)
    facts: Mapped[bytes | None] = mapped_column(LargeBinary)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)


class ChainHeadRow(Base):
    """Hub: the last exchange on the ledger of each (node, lane)."""

    __tablename__ = "chain_head"
    node: Mapped[str] = mapped_column(String(64), primary_key=True)
    lane: Mapped[str] = mapped_column(String(8), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str] = mapped_column(String(43))


class FeedRow(Base):
    """Hub: the numbered entries of one member's feed, with the running hash."""

    __tablename__ = "feed"
    __table_args__ = (UniqueConstraint("member", "entry"),)
    member: Mapped[str] = mapped_column(String(64), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    index: Mapped[int] = mapped_column("entry", BigInteger)
    running: Mapped[bytes] = mapped_column(LargeBinary(32))


class FeedHeadRow(Base):
    """Hub: where each member's feed ends. `begun`: the entry that opened it."""

    __tablename__ = "feed_head"
    member: Mapped[str] = mapped_column(String(64), primary_key=True)
    begun: Mapped[int] = mapped_column(BigInteger)
    number: Mapped[int] = mapped_column(BigInteger)
    running: Mapped[bytes] = mapped_column(LargeBinary(32))


class AckRow(Base):
    """Newest acknowledgement of a member (hub: from its acks; node: as passed on by the hub)."""

    __tablename__ = "member_ack"
    member: Mapped[str] = mapped_column(String(64), primary_key=True)
    index: Mapped[int] = mapped_column("entry", BigInteger)
    at: Mapped[datetime] = mapped_column(Instant)


class OutboxRow(Base):
    """Node: every exchange that it signed, and what has become of it.

    A `body` that the inbox holds as well goes when nobody can need it any more (`trimming`).
    """

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("node", "lane", "seq"),
        UniqueConstraint("jws_hash"),
        Index("ix_outbox_state", "state", "lane", "seq"),
        Index("ix_outbox_case", "case_id", "queued_at"),
        Index("ix_outbox_queued", "queued_at", "id"),
    )
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    member: Mapped[str] = mapped_column(String(64))
    node: Mapped[str] = mapped_column(String(64))
    lane: Mapped[str] = mapped_column(String(8))
    seq: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(String(64))
    case: Mapped[str] = mapped_column("case_id", String(64))
    recipients: Mapped[str] = mapped_column(Text)
    after: Mapped[str] = mapped_column(Text, default="[]")
    jws: Mapped[bytes] = mapped_column(LargeBinary)
    jws_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    facts: Mapped[bytes | None] = mapped_column(LargeBinary)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(String(8))
    hint: Mapped[str] = mapped_column(String(64), default="")
    queued_at: Mapped[datetime] = mapped_column(Instant)
    waiting_since: Mapped[datetime | None] = mapped_column(Instant)
    answered_at: Mapped[datetime | None] = mapped_column(Instant)
    index: Mapped[int | None] = mapped_column("entry", BigInteger)
    verdict: Mapped[str] = mapped_column(String(200), default="")
    leaf: Mapped[bytes | None] = mapped_column(LargeBinary)
    receipt: Mapped[bytes | None] = mapped_column(LargeBinary)


class OwnHeadRow(Base):
    """Node: the last exchange that it signed in each of its lanes."""

    __tablename__ = "own_head"
    node: Mapped[str] = mapped_column(String(64), primary_key=True)
    lane: Mapped[str] = mapped_column(String(8), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str] = mapped_column(String(43))


class InboxRow(Base):
    """Node: each entry of a local member's feed, as it came; `running` is the feed's hash there."""

    __tablename__ = "inbox"
    __table_args__ = (
        UniqueConstraint("member", "number"),
        Index("ix_inbox_case", "member", "case_id", "entry"),
        Index("ix_inbox_exchange", "exchange"),
        Index("ix_inbox_state", "member", "state", "entry"),
        Index("ix_inbox_witnessed", "member", "witnessed", "entry"),
    )
    member: Mapped[str] = mapped_column(String(64), primary_key=True)
    index: Mapped[int] = mapped_column("entry", BigInteger, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(BigInteger)
    running: Mapped[bytes] = mapped_column(LargeBinary(32))
    exchange: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(64))
    case: Mapped[str] = mapped_column("case_id", String(64))
    sender: Mapped[str] = mapped_column(String(64))
    time: Mapped[datetime] = mapped_column(Instant)
    verdict: Mapped[str] = mapped_column(String(200))
    leaf: Mapped[bytes] = mapped_column(LargeBinary)
    facts: Mapped[bytes | None] = mapped_column(LargeBinary)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(String(8))
    alarm: Mapped[str] = mapped_column(String(64), default="")
    receipt: Mapped[bytes | None] = mapped_column(LargeBinary)
    witnessed: Mapped[bool] = mapped_column(default=False)


class FeedCursorRow(Base):
    """Node: how far a local member has taken its feed, and what it acknowledged."""

    __tablename__ = "feed_cursor"
    member: Mapped[str] = mapped_column(String(64), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
    index: Mapped[int] = mapped_column("entry", BigInteger)
    running: Mapped[bytes] = mapped_column(LargeBinary(32))
    to_ack: Mapped[int] = mapped_column(SmallInteger, default=0)


class BlobRow(Base):
    """A sealed attachment: known by the SHA-256 of its sealed bytes, kept as a file in the home.

    `state`: here, or wanted while its bytes are still to come.
    """

    __tablename__ = "blob"
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(8))
    name: Mapped[str] = mapped_column(String(255), default="")
    content_type: Mapped[str] = mapped_column(String(100), default="")
    secret: Mapped[str] = mapped_column(String(80), default="")
    at: Mapped[datetime] = mapped_column(Instant)


class BlobUseRow(Base):
    """An exchange that carries an attachment: one file may travel with several.

    `state`: queued (to go to the hub), wanted (to come), done.
    """

    __tablename__ = "blob_use"
    __table_args__ = (
        Index("ix_blob_use_exchange", "exchange"),
        Index("ix_blob_use_state", "state"),
    )
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    exchange: Mapped[str] = mapped_column(String(64), primary_key=True)
    state: Mapped[str] = mapped_column(String(8))


class PieceRow(Base):
    """Hub being filled again: an entry above its end as somebody gave it, until it is taken.

    `givers` is a JSON list; `sender_body`: the body is the sender's own copy; `proven`: a receipt
    under the log's signature came with it.
    """

    __tablename__ = "recover_piece"
    index: Mapped[int] = mapped_column("entry", BigInteger, primary_key=True, autoincrement=False)
    leaf_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    leaf: Mapped[bytes] = mapped_column(LargeBinary)
    facts: Mapped[bytes | None] = mapped_column(LargeBinary)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    givers: Mapped[str] = mapped_column(Text)
    sender_body: Mapped[bool] = mapped_column(default=False)
    proven: Mapped[bool] = mapped_column(default=False)


class PromisedRow(Base):
    """Hub being filled again: a checkpoint of the log that somebody showed, above its end."""

    __tablename__ = "recover_promised"
    size: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    root: Mapped[bytes] = mapped_column(LargeBinary(32))
    note: Mapped[bytes] = mapped_column(LargeBinary)
    giver: Mapped[str] = mapped_column(String(200))


class MissingBodyRow(Base):
    """Hub: an entry that was filled in without its body; feeds wait before it."""

    __tablename__ = "recover_body"
    index: Mapped[int] = mapped_column("entry", BigInteger, primary_key=True, autoincrement=False)


class ReplayFindingRow(Base):
    """Mirror: where the ledger says something else than its own rules (`replay.Finding`)."""

    __tablename__ = "replay_finding"
    index: Mapped[int] = mapped_column("entry", BigInteger, primary_key=True, autoincrement=False)
    aspect: Mapped[str] = mapped_column(String(16), primary_key=True)
    kind: Mapped[str] = mapped_column(String(64))
    said: Mapped[str] = mapped_column(String(200))
    found: Mapped[str] = mapped_column(String(200))
    at: Mapped[datetime] = mapped_column(Instant)


class ClosingRow(Base):
    """Hub and mirror: a month that is over, its first and last entry (`closing`).

    The hashes are empty until they are asked for.
    """

    __tablename__ = "closing"
    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    first: Mapped[int] = mapped_column(BigInteger)
    index: Mapped[int] = mapped_column("entry", BigInteger)
    count: Mapped[int] = mapped_column(BigInteger, default=0)
    state: Mapped[str] = mapped_column(String(43), default="")
    feeds: Mapped[str] = mapped_column(String(43), default="")
    chains: Mapped[str] = mapped_column(String(43), default="")
    figures: Mapped[str] = mapped_column(Text, default="")


class ClosingSubjectRow(Base):
    """Hub and mirror: shared state as it was when a month was over, for the newest months."""

    __tablename__ = "closing_subject"
    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    subject: Mapped[str] = mapped_column(
        String(200).with_variant(String(200, collation="C"), "postgresql"), primary_key=True
    )
    value: Mapped[str] = mapped_column(Text)
    entry: Mapped[int] = mapped_column(BigInteger)


class MarkRow(Base):
    """Small facts of this node (restored or not, alarms), one value by name."""

    __tablename__ = "node_mark"
    name: Mapped[str] = mapped_column(String(160), primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class AlarmSeenRow(Base):
    """An alarm that a person has looked at; it stands until it is mended, and this says by whom."""

    __tablename__ = "alarm_seen"
    alarm: Mapped[str] = mapped_column(String(160), primary_key=True)
    person: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(200))
    at: Mapped[datetime] = mapped_column(Instant)
