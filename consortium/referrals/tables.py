"""Local rows of referrals: what a member knows of a case beside its shared state. Private."""

from datetime import datetime

from sqlalchemy import (
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from consortium.kernel.database import Base, Instant


class CaseTable(Base):
    """A referral as one of its two members holds it."""

    __tablename__ = "referral_case"
    __table_args__ = (
        PrimaryKeyConstraint("member", "case_id"),
        UniqueConstraint("member", "number"),
        # one open referral of a clinic for a patient and a service; null when closed or received
        UniqueConstraint("member", "open_key"),
        Index(None, "member", "patient", "case_id"),
        Index(None, "member", "opened_at", "case_id"),
        Index(None, "state", "session"),
    )

    member: Mapped[str] = mapped_column(String(64))
    case_id: Mapped[str] = mapped_column(String(64))
    side: Mapped[str] = mapped_column(String(16))
    other: Mapped[str] = mapped_column(String(64))
    number: Mapped[str] = mapped_column(String(32))
    open_key: Mapped[str | None] = mapped_column(String(160))
    patient: Mapped[str | None] = mapped_column(String(64))
    patient_ref: Mapped[str] = mapped_column(String(80))
    service: Mapped[str] = mapped_column(String(64))
    urgency: Mapped[str] = mapped_column(String(16))
    contract: Mapped[str] = mapped_column(String(64))
    author: Mapped[str] = mapped_column(String(200))
    author_user: Mapped[str] = mapped_column(String(64))
    claimed_by: Mapped[str] = mapped_column(String(200))
    content: Mapped[str] = mapped_column(Text)
    form: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    session: Mapped[str] = mapped_column(String(64))
    """The session of the time that the case holds; empty while it holds none."""
    pending: Mapped[str] = mapped_column(String(64))
    pending_action: Mapped[str] = mapped_column(String(16))
    code: Mapped[str] = mapped_column(String(64))
    clause: Mapped[str] = mapped_column(String(64))
    seen: Mapped[int] = mapped_column(Integer)
    opened_at: Mapped[datetime] = mapped_column(Instant)
    changed_at: Mapped[datetime] = mapped_column(Instant)


class ActTable(Base):
    """What one exchange of a case says: who, which words, which codes."""

    __tablename__ = "referral_act"
    __table_args__ = (
        PrimaryKeyConstraint("member", "exchange"),
        Index(None, "member", "case_id", "at"),
    )

    member: Mapped[str] = mapped_column(String(64))
    exchange: Mapped[str] = mapped_column(String(64))
    case_id: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(16))
    sender: Mapped[str] = mapped_column(String(64))
    author: Mapped[str] = mapped_column(String(200))
    text: Mapped[str] = mapped_column(Text)
    data: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    code: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(Instant)


class ResourceTable(Base):
    """The newest ServiceRequest and Task of a case, as they stood in a body: bytes and all."""

    __tablename__ = "referral_resource"
    __table_args__ = (
        PrimaryKeyConstraint("member", "type", "id"),
        Index(None, "member", "type", "patient", "id"),
    )

    member: Mapped[str] = mapped_column(String(64))
    type: Mapped[str] = mapped_column(String(32))
    id: Mapped[str] = mapped_column(String(64))
    patient: Mapped[str] = mapped_column(String(64))
    number: Mapped[str] = mapped_column(String(32))
    version: Mapped[int] = mapped_column(Integer)
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    updated_at: Mapped[datetime] = mapped_column(Instant)
