"""Rows of the ledger (hub) and of what a member has seen of it (every node).

What no hash of the tree and no signature covers (times, names) stands under the checksum of its
row, so that `ledger verify` finds one changed bit anywhere.
"""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Text,
)
from sqlalchemy.orm import Mapped, mapped_column

from consortium.kernel.database import Base, Instant

# SQLite keeps rows in the order of an INTEGER key and in no other index
_INDEX = BigInteger().with_variant(Integer, "sqlite")


class HeadRow(Base):
    """Where the ledger ends. One row; whoever gives an index holds its lock."""

    __tablename__ = "ledger_head"
    __table_args__ = (
        CheckConstraint("id = 1", name="one"),
        CheckConstraint("size >= 0", name="size"),
        CheckConstraint("frozen IN (0, 1)", name="frozen"),
    )
    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    size: Mapped[int] = mapped_column(BigInteger)
    last_ms: Mapped[int] = mapped_column(BigInteger)
    frozen: Mapped[int] = mapped_column(SmallInteger)


class LeafRow(Base):
    """One leaf, as it was hashed; `jws_hash` says whether an exchange is on the ledger."""

    __tablename__ = "ledger_entry"
    index: Mapped[int] = mapped_column("entry", _INDEX, primary_key=True, autoincrement=False)
    leaf: Mapped[bytes] = mapped_column(LargeBinary)
    leaf_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    jws_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)


class TileRow(Base):
    """A hash tile of the published tree (C2SP tlog-tiles): 256 hashes, fewer at its right edge."""

    __tablename__ = "ledger_tile"
    level: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    hashes: Mapped[bytes] = mapped_column(LargeBinary)


class CheckpointRow(Base):
    """A published checkpoint, as signed.

    `previous` is the size of the one before it: of two publishers that grow the same tree, the
    database takes one.
    """

    __tablename__ = "ledger_checkpoint"
    __table_args__ = (CheckConstraint("previous < size", name="grows"),)
    size: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    previous: Mapped[int] = mapped_column(BigInteger, unique=True)
    root: Mapped[bytes] = mapped_column(LargeBinary(32))
    note: Mapped[bytes] = mapped_column(LargeBinary)
    published_at: Mapped[datetime] = mapped_column(Instant)
    checksum: Mapped[bytes] = mapped_column(LargeBinary(32))


class ClockRow(Base):
    """Two persons have looked at the clock and found it right."""

    __tablename__ = "ledger_clock"
    __table_args__ = (CheckConstraint("first_person <> second_person", name="two"),)
    at: Mapped[datetime] = mapped_column(Instant, primary_key=True)
    first_person: Mapped[str] = mapped_column(String(64))
    second_person: Mapped[str] = mapped_column(String(64))
    checksum: Mapped[bytes] = mapped_column(LargeBinary(32))


class SeenRow(Base):
    """The largest checkpoint of a log that this node has verified."""

    __tablename__ = "ledger_seen"
    origin: Mapped[str] = mapped_column(String(255), primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    root: Mapped[bytes] = mapped_column(LargeBinary(32))
    note: Mapped[bytes] = mapped_column(LargeBinary)
    seen_at: Mapped[datetime] = mapped_column(Instant)
    checksum: Mapped[bytes] = mapped_column(LargeBinary(32))


class EvidenceRow(Base):
    """Two signed checkpoints of one log that do not fit together."""

    __tablename__ = "ledger_evidence"
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    code: Mapped[str] = mapped_column(String(64))
    held: Mapped[bytes] = mapped_column(LargeBinary)
    offered: Mapped[bytes] = mapped_column(LargeBinary)
    proof: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[datetime] = mapped_column(Instant, index=True)
    checksum: Mapped[bytes] = mapped_column(LargeBinary(32))


class CosignatureRow(Base):
    """Hub: a witness's line on a published checkpoint, verified; its newest and few others."""

    __tablename__ = "ledger_cosignature"
    __table_args__ = (CheckConstraint("size > 0", name="size"),)
    witness: Mapped[str] = mapped_column(String(255), primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    line: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(Instant)


class OwnCosignatureRow(Base):
    """Witness: the newest line that this node made for a log, until the hub has it."""

    __tablename__ = "ledger_own_cosignature"
    origin: Mapped[str] = mapped_column(String(255), primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    line: Mapped[str] = mapped_column(Text)


class PolicyRow(Base):
    """A trust policy that the consortium put on the ledger under its seal."""

    __tablename__ = "ledger_policy"
    index: Mapped[int] = mapped_column("entry", _INDEX, primary_key=True, autoincrement=False)
    text: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[datetime] = mapped_column(Instant)


class FreezeRow(Base):
    """A log that is frozen: at the hub since it stopped, at a node since the seal told it.

    `statement` is empty until the seal has signed where the log ends; `root` with it. `here`: this
    database gives the indices, and stopped.
    """

    __tablename__ = "ledger_freeze"
    origin: Mapped[str] = mapped_column(String(255), primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    root: Mapped[bytes] = mapped_column(LargeBinary(32))
    statement: Mapped[str] = mapped_column(Text)
    here: Mapped[int] = mapped_column(SmallInteger)
    at: Mapped[datetime] = mapped_column(Instant)
    checksum: Mapped[bytes] = mapped_column(LargeBinary(32))


class HeardRow(Base):
    """A signed checkpoint heard past the hub, to be proven at the next sync."""

    __tablename__ = "ledger_heard"
    size: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    root: Mapped[bytes] = mapped_column(LargeBinary(32))
    note: Mapped[bytes] = mapped_column(LargeBinary)
    tried: Mapped[int] = mapped_column(SmallInteger)
    at: Mapped[datetime] = mapped_column(Instant)
