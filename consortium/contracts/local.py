"""What an admitted act on a contract leaves at a member: its row, its document, who is next."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from consortium.contracts import model, store
from consortium.contracts.model import HOLDS, PROPOSE, SIGN, WITHDRAW, Action, State
from consortium.contracts.notices import News, Notices, Waiting
from consortium.contracts.tables import ContractActRow, ContractDocumentRow, ContractDraftRow
from consortium.exchange import state
from consortium.exchange.kinds import Opened
from consortium.fhir.message import Message, json_bytes_of, json_of
from consortium.kernel.actor import Role
from consortium.kernel.time import from_ms, to_ms
from consortium.members import directory

_SIGNABLE = frozenset({State.PROPOSED, State.SIGNED_BY_SOME})
_HOLD_KINDS = frozenset(HOLDS.values())
_NEWS: Mapping[str, str] = {
    SIGN: "signed",
    WITHDRAW: "withdrawn",
    HOLDS[Action.SUSPEND]: "suspended",
    HOLDS[Action.RESUME]: "resumed",
    HOLDS[Action.TERMINATE]: "ending",
}
_FOR_ALL = frozenset({"in_force", "suspended", "resumed", "ending"})
"""News that change what a doctor can send."""


def note(session: Session, opened: Opened, *, notices: Notices) -> None:
    """Write the rows of one act, once, in feed order."""
    message = opened.message
    if message is None:
        return
    told = json_of(message, "act")
    contract = opened.facts["contract"]
    session.add(
        ContractActRow(
            member=opened.member,
            exchange=opened.header.id,
            contract=contract,
            version=opened.facts["version"],
            kind=opened.header.kind,
            sender=opened.header.sender,
            person=_text(told, "person"),
            second=_text(told, "second_person"),
            reason=str(opened.facts.get("reason", "")),
            entry=opened.index,
            at=opened.time,
        )
    )
    if opened.header.kind == PROPOSE:
        _document(session, opened, message)
    if opened.header.kind in _HOLD_KINDS:
        store.drop_hold(session, contract=contract)
    session.flush()
    _wait(session, opened, contract, notices=notices)
    if not opened.mine:
        _tell(session, opened, contract, notices=notices)
    notices.moved(session)


def refused(session: Session, opened: Opened) -> None:
    """The hub refused an act of this member: a draft opens again, a hold is asked for anew."""
    contract = opened.facts["contract"]
    if opened.header.kind == PROPOSE:
        row = session.get(ContractDraftRow, contract)
        if row is not None and row.exchange == opened.header.id:
            row.sent = 0
            row.refused = f"{opened.code} {opened.clause}".strip()
    if opened.header.kind in _HOLD_KINDS:
        store.drop_hold(session, contract=contract)


def _document(session: Session, opened: Opened, message: Message) -> None:
    document = json_of(message, "terms")
    session.add(
        ContractDocumentRow(
            member=opened.member,
            contract=opened.facts["contract"],
            version=opened.facts["version"],
            title=str(document["title"]),
            document=json_bytes_of(message, "terms").decode(),
            digest=opened.facts["hash"],
            proposed_at=opened.time,
        )
    )
    if opened.mine:
        store.drop_draft(session, contract=opened.facts["contract"], member=opened.member)


def _tell(session: Session, opened: Opened, contract: str, *, notices: Notices) -> None:
    word = _NEWS.get(opened.header.kind)
    if word is None:
        return
    if State.IN_FORCE.value in opened.outcome:
        word = State.IN_FORCE.value
    row = store.document(session, contract=contract, member=opened.member)
    everyone = word in _FOR_ALL
    news = News(
        member=opened.member,
        contract=contract,
        word=f"contract.notice.{word}",
        title=row.title if row else contract,
        party=directory.names(session, opened.header.sender),
        roles=frozenset(Role) if everyone else frozenset({officer(session, opened.member)}),
        about=opened.header.id,
    )
    notices.tell(session, news, now=opened.now)


def _wait(session: Session, opened: Opened, contract: str, *, notices: Notices) -> None:
    value = state.read(session, f"contract:{contract}")
    if value is None or not _waits(value, opened):
        notices.close(session, member=opened.member, contract=contract, now=opened.now)
        return
    row = store.document(session, contract=contract, member=opened.member)
    signed = len(value["parties"]) - len(model.unsigned(value))
    waiting = Waiting(
        member=opened.member,
        contract=contract,
        need="contract.need.sign",
        source="contract.source.sign",
        params={
            "title": row.title if row else contract,
            "signed": signed,
            "parties": len(value["parties"]),
        },
        whose=directory.name(session, value["by"]),
        roles=frozenset({officer(session, opened.member)}),
        started_at=from_ms(model.newest(value)["proposed"]),
        link=f"/contracts/{contract}",
    )
    notices.put(session, waiting, now=opened.now)


def _waits(value: Mapping[str, Any], opened: Opened) -> bool:
    at = model.status(value, time_ms=to_ms(opened.time))
    return at in _SIGNABLE and opened.member in model.unsigned(value)


def officer(session: Session, member: str) -> Role:
    """Who uses a member's seal: the consortium's office, elsewhere the head."""
    value = state.read(session, f"member:{member}")
    at_office = value is not None and value.get("kind") == "consortium"
    return Role.CONSORTIUM_ADMIN if at_office else Role.HEAD


def _text(told: Any, name: str) -> str:
    found = told.get(name, "") if isinstance(told, dict) else ""
    return found[:200] if isinstance(found, str) else ""
