"""Commands that set a node up, on the machine where its keys stay."""

import secrets
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import typer

from consortium import wiring
from consortium.cli.app import language, tell
from consortium.kernel.database import Database
from consortium.kernel.errors import invalid
from consortium.kernel.system import write_durably
from consortium.members import setup
from consortium.members.keyring import Keyring
from consortium.members.recovery import Recovery
from consortium.settings import NodeRole, Settings
from consortium.upkeep.revisions import migrate
from consortium.words import say

_LINK_TIMEOUT_S = 30.0


def means(recovery: Path | None) -> setup.Means:
    """What setting up needs from above its room.

    Args:
        recovery: folder for recovery pages (a USB stick, a safe); None shows them once here.

    Raises:
        Refusal: `cli.recovery_place` without a folder and without a person at a terminal: what a
            program keeps of its output would hold the recovery keys.
    """
    if recovery is None and not sys.stdin.isatty():
        raise invalid("cli.recovery_place")

    def show(made: Recovery, name: str) -> None:
        if recovery is not None:
            page = made.page(name=name, lang=language())
            write_durably(recovery / f"recovery-{made.member}.html", page.encode())
            write_durably(recovery / f"recovery-{made.member}.txt", made.text.encode())
            return
        _show_once(made, name)

    def prepare(settings: Settings) -> None:
        database = Database(settings.database_url)
        try:
            migrate(database)
        finally:
            database.close()

    return setup.Means(
        build=wiring.build,
        prepare=prepare,
        show=show,
        link_to=lambda url: wiring.HttpLink(url, timeout_s=_LINK_TIMEOUT_S),
    )


def _show_once(made: Recovery, name: str) -> None:
    """Show a recovery page until its print is confirmed; it is never written to this machine."""
    with _page_in_memory(made.page(name=name, lang=language())) as address:
        if not webbrowser.open(address):
            tell(made.terminal(name=name, lang=language()))
        while typer.prompt(say("cli.printed", language()), err=True).strip().lower() != "ok":
            tell(say("cli.print_first", language()))


@contextmanager
def _page_in_memory(page: str) -> Iterator[str]:
    """Serve one page on the loopback address, under a path that nobody can guess."""
    path, content = f"/{secrets.token_urlsafe(24)}", page.encode()

    class Once(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path == path
            self.send_response(200 if known else 404)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.send_header("cache-control", "no-store")
            self.end_headers()
            if known:
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the library
            """Say nothing: the path is a secret."""

    with HTTPServer(("127.0.0.1", 0), Once) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{path}"
        server.shutdown()


def init(home: Path, plan: Path, *, seal_file: Path, recovery: Path | None) -> None:
    """Set up a hub; prints what invites members and each member's first link."""
    founded = setup.hub_init(
        home, setup.read_plan(plan), means=means(recovery), seal_file=seal_file
    )
    typer.echo(f"hub {founded.address}")
    typer.echo(f"seal {founded.seal_file}")
    for member, link in founded.links.items():
        typer.echo(f"first {member} {founded.url}{link.path}")


def join(
    home: Path, url: str, code: str, *, port: int, passphrase_file: Path | None,
    recovery: Path | None, role: NodeRole = NodeRole.WORKSTATION,
) -> None:  # fmt: skip
    """Join with an invitation, its code asked for if need be; prints the first account's link."""
    code = code or typer.prompt(say("cli.code", language()), err=True)
    if passphrase_file is not None:
        passphrase = passphrase_file.read_text(encoding="utf-8").strip()
    else:
        passphrase = typer.prompt(
            say("cli.passphrase", language()), hide_input=True, confirmation_prompt=True, err=True
        )
    joined = setup.join(
        home, url, code, passphrase=passphrase, means=means(recovery), own={"port": port}, role=role
    )
    typer.echo(f"member {joined.member} {joined.index}")
    typer.echo(f"first {joined.member} http://127.0.0.1:{port}{joined.link.path}")


def reset(settings: Settings, login: str) -> str:
    """A one-time link for a person who is locked out."""
    database = Database(settings.database_url)
    try:
        now = wiring.SystemClock().now()
        link = setup.user_reset(database, login, keyring=Keyring(), now=now)
    finally:
        database.close()
    return f"{settings.public_url}{link.path}"
