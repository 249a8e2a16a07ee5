"""Rows of the desk. Private to the room."""

from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    Date,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from consortium.kernel.database import Base, Instant


class RowTable(Base):
    """One row per member and case."""

    __tablename__ = "desk_row"
    __table_args__ = (
        PrimaryKeyConstraint("member", "case_id"),
        Index(None, "member", "open", "turn_rank", "urgency_rank", "started_at", "case_id"),
        Index(None, "member", "version"),
        Index(None, "member", "patient"),
        Index(None, "open", "push_at"),
    )

    member: Mapped[str] = mapped_column(String(64))
    case_id: Mapped[str] = mapped_column(String(64))
    topic: Mapped[str] = mapped_column(String(32))
    urgency: Mapped[str] = mapped_column(String(16))
    urgency_rank: Mapped[int] = mapped_column(Integer)
    patient: Mapped[str | None] = mapped_column(String(64))
    patient_name: Mapped[str] = mapped_column(String(200))
    patient_sex: Mapped[str] = mapped_column(String(16))
    patient_birth: Mapped[date | None] = mapped_column(Date)
    need: Mapped[str] = mapped_column(String(100))
    need_params: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(String(100))
    source_params: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(100))
    act: Mapped[str] = mapped_column(String(100))
    turn: Mapped[str] = mapped_column(String(8))
    turn_rank: Mapped[int] = mapped_column(Integer)
    turn_name: Mapped[str] = mapped_column(String(200))
    roles: Mapped[int] = mapped_column(Integer)
    owner: Mapped[str] = mapped_column(String(64))
    numbers: Mapped[str] = mapped_column(Text)
    due_at: Mapped[datetime | None] = mapped_column(Instant)
    push_at: Mapped[datetime | None] = mapped_column(Instant)
    started_at: Mapped[datetime] = mapped_column(Instant)
    link: Mapped[str] = mapped_column(String(200))
    version: Mapped[int] = mapped_column(BigInteger)
    updated_at: Mapped[datetime] = mapped_column(Instant)
    closed_at: Mapped[datetime | None] = mapped_column(Instant)
    # 1 while it stands in a worklist: an index over a null time would not serve the order
    open: Mapped[int] = mapped_column(Integer)


class KeyTable(Base):
    """A word by which a row is found: name, pinyin, number."""

    __tablename__ = "desk_key"
    __table_args__ = (PrimaryKeyConstraint("member", "word", "case_id"),)

    member: Mapped[str] = mapped_column(String(64))
    word: Mapped[str] = mapped_column(String(64))
    case_id: Mapped[str] = mapped_column(String(64), index=True)


class VersionTable(Base):
    """The node's one counter of changes to its desks."""

    __tablename__ = "desk_version"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(BigInteger)


class VisitTable(Base):
    """When a person last looked, and what they had seen before they went away."""

    __tablename__ = "desk_visit"

    user_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(Instant)
    seen_version: Mapped[int] = mapped_column(BigInteger)
    since_at: Mapped[datetime | None] = mapped_column(Instant)
    since_version: Mapped[int] = mapped_column(BigInteger)


class DraftTable(Base):
    """A form that is not yet sent, one per person and form."""

    __tablename__ = "desk_draft"
    __table_args__ = (
        PrimaryKeyConstraint("user_id", "form"),
        UniqueConstraint("exchange"),
        Index(None, "member", "saved_at"),
    )

    user_id: Mapped[str] = mapped_column(String(64))
    form: Mapped[str] = mapped_column(String(120))
    member: Mapped[str] = mapped_column(String(64))
    exchange: Mapped[str] = mapped_column(String(64))
    fields: Mapped[str] = mapped_column(Text)
    revision: Mapped[int] = mapped_column(Integer)
    first_at: Mapped[datetime] = mapped_column(Instant)
    saved_at: Mapped[datetime | None] = mapped_column(Instant)
    code: Mapped[str] = mapped_column(String(64))
    clause: Mapped[str] = mapped_column(String(64))


class NoticeTable(Base):
    """A sentence that is shown once to whoever it concerns."""

    __tablename__ = "desk_notice"
    __table_args__ = (
        UniqueConstraint("member", "case_id", "word", "about"),
        Index(None, "member", "at"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    member: Mapped[str] = mapped_column(String(64))
    case_id: Mapped[str] = mapped_column(String(64))
    word: Mapped[str] = mapped_column(String(100))
    about: Mapped[str] = mapped_column(String(64))
    params: Mapped[str] = mapped_column(Text)
    roles: Mapped[int] = mapped_column(Integer)
    owner: Mapped[str] = mapped_column(String(64))
    link: Mapped[str] = mapped_column(String(200))
    at: Mapped[datetime] = mapped_column(Instant)


class NoticeSeenTable(Base):
    """Who has put a notice aside."""

    __tablename__ = "desk_notice_seen"
    __table_args__ = (PrimaryKeyConstraint("notice", "user_id"),)

    notice: Mapped[str] = mapped_column(String(64))
    user_id: Mapped[str] = mapped_column(String(64))


class MessageTable(Base):
    """A message inside a case, as its members may read it."""

    __tablename__ = "desk_message"
    __table_args__ = (
        PrimaryKeyConstraint("member", "exchange"),
        Index(None, "member", "case_id", "at"),
    )

    member: Mapped[str] = mapped_column(String(64))
    exchange: Mapped[str] = mapped_column(String(64))
    case_id: Mapped[str] = mapped_column(String(64))
    sender: Mapped[str] = mapped_column(String(64))
    author: Mapped[str] = mapped_column(String(200))
    text: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(Instant)
    state: Mapped[str] = mapped_column(String(16))


class ReadTable(Base):
    """A received exchange that a person of the member has opened: told to the sender once."""

    __tablename__ = "desk_read"
    __table_args__ = (PrimaryKeyConstraint("member", "exchange"),)

    member: Mapped[str] = mapped_column(String(64))
    exchange: Mapped[str] = mapped_column(String(64))
    user_id: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(Instant)
