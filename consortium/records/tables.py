"""Rows of records. Private to the room."""

from datetime import datetime

from sqlalchemy import (
    ForeignKey,
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


class ResourceTable(Base):
    """One version of one FHIR resource, by its original bytes, with where it came from.

    `source` is the member whose record it is; `exchange` the release that brought it, "" for what
    was made here. `latest` is 1 for the newest version of a resource, or for the newest that no
    withdrawn consent hides, and 0 for the others.
    """

    __tablename__ = "records_resource"
    __table_args__ = (
        UniqueConstraint("member", "source", "type", "fhir_id", "version"),
        Index(None, "member", "type", "latest", "fhir_id"),
        Index(None, "member", "patient", "latest", "type", "fhir_id"),
        Index(None, "member", "exchange"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    member: Mapped[str] = mapped_column(String(64))
    source: Mapped[str] = mapped_column(String(64))
    type: Mapped[str] = mapped_column(String(40))
    fhir_id: Mapped[str] = mapped_column(String(64))
    version: Mapped[int] = mapped_column(Integer)
    latest: Mapped[int] = mapped_column(Integer)
    patient: Mapped[str] = mapped_column(String(64))
    exchange: Mapped[str] = mapped_column(String(64))
    case_id: Mapped[str] = mapped_column(String(64))
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    start_at: Mapped[datetime | None] = mapped_column(Instant)
    end_at: Mapped[datetime | None] = mapped_column(Instant)
    received_at: Mapped[datetime] = mapped_column(Instant)


class IdentifierTable(Base):
    """Index of business identifiers, of newest versions only."""

    __tablename__ = "records_identifier"
    __table_args__ = (
        PrimaryKeyConstraint("resource", "system", "value"),
        Index(None, "value", "system"),
    )

    resource: Mapped[str] = mapped_column(ForeignKey("records_resource.id", ondelete="CASCADE"))
    system: Mapped[str] = mapped_column(String(255))
    value: Mapped[str] = mapped_column(String(255))


class RequestTable(Base):
    """A request for records as one of its two members sees it."""

    __tablename__ = "records_request"
    __table_args__ = (
        PrimaryKeyConstraint("member", "case_id"),
        UniqueConstraint("member", "exchange"),
        Index(None, "member", "side", "opened_at", "case_id"),
        Index(None, "member", "patient"),
    )

    member: Mapped[str] = mapped_column(String(64))
    case_id: Mapped[str] = mapped_column(String(64))
    exchange: Mapped[str] = mapped_column(String(64))
    side: Mapped[str] = mapped_column(String(8))
    other: Mapped[str] = mapped_column(String(64))
    contract: Mapped[str] = mapped_column(String(64))
    purpose: Mapped[str] = mapped_column(String(16))
    urgency: Mapped[str] = mapped_column(String(16))
    types: Mapped[str] = mapped_column(Text)
    start_at: Mapped[datetime] = mapped_column(Instant)
    end_at: Mapped[datetime] = mapped_column(Instant)
    months: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(16))
    why: Mapped[str] = mapped_column(String(32))
    """At the holder: why a person is asked."""
    reason: Mapped[str] = mapped_column(String(32))
    """Why it was refused or withdrawn, coded."""
    by: Mapped[str] = mapped_column("decided_by", String(8))
    count: Mapped[int] = mapped_column("released", Integer)
    answer: Mapped[str] = mapped_column(String(64))
    """At the holder: the exchange that answered."""
    code: Mapped[str] = mapped_column(String(64))
    clause: Mapped[str] = mapped_column(String(16))
    question: Mapped[str] = mapped_column(Text)
    said: Mapped[str] = mapped_column(Text)
    """What the holder said beside a coded reason."""
    author: Mapped[str] = mapped_column(String(64))
    author_name: Mapped[str] = mapped_column(String(200))
    patient: Mapped[str] = mapped_column(String(64))
    """At the asker: whose record is asked for. At the holder: whom a person or the match chose."""
    patient_ref: Mapped[str] = mapped_column(String(64))
    """The asker's id of its patient: what copies are made out to."""
    patient_name: Mapped[str] = mapped_column(String(200))
    patient_sex: Mapped[str] = mapped_column(String(16))
    patient_birth: Mapped[str] = mapped_column(String(10))
    patient_number: Mapped[str] = mapped_column(String(64))
    opened_at: Mapped[datetime] = mapped_column(Instant)
    due_at: Mapped[datetime | None] = mapped_column(Instant)
    changed_at: Mapped[datetime] = mapped_column(Instant)


class ConsentTable(Base):
    """A consent of a patient: what it rests on, what it covers, until when, and its picture."""

    __tablename__ = "records_consent"
    __table_args__ = (
        PrimaryKeyConstraint("member", "case_id"),
        Index(None, "member", "patient"),
    )

    member: Mapped[str] = mapped_column(String(64))
    case_id: Mapped[str] = mapped_column(String(64))
    patient: Mapped[str] = mapped_column(String(64))
    basis: Mapped[str] = mapped_column(String(16))
    party: Mapped[str] = mapped_column(String(64))
    """The member to whom records may go."""
    purpose: Mapped[str] = mapped_column(String(16))
    types: Mapped[str] = mapped_column(Text)
    start_at: Mapped[datetime] = mapped_column(Instant)
    end_at: Mapped[datetime] = mapped_column(Instant)
    until_at: Mapped[datetime] = mapped_column(Instant)
    image: Mapped[str] = mapped_column(Text)
    """The FHIR Attachment of the signed form, "" when there is none."""
    given_at: Mapped[datetime] = mapped_column(Instant)
    withdrawn_at: Mapped[datetime | None] = mapped_column(Instant)


class GrantTable(Base):
    """Access of another member to one patient's records, for the life of a case."""

    __tablename__ = "records_grant"
    __table_args__ = (
        PrimaryKeyConstraint("member", "case_id", "party", "patient"),
        Index(None, "party", "patient", "until_at"),
    )

    member: Mapped[str] = mapped_column(String(64))
    case_id: Mapped[str] = mapped_column(String(64))
    party: Mapped[str] = mapped_column(String(64))
    patient: Mapped[str] = mapped_column(String(64))
    until_at: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
