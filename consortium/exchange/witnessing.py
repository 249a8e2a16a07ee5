"""A node as a witness: what it sees of the ledger, what it cosigns, what it heard past the hub.

    pull answer -> view grows (proven) -> commit -> guard (fsync) -> cosign -> the next pull says so

The view is on disk twice before a signature exists (C2SP tlog-witness): whatever stops the node in
between, and whatever copy of its database it starts from, it never cosigns less than it has.
"""

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from consortium.exchange import alarms, freeze, restored
from consortium.exchange.identity import Identity
from consortium.exchange.replies import Page
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.kernel.log import logger
from consortium.ledger import cosignatures, gossip, policies, submission, witness
from consortium.ledger.cosignatures import Line, WitnessKey
from consortium.ledger.witness import View

CLOCK_OFF_MAX = timedelta(minutes=5)
"""A cosignature tells the time: a node whose clock is further from the hub's makes none."""
_CONFLICT = 409
_log = logger(__name__)


@dataclass(slots=True)
class Witnessing:
    """One member's view of the ledger. `policy` is the text pinned at joining."""

    database: Database
    identity: Identity
    policy: bytes
    witnessed: int = 0
    """Size of the newest checkpoint that has its quorum, as the hub told."""
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    _delivered: int = field(default=0, repr=False)
    _cosigned_there: int | None = field(default=None, repr=False)
    _frozen_there: str = field(default="", repr=False)
    _asked: list[int] = field(default_factory=list, repr=False)

    def seen(self, now: datetime) -> View | None:
        """What this node has seen of the ledger; from its guard, where the database is behind."""
        with self.database.read() as session:
            view = witness.checkpoint_view(session)
        part = self.identity.witness
        if part is None or part.guard.size <= (view.size if view is not None else 0):
            return view
        with self.database.write() as session:
            rules = self.rules(session)
            witness.take_back(session, part.guard.note, policy_bytes=rules, now=now)
            return witness.checkpoint_view(session)

    def asks(self, session: Session, view: View | None) -> dict[str, Any]:
        """What a pull says and asks of the ledger."""
        said: dict[str, Any] = {"size": view.size if view is not None else 0}
        self._asked = gossip.unproven(session)
        if self._asked:
            said["heard"] = self._asked
        word = freeze.told(session)
        if word and word != self._frozen_there:
            said["frozen"] = word  # a hub that was restored from before it stops again
        if self.identity.witness is None:
            return said
        said["witness"] = self.identity.node
        line = cosignatures.own(session, view.origin) if view is not None else None
        if line is not None and line.size > self._delivered:
            said["cosigned"] = {"size": line.size, "line": line.line}
        return said

    def told(self, page: Page) -> None:
        """Remember what the hub holds of this node's lines, and how far its quorum goes."""
        self.witnessed, self._frozen_there = page.witnessed, page.frozen
        self._delivered = max(self._delivered, page.cosigned)
        self._cosigned_there = page.cosigned

    def take(self, session: Session, page: Page, *, seen: int, now: datetime) -> str:
        """Take the hub's checkpoint and its proofs; gives the code of what is wrong, or ""."""
        rules = self.rules(session)
        trouble = ""
        if page.frozen:
            # first: what came with it may lie beyond the end
            trouble = freeze.take(session, page.frozen, rules=rules, now=now)
        known = witness.checkpoint_view(session)
        if page.checkpoint and seen == (known.size if known is not None else 0):
            answer = witness.advance(
                session, page.checkpoint, page.consistency, policy_bytes=rules, now=now
            )
            if isinstance(answer, Refusal):
                trouble = answer.code
            else:
                found = gossip.prove(session, answer, page.heard, asked=self._asked, now=now)
                trouble = found.code if found is not None else trouble
        if policies.strange(session, self.policy):
            alarms.put(session, "ledger.policy", now=now)
        return trouble

    def cosign(self, page: Page, *, clock_off_s: int, now: datetime) -> None:
        """Cosign the view when the hub asks for this very checkpoint; it is committed by now."""
        part = self.identity.witness
        if part is None or not page.cosign or abs(clock_off_s) > CLOCK_OFF_MAX.total_seconds():
            return
        with self.database.read() as session:
            view = witness.checkpoint_view(session)
            if view is None or not witness.same(view, page.checkpoint):
                return
            last = cosignatures.own(session, view.origin)
        if last is not None and last.size >= view.size:
            self._delivered = min(self._delivered, last.size - 1)  # the hub has lost it
            return
        self._signed(view, now=now)

    def cosigned(self, origin_hash: str) -> bytes | None:
        """The checkpoint that this node cosigned last, with the log's line and its own.

        C2SP tlog-witness, "Monitor Retrieval Mechanism": None for a log that it never cosigned.

        Args:
            origin_hash: SHA-256 of the log's origin, in lower-case hex.
        """
        part = self.identity.witness
        size, kept = part.guard.read() if part is not None else (0, b"")
        if not size:
            return None
        with self.database.read() as session:
            return cosignatures.bearing(session, kept, size=size, origin_hash=origin_hash)

    def submit(self, body: bytes, *, now: datetime) -> tuple[int, str]:
        """Answer an `add-checkpoint` (C2SP tlog-witness): status and text.

        Besides the specification's: 404 where this node is no witness, 503 while its database is
        behind its guard.
        """
        if self.identity.witness is None:
            return 404, ""
        self.seen(now)
        with self.database.write() as session:
            verdict = submission.take(session, body, policy_bytes=self.rules(session), now=now)
        if verdict.view is None:
            return verdict.status, f"{verdict.seen}\n" if verdict.status == _CONFLICT else ""
        line = self._signed(verdict.view, now=now)
        return (200, line) if line else (503, "")

    def _signed(self, view: View, *, now: datetime) -> str:
        """The line for a view that is committed; empty when this node may not cosign it (now)."""
        part = self.identity.witness
        with self.database.read() as session:
            if part is None or restored.is_restored(session, self.identity.node):
                return ""
            last = cosignatures.own(session, view.origin)
        if not part.guard.read()[0] and not self._may_begin(view, last):
            return ""
        key = WitnessKey(view.origin, self.identity.node, part.signer)
        with self._turn:
            try:
                part.guard.advance(view.size, view.note)
            except ValueError:
                return ""  # a later one went first
            line = cosignatures.cosign(view.note, key, now=now)
            with self.database.write() as session:
                known = cosignatures.own(session, view.origin)
                if known is None or known.size <= view.size:
                    cosignatures.keep_own(session, view.origin, size=view.size, line=line)
            return line

    def _may_begin(self, view: View, last: Line | None) -> bool:
        """Whether a view is no less than what this node cosigned under a guard that is gone.

        Nothing kept here vouches for that any more but its own newest line, and the hub's record of
        it: before the hub has told, nothing is cosigned.
        """
        there = self._cosigned_there
        if there is None or view.size < max(there, last.size if last is not None else 0):
            return False
        if there or last is not None:
            _log.warning("witness.guard_lost", size=view.size, cosigned=there)
        return True

    def rules(self, session: Session) -> bytes:
        """The policy in force here."""
        return policies.in_force(session, self.policy)
