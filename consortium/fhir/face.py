"""What a room offers to the FHIR door: its resources as an actor may see them, bytes and all.

A room's `fhir.py` has a function `resources` that fits `Resources`; wiring hands a table of
resource type to function to the door, which adds HTTP and nothing else. Rights are the room's own:
what the actor may not see is left out, as if it were not there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy.orm import Session

from consortium.kernel.actor import Actor


@dataclass(frozen=True, slots=True)
class Resource:
    """One version of one resource. `raw` are the original bytes, never serialised again."""

    type: str
    id: str
    version: int
    updated: datetime
    raw: bytes


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked: one resource by `id`, or a search by `patient` and `identifier`.

    `patient` is a patient's id. `identifier` is `(system, value)`; an empty system means any.
    `after` is the id of the last resource of the page before; results come by rising id.
    """

    type: str
    id: str = ""
    patient: str = ""
    identifier: tuple[str, str] = ("", "")
    after: str = ""
    limit: int = 100


class Resources(Protocol):
    """`resources(session, actor=, query=, now=)`: at most `query.limit` of one type, by rising id.

    A search for a patient whom the actor may not see gives nothing. Reading is audited where the
    room audits reading.
    """

    def __call__(
        self, session: Session, *, actor: Actor, query: Query, now: datetime
    ) -> Sequence[Resource]: ...


Table = Mapping[str, Resources]
"""Resource type to the function that gives it; also the source of the capability statement."""
