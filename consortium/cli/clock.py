"""`consortium hub clock`: what the hub's clock says, and two persons who say that it is right."""

import sys

import typer

from consortium import audit, wiring
from consortium.cli.app import language, tell
from consortium.kernel.actor import Actor, Role
from consortium.kernel.database import Database
from consortium.kernel.errors import invalid, missing
from consortium.kernel.time import ZONE, from_ms
from consortium.ledger import journal
from consortium.members import accounts
from consortium.members.keyring import Keyring
from consortium.settings import NodeRole, Settings
from consortium.words import say

_MAY = (Role.CONSORTIUM_ADMIN, Role.HEAD, Role.MEMBER_ADMIN)


def show(settings: Settings) -> None:
    """Print this machine's time beside the last entry's.

    Raises:
        Refusal: `rights.not_here` at a workstation: only the hub's clock is the ledger's.
    """
    if settings.role is not NodeRole.HUB:
        raise missing("rights.not_here")
    database = Database(settings.database_url)
    try:
        with database.read() as session:
            size = journal.size(session)
            last = journal.leaves(session, [size - 1]).get(size - 1)
    finally:
        database.close()
    lang = language()
    now = wiring.SystemClock().now().astimezone(ZONE)
    typer.echo(f"{say('cli.clock.here', lang)} {now:%Y-%m-%d %H:%M:%S}")
    told = say("cli.clock.none", lang)
    if last is not None:
        told = f"{from_ms(journal.read_leaf(last).time_ms).astimezone(ZONE):%Y-%m-%d %H:%M:%S}"
    typer.echo(f"{say('cli.clock.last', lang)} {told}")
    tell(say("cli.clock.compare", lang))


def confirm(settings: Settings, names: tuple[str, ...]) -> None:
    """Let two persons sign in here and confirm the clock.

    Args:
        settings: the hub's.
        names: their sign-in names; whoever is not named is asked for.

    Raises:
        Refusal: `ledger.two_persons`, what signing in refuses, `rights.not_here` for a person who
            is neither head nor admin.
    """
    show(settings)
    lang = language()
    unnamed = ("first", "second")[len(names) :]
    asked = [*names[:2], *(_answer(say(f"cli.clock.{one}", lang)) for one in unnamed)]
    database = Database(settings.database_url)
    try:
        first, second = (_signed_in(database, name) for name in asked)
        if first.user == second.user:
            raise invalid("ledger.two_persons")
        _write(database, first, second)
    finally:
        database.close()
    typer.echo(say("cli.clock.confirmed", lang))


def _write(database: Database, first: Actor, second: Actor) -> None:
    now = wiring.SystemClock().now()
    with database.write() as session:
        journal.confirm_clock(session, first=first.user, second=second.user, now=now)
        audit.record(
            session,
            actor=first,
            action="ledger.clock_confirmed",
            subject=f"user:{second.user}",
            now=now,
        )


def _signed_in(database: Database, name: str) -> Actor:
    password = _answer(say("cli.clock.password", language(), name=name), hidden=True)
    now = wiring.SystemClock().now()
    with database.write() as session:
        actor = accounts.sign_in(session, name, password, keyring=Keyring(), now=now)
    actor.require(*_MAY)
    return actor


def _answer(question: str, *, hidden: bool = False) -> str:
    """What a person types; without a terminal, the next line of what is piped in."""
    if sys.stdin.isatty():
        return str(typer.prompt(question, hide_input=hidden, err=True))
    tell(question)
    return sys.stdin.readline().strip()
