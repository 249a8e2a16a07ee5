"""Rows of patients. Private to the room."""

from datetime import datetime

from sqlalchemy import ForeignKeyConstraint, Index, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from consortium.kernel.database import Base, Instant


class PatientTable(Base):
    """One patient of a member, in the newest version; `raw` are the bytes of the FHIR resource."""

    __tablename__ = "patient"
    __table_args__ = (
        Index(None, "member", "local_number", unique=True),
        Index(None, "member", "updated_at"),
    )

    member: Mapped[str] = mapped_column(String(64), primary_key=True)
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    local_number: Mapped[str] = mapped_column(String(32))
    name: Mapped[str] = mapped_column(String(200))
    sex: Mapped[str] = mapped_column(String(16))
    birth: Mapped[str] = mapped_column(String(10))
    number: Mapped[str] = mapped_column(String(32))
    number_kind: Mapped[str] = mapped_column(String(16))
    no_number_reason: Mapped[str] = mapped_column(String(32))
    phone: Mapped[str] = mapped_column(String(32))
    address: Mapped[str] = mapped_column(String(400))
    source: Mapped[str] = mapped_column(String(64))
    disputed_with: Mapped[str] = mapped_column(String(64))
    replaced_by: Mapped[str] = mapped_column(String(64))
    version: Mapped[int] = mapped_column(Integer)
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(Instant)
    updated_at: Mapped[datetime] = mapped_column(Instant)
    updated_by: Mapped[str] = mapped_column(String(64))


class VersionTable(Base):
    """A version that was corrected, kept as it stood."""

    __tablename__ = "patient_version"
    __table_args__ = (
        ForeignKeyConstraint(["member", "patient"], ["patient.member", "patient.id"]),
    )

    member: Mapped[str] = mapped_column(String(64), primary_key=True)
    patient: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    written_at: Mapped[datetime] = mapped_column(Instant)
    written_by: Mapped[str] = mapped_column(String(64))


class NumberTable(Base):
    """A number and the one patient of the member who holds it."""

    __tablename__ = "patient_number"
    __table_args__ = (
        ForeignKeyConstraint(["member", "patient"], ["patient.member", "patient.id"]),
    )

    member: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    value: Mapped[str] = mapped_column(String(32), primary_key=True)
    patient: Mapped[str] = mapped_column(String(64))


class AliasTable(Base):
    """An id under which another member knows a patient of this one."""

    __tablename__ = "patient_alias"
    __table_args__ = (
        ForeignKeyConstraint(["member", "patient"], ["patient.member", "patient.id"]),
        Index(None, "member", "patient"),
    )

    member: Mapped[str] = mapped_column(String(64), primary_key=True)
    alias: Mapped[str] = mapped_column(String(64), primary_key=True)
    patient: Mapped[str] = mapped_column(String(64))


class WordTable(Base):
    """A word by which a patient is found, as UTF-8: bytes sort alike in both databases."""

    __tablename__ = "patient_word"
    __table_args__ = (
        ForeignKeyConstraint(["member", "patient"], ["patient.member", "patient.id"]),
        Index(None, "member", "patient"),
    )

    member: Mapped[str] = mapped_column(String(64), primary_key=True)
    word: Mapped[bytes] = mapped_column(LargeBinary(256), primary_key=True)
    patient: Mapped[str] = mapped_column(String(64), primary_key=True)


class CounterTable(Base):
    """The last local number that a member gave."""

    __tablename__ = "patient_counter"

    member: Mapped[str] = mapped_column(String(64), primary_key=True)
    last: Mapped[int] = mapped_column(Integer)


class LookTable(Base):
    """How often a person looked patients up, by the minute."""

    __tablename__ = "patient_look"

    user_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    minute: Mapped[int] = mapped_column(Integer, primary_key=True)
    looks: Mapped[int] = mapped_column(Integer)


class FactTable(Base):
    """One thing known of a patient, until something newer takes its place."""

    __tablename__ = "patient_fact"
    __table_args__ = (
        ForeignKeyConstraint(["member", "patient"], ["patient.member", "patient.id"]),
        Index(None, "member", "patient", "current"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    member: Mapped[str] = mapped_column(String(64))
    patient: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    key: Mapped[str] = mapped_column(String(200))
    text: Mapped[str] = mapped_column(String(200))
    code: Mapped[str] = mapped_column(String(32))
    source: Mapped[str] = mapped_column(String(64))
    case_id: Mapped[str] = mapped_column(String(64))
    known_at: Mapped[datetime] = mapped_column(Instant)
    written_by: Mapped[str] = mapped_column(String(64))
    current: Mapped[int] = mapped_column(Integer)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    ended_why: Mapped[str] = mapped_column(String(16))
