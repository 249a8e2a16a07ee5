"""`make bench [ONLY=group]`: each measure as one JSON object a line on standard output.

A group is a module `bench_GROUP.py` with `run() -> Iterator[Measure]`.
"""

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import orjson

from tests.bench.measure import Measure


def groups() -> list[str]:
    """Names of the groups there are."""
    return sorted(
        file.stem.removeprefix("bench_") for file in Path(__file__).parent.glob("bench_*")
    )


def main(only: list[str]) -> int:
    """Run the named groups, or all; 1 when a goal was missed, 2 for a group that is not there."""
    strange = sorted(set(only) - set(groups()))
    if strange:
        print(f"no group {', '.join(strange)}; there are {', '.join(groups())}", file=sys.stderr)
        return 2
    missed = 0
    for group in only or groups():
        run: Callable[[], Iterator[Measure]] = import_module(f"tests.bench.bench_{group}").run
        for measure in run():
            sys.stdout.write(orjson.dumps(measure.line()).decode() + "\n")
            sys.stdout.flush()
            missed += not measure.met
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
