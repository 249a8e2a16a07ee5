"""Names of members, as the directory tells them, and of contracts, as their terms do."""

from sqlalchemy.orm import Session

from consortium.contracts import service as contracts
from consortium.exchange.header import EVERYONE
from consortium.kernel.actor import Actor
from consortium.kernel.errors import Refusal
from consortium.members import directory
from consortium.web.wording import lang, look, t


def member_name(session: Session, member: str) -> str:
    """A member's name in the language being written; its id where there is no entry."""
    if member == EVERYONE:
        return t("shell.everyone")
    found = directory.find(session, member) if lang() == "en" else None
    return found.name_en if found is not None else directory.name(session, member)


def contract_name(session: Session, actor: Actor, contract: str) -> str:
    """A contract by its title; by its short number where the actor's member does not hold it."""
    try:
        return contracts.review(session, actor=actor, contract=contract, now=look().now).title
    except Refusal:
        return t("contract.page.short", id=contract[-6:].upper())
