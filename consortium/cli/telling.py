"""How commands speak: language of the terminal, refusals as sentences, the node's folder."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, ParamSpec

import typer

from consortium import words
from consortium.kernel.errors import Refusal

P = ParamSpec("P")
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
