"""What the check counts and compares, read from the nodes' databases and from nothing else."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.orm import Session

from consortium import wiring
from consortium.cli.check_http import CheckError
from consortium.exchange import census, replay
from consortium.exchange.header import EVERYONE
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.ledger import journal, publisher, receipts
from consortium.settings import NodeRole, Settings
from consortium.wiring import POLICY_FILE

_PAUSE_S = 0.1
_SHOWN = 5


@dataclass(slots=True)
class Counts:
    """The figures of one run."""

    exchanges: int = 0
    leaves: int = 0
    refused: int = 0
    receipts_checked: int = 0
    replayed: int = 0
    differences: int = 0


@dataclass(slots=True)
class Books:
    """The databases of the nodes, opened for reading beside the running processes.

    Args:
        home: the folder under which each node has its own.
        nodes: which members each node serves, by its folder; the hub's comes first.
    """

    home: Path
    nodes: Mapping[str, tuple[str, ...]]
    _open: dict[str, Database] = field(default_factory=dict)

    def close(self) -> None:
        """Release the files."""
        for database in self._open.values():
            database.close()
        self._open.clear()

    @property
    def hub(self) -> str:
        return next(iter(self.nodes))

    @property
    def mirrors(self) -> list[str]:
        """The nodes that keep and replay the whole ledger."""
        return [
            node for node in self.nodes if Settings.read(self.home / node).role is NodeRole.MIRROR
        ]

    @contextmanager
    def read(self, node: str) -> Iterator[Session]:
        """A session that only reads."""
        if node not in self._open:
            path = Settings.read(self.home / node).database_url.removeprefix("sqlite:///")
            self._open[node] = Database(f"sqlite:///file:{path}?mode=ro&uri=true")
        with self._open[node].read() as session:
            yield session

    # ------------------------------------------------------------ waiting

    def on_ledger(self, exchange: str) -> bool:
        """Whether the hub has entered an exchange."""
        with self.read(self.hub) as session:
            return census.entered(session, exchange)

    def caught_up(self, node: str, member: str) -> bool:
        """Whether a member has taken all that its feed holds: its own rows are made then."""
        with self.read(self.hub) as session:
            offered = census.offered(session, member)
        with self.read(node) as session:
            return census.reached(session, member) >= offered

    def waits(self) -> str:
        """What has not come to rest yet, in words; empty when all has."""
        for node, members in self.nodes.items():
            with self.read(node) as session:
                kind = census.unanswered(session)
                bare = {member: census.bare(session, member) for member in members}
            if kind:
                return f"{node}: {kind} is not answered"
            if node in self.mirrors and self._behind(node):
                return f"{node} has not replayed the whole ledger"
            for member in members:
                if not self.caught_up(node, member):
                    return f"{member} has not taken its whole feed"
                if bare[member] is not None:
                    return f"{member} has no receipt of entry {bare[member]}"
        return ""

    def _behind(self, node: str) -> bool:
        with self.read(self.hub) as session:
            size = journal.size(session)
        with self.read(node) as session:
            return journal.size(session) < size

    def rest(self, *, within_s: float) -> None:
        """Wait until every exchange is answered, taken by all, and has its receipt.

        Raises:
            CheckError: it did not come to rest in time.
        """
        end = time.monotonic() + within_s
        while why := self.waits():
            if time.monotonic() > end:
                raise CheckError(f"not at rest after {within_s:.0f} s: {why}")
            time.sleep(_PAUSE_S)

    # ------------------------------------------------------------ counting

    def count(self) -> Counts:
        """Check and count everything, at rest.

        Raises:
            CheckError: something is lost, came twice, differs, or a receipt does not hold.
        """
        counts = Counts()
        with self.read(self.hub) as session:
            entries = list(census.entries(session))
            counts.leaves = journal.size(session)
        counts.refused = sum(not one.ok for one in entries)
        if [one.index for one in entries] != list(range(counts.leaves)):
            raise CheckError("the hub's entries and leaves are not the same")
        counts.exchanges = self._signed_once(entries)
        for node, members in self.nodes.items():
            for member in members:
                self._taken_once(node, member)
                counts.receipts_checked += self._receipts(node, member)
        self._folds_agree()
        for node in self.mirrors:
            self._mirrored(node, counts)
        return counts

    def _mirrored(self, node: str, counts: Counts) -> None:
        """A mirror has replayed every entry and found nothing; its tree is the hub's."""
        with self.read(node) as session:
            counts.replayed += journal.size(session)
            counts.differences += replay.count(session)
            found = replay.findings(session, limit=1)
            own = publisher.latest(session)
        with self.read(self.hub) as session:
            theirs = publisher.latest(session)
        if counts.replayed != counts.leaves or found:
            raise CheckError(f"{node} replayed {counts.replayed} of {counts.leaves}: {found}")
        if own is None or theirs is None or (own.size, own.root) != (theirs.size, theirs.root):
            raise CheckError(f"{node} does not have the hub's checkpoint")

    def _signed_once(self, entries: list[census.Entered]) -> int:
        """Each exchange that a node signed stands on the ledger once, where the node thinks."""
        placed = {one.index: one.exchange for one in entries}
        admitted = [one.exchange for one in entries if one.ok]
        if len(set(admitted)) != len(admitted):
            raise CheckError("an exchange was admitted twice")
        signed = 0
        for node in self.nodes:
            with self.read(node) as session:
                own = list(census.signed(session))
            astray = [one for one in own if placed.get(-1 if one.index is None else one.index)
                      != one.exchange]  # fmt: skip
            if astray:
                raise CheckError(f"{node}: {len(astray)} exchanges are not where it thinks")
            signed += len(own)
        return signed

    def _taken_once(self, node: str, member: str) -> None:
        with self.read(self.hub) as session:
            offered = list(census.feed(session, member))
        with self.read(node) as session:
            mine = list(census.taken(session, member))
        if [(one.number, one.index) for one in mine] != offered:
            raise CheckError(f"{member} did not take its feed as the hub has it")
        odd = [
            f"{one.kind} at {one.index}: {one.state} {one.alarm}"
            for one in mine
            if one.alarm or one.state != ("applied" if one.ok else "refused")
        ]
        if odd:
            raise CheckError(f"{member} did not apply: {'; '.join(odd[:_SHOWN])}")

    def _receipts(self, node: str, member: str) -> int:
        """Check each receipt against the policy that this node pinned at joining."""
        policy = (self.home / node / POLICY_FILE).read_bytes()
        with self.read(node) as session:
            mine = list(census.taken(session, member))
        for one in mine:
            try:
                checked = receipts.check(one.receipt or b"", policy, expect_leaf=one.leaf)
            except Refusal as refusal:
                raise CheckError(f"{member}: receipt of {one.index}: {refusal.facts}") from refusal
            if checked.index != one.index:
                raise CheckError(f"{member}: the receipt of {one.index} is of {checked.index}")
        return len(mine)

    def _folds_agree(self) -> None:
        """For every node and subject in whose audience it is, its value is the hub's."""
        registry = wiring.registry()
        with self.read(self.hub) as session:
            truth = dict(census.subjects(session))
        for node, members in self.nodes.items():
            if node == self.hub:
                continue
            with self.read(node) as session:
                own = dict(census.subjects(session))
            everything = node in self.mirrors
            wanted = {
                name: value
                for name, value in truth.items()
                if everything or registry.audience(name, value) & {EVERYONE, *members}
            }
            if own != wanted:
                names = sorted(
                    name for name in own.keys() | wanted.keys() if own.get(name) != wanted.get(name)
                )
                raise CheckError(f"{node} folds otherwise than the hub: {names[:_SHOWN]}")
