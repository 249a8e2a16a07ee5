"""Who looks patients up: counted, bounded, kept in the audit.

200 look-ups in 10 minutes by one person are not the work of a clinic (research/reliability.md 5,
row 67): the next is refused and the head is told.
"""

from datetime import datetime

from sqlalchemy.orm import Session

from consortium import audit
from consortium.desk import service as desk
from consortium.kernel.actor import Actor, Role
from consortium.kernel.errors import Refusal, RefusalKind
from consortium.kernel.time import to_ms
from consortium.patients import store
from consortium.patients.model import Patient

LOOKS_MAX = 200
LOOKS_WINDOW_MIN = 10
_MINUTE_MS = 60_000


def count(session: Session, *, actor: Actor, now: datetime) -> None:
    """Count one look-up by a person.

    Raises:
        Refusal: `patients.too_many_looks` after 200 in 10 minutes.
    """
    minute = to_ms(now) // _MINUTE_MS
    looks = store.count_look(session, user=actor.user, minute=minute, window=LOOKS_WINDOW_MIN)
    if looks > LOOKS_MAX:
        raise Refusal(RefusalKind.THROTTLED, "patients.too_many_looks", limit=LOOKS_MAX)
    if looks == LOOKS_MAX:
        # told with the last one that passes: what is refused leaves no row
        desk.notify(
            session,
            member=actor.member,
            case="",
            word="patients.notice.many_looks",
            params={"n": LOOKS_MAX, "name": actor.name},
            link="",
            roles=frozenset({Role.HEAD}),
            now=now,
            about=f"{actor.user}/{minute}",
        )


def record(session: Session, actor: Actor, action: str, patient: Patient, *, now: datetime) -> None:
    """Keep in the audit what a person did with a patient."""
    audit.record(
        session,
        actor=actor,
        action=action,
        subject=f"patient:{patient.id}",
        patient=patient.id,
        now=now,
        version=patient.version,
    )


def denied(session: Session, actor: Actor, patient: str, *, now: datetime) -> None:
    """Keep that a person asked for a patient who is not there for them."""
    asked = patient[:64] or "none"
    audit.record(
        session, actor=actor, action="patients.denied", subject=f"patient:{asked}", now=now
    )
