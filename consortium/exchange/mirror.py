"""A mirror takes the whole published ledger from its hub and replays it (PROTOCOL 4, 5).

Each page is replayed and hashed before it is kept: where its root is not the one that the log
signed, nothing of it is, and the signed checkpoint stands as evidence. What the replay finds is
kept with its alarm, and the ledger is followed all the same. Any cut only means asking again.
"""

from dataclasses import dataclass
from datetime import datetime

import orjson

from consortium.exchange import alarms, beginning, replay, takeover
from consortium.exchange.caller import Caller
from consortium.exchange.envelope import unframe
from consortium.exchange.kinds import Registry
from consortium.exchange.limits import BATCH_MAX
from consortium.exchange.replay import Finding, Replay, Shown
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.ledger import cosignatures, journal, policies, publisher, witness
from consortium.ports import LinkDown

_HALTED = "replay.halted"
"""The alarm of a replay that cannot go on; `found`: `leaf`, `again`, `newer`, `erased`, `root`."""


@dataclass(frozen=True, slots=True)
class Shared:
    """A page of a ledger: entries from the index asked for, the checkpoint that ends it or b"".

    `witnessed` is the newest note with the quorum's lines, b"" while there is none.
    """

    entries: list[Shown]
    checkpoint: bytes
    witnessed: bytes


def ask(caller: Caller, start: int) -> Shared:
    """Ask whoever keeps the whole ledger for its entries from an index on.

    Raises:
        LinkDown: no answer, or none of a node of this program.
        Refusal: the other side's own code.
    """
    answer = caller.request("/sync/mirror", [], **{"from": start})
    try:
        raw, *parts = unframe(answer, most=3 * BATCH_MAX + 1)
        meta = orjson.loads(raw)
        has = [int(one) for one in meta["has"]]
        # a leaf, facts and a body for each, or it is no answer of a hub
        each = zip(has, parts[::3], parts[1::3], parts[2::3], strict=True)
        entries = [
            Shown(leaf, facts if one & 1 else None, body if one & 2 else None)
            for one, leaf, facts, body in each
        ]
        return Shared(entries, str(meta["checkpoint"]).encode(), str(meta["witnessed"]).encode())
    except (Refusal, ValueError, KeyError, TypeError) as odd:
        raise LinkDown("no answer of a hub") from odd


@dataclass(slots=True)
class Mirror:
    """Follows the ledger.

    Args:
        policy: text of the tlog-policy pinned at joining; the one in force follows from it.
        whole: whether it goes through everything from entry 0, and begins with no copy.

    `trouble` is a stable code while something is wrong: `replay.leaf`, `replay.again`,
    `replay.newer`, `replay.erased`, `replay.root`, or the hub's own; empty when all is well.
    """

    database: Database
    registry: Registry
    caller: Caller
    policy: bytes
    whole: bool = False
    trouble: str = ""
    _witnessed: bytes = b""

    def run_once(self, now: datetime) -> int:
        """Take whatever is published; gives how many entries. Never raises for a cut."""
        taken = 0
        try:
            self._begin(bare=False)
            while True:
                page = self._ask()
                if any(one.facts is None for one in page.entries):
                    self._begin(bare=True)
                count, whole = self._take(page, now) if page.entries else (0, True)
                taken += count
                self._take_lines(page.witnessed, now)
                if not whole or not page.entries:
                    return taken
        except LinkDown:
            self.caller.forget()
        except Refusal as refusal:
            self.trouble = refusal.code
        return taken

    def _ask(self) -> Shared:
        with self.database.read() as session:
            size = journal.size(session)
        return ask(self.caller, size)

    def _begin(self, *, bare: bool) -> None:
        """Take over the copy of a closed month: before the first entry, or before erased facts.

        Raises:
            Refusal: as `takeover.take_over`.
        """
        if self.whole:
            return
        with self.database.read() as session:
            size, base = journal.size(session), beginning.kept(session)
            policy = policies.in_force(session, self.policy)
        if (base is None or base.index < size) and (bare or not size):
            takeover.take_over(self.database, self.caller, size=size, policy=policy)

    def _take(self, page: Shared, now: datetime) -> tuple[int, bool]:
        """Replay a page; gives how many entries were kept, and whether more can follow."""
        with self.database.write() as session:
            first = journal.size(session)
            base = beginning.kept(session)
            replaying = Replay(session, self.registry, open_bodies=True, base=base)
            taken = replaying.take(page.entries)
            halted = taken.halted
            if not halted and page.checkpoint:
                policy = policies.in_force(session, self.policy)
                kept = publisher.adopt(session, page.checkpoint, policy_bytes=policy, now=now)
                if isinstance(kept, Refusal):
                    session.rollback()
                    return self._refused(kept, page.checkpoint, first + taken.count, now)
            replay.keep(session, taken.findings, now=now)
            self._mark(halted)
            alarms.drop(session, _HALTED)
            if halted:
                alarms.put(session, _HALTED, now=now, found=halted, entry=first + taken.count)
        return taken.count, not halted

    def _take_lines(self, signed: bytes, now: datetime) -> None:
        """Receipts made here name the witnesses as those of the hub do."""
        if signed in (b"", self._witnessed):
            return
        with self.database.write() as session:
            policy = policies.in_force(session, self.policy)
            cosignatures.adopt(session, signed, policy_bytes=policy, now=now)
        self._witnessed = signed

    def _refused(self, refusal: Refusal, note: bytes, size: int, now: datetime) -> tuple[int, bool]:
        """Nothing of the page is kept but what speaks against it."""
        if refusal.code == "ledger.beyond":
            with self.database.write() as session:
                witness.accuse(session, refusal.code, offered=note, now=now)
        if refusal.code != "ledger.other_root":
            raise refusal  # not signed as the policy asks: anyone can make such a file
        said, found = str(refusal.facts["signed"]), str(refusal.facts["found"])
        with self.database.write() as session:
            witness.accuse(session, refusal.code, offered=note, now=now)
            replay.keep(session, [Finding(size - 1, "root", "", said, found)], now=now)
            alarms.put(session, _HALTED, now=now, found="root", entry=size - 1)
        self._mark("root")
        return 0, False

    def _mark(self, halted: str) -> None:
        self.trouble = f"replay.{halted}" if halted else ""
