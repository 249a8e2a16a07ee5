"""The project's own files as text and as syntax, for tests that hold a rule over all of them."""

import ast
import subprocess
from collections.abc import Iterator
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
        # an exported tree without its history: take what its folders hold
        names = [str(file.relative_to(ROOT)) for file in ROOT.rglob("*") if file.is_file()]
        listed_names = [name for name in names if not name.startswith((".venv", "node_modules"))]
    else:
        listed_names = listed.stdout.decode().split("\0")
    return tuple(Path(name) for name in sorted(listed_names) if name and (ROOT / name).is_file())


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
