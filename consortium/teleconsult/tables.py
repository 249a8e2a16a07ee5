"""Rows of teleconsult. Private to the room."""

from datetime import datetime

from sqlalchemy import (
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from consortium.kernel.database import Base, Instant


class BookingTable(Base):
    """A booking as one of its two members sees it. The slot's holder is shared state."""

    __tablename__ = "teleconsult_booking"
    __table_args__ = (
        PrimaryKeyConstraint("member", "case_id"),
        UniqueConstraint("member", "exchange"),
        Index(None, "member", "start_at", "case_id"),
        Index(None, "member", "patient"),
        Index(None, "session", "state"),
        Index(None, "state", "start_at"),
    )

    member: Mapped[str] = mapped_column(String(64))
    case_id: Mapped[str] = mapped_column(String(64))
    exchange: Mapped[str] = mapped_column(String(64))
    """The request that this booking stands on, or was refused with."""
    side: Mapped[str] = mapped_column(String(8))
    other: Mapped[str] = mapped_column(String(64))
    contract: Mapped[str] = mapped_column(String(64))
    service: Mapped[str] = mapped_column(String(64))
    urgency: Mapped[str] = mapped_column(String(16))
    consent: Mapped[str] = mapped_column(String(16))
    slot: Mapped[str] = mapped_column(String(80))
    session: Mapped[str] = mapped_column(String(64))
    holder: Mapped[str] = mapped_column(String(64))
    holder_name: Mapped[str] = mapped_column(String(200))
    start_at: Mapped[datetime] = mapped_column(Instant)
    minutes: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(16))
    code: Mapped[str] = mapped_column(String(64))
    clause: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(32))
    author: Mapped[str] = mapped_column(String(64))
    author_name: Mapped[str] = mapped_column(String(200))
    patient: Mapped[str] = mapped_column(String(64))
    patient_ref: Mapped[str] = mapped_column(String(64))
    patient_name: Mapped[str] = mapped_column(String(200))
    patient_sex: Mapped[str] = mapped_column(String(16))
    patient_birth: Mapped[str] = mapped_column(String(10))
    question: Mapped[str] = mapped_column(Text)
    opened_at: Mapped[datetime] = mapped_column(Instant)
    changed_at: Mapped[datetime] = mapped_column(Instant)
