"""Evidence without the product: make a log key, check a receipt.

    python -m chain keygen NAME [--out FILE]
    python -m chain receipt FILE --policy POLICY

Exit codes: 0 it holds, 1 it is refused, 2 it could not be tried.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from chain import policy, receipt
from chain.errors import ChainError
from chain.note import SigningKey


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m chain", description=__doc__.split("\n", 1)[0])
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("keygen", help="make an Ed25519 log key")
    make.add_argument("name", help="name of the key: the origin of the log")
    make.add_argument("--out", type=Path, help="write the private key to this new file")
    check = commands.add_parser("receipt", help="check a receipt against a policy")
    check.add_argument("file", type=Path)
    check.add_argument("--policy", type=Path, required=True)
    given = parser.parse_args(argv)
    try:
        if given.command == "keygen":
            return _keygen(given.name, given.out)
        return _receipt(given.file.read_bytes(), given.policy.read_bytes())
    except OSError as fault:
        print(f"Not tried: {fault.strerror}: {fault.filename}", file=sys.stderr)
        return 2
    except ChainError as fault:
        print(f"REFUSED. {fault} ({fault.code})")
        return 1


def _keygen(name: str, out: Path | None) -> int:
    key = SigningKey.make(name)
    if out is None:
        print(key.text)
    else:
        number = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "w", encoding="utf-8", newline="\n") as file:
            file.write(key.text + "\n")
            file.flush()
            os.fsync(file.fileno())
    print(key.verifier.text)
    return 0


def _receipt(data: bytes, rules: bytes) -> int:
    checked = receipt.verify(data, policy.parse(rules))
    head, leaf = checked.trusted.checkpoint, checked.leaf
    taken = datetime.fromtimestamp(leaf.time_ms / 1000, UTC).isoformat(timespec="milliseconds")
    print(f"The log {head.origin} has signed a tree of {head.size} entries; its key is trusted.")
    print(f"Cosigned by {len(checked.trusted.cosigners)} of the policy's witnesses; enough.")
    print(f"Entry {checked.index} is in that tree: {len(checked.receipt.proof)} hashes lead to it.")
    print(f"The log took it at {taken} and answered: {leaf.verdict}")
    print("VERIFIED.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
