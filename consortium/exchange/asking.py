"""The hub's side of being given back what it lost: what it wants, and taking it (`/sync/recover`).

PROTOCOL 5 ("Restore"). A hello that shows a checkpoint which the log signed for more than there is
here stops the hub; from then on its answers say what it wants, until everything is back.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from consortium.exchange import behind, evidencefile, pieces
from consortium.exchange.envelope import unframe
from consortium.exchange.kinds import Registry
from consortium.exchange.pieces import Piece
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal, invalid
from consortium.kernel.log import logger
from consortium.ledger import journal
from consortium.ports import Clock, Wake

_NOTE_MAX_CHARS = 64 * 1024
_PARTS = 5
_log = logger(__name__)


class Asking:
    """What a hub asks of members while entries or bodies are missing.

    Args:
        rules: gives the policies whose log keys are believed.
        wake: told when pieces have come.
    """

    def __init__(
        self,
        database: Database,
        registry: Registry,
        *,
        clock: Clock,
        rules: Callable[[], Sequence[bytes]],
        wake: Wake,
    ) -> None:
        self._database = database
        self._registry = registry
        self._clock = clock
        self._rules = rules
        self._wake = wake

    def look(self, member: str, statement: Mapping[str, Any]) -> None:
        """Look at the checkpoint that came with a hello."""
        note = statement.get("checkpoint", "")
        if not isinstance(note, str) or len(note) > _NOTE_MAX_CHARS:
            raise invalid("exchange.malformed", field="checkpoint")
        with self._database.read() as session:
            if behind.claimed(note) <= journal.size(session):
                return
        rules = self._rules()
        with self._database.write() as session:
            giver = pieces.MEMBER + member
            behind.shown(session, note.encode(), giver=giver, rules=rules, now=self._clock.now())

    def wants(self, session: Session, member: str) -> dict[str, Any]:
        """What a member is asked for, for the answer to its hello; nothing while all is here."""
        needed = behind.needed(session)
        bodies = pieces.missing_bodies(session, member, limit=1)
        if not needed and not bodies:
            return {}
        # with nothing missing but bodies, nothing lies after this index
        after = journal.size(session) - 1 if needed else 2**53 - 1
        return {"wants": {"after": after, "turn": behind.turn(session)}}

    def take(
        self, member: str, statement: Mapping[str, Any], frames: Sequence[bytes]
    ) -> dict[str, Any]:
        """Keep what a member gives; the answer lists bodies that it may have."""
        found = [self._read(frame) for frame in frames]
        rules = self._rules() if found else ()
        kept = 0
        with self._database.write() as session:
            for piece in found if behind.needed(session) or pieces.waiting(session) else ():
                giver = pieces.MEMBER + member
                kept += not pieces.keep(session, self._registry, piece, giver=giver, rules=rules)
            after = statement.get("bodies_after")
            bodies = []
            if isinstance(after, int) and not isinstance(after, bool):
                bodies = pieces.missing_bodies(session, member, after=after)
        if found:
            _log.info("ledger.given", member=member, entries=len(found), kept=kept)
        if kept:
            self._wake.notify()
        return {"kept": kept, "bodies": bodies}

    def _read(self, frame: bytes) -> Piece:
        parts = unframe(frame, most=_PARTS)
        if len(parts) != _PARTS:
            raise invalid("exchange.malformed", field="frames")
        try:
            found = evidencefile.unpacked(parts)
        except Refusal:
            found = b""
        if isinstance(found, bytes):
            raise invalid("exchange.malformed", field="frames")
        return found
