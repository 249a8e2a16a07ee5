"""The house: small files and functions, no dead rooms, the clock read at doors and faces only."""

import ast
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from tests.support.source import ROOT, calls, product_files, syntax, tracked

LINES_MAX = 400
FUNCTION_LINES_MAX = 50
TEXT = {
    "", ".cfg", ".conf", ".css", ".html", ".ini", ".js", ".json", ".md", ".py", ".service", ".sh",
    ".sql", ".svg", ".toml", ".txt", ".yaml", ".yml",
}  # fmt: skip
PYTHON = [file for file in tracked() if file.suffix == ".py"]

# Written so that this file does not hold what it forbids.
REGISTRIES = tuple(
    ".".join(parts)
    for parts in (
        ("files", "pythonhosted", "org"),
        ("pypi", "org"),
        ("registry", "npmjs", "org"),
        ("deb", "debian", "org"),
        ("proxy", "golang", "org"),
    )
)
# One letter is in brackets: a test that looks for such paths must not hold one.
MACHINE_PATH = re.compile(r"(?:^|[^\w.\-])/(?:[w]ork|[f]arm|[r]oot|[h]ome)/\w")

# Doors and faces read the clock; everything else is told the time.
CLOCK_READERS = {"main", "cli", "wiring", "web", "api", "jobs"}
CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("time", "time"), ("time", "time_ns"),
          ("time", "monotonic"), ("date", "today"), ("datetime", "today")}  # fmt: skip


def _lines(file: Path) -> int:
    return len((ROOT / file).read_text(encoding="utf-8").splitlines())


def _functions() -> Iterator[tuple[str, int]]:
    for file in PYTHON:
        for node in ast.walk(syntax(file)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                yield f"{file}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1


def test_files_are_short() -> None:
    long = {str(file): lines for file in PYTHON if (lines := _lines(file)) > LINES_MAX}
    assert long == {}


def test_functions_are_short() -> None:
    long = {name: lines for name, lines in _functions() if lines > FUNCTION_LINES_MAX}
    assert long == {}


def _committed_text() -> Iterator[tuple[Path, str]]:
    for file in tracked():
        if file.suffix in TEXT:
            yield file, (ROOT / file).read_text(encoding="utf-8")


def test_no_file_names_a_package_registry() -> None:
    found = [
        f"{file}: {name}" for file, text in _committed_text() for name in REGISTRIES if name in text
    ]
    assert found == []


def test_no_file_names_a_path_of_one_machine() -> None:
    found = [
        f"{file}: {line.strip()[:80]}"
        for file, text in _committed_text()
        for line in text.splitlines()
        if MACHINE_PATH.search(line) or str(Path.home()) + "/" in line
    ]
    assert found == []


def test_no_code_of_others_is_committed() -> None:
    others = re.compile(r"\.min\.(js|css)$|(^|/)(node_modules|vendor)/")
    assert [str(file) for file in tracked() if others.search(str(file))] == []


# ---------------------------------------------------------------- callers


# "consortium.main:app" is how a server is told what to load
LOADED_BY_NAME = re.compile(r"^(?:adapters|chain|consortium)(?:\.\w+)+(?=:\w+$|$)")


def _module(file: Path) -> str:
    parts = file.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(syntax(file)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # "consortium.main:app" is how a server is told what to load
            yield from re.findall(
                r"^(?:adapters|chain|consortium)(?:\.\w+)+(?=:\w+$|$)", node.value
            )


def _entrances() -> set[str]:
    scripts = re.findall(r'= "([\w.]+):\w+"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    revisions = {
        _module(file) for file in product_files() if file.parts[:2] == ("consortium", "migrations")
    }
    return {*scripts, *revisions}


def test_each_module_has_a_caller_outside_tests() -> None:
    files = {_module(file): file for file in product_files() if file.name != "__main__.py"}
    called = set(
        chain.from_iterable(
            (name for name in _imported(file) if name != _module(file)) for file in product_files()
        )
    )
    # a package is there for what is in it
    called |= {name.rpartition(".")[0] for name in files}
    assert sorted(files.keys() - called - _entrances()) == []


# ---------------------------------------------------------------- time and errors


def test_the_clock_is_read_at_doors_and_faces_only() -> None:
    readers = [
        f"{file}:{call.lineno}"
        for file in product_files()
        if file.parts[0] == "consortium" and Path(file.parts[1]).stem not in CLOCK_READERS
        for call in calls(file)
        if isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and (call.func.value.id, call.func.attr) in CLOCKS
    ]
    assert readers == []


def test_only_doors_catch_everything() -> None:
    catchers = [
        f"{file}:{node.lineno}"
        for file in product_files()
        if Path(file.parts[1]).stem not in CLOCK_READERS | {"__main__"}
        for node in ast.walk(syntax(file))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "Exception"))
    ]
    assert catchers == []


@pytest.mark.parametrize("package", ["adapters", "chain", "consortium"])
def test_the_packages_say_that_they_are_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
