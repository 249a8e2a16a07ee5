"""Recovering a hub: what is gathered from whom, and when its members may sign again.

PROTOCOL 5 ("Restore"), 2. Everything may be cut anywhere and run again.
"""

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import IO

from sqlalchemy import select
from sqlalchemy.orm import Session

from consortium.exchange import behind, evidencefile, mirror, pieces, restored
from consortium.exchange.caller import Caller
from consortium.exchange.holes import Holes, holes
from consortium.exchange.hub_guard import HubGuard
from consortium.exchange.identity import Identity
from consortium.exchange.kinds import Registry
from consortium.exchange.pieces import Piece
from consortium.exchange.refilling import Refill, Refilled
from consortium.exchange.tables import ChainHeadRow
from consortium.kernel.database import Database
from consortium.kernel.errors import conflict
from consortium.ledger import journal

_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a recovery has come.

    `needed`: the size that is proven; `bodies`: entries whose body nobody has given yet.
    """

    size: int
    needed: int
    missing: Holes
    bodies: int


@dataclass(slots=True)
class Recovery:
    """One hub's recovery.

    Args:
        guard: the hub's guard files.
        rules: policies whose log keys are believed, the one in force first.
    """

    database: Database
    registry: Registry
    guard: HubGuard
    rules: Sequence[bytes]

    def from_guard(self) -> int:
        """Gather what the guard files hold above the end; gives how many entries."""
        with self.database.read() as session:
            size = journal.size(session)
        found = (
            Piece(
                int(str(one["index"])),
                str(one["leaf"]).encode("ascii"),
                base64.b64decode(str(one["facts"]), validate=True),
            )
            for one in self.guard.records()
            if "index" in one and int(str(one["index"])) >= size
        )
        return self.keep(found, giver=pieces.GUARD)

    def from_mirror(self, caller: Caller, *, name: str, now: datetime) -> Iterator[Refilled]:
        """Gather and take what a mirror holds, a page at a time.

        Raises:
            LinkDown: no answer.
            Refusal: the mirror's own code.
        """
        start = self._size()
        while True:
            page = mirror.ask(caller, start)
            with self.database.write() as session:
                if page.checkpoint:
                    pieces.promise(session, page.checkpoint, giver=name, rules=self.rules)
            found = [
                Piece(start + at, one.leaf, one.facts, one.body)
                for at, one in enumerate(page.entries)
            ]
            self.keep(found, giver=pieces.MIRROR + name)
            yield self.refill(now=now)
            if not found:
                return
            start += len(found)

    def from_file(self, file: IO[bytes], *, name: str) -> int:
        """Gather what a node's file of evidence holds; gives how many entries were of use.

        Raises:
            Refusal: `recover.file`.
        """
        count = 0
        records = evidencefile.read(file)
        while part := list(islice(records, _AT_ONCE)):
            notes = [one for one in part if isinstance(one, bytes)]
            with self.database.write() as session:
                for note in notes:
                    pieces.promise(session, note, giver=name, rules=self.rules)
            found = [one for one in part if isinstance(one, Piece)]
            count += self.keep(found, giver=pieces.FILE + name)
        return count

    def keep(self, found: Iterable[Piece], *, giver: str) -> int:
        """Keep pieces of one giver; gives how many said something new."""
        count, rest = 0, iter(found)
        while part := list(islice(rest, _AT_ONCE)):
            with self.database.write() as session:
                for piece in part:
                    code = pieces.keep(session, self.registry, piece, giver=giver, rules=self.rules)
                    count += not code
        return count

    def refill(self, *, now: datetime) -> Refilled:
        """Take every piece that can be taken.

        Raises:
            Refusal: `recover.roots` when guard and log say two roots of one size.
        """
        with self.database.read() as session:
            signed = pieces.promises(session)
        kept = dict(self._guard_roots())
        for size in signed.keys() & kept.keys():
            if signed[size] != kept[size]:
                raise conflict("recover.roots", size=size)
        return Refill(self.database, self.registry, {**kept, **signed}, now=now).run()

    def standing(self) -> Standing:
        """What is still missing."""
        with self.database.read() as session:
            shown = pieces.promises(session)
            # a ledger without an entry is one of which nobody has said anything yet
            needed = max([1, self.guard.size(), behind.needed(session), *shown])
            size = journal.size(session)
            bodies = len(pieces.missing_bodies(session, limit=100_000))
            return Standing(size, needed, holes(session, upto=needed), bodies)

    def finish(self, identities: Iterable[Identity], *, now: datetime) -> bool:
        """Let the hub go on if nothing is missing; its own members first take their chains back."""
        standing = self.standing()
        with self.database.write() as session:
            if standing.size < standing.needed:
                behind.mark(session, standing.needed, now=now)
                return False
            behind.over(session)
            own = list(identities)
            # what they sent to each other was nowhere but on the disk that died
            pieces.give_up_bodies(session, among=[one.member for one in own])
            for identity in own:
                chains = _ledger_heads(session, identity.node)
                restored.vouch_anew(session, identity, ledger=chains)
        return True

    def _size(self) -> int:
        with self.database.read() as session:
            return journal.size(session)

    def _guard_roots(self) -> Iterator[tuple[int, bytes]]:
        for one in self.guard.records():
            if "size" in one:
                yield int(str(one["size"])), base64.b64decode(str(one["root"]), validate=True)


def _ledger_heads(session: Session, node: str) -> dict[str, tuple[int, str]]:
    rows = session.scalars(select(ChainHeadRow).where(ChainHeadRow.node == node))
    return {row.lane: (row.seq, row.hash) for row in rows}
