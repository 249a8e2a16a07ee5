"""The lease that keeps jobs in one place at a time."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from consortium.kernel.database import Base, Instant


class LeaseRow(Base):
    """Who runs the jobs of this database, and until when nobody else may."""

    __tablename__ = "job_lease"
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    holder: Mapped[str] = mapped_column(String(64))
    until: Mapped[datetime] = mapped_column(Instant)


class JobRow(Base):
    """When each job last ran to its end, and how it went."""

    __tablename__ = "job_run"
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    ran_at: Mapped[datetime] = mapped_column(Instant)
    trouble: Mapped[str] = mapped_column(String(64), default="")
