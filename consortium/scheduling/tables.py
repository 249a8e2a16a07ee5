"""Rows of scheduling. Private to the room."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from consortium.kernel.database import Base, Instant


class SessionTable(Base):
    """A session as this node knows it: own ones from the moment they are signed, others as opened.

    Who holds its slots is shared state and stands nowhere else.
    """

    __tablename__ = "scheduling_session"
    __table_args__ = (
        Index(None, "service", "kind", "state", "last_at"),
        Index(None, "provider", "holder", "first_at"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    provider: Mapped[str] = mapped_column(String(64))
    holder: Mapped[str] = mapped_column(String(64))
    holder_name: Mapped[str] = mapped_column(String(200))
    service: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    minutes: Mapped[int] = mapped_column(Integer)
    starts: Mapped[str] = mapped_column(Text)
    first_at: Mapped[datetime] = mapped_column(Instant)
    last_at: Mapped[datetime] = mapped_column(Instant)
    state: Mapped[str] = mapped_column(String(16))
    code: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(String(32))
    changed_at: Mapped[datetime] = mapped_column(Instant)


class CellTable(Base):
    """Five minutes of a person's time: one session only, so that own sessions never overlap."""

    __tablename__ = "scheduling_cell"

    holder: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[datetime] = mapped_column(Instant, primary_key=True)
    session: Mapped[str] = mapped_column(
        ForeignKey("scheduling_session.id", ondelete="CASCADE"), index=True
    )


class TemplateTable(Base):
    """A person's usual week: JSON pairs of weekday and time."""

    __tablename__ = "scheduling_template"

    holder: Mapped[str] = mapped_column(String(64), primary_key=True)
    service: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    minutes: Mapped[int] = mapped_column(Integer)
    starts: Mapped[str] = mapped_column(Text)


class SeenTable(Base):
    """The hub's last answer about free slots, for hours without a link."""

    __tablename__ = "scheduling_seen"

    member: Mapped[str] = mapped_column(String(64), primary_key=True)
    service: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    answer: Mapped[str] = mapped_column(Text)
    index: Mapped[int] = mapped_column("entry", BigInteger)
    as_of: Mapped[datetime] = mapped_column(Instant)
