"""`consortium hub policy`: the consortium's seal says whom everybody believes about the ledger."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from sqlalchemy.orm import Session

from consortium import wiring
from consortium.cli.app import language, tell
from consortium.exchange import state
from consortium.exchange.outbox import Post
from consortium.kernel.database import Database
from consortium.kernel.errors import missing
from consortium.ledger import cosignatures, policies
from consortium.members import directory, trust
from consortium.members.keys import KeyFolder
from consortium.members.seal import Seals
from consortium.members.statements import unb64
from consortium.settings import NodeRole, Settings
from consortium.words import say


class _Unheard:
    """The running node looks by itself within seconds."""

    def notify(self) -> None:
        return


def put(settings: Settings, file: Path, *, seal: Path) -> None:
    """Check a policy file, ask for the seal's passphrase, and send it to every member.

    Args:
        settings: the hub's; the node may run meanwhile.
        file: the policy (C2SP tlog-policy).
        seal: the consortium's seal file.

    Raises:
        Refusal: `rights.not_here` at a workstation, or as `trust.send`.
    """
    if settings.role is not NodeRole.HUB:
        raise missing("rights.not_here")
    text = file.read_bytes()
    policies.lines_of(text)
    upload = seal.read_bytes()
    passphrase = ask_seal()
    identities = wiring.local_identities(settings, KeyFolder(settings.home))
    post = Post(wiring.registry(), identities, wake=_Unheard(), query=_no_query)
    database = Database(settings.database_url)
    try:
        with database.write() as session:
            queued = trust.send(
                session,
                text,
                seals=Seals(settings.home),
                passphrase=passphrase,
                upload=upload,
                post=post,
                now=wiring.SystemClock().now(),
            )
    finally:
        database.close()
    typer.echo(queued.id)


def show(settings: Settings) -> None:
    """Print the policy in force here, and a line for each witness that could be named in one."""
    database = Database(settings.database_url)
    try:
        with database.read() as session:
            pinned = (settings.home / wiring.POLICY_FILE).read_bytes()
            typer.echo(policies.in_force(session, pinned).decode(), nl=False)
            for line in known_witnesses(session):
                typer.echo(f"# {line}")
    finally:
        database.close()


def known_witnesses(session: Session) -> list[str]:
    """`witness` lines (C2SP tlog-policy) of every valid witness key that the ledger knows."""
    charter = state.read(session, "charter:")
    lines: list[str] = []
    for one in directory.members(session) if charter else ():
        member = one.member
        known = state.read(session, f"member:{member}") or {}
        several = len(known.get("witnesses", {})) > 1
        for node, kid in sorted(known.get("witnesses", {}).items()):
            key = state.read(session, f"key:{kid}")
            public = unb64(key["public"], 32) if key is not None else None
            if charter is not None and public is not None:
                name = f"{member}-{node[:8]}" if several else member
                vkey = cosignatures.vkey(charter["origin"], node, public)
                lines.append(f"witness {name} {vkey}")
    return lines


def ask_seal() -> str:
    """The passphrase of the consortium's seal; without a terminal, a line of what is piped in."""
    question = say("cli.policy.passphrase", language())
    if sys.stdin.isatty():
        return str(typer.prompt(question, hide_input=True, err=True))
    tell(question)
    return sys.stdin.readline().strip("\r\n")


def _no_query(_member: str, _name: str, _params: Mapping[str, Any]) -> None:
    return None
