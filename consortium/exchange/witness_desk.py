"""The hub's side of witnessing: lines that come with a pull, what to cosign, proofs asked for.

A line is stored only if the witness key of the asking member's node, valid in shared state now,
has signed a checkpoint that was published (`ledger.cosignatures`).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from consortium.exchange import freeze, state
from consortium.exchange.commitment import b64, unb64
from consortium.kernel.database import Database
from consortium.kernel.errors import invalid
from consortium.kernel.log import logger
from consortium.ledger import cosignatures, publisher, receipts
from consortium.ledger.cosignatures import Cosigner
from consortium.ledger.publisher import Published

HEARD_MAX = 16
_log = logger(__name__)


def take(database: Database, member: str, statement: Mapping[str, Any], *, now: datetime) -> None:
    """Keep the line that came with a pull; one that is bad is written into the log and left.

    A member that knows the log to be frozen, and has not heard it here, shows the seal's word.
    """
    if isinstance(word := statement.get("frozen"), str):
        freeze.bring_back(database, word, now=now)
    said = statement.get("cosigned")
    if said is None:
        return
    if not isinstance(said, dict) or not _size(said.get("size")):
        raise invalid("exchange.malformed", field="cosigned")
    line = said.get("line")
    if not isinstance(line, str):
        raise invalid("exchange.malformed", field="cosigned")
    reason = "note.unknown"
    with database.write() as session:
        head = publisher.latest(session)
        key = _cosigner(session, member, statement, head)
        if key is not None:
            reason = cosignatures.take(session, line, size=said["size"], cosigner=key, now=now)
    if reason:
        _log.warning("ledger.cosignature", member=member, reason=reason)


def news(
    session: Session, member: str, statement: Mapping[str, Any], *, seen: int, now: datetime
) -> dict[str, Any]:
    """Checkpoint with its proof, whether it is to be cosigned, and proofs of what was heard."""
    newest = publisher.latest(session)
    key = _cosigner(session, member, statement, newest)
    cosigned = cosignatures.cosigned_size(session, key.name) if key is not None else 0
    wanted = None
    if key is not None:
        wanted = cosignatures.asked(session, cosigned=cosigned, seen=seen, now=now)
    told = wanted or newest
    sure = cosignatures.witnessed(session)
    return {
        "checkpoint": told.note.decode() if told is not None else "",
        "consistency": _proof(session, seen, told.size) if told is not None else [],
        "cosign": wanted is not None,
        "cosigned": cosigned,
        "witnessed": sure.size if sure is not None else 0,
        "heard": _heard(session, statement, told, newest),
        "frozen": freeze.told(session),
    }


def _heard(
    session: Session,
    statement: Mapping[str, Any],
    told: Published | None,
    newest: Published | None,
) -> dict[str, list[str]]:
    """For each size that was heard elsewhere, the proof between it and the checkpoint told."""
    sizes = statement.get("heard", [])
    if not isinstance(sizes, list) or not all(map(_size, sizes)) or len(sizes) > HEARD_MAX:
        raise invalid("exchange.malformed", field="heard")
    if told is None or newest is None:
        return {}
    return {
        str(size): _proof(session, *sorted((size, told.size)))
        for size in sizes
        if size <= newest.size
    }


def _proof(session: Session, old: int, new: int) -> list[str]:
    if not 0 < old < new:
        return []
    return [b64(one) for one in receipts.consistency(session, old=old, new=new)]


def _cosigner(
    session: Session, member: str, statement: Mapping[str, Any], head: Published | None
) -> Cosigner | None:
    """The cosigner of the asking node; None for one that has no valid witness key."""
    node = statement.get("witness")
    if head is None or not isinstance(node, str):
        return None
    known = state.read(session, f"member:{member}") or {}
    kid = known.get("witnesses", {}).get(node)
    record = state.read(session, f"key:{kid}") if kid else None
    if record is None or record["use"] != "witness" or record.get("until") is not None:
        return None
    return cosignatures.cosigner(cosignatures.origin(head), node, unb64(record["public"]))


def _size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**53
