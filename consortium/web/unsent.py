"""What is still not sent, and why, in words."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from consortium import words
from consortium.exchange import state, timeline
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
    return Unsent(count, reason(session, node=node, member=actor.member) if count else "")


def reason(session: Session, *, node: WebNode, member: str) -> str:
    """The word key of why things of a member wait here."""
    link = node.link_state(member)
    if withdrawn(session, node=node, member=member):
        return "outbox.why.sync_node_withdrawn"
    if not link.online:
        return "outbox.why.offline"
    known = f"outbox.why.{link.trouble.replace('.', '_')}" if link.trouble else "outbox.why.sending"
    return known if words.known(known) else "outbox.why.trouble"


def withdrawn(session: Session, *, node: WebNode, member: str) -> bool:
    """Whether the ledger has ended the key of this node: it was copied, or reported lost."""
    key = state.read(session, f"key:{node.identities.of(member).node}")
    return key is not None and key["until"] is not None
