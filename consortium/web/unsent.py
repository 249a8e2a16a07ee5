"""What is still not sent, and why, in words."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from consortium import words
from consortium.exchange import timeline
from consortium.exchange.courier import LinkState
from consortium.kernel.actor import Actor
from consortium.web.node import WebNode
from consortium.web.wording import t


@dataclass(frozen=True, slots=True)
class Unsent:
    """How many exchanges of the member wait here. `reason` is a word key, empty when none wait."""

    count: int
    reason: str = ""

    @property
    def why(self) -> str:
        return t(self.reason) if self.reason else ""


def unsent(session: Session, *, node: WebNode, actor: Actor) -> Unsent:
    """What the actor's member has signed and the hub has not answered."""
    count = timeline.waiting_count(session, members=(actor.member,))
    return Unsent(count, reason(node.link_state(actor.member)) if count else "")


def reason(link: LinkState) -> str:
    """The word key of why things wait on this link."""
    if not link.online:
        return "outbox.why.offline"
    known = f"outbox.why.{link.trouble.replace('.', '_')}" if link.trouble else "outbox.why.sending"
    return known if words.known(known) else "outbox.why.trouble"
