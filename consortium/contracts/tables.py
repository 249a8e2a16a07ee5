"""Rows of the contracts room: drafts here, documents and acts as they came over the ledger."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from consortium.kernel.database import Base, Instant


class ContractDraftRow(Base):
    """Terms that one member is writing; the form as typed, which need not be complete."""

    __tablename__ = "contract_drafts"
    __table_args__ = (Index(None, "member", "updated_at"),)

    contract: Mapped[str] = mapped_column(String(64), primary_key=True)
    member: Mapped[str] = mapped_column(String(64))
    form: Mapped[str] = mapped_column(Text)
    author: Mapped[str] = mapped_column(String(64))
    author_name: Mapped[str] = mapped_column(String(200))
    exchange: Mapped[str] = mapped_column(String(64), unique=True)
    """The id that its proposal will have: a second click proposes nothing twice."""
    sent: Mapped[int] = mapped_column(Integer, default=0)
    refused: Mapped[str] = mapped_column(String(200), default="")
    """Code and clause of a refusal by the hub, empty when there was none."""
    created_at: Mapped[datetime] = mapped_column(Instant)
    updated_at: Mapped[datetime] = mapped_column(Instant)


class ContractDocumentRow(Base):
    """One version of a contract as a member received or sent it."""

    __tablename__ = "contract_documents"
    __table_args__ = (Index(None, "member", "proposed_at", "contract"),)

    member: Mapped[str] = mapped_column(String(64), primary_key=True)
    contract: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    document: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(String(64))
    proposed_at: Mapped[datetime] = mapped_column(Instant)


class ContractActRow(Base):
    """One act on a contract: who, when, where on the ledger."""

    __tablename__ = "contract_acts"
    __table_args__ = (Index(None, "member", "contract", "entry"),)

    member: Mapped[str] = mapped_column(String(64), primary_key=True)
    exchange: Mapped[str] = mapped_column(String(64), primary_key=True)
    contract: Mapped[str] = mapped_column(String(64))
    version: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(String(64))
    sender: Mapped[str] = mapped_column(String(64))
    person: Mapped[str] = mapped_column(String(200))
    second: Mapped[str] = mapped_column(String(200), default="")
    reason: Mapped[str] = mapped_column(String(64), default="")
    entry: Mapped[int] = mapped_column(Integer)
    at: Mapped[datetime] = mapped_column(Instant)


class ContractHoldRow(Base):
    """A suspension, resumption or end that one person asked for, until a second confirms."""

    __tablename__ = "contract_holds"
    __table_args__ = (CheckConstraint("first_user <> ''", name="asked_by"),)

    contract: Mapped[str] = mapped_column(String(64), primary_key=True)
    """One at a time: a second request for the same contract meets this row."""
    exchange: Mapped[str] = mapped_column(String(64), unique=True)
    member: Mapped[str] = mapped_column(String(64))
    version: Mapped[int] = mapped_column(Integer)
    action: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(64))
    first_user: Mapped[str] = mapped_column(String(64))
    first_member: Mapped[str] = mapped_column(String(64))
    first_name: Mapped[str] = mapped_column(String(200))
    first_key: Mapped[str] = mapped_column(String(64))
    first_signature: Mapped[str] = mapped_column(String(128))
    seal: Mapped[str] = mapped_column(String(64))
    seal_signature: Mapped[str] = mapped_column(String(128))
    sent: Mapped[int] = mapped_column(Integer, default=0)
    asked_at: Mapped[datetime] = mapped_column(Instant)
