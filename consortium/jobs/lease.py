"""One runner at a time: a row with a holder and an end, taken and renewed in one transaction."""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from consortium.jobs.tables import LeaseRow

LEASE = timedelta(seconds=30)


def take(
    session: Session, *, name: str, holder: str, now: datetime, length: timedelta = LEASE
) -> bool:
    """Take or renew the lease; False while another holder's runs.

    A lease that ends further ahead than one lease length was written by a clock that is no
    longer right, and does not hold. One that has most of its time left is not written again.
    """
    row = session.get(LeaseRow, name, with_for_update=True)
    if row is None:
        session.add(LeaseRow(name=name, holder=holder, until=now + length))
        session.flush()
        return True
    holds = now < row.until <= now + length
    if row.holder != holder and holds:
        return False
    if not (holds and row.until > now + length * 3 / 4):
        row.holder, row.until = holder, now + length
    return True


def release(session: Session, *, name: str, holder: str) -> None:
    """Let go of the lease, so that a successor need not wait for its end."""
    row = session.get(LeaseRow, name)
    if row is not None and row.holder == holder:
        session.delete(row)


def clear(session: Session, *, name: str, of: str = "") -> None:
    """End a lease whose holder's name begins so, where no other process can be alive that has it.

    Without `of` whatever lease there is.
    """
    row = session.get(LeaseRow, name)
    if row is not None and row.holder.startswith(of):
        session.delete(row)
