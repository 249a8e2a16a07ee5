"""Rows of members: directory, invitations, accounts, one-time links, lists of keys."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from consortium.kernel.database import Base, Instant


class OrganisationRow(Base):
    """A member's newest entry in the directory; `index` is the ledger entry that told it."""

    __tablename__ = "members_organisation"
    member: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    name_zh: Mapped[str] = mapped_column(String(120))
    name_en: Mapped[str] = mapped_column(String(120))
    phone: Mapped[str] = mapped_column(String(40))
    address: Mapped[str] = mapped_column(String(200))
    services: Mapped[str] = mapped_column(Text)
    index: Mapped[int] = mapped_column("entry", BigInteger)


class CharterRow(Base):
    """The charter as entry 0 brought it."""

    __tablename__ = "members_charter"
    hash: Mapped[str] = mapped_column(String(43), primary_key=True)
    document: Mapped[bytes] = mapped_column(LargeBinary)
    index: Mapped[int] = mapped_column("entry", BigInteger, unique=True)


class InvitationRow(Base):
    """Hub: a one-time code. Only a key derived from the code is kept, never the code."""

    __tablename__ = "members_invitation"
    __table_args__ = (UniqueConstraint("member"),)
    handle: Mapped[str] = mapped_column(String(8), primary_key=True)
    secret: Mapped[bytes] = mapped_column(LargeBinary(32))
    member: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(16))
    details: Mapped[str] = mapped_column(Text)
    made_by: Mapped[str] = mapped_column(String(40))
    expires_at: Mapped[datetime] = mapped_column(Instant)
    tries: Mapped[int] = mapped_column(Integer, default=0)
    answered: Mapped[str] = mapped_column(String(43), default="")
    key_list: Mapped[str] = mapped_column(String(40), default="")


class AccountRow(Base):
    """A person at this node. `box` is the person key under a key made from the password."""

    __tablename__ = "members_account"
    __table_args__ = (
        UniqueConstraint("login"),
        UniqueConstraint("key_id"),
        Index("ix_members_account_member", "member", "login"),
    )
    user: Mapped[str] = mapped_column("user_id", String(40), primary_key=True)
    login: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(80))
    member: Mapped[str] = mapped_column(String(32))
    roles: Mapped[str] = mapped_column(Text)
    password: Mapped[str] = mapped_column(String(200), default="")
    locked_at: Mapped[datetime | None] = mapped_column(Instant)
    made_at: Mapped[datetime] = mapped_column(Instant)
    changed_at: Mapped[datetime] = mapped_column(Instant)
    key_id: Mapped[str | None] = mapped_column(String(32))
    key_public: Mapped[str] = mapped_column(String(43), default="")
    key_proof: Mapped[str] = mapped_column(String(86), default="")
    key_box: Mapped[bytes | None] = mapped_column(LargeBinary)
    key_index: Mapped[int | None] = mapped_column(BigInteger)
    key_roles: Mapped[str] = mapped_column(Text, default="[]")
    language: Mapped[str] = mapped_column(String(2), default="zh")
    theme: Mapped[str] = mapped_column(String(8), default="")
    large_text: Mapped[bool] = mapped_column(default=False)


class EndedKeyRow(Base):
    """A key that its owner lost or left behind, and that the head's next list ends."""

    __tablename__ = "members_ended_key"
    key_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    member: Mapped[str] = mapped_column(String(32), index=True)
    user: Mapped[str] = mapped_column("user_id", String(40))
    at: Mapped[datetime] = mapped_column(Instant)


class AttemptRow(Base):
    """Wrong tries by login name, also of names that nobody has."""

    __tablename__ = "members_attempt"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    failed: Mapped[int] = mapped_column(Integer)
    last_at: Mapped[datetime] = mapped_column(Instant, index=True)
    until: Mapped[datetime | None] = mapped_column(Instant)


class LinkRow(Base):
    """A one-time link by which a person sets a password; kept as a hash."""

    __tablename__ = "members_link"
    token: Mapped[str] = mapped_column(String(64), primary_key=True)
    member: Mapped[str] = mapped_column(String(32))
    roles: Mapped[str] = mapped_column(Text)
    user: Mapped[str] = mapped_column("user_id", String(40), default="", index=True)
    expires_at: Mapped[datetime] = mapped_column(Instant)
    used_at: Mapped[datetime | None] = mapped_column(Instant)


class KeyListRow(Base):
    """A list of keys that a member's seal signed, on its way to the hub's node."""

    __tablename__ = "members_key_list"
    __table_args__ = (Index("ix_members_key_list_state", "state", "id"),)
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    member: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(32))
    facts: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(8))
    code: Mapped[str] = mapped_column(String(80), default="")
    made_at: Mapped[datetime] = mapped_column(Instant)
    made_by: Mapped[str] = mapped_column(String(40))
