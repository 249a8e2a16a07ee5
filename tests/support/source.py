"""The project's own files as text and as syntax, for tests that hold a rule over all of them."""

import ast
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("adapters", "chain", "consortium")


@cache
def tracked() -> tuple[Path, ...]:
    """Files that are committed or about to be, relative to the root."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT,
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return tuple(sorted(_exported()))
    names = filter(None, listed.stdout.decode().split("\0"))
    return tuple(Path(name) for name in sorted(names) if (ROOT / name).is_file())


def _exported() -> Iterator[Path]:
    """The files of a tree without its history: all but what .gitignore names."""
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    for file in ROOT.rglob("*"):
        inside = file.relative_to(ROOT)
        places = [f"{parent.as_posix()}/" for parent in inside.parents] + [file.name]
        if file.is_file() and not any(
            fnmatch(place, pattern) or place.endswith(f"/{pattern}")
            for place in places
            for pattern in ignored
        ):
            yield inside


@cache
def syntax(file: Path) -> ast.Module:
    """The syntax tree of a Python file, relative to the root."""
    return ast.parse((ROOT / file).read_text(encoding="utf-8"), filename=str(file))


def product_files() -> list[Path]:
    """The Python files of the three packages."""
    return [file for file in tracked() if file.suffix == ".py" and file.parts[0] in PACKAGES]


def called_name(node: ast.Call) -> str:
    """The last word of what is called: `errors.invalid(...)` is `invalid`."""
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def calls(file: Path) -> Iterator[ast.Call]:
    """Every call in a file."""
    return (node for node in ast.walk(syntax(file)) if isinstance(node, ast.Call))
