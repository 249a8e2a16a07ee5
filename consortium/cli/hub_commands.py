"""`consortium hub ...`: commands of the hub at the city hospital."""

from pathlib import Path
from typing import Annotated

import typer

from consortium.cli.telling import Home, told
from consortium.settings import Settings

hub_app = typer.Typer(no_args_is_help=True, help="The hub at the city hospital.")
log_key_app = typer.Typer(no_args_is_help=True, help="The key that signs the ledger.")
hub_app.add_typer(log_key_app, name="log-key")


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
    serve: Annotated[  # noqa: FBT002
        bool, typer.Option("--serve", help="Serve, so that members give theirs by themselves.")
    ] = False,
    give_up_bodies: Annotated[  # noqa: FBT002
        bool, typer.Option("--give-up-bodies", help="Nobody has the bodies that are missing.")
    ] = False,
) -> None:
    """Fill a lost ledger again from guard, mirrors and files; exit 3 while entries are missing.

    The node is stopped. Run it again at any point.
    """
    from consortium.cli import recover

    settings = Settings.read(home)
    if give_up_bodies:
        recover.give_up_bodies(settings)
    code = recover.recover(settings, mirrors=mirror or (), files=file or ())
    if serve:
        recover.serve(settings)
    raise typer.Exit(code)


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


@hub_app.command("freeze")
@told
def hub_freeze(
    home: Home,
    seal: Annotated[Path, typer.Option(help="The consortium's seal file.")],
    as_published: Annotated[  # noqa: FBT002
        bool, typer.Option("--as-published", help="End at the last checkpoint: the key is gone.")
    ] = False,
) -> None:
    """End the log for good under the consortium's seal: its key or its hub is in wrong hands."""
    from consortium.cli.freeze import freeze

    freeze(Settings.read(home), seal=seal, as_published=as_published)


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
