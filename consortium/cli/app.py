"""`consortium`: one command each to set up, run, check and try."""

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, ParamSpec

import typer

from consortium import words
from consortium.kernel.errors import Refusal
from consortium.settings import Settings

P = ParamSpec("P")
DEMO_PORT = 8000
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
hub_app = typer.Typer(no_args_is_help=True, help="The hub at the city hospital.")
workstation_app = typer.Typer(no_args_is_help=True, help="A member's workstation.")
user_app = typer.Typer(no_args_is_help=True, help="People, from the machine itself.")
log_key_app = typer.Typer(no_args_is_help=True, help="The key that signs the ledger.")
ledger_app = typer.Typer(no_args_is_help=True, help="Evidence.")
contract_app = typer.Typer(no_args_is_help=True, help="Terms in plain words.")
fhir_app = typer.Typer(no_args_is_help=True, help="Records as FHIR.")
app.add_typer(hub_app, name="hub")
hub_app.add_typer(log_key_app, name="log-key")
app.add_typer(workstation_app, name="workstation")
app.add_typer(user_app, name="user")
app.add_typer(ledger_app, name="ledger")
app.add_typer(contract_app, name="contract")
app.add_typer(fhir_app, name="fhir")

Home = Annotated[Path, typer.Option("--home", envvar="CONSORTIUM_HOME", help="The node's folder.")]


def tell(text: str) -> None:
    """Say something to a person."""
    typer.echo(text, err=True)


def language() -> str:
    """The terminal's language: Chinese unless the locale says otherwise."""
    import os

    named = os.environ.get("LC_ALL") or os.environ.get("LANG") or "zh"
    return "zh" if named.startswith(("zh", "C", "POSIX")) else "en"


def told(command: Callable[P, None]) -> Callable[P, None]:
    """A refusal becomes its three sentences and exit code 1."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except Refusal as refusal:
            for sentence in words.refusal(refusal.code, language(), **refusal.facts):
                tell(sentence)
            tell(f"({refusal.code})")
            raise typer.Exit(1) from None
        except (FileNotFoundError, IsADirectoryError, PermissionError) as fault:
            named = {"name": fault.filename, "reason": fault.strerror}
            for sentence in words.refusal("system.file", language(), **named):
                tell(sentence)
            tell("(system.file)")
            raise typer.Exit(1) from None

    return run


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


@hub_app.command("init")
@told
def hub_init(
    home: Home,
    plan: Annotated[Path, typer.Option(help="Settings file (TOML) of the new hub.")],
    seal: Annotated[Path, typer.Option(help="Where the consortium's seal is written to leave.")],
    recovery: Annotated[Path | None, typer.Option(help="Folder for the recovery pages.")] = None,
) -> None:
    """Set up a hub with its consortium and lead hospital; refuses a folder in use."""
    from consortium.cli.setup import init

    init(home, plan, seal_file=seal, recovery=recovery)


@hub_app.command("clock")
@told
def hub_clock(
    home: Home,
    confirm: Annotated[bool, typer.Option("--confirm", help="Two persons sign.")] = False,  # noqa: FBT002
    person: Annotated[list[str] | None, typer.Option(help="Sign-in name; twice.")] = None,
) -> None:
    """Show the hub's clock beside the ledger's; with --confirm two persons say it is right."""
    from consortium.cli import clock

    if confirm:
        clock.confirm(Settings.read(home), tuple(person or ()))
    else:
        clock.show(Settings.read(home))


@hub_app.command("recover")
@told
def hub_recover(
    home: Home,
    mirror: Annotated[list[str] | None, typer.Option(help="A mirror's address.")] = None,
    file: Annotated[list[Path] | None, typer.Option(help="A node's file of evidence.")] = None,
) -> None:
    """Fill a lost ledger again from guard, mirrors and files; exit 3 while entries are missing.

    The node is stopped. Run it again at any point.
    """
    from consortium.cli.recover import recover

    raise typer.Exit(recover(Settings.read(home), mirrors=mirror or (), files=file or ()))


@hub_app.command("policy")
@told
def hub_policy(
    home: Home,
    file: Annotated[Path | None, typer.Argument(help="A tlog-policy; without it: show.")] = None,
    seal: Annotated[Path | None, typer.Option(help="The consortium's seal file.")] = None,
) -> None:
    """Put a trust policy (log keys, witnesses, quorum) in force under the consortium's seal."""
    from consortium.cli import policy

    if file is None or seal is None:
        policy.show(Settings.read(home))
    else:
        policy.put(Settings.read(home), file, seal=seal)


Keys = Annotated[Path | None, typer.Option(help="The signer's folder; default: the node's own.")]


@hub_app.command("signer")
@told
def hub_signer(
    keys: Annotated[Path, typer.Option(help="Folder that holds log.key, and nothing else.")],
    address: Annotated[str, typer.Option("--socket", help="Where publishers connect.")],
) -> None:
    """Sign checkpoints for a hub whose own process never sees the key (setting log_signer)."""
    from consortium.cli.log_key import sign

    sign(keys, address)


@log_key_app.command("show")
@told
def log_key_show(home: Home) -> None:
    """The public keys that sign now."""
    from consortium.cli import log_key

    log_key.show(Settings.read(home))


@log_key_app.command("add")
@told
def log_key_add(home: Home, keys: Keys = None) -> None:
    """Make the key that is to follow; both sign from the next start on. The node is stopped."""
    from consortium.cli import log_key

    log_key.add(Settings.read(home), keys or home)


@log_key_app.command("retire")
@told
def log_key_retire(home: Home, keys: Keys = None) -> None:
    """End the old key once every member's policy names the new one. The node is stopped."""
    from consortium.cli import log_key

    log_key.retire(Settings.read(home), keys or home)


@log_key_app.command("lock")
@told
def log_key_lock(home: Home, keys: Keys = None) -> None:
    """Put the key files under a passphrase. The node is stopped."""
    from consortium.cli import log_key

    log_key.lock(Settings.read(home), keys or home)


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
