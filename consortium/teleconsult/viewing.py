"""A person opens a booking: its sender is told once, and the audit keeps who looked."""

from datetime import datetime

from sqlalchemy.orm import Session

from consortium.desk import messages
from consortium.exchange.outbox import Post
from consortium.kernel.actor import Actor
from consortium.teleconsult import store
from consortium.teleconsult.serving import READERS


def opening(session: Session, case: str, *, actor: Actor, post: Post, now: datetime) -> None:
    """A person opens a booking with its clinical question.

    Raises:
        Refusal: `booking.unknown` for one that is not this member's.
    """
    actor.require(*READERS)
    row = store.get(session, case, member=actor.member)
    messages.person_opens(
        session,
        actor=actor,
        post=post,
        case=case,
        action="booking.view",
        patient=row.patient or None,
        now=now,
    )
