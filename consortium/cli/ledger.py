"""`consortium ledger export` and `verify`: the log for outsiders, and the database checked.

It is held against itself, against what is kept beside it, and against the rules: where
the node keeps the ledger it is replayed from entry 0, every verdict is come to again, and every row
that follows from the entries is compared.
"""

from collections.abc import Sequence
from pathlib import Path

import typer

from consortium import words
from consortium.cli.app import language, tell
from consortium.exchange.hub_guard import HubKept, hub_kept
from consortium.exchange.kept import doubtful_receipts
from consortium.exchange.recheck import recheck
from consortium.exchange.replay import Finding
from consortium.kernel.database import Database
from consortium.ledger import export as exporting
from consortium.ledger import policies
from consortium.ledger.journal import Entry
from consortium.ledger.keys import known_keys
from consortium.ledger.verify import Fault, Verified, verify
from consortium.settings import NodeRole, Settings
from consortium.wiring import POLICY_FILE, registry

HOLDS, DIFFERS = 0, 1


def export(settings: Settings, folder: Path) -> None:
    """Write the log into a folder, and say with what it can be checked."""
    pinned = (settings.home / POLICY_FILE).read_bytes()
    database = Database(settings.database_url)
    try:
        with database.read() as session:
            policy = policies.in_force(session, pinned)
            keys = known_keys(settings.home, pinned, policy)
            made = exporting.export(session, folder, policy=policy, vkeys=keys)
    finally:
        database.close()
    typer.echo(f"{made.size} {made.added}")
    if not made.witnessed:
        tell(words.say("cli.ledger.alone", language()))
    tell(words.say("cli.ledger.exported", language(), folder=folder))


def check(settings: Settings) -> int:
    """Print what does not fit, lowest index first; 1 if anything, 0 if all of it holds.

    Reads beside a running node, and writes nothing.
    """
    policy = (settings.home / POLICY_FILE).read_bytes()
    # a guard is kept before its checkpoint: read first, the database is never behind it
    kept = hub_kept(settings.guard_dir) if settings.role is NodeRole.HUB else HubKept({}, {})
    database = Database(settings.database_url)
    try:
        with database.read() as session:
            found = verify(
                session,
                logs=known_keys(settings.home, policy, policies.in_force(session, policy)),
                roots=kept.roots,
                examine=lambda entries: _against(kept, entries),
            )
            doubtful = list(doubtful_receipts(session, policies.in_force(session, policy)))
        # a tree that does not hold together has said already where to look
        replayed = None if found.faults else recheck(database, registry())
    finally:
        database.close()
    beyond = (
        [Fault(found.size, "guard", "leaf")] if max(kept.leaves, default=-1) >= found.size else []
    )
    more = [*beyond, *(Fault(one.index, one.table, f"receipt ({one.reason})") for one in doubtful)]
    if replayed is None:
        return _told(found, [*found.faults, *more])
    code = _told(found, [*more, *map(_fault, replayed.findings)])
    if replayed.erased and not replayed.halted:
        tell(
            words.say("cli.ledger.erased", language(), erased=replayed.erased, begun=replayed.begun)
        )
    if replayed.halted not in ("newer", "erased"):
        return code
    # not gone through to its end, so nobody may take it for sound
    why = "cli.ledger.newer" if replayed.halted == "newer" else "cli.ledger.bare"
    tell(words.say(why, language(), index=replayed.size))
    return DIFFERS


def _fault(one: Finding) -> Fault:
    """What the replay found: a row that says something else, or an entry against the rules."""
    if one.aspect == "state":
        return Fault(one.index, one.kind, f"{one.found} ({one.said})")
    return Fault(one.index, "replay", f"{one.aspect} ({one.said or '-'} | {one.found or '-'})")


def _against(kept: HubKept, entries: Sequence[Entry]) -> list[Fault]:
    return [
        Fault(one.index, "guard", "leaf")
        for one in entries
        if one.index in kept.leaves and kept.leaves[one.index] != one.leaf
    ]


def _told(found: Verified, faults: Sequence[Fault]) -> int:
    lang = language()
    for one in sorted(faults, key=lambda one: (one.index < 0, one)):
        entry = str(one.index) if one.index >= 0 else "-"
        typer.echo(f"!!  {entry} {one.table}.{one.column}")
    counts = {"size": found.size, "published": found.published, "signed": found.checkpoints}
    tell(words.say("cli.ledger.counted", lang, **counts))
    tell(words.say("cli.ledger.differs" if faults else "cli.ledger.holds", lang))
    return DIFFERS if faults else HOLDS
