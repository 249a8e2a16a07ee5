"""`consortium`: one command each to set up, run, check and try."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from consortium import words
from consortium.cli.hub_commands import hub_app
from consortium.cli.telling import Home, language, tell, told
from consortium.settings import Settings

__all__ = ["app", "language", "tell"]

DEMO_PORT = 8000
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
workstation_app = typer.Typer(no_args_is_help=True, help="A member's workstation.")
user_app = typer.Typer(no_args_is_help=True, help="People, from the machine itself.")
ledger_app = typer.Typer(no_args_is_help=True, help="Evidence.")
contract_app = typer.Typer(no_args_is_help=True, help="Terms in plain words.")
fhir_app = typer.Typer(no_args_is_help=True, help="Records as FHIR.")
app.add_typer(hub_app, name="hub")
app.add_typer(workstation_app, name="workstation")
app.add_typer(user_app, name="user")
app.add_typer(ledger_app, name="ledger")
app.add_typer(contract_app, name="contract")
app.add_typer(fhir_app, name="fhir")


@app.command()
@told
def serve(
    home: Home,
    workers: Annotated[
        int | None, typer.Option(help="web processes of a hub on PostgreSQL", min=1, max=64)
    ] = None,
) -> None:
    """Serve a node until it is told to stop."""
    from consortium.main import serve as run

    own = {} if workers is None else {"web_processes": workers}
    run(Settings.read(home, **own))


@app.command("open")
@told
def open_(home: Home) -> None:
    """Open the node's page, starting the node if need be; what a desktop shortcut calls."""
    from consortium.cli.opening import open_page

    raise typer.Exit(open_page(home))


@app.command()
@told
def autostart(home: Home) -> None:
    """Make the node start with the PC and put a shortcut on the desktop."""
    from consortium.cli.autostart import install

    for place in install(Settings.read(home)):
        typer.echo(place)


@app.command()
@told
def doctor(home: Home) -> None:
    """Check clock, disk, keys, link, ledger, migrations; say what to do. Exit 1 if not well."""
    from consortium.cli.care import examine

    raise typer.Exit(examine(Settings.read(home)))


@app.command()
@told
def upgrade(home: Home) -> None:
    """Back up, bring the database to this release, check; go back on failure."""
    from consortium.migrations import NEEDED
    from consortium.upkeep import service

    before = service.upgrade(Settings.read(home))
    typer.echo(f"{before or '-'} {NEEDED}")


@app.command()
@told
def backup(file: Path, home: Home) -> None:
    """Write a backup of a running or stopped node, sealed to its recovery key."""
    from consortium.cli.care import back_up

    typer.echo(back_up(Settings.read(home), file))


@app.command()
@told
def restore(
    file: Path,
    home: Home,
    recovery: Annotated[Path, typer.Option(help="The recovery page, or its text; - reads stdin.")],
) -> None:
    """Put a backup into an empty folder, opened with the recovery key."""
    from consortium.cli.care import put_back

    text = sys.stdin.read() if str(recovery) == "-" else recovery.read_text("utf-8", "replace")
    put_back(file, home, recovery_text=text)
    typer.echo(words.say("cli.restored", language(), home=home))


@app.command()
@told
def demo(
    check: Annotated[bool, typer.Option("--check", help="Walk the journeys and count.")] = False,  # noqa: FBT002
    port: Annotated[
        int | None, typer.Option(help="The hub's port, three more follow; default: 8000, or free.")
    ] = None,
    keep: Annotated[Path | None, typer.Option(help="Folder to keep; default: a new one.")] = None,
) -> None:
    """Start a hub, two clinics and a mirror to try, or (--check) prove that the journeys hold."""
    if check:
        from consortium.cli.check import run_check

        raise typer.Exit(run_check(port=port, keep=keep))
    from consortium.cli.demo import run_demo

    raise typer.Exit(run_demo(port=port or DEMO_PORT, home=keep or Path(".demo")))


@workstation_app.command("join")
@told
def workstation_join(
    url: str,
    code: str,
    home: Home,
    port: Annotated[int, typer.Option(help="Port of this node's pages.")] = 8000,
    passphrase_file: Annotated[
        Path | None, typer.Option(help="File with the seal's passphrase; else it is asked.")
    ] = None,
    recovery: Annotated[Path | None, typer.Option(help="Folder for the recovery page.")] = None,
) -> None:
    """Join a consortium with an invitation's address and code."""
    from consortium.cli.setup import join

    join(home, url, code, port=port, passphrase_file=passphrase_file, recovery=recovery)


@app.command()
@told
def mirror(
    url: str,
    home: Home,
    code: Annotated[str, typer.Argument(help="The invitation's code; else it is asked.")] = "",
    port: Annotated[int, typer.Option(help="Port of this node's pages.")] = 8000,
    passphrase_file: Annotated[
        Path | None, typer.Option(help="File with the seal's passphrase; else it is asked.")
    ] = None,
    recovery: Annotated[Path | None, typer.Option(help="Folder for the recovery page.")] = None,
) -> None:
    """Join as a regulator: a node that keeps the whole ledger and replays every entry."""
    from consortium.cli.setup import join
    from consortium.settings import NodeRole

    join(
        home, url, code, port=port, passphrase_file=passphrase_file, recovery=recovery,
        role=NodeRole.MIRROR,
    )  # fmt: skip


@workstation_app.command("evidence")
@told
def workstation_evidence(file: Path, home: Home) -> None:
    """Write what this node kept of the ledger into a file, for a hub that lost it; print how many.

    Bodies stay sealed. A running node is not disturbed; a mirror's command as well.
    """
    from consortium.cli.recover import evidence

    typer.echo(evidence(Settings.read(home), file))


@user_app.command("reset")
@told
def user_reset(name: str, home: Home) -> None:
    """A one-time link for a person who cannot get in any more; audited."""
    from consortium.cli.setup import reset

    typer.echo(reset(Settings.read(home), name))


@ledger_app.command("receipt")
@told
def ledger_receipt(file: Path, home: Home) -> None:
    """Check a receipt file against the policy in force; exit 1 when it does not hold."""
    from consortium.cli.care import check_receipt

    raise typer.Exit(check_receipt(Settings.read(home), file))


@ledger_app.command("export")
@told
def ledger_export(folder: Path, home: Home) -> None:
    """Write the log into a folder for outsiders; again, it adds what is new.

    Entries say who wrote to whom, and when: the folder is for auditors, not for the web.
    """
    from consortium.cli.ledger import export

    export(Settings.read(home), folder)


@ledger_app.command("verify")
@told
def ledger_verify(home: Home) -> None:
    """Check the ledger's database against itself, guard and receipts; exit 1 if anything differs.

    The first line names the lowest entry in doubt, the table and the column. A running node is not
    disturbed.
    """
    from consortium.cli.ledger import check

    raise typer.Exit(check(Settings.read(home)))


@ledger_app.command("compare")
@told
def ledger_compare(file: Path, home: Home) -> None:
    """Hold a checkpoint or receipt from elsewhere against this node's ledger; exit 1 if it differs.

    What differs is kept as evidence.
    """
    from consortium.cli.evidence import compare

    raise typer.Exit(compare(Settings.read(home), file))


@ledger_app.command("evidence")
@told
def ledger_evidence(folder: Path, home: Home) -> None:
    """Write all evidence against the ledger into a folder, for the regulator; print how many."""
    from consortium.cli.evidence import export

    typer.echo(export(Settings.read(home), folder))


@contract_app.command("show")
@told
def contract_show(contract: str, home: Home) -> None:
    """A contract that this node holds, clause by clause in plain words."""
    from consortium.cli import terms

    terms.show(Settings.read(home), contract)


@contract_app.command("lint")
@told
def contract_lint(file: Path, home: Home) -> None:
    """Check terms in a file; exit 1 when they contradict themselves."""
    from consortium.cli import terms

    raise typer.Exit(terms.lint(Settings.read(home), file))


@fhir_app.command("export")
@told
def fhir_export(folder: Path, home: Home) -> None:
    """Write every resource that this node sent or received, one JSON file each; audited."""
    from consortium.cli.export import export

    bodies, resources = export(Settings.read(home), folder)
    typer.echo(f"{bodies} {resources}")


if __name__ == "__main__":
    app()
