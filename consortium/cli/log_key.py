"""`consortium hub log-key` and `consortium hub signer`: the keys that sign the ledger."""

import os
import sys
from pathlib import Path

import typer

from consortium import words
from consortium.cli.app import language, tell
from consortium.kernel.database import Database
from consortium.kernel.errors import invalid
from consortium.ledger import keys, policies, signing
from consortium.settings import Settings
from consortium.upkeep.service import serving
from consortium.wiring import POLICY_FILE

_MEMORY = "log-signed"
_LENGTH_MIN = 12


def show(settings: Settings) -> None:
    """Print the vkeys that sign, the log's key first."""
    held = (
        signing.remote_log_key(settings.log_signer)
        if settings.log_signer
        else keys.load_log_keys(settings.home)
    )
    for one in held.signers:
        typer.echo(one.vkey)


def add(settings: Settings, folder: Path) -> None:
    """Make the successor; print both lines that the policy must name from now on."""
    with serving(settings):
        made = keys.add_log_key(folder)
    for one in made.signers:
        typer.echo(f"log {one.vkey}")
    tell(words.say("cli.log_key.added", language()))


def retire(settings: Settings, folder: Path) -> None:
    """End the old key, once the policy names the new one."""
    database = Database(settings.database_url)
    try:
        with serving(settings), database.read() as session:
            pinned = (settings.home / POLICY_FILE).read_bytes()
            left = keys.retire_log_key(folder, policy=policies.in_force(session, pinned))
    finally:
        database.close()
    typer.echo(left.vkey)
    tell(words.say("cli.log_key.retired", language()))


def lock(settings: Settings, folder: Path) -> None:
    """Put the key files of a folder under a passphrase, asked twice or read from standard input."""
    if sys.stdin.isatty():
        secret = typer.prompt(
            words.say("cli.log_key.passphrase", language()),
            hide_input=True, confirmation_prompt=True, err=True,
        )  # fmt: skip
    else:
        secret = sys.stdin.readline().strip()
    if len(secret) < _LENGTH_MIN:
        raise invalid("ledger.passphrase_short", least=_LENGTH_MIN)
    with serving(settings):
        for name in (keys.LOG_KEY_FILE, keys.NEXT_KEY_FILE):
            if (folder / name).exists():
                keys.lock_log_key(folder / name, passphrase=secret)
    tell(words.say("cli.log_key.locked", language()))


def sign(folder: Path, address: str) -> None:
    """Serve as the signer of the key in a folder until told to stop."""
    os.umask(0o077)
    desk = signing.SignerDesk(keys.load_log_keys(folder), memory=folder / _MEMORY)
    signing.serve(address, desk, ready=lambda: typer.echo(f"signer {address}"))
