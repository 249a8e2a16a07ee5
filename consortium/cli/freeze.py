"""`consortium hub freeze`: end the log under the consortium's seal, before anyone forges more."""

import time
from pathlib import Path

import typer

from consortium import wiring
from consortium.cli.app import language, tell
from consortium.cli.policy import ask_seal
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal, missing
from consortium.ledger import policies, publisher
from consortium.members import freezing
from consortium.members.seal import Seals
from consortium.settings import NodeRole, Settings
from consortium.upkeep.service import serving
from consortium.words import say

_PATIENCE_S = 20.0
_PAUSE_S = 0.25


def freeze(settings: Settings, *, seal: Path, as_published: bool) -> None:
    """Ask for the seal's passphrase, stop the log, publish its end, and say so to every node.

    It may be run again at any point.

    Args:
        settings: the hub's; the node may run meanwhile, and tells the others when it does.
        seal: the consortium's seal file.
        as_published: end at the last checkpoint; the log's key cannot sign another one.

    Raises:
        Refusal: `rights.not_here` at a workstation, or as `members.freezing`.
    """
    if settings.role is not NodeRole.HUB:
        raise missing("rights.not_here")
    upload = seal.read_bytes()
    lang = language()
    tell(say("cli.freeze.warning", lang))
    passphrase = ask_seal()
    now = wiring.SystemClock().now
    database = Database(settings.database_url)
    try:
        with database.write() as session:
            signer, size = freezing.stop(
                session, seals=Seals(settings.home), passphrase=passphrase, upload=upload, now=now()
            )
        if not as_published:
            _publish(settings)
            _wait(database, size)
        pinned = (settings.home / wiring.POLICY_FILE).read_bytes()
        with database.write() as session:
            rules = policies.in_force(session, pinned)
            made = freezing.say(
                session, signer, size=size, policy=rules, now=now(), as_published=as_published
            )
    finally:
        database.close()
    typer.echo(f"{made.origin} {made.size} {made.root.hex()}")
    tell(say("cli.freeze.done", lang, size=made.size))


def _wait(database: Database, size: int) -> None:
    """Wait for the publisher of the node that runs, some seconds at most."""
    ended = time.monotonic() + _PATIENCE_S
    while time.monotonic() < ended:
        with database.read() as session:
            last = publisher.latest(session)
        if last is not None and last.size >= size:
            return
        time.sleep(_PAUSE_S)


def _publish(settings: Settings) -> None:
    """Publish what is left where no node runs; one that runs does it by itself."""
    try:
        with serving(settings):
            node = wiring.build(settings)
            try:
                node.publish(node.clock.now())
            finally:
                node.close()
    except Refusal as refusal:
        if refusal.code != "system.running":
            raise
