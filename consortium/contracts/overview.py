"""Every contract of the consortium, as shared state tells it: for the regulator, at a mirror.

A mirror is no party and opens no body: it knows terms by their facts, and neither title nor text.
"""

from datetime import datetime

from sqlalchemy.orm import Session

from consortium.contracts import model
from consortium.contracts.model import Action
from consortium.contracts.service import Row
from consortium.exchange import state
from consortium.kernel.actor import Actor, Role
from consortium.kernel.paging import Page, bounded
from consortium.kernel.time import from_ms, to_ms

_FAMILY = "contract:"


def overview(
    session: Session, *, actor: Actor, now: datetime, after: str = "", limit: int = 50
) -> Page[Row]:
    """All contracts, by id.

    Raises:
        Refusal: `rights.not_here` for whoever is no regulator.
    """
    actor.require(Role.REGULATOR)
    limit = bounded(limit)
    key = f"{_FAMILY}{after[:64]}" if after else ""
    values = state.scan(session, _FAMILY, after=key, limit=limit + 1)
    found = []
    for name, value in values[:limit]:
        at = model.status(value, time_ms=to_ms(now))
        newest = model.newest(value)
        end_ms = value["ends"] or newest["terms"]["d"][1]
        found.append(
            Row(
                contract=name.removeprefix(_FAMILY),
                title="",
                version=len(value["versions"]),
                state=at,
                parties=value["parties"],
                unsigned=model.unsigned(value) if Action.SIGN in model.allowed(at) else (),
                mine=False,
                since=from_ms(value["since"]),
                end=None if end_ms is None else from_ms(end_ms),
            )
        )
    more = found[-1].contract if len(values) > limit else None
    return Page(found, more)
