"""`consortium hub recover`: a hub that lost its database takes its ledger back, entry by entry."""

from collections.abc import Sequence
from pathlib import Path

import typer

from consortium import wiring
from consortium.cli.app import language, tell
from consortium.exchange import evidencefile, giving, pieces
from consortium.exchange.caller import Caller
from consortium.exchange.own_kinds import HUB_MEMBER
from consortium.exchange.recovery import Recovery, Standing
from consortium.exchange.refilling import Refilled, Span
from consortium.kernel.database import Database
from consortium.kernel.errors import missing
from consortium.ledger import journal
from consortium.members.keys import KeyFolder
from consortium.migrations import revision_of
from consortium.ports import LinkDown
from consortium.settings import NodeRole, Settings
from consortium.upkeep.revisions import check_revision, migrate
from consortium.upkeep.service import serving
from consortium.wiring import HttpLink, Node
from consortium.words import say

WHOLE, MISSING = 0, 3
_RANGES_MAX = 50


def recover(settings: Settings, *, mirrors: Sequence[str], files: Sequence[Path]) -> int:
    """Fill the ledger again from guard, mirrors and files; say what came from where.

    Safe to run again at any point: whatever was taken stays, and nothing is taken twice.

    Returns:
        0 when nothing is missing, 3 when it is.

    Raises:
        Refusal: `rights.not_here`, `system.running` beside a running node, `recover.file`,
            `recover.roots`, `ledger.damaged`, or a mirror's own.
    """
    if settings.role is not NodeRole.HUB:
        raise missing("rights.not_here")
    with serving(settings):
        _begin(settings)
        node = wiring.build(settings)
        try:
            return _recover(node, mirrors=mirrors, files=files)
        finally:
            node.close()


def serve(settings: Settings) -> None:
    """Serve while entries are missing: members give theirs by themselves, and nothing new is taken.

    Raises:
        Refusal: as `main.serve`.
    """
    from consortium.main import serve as run

    tell(say("recover.serving", language()))
    run(settings, recovering=True)


def give_up_bodies(settings: Settings) -> None:
    """Say that nobody has the bodies that are missing: recipients answer that theirs does not open.

    Raises:
        Refusal: `system.running` beside a running node.
    """
    with serving(settings):
        database = Database(settings.database_url)
        try:
            with database.write() as session:
                count = pieces.give_up_bodies(session)
        finally:
            database.close()
    tell(say("recover.given_up", language(), n=count))


def evidence(settings: Settings, file: Path) -> int:
    """Write what a node kept into a new file; gives how many records."""
    identities = wiring.local_identities(settings, KeyFolder(settings.home))
    database = Database(settings.database_url)
    try:
        with file.open("xb") as out:
            found = giving.records(database, wiring.registry(), identities)
            return evidencefile.write(out, found)
    finally:
        database.close()


def _begin(settings: Settings) -> None:
    """An empty database gets its tables and an empty ledger."""
    database = Database(settings.database_url)
    try:
        with database.engine.connect() as connection:
            empty = not revision_of(connection)
        if empty:
            migrate(database)
            with database.write() as session:
                journal.create(session)
        check_revision(database)
    finally:
        database.close()


def _recover(node: Node, *, mirrors: Sequence[str], files: Sequence[Path]) -> int:
    recovery, lang, now = wiring.recovery_of(node), language(), node.clock.now
    with node.database.read() as session:
        here = journal.size(session)
    typer.echo(say("recover.here", lang, size=here))
    recovery.from_guard()
    for file in files:
        with file.open("rb") as evidence:
            recovery.from_file(evidence, name=file.name)
    _tell_taken(recovery.refill(now=now()))
    for url in mirrors:
        _from_mirror(node, recovery, url)
    told = recovery.refill(now=now())
    _tell_taken(told)
    standing = recovery.standing()
    if standing.size >= standing.needed:
        # members must find the whole ledger signed when they are answered again
        node.publish(now())
    if recovery.finish(node.identities.by_member.values(), now=now()):
        if node.hub is not None:
            node.hub.admission.cover()
        _tell_whole(recovery.standing())
        return WHOLE
    _tell_missing(recovery.standing(), told)
    return MISSING


def _from_mirror(node: Node, recovery: Recovery, url: str) -> None:
    link = HttpLink(url, timeout_s=node.settings.link_timeout_s)
    caller = Caller(node.identities.of(HUB_MEMBER), link, node.clock)
    try:
        for told in recovery.from_mirror(caller, name=url, now=node.clock.now()):
            _tell_taken(told)
    except LinkDown:
        tell(say("recover.silent", language(), name=url))
    finally:
        link.close()


def _tell_taken(told: Refilled) -> None:
    for span in told.taken:
        typer.echo(_line(span))
    for one in told.refused[:_RANGES_MAX]:
        typer.echo(f"!!  {one.index} {one.aspect} {one.kind} ({one.said or '-'} | {one.found})")


def _line(span: Span) -> str:
    return f"ok  {span.first}-{span.end - 1} {span.giver}"


def _tell_whole(standing: Standing) -> None:
    lang = language()
    tell(say("recover.whole", lang, size=standing.size))
    if standing.bodies:
        tell(say("recover.bodies", lang, n=standing.bodies))
    tell(say("recover.next", lang))


def _tell_missing(standing: Standing, told: Refilled) -> None:
    lang, missing_now = language(), standing.missing
    for first, end in missing_now.ranges[:_RANGES_MAX]:
        typer.echo(f"--  {first}-{end - 1}")
    for gap in missing_now.gaps[:_RANGES_MAX]:
        numbers = f"{gap.first}-{gap.last}"
        typer.echo(
            say("recover.gap", lang, member=gap.member, node=gap.node, lane=gap.lane, n=numbers)
        )
    tell(say("recover.missing", lang, size=standing.size, needed=standing.needed))
    if told.stopped in {"root", "several", "newer", "leaf", "again"}:
        tell(say(f"recover.stopped.{told.stopped}", lang, upto=told.upto))
    tell(say("recover.ask", lang))
    tell(say("recover.last_way", lang))
