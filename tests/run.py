"""Runs the groups of the suite one after another and ends with one line of totals."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

OUTCOMES = ("passed", "failed", "errors", "skipped", "xfailed", "xpassed")
CLOSING = re.compile(r"^=*\s?(?:no tests ran|\d+ \w+(?:, \d+ \w+)*) in [\d.]+s.*$")
NO_TESTS_COLLECTED = 5

# A test belongs to the costliest group that one of its marks names.
MARKS = {
    "unit": "unit",
    "postgres": "postgres and not (simulation or process or browser or slow)",
    "processes": "process and not (browser or slow)",
    "simulation": "simulation and not (process or browser or slow)",
    "browser": "browser and not slow",
    "soak": "slow",
}
# The mark that names each file of a group; the other groups are found anywhere.
NAMED = {"processes": "process", "simulation": "simulation", "browser": "browser"}
# Tests that start processes or a browser share them by file.
SPREAD = {
    "unit": ("--dist=worksteal",),
    "postgres": ("--dist=worksteal",),
    "processes": ("--dist=loadfile",),
    "browser": ("--dist=loadfile",),
}
TESTS = Path(__file__).parent
IN_MEMORY, ROOM_BYTES = Path("/dev/shm"), 3_000_000_000
CHECKS = (
    ("ruff", "check", "--quiet", "."),
    ("ruff", "format", "--check", "--quiet", "."),
    ("mypy",),
    ("lint-imports",),
)


@dataclass
class Tally:
    """What one group came to."""

    group: str
    seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    ok: bool = True


def _check() -> Tally:
    tally = Tally("check")
    scripts = Path(sys.executable).parent
    for command in CHECKS:
        print(f"-- {' '.join(command)}", flush=True)
        passed = subprocess.call([str(scripts / command[0]), *command[1:]]) == 0
        tally.counts["passed" if passed else "failed"] += 1
        tally.ok = tally.ok and passed
    return tally


def places(group: str) -> list[str]:
    """Where the tests of a group lie: to import all the others would take longer than some run."""
    if group not in NAMED:
        return []
    # a set of parameters with its marks may come from a helper beside the tests
    named = [
        file
        for file in sorted(TESTS.rglob("*.py"))
        if f"mark.{NAMED[group]}" in file.read_text(encoding="utf-8")
    ]
    return [
        str(file if file.name.startswith("test_") else file.parent)
        for file in named
        if file.name != "run.py"
    ]


def _memory() -> str | None:
    """A folder in memory where there is room: databases that tests make and leave need no disk."""
    if "TMPDIR" in os.environ or not os.access(IN_MEMORY, os.W_OK):
        return None
    return str(IN_MEMORY) if shutil.disk_usage(IN_MEMORY).free > ROOM_BYTES else None


def _pytest(group: str) -> Tally:
    workers = os.environ.get("TEST_WORKERS", "auto")
    command = [sys.executable, "-m", "pytest", "-q", "-n", workers, "-m", MARKS[group]]
    command += ["-o", "tmp_path_retention_policy=failed"]
    with tempfile.TemporaryDirectory(
        prefix="sc-tests-", dir=_memory(), ignore_cleanup_errors=True
    ) as folder:
        # as PostgreSQL's own user the server walks to its folder in here
        Path(folder).chmod(0o711)
        return _followed(
            group, [*command, *SPREAD.get(group, ()), *places(group)], {"TMPDIR": folder}
        )


def _followed(group: str, command: list[str], more: dict[str, str]) -> Tally:
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, encoding="utf-8", env={**os.environ, **more}
    )
    assert process.stdout is not None
    closing = ""
    for line in process.stdout:
        if CLOSING.match(line.strip()):
            closing = line
        else:
            print(line, end="", flush=True)
    tally = Tally(group, ok=process.wait() in (0, NO_TESTS_COLLECTED))
    for number, outcome in re.findall(r"(\d+) (\w+)", closing):
        name = "errors" if outcome == "error" else outcome
        if name in tally.counts:
            tally.counts[name] += int(number)
    return tally


def _words(counts: dict[str, int]) -> str:
    shown = {name: n for name, n in counts.items() if n or name in ("passed", "failed")}
    return ", ".join(f"{n} {name}" for name, n in shown.items())


def main(groups: list[str]) -> int:
    """Run the named groups; 0 when all of them are green."""
    tallies = []
    for group in groups:
        print(f"\n== {group}", flush=True)
        started = time.monotonic()
        tally = _check() if group == "check" else _pytest(group)
        tally.seconds = time.monotonic() - started
        tallies.append(tally)
    print()
    for tally in tallies:
        mark = "ok" if tally.ok else "NOT OK"
        print(f"{tally.group:12} {tally.seconds:7.1f} s  {mark:6}  {_words(tally.counts)}")
    total = {name: sum(tally.counts[name] for tally in tallies) for name in OUTCOMES}
    ok = all(tally.ok for tally in tallies)
    if not ok and not total["failed"] and not total["errors"]:
        total["errors"] = 1
    print(f"{_words(total)} in {sum(tally.seconds for tally in tallies):.1f}s")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
