"""Names of members, as the directory tells them."""

from sqlalchemy.orm import Session

from consortium.exchange.header import EVERYONE
from consortium.members import directory
from consortium.web.wording import lang, t


def member_name(session: Session, member: str) -> str:
    """A member's name in the language being written; its id where there is no entry."""
    if member == EVERYONE:
        return t("shell.everyone")
    found = directory.find(session, member) if lang() == "en" else None
    return found.name_en if found is not None else directory.name(session, member)
