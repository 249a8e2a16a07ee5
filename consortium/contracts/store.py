"""Queries of the contracts room, each bound to a member."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.orm import Session

from consortium.contracts.tables import (
    ContractActRow,
    ContractDocumentRow,
    ContractDraftRow,
    ContractHoldRow,
)
from consortium.kernel.time import to_ms

ACTS_MAX = 100
LIVE_MAX = 1000


def draft(session: Session, *, contract: str, member: str) -> ContractDraftRow | None:
    """A draft of this member."""
    row = session.get(ContractDraftRow, contract)
    return row if row is not None and row.member == member else None


def drafts(session: Session, *, member: str, limit: int) -> Sequence[ContractDraftRow]:
    """Drafts of this member, last changed first."""
    return session.scalars(
        select(ContractDraftRow)
        .where(ContractDraftRow.member == member)
        .order_by(ContractDraftRow.updated_at.desc(), ContractDraftRow.contract)
        .limit(limit)
    ).all()


def drop_draft(session: Session, *, contract: str, member: str) -> None:
    """Remove a draft; nothing happens when there is none."""
    session.execute(
        delete(ContractDraftRow).where(
            ContractDraftRow.contract == contract, ContractDraftRow.member == member
        )
    )


def document(
    session: Session, *, contract: str, member: str, version: int | None = None
) -> ContractDocumentRow | None:
    """A version of a contract that this member holds; the newest without a number."""
    query = select(ContractDocumentRow).where(
        ContractDocumentRow.member == member, ContractDocumentRow.contract == contract
    )
    if version is not None:
        query = query.where(ContractDocumentRow.version == version)
    return session.scalars(query.order_by(ContractDocumentRow.version.desc()).limit(1)).first()


def newest(
    session: Session, *, member: str, after: tuple[datetime, str] | None, limit: int
) -> Sequence[ContractDocumentRow]:
    """The newest version of each contract of this member, proposed last first."""
    top = (
        select(ContractDocumentRow.contract, func.max(ContractDocumentRow.version).label("version"))
        .where(ContractDocumentRow.member == member)
        .group_by(ContractDocumentRow.contract)
        .subquery()
    )
    query = select(ContractDocumentRow).join(
        top,
        (top.c.contract == ContractDocumentRow.contract)
        & (top.c.version == ContractDocumentRow.version),
    )
    query = query.where(ContractDocumentRow.member == member)
    if after is not None:
        key = tuple_(ContractDocumentRow.proposed_at, ContractDocumentRow.contract)
        query = query.where(key < after)
    return session.scalars(
        query.order_by(
            ContractDocumentRow.proposed_at.desc(), ContractDocumentRow.contract.desc()
        ).limit(limit)
    ).all()


def ids(session: Session, *, member: str) -> list[str]:
    """Every contract of this member."""
    return list(
        session.scalars(
            select(ContractDocumentRow.contract)
            .where(ContractDocumentRow.member == member)
            .distinct()
            .order_by(ContractDocumentRow.contract)
            .limit(LIVE_MAX)
        )
    )


def acts(session: Session, *, contract: str, member: str) -> Sequence[ContractActRow]:
    """Acts on a contract in the order of the ledger."""
    return session.scalars(
        select(ContractActRow)
        .where(ContractActRow.member == member, ContractActRow.contract == contract)
        .order_by(ContractActRow.entry)
        .limit(ACTS_MAX)
    ).all()


def hold(session: Session, *, contract: str) -> ContractHoldRow | None:
    """What waits for a second person, asked by any member of this installation."""
    return session.get(ContractHoldRow, contract)


def holds(session: Session, *, contracts: Iterable[str]) -> dict[str, ContractHoldRow]:
    """The same for several contracts."""
    rows = session.scalars(
        select(ContractHoldRow).where(ContractHoldRow.contract.in_(list(contracts)))
    )
    return {row.contract: row for row in rows}


def drop_hold(session: Session, *, contract: str) -> None:
    """Remove what waited for a second person."""
    session.execute(delete(ContractHoldRow).where(ContractHoldRow.contract == contract))


def after_key(row: ContractDocumentRow) -> str:
    """Where the next page begins after this row."""
    return f"{to_ms(row.proposed_at)}.{row.contract}"
