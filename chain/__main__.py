"""Evidence without the product: make keys, check receipts and whole logs, witness, mirror.

    python -m chain keygen NAME [--out FILE]
    python -m chain receipt FILE --policy POLICY
    python -m chain verify DIR --policy POLICY [--json]
    python -m chain witness DIR --policy POLICY --key KEY [--listen HOST:PORT]
    python -m chain mirror DIR --policy POLICY --key KEY [--listen HOST:PORT]
    python -m chain mirror URL DIR --policy POLICY [--key KEY] [--every SECONDS]
    python -m chain push DIR URL [--policy POLICY]

A witness or mirror begins once, with `--new NAME`, which makes its key and its state together; with
a lost state a key never signs again. A policy names the logs. Nothing else reaches the network.

Exit codes: 0 it holds, 1 it is refused, 2 it could not be tried.
"""

import argparse
import errno
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from chain import keeping, policy, receipt, store, verify
from chain.encoding import b64
from chain.errors import ChainError
from chain.note import SigningKey
from chain.policy import Policy


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    given = _parser().parse_args(argv)
    try:
        return int(_COMMANDS[given.command](given))
    except OSError as fault:
        print(f"Not tried: {fault.strerror or fault}: {fault.filename or ''}", file=sys.stderr)
        return 2
    except ChainError as fault:
        print(f"REFUSED. {fault} ({fault.code})")
        return 1
    except KeyboardInterrupt:
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m chain", description=__doc__.split("\n", 1)[0])
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("keygen", help="make an Ed25519 log key")
    make.add_argument("name", help="name of the key: the origin of the log")
    make.add_argument("--out", type=Path, help="write the private key to this new file")
    check = commands.add_parser("receipt", help="check a receipt against a policy")
    check.add_argument("file", type=Path)
    whole = commands.add_parser("verify", help="check a whole log in a folder, from its entries up")
    whole.add_argument("folder", type=Path, metavar="DIR")
    whole.add_argument("--json", action="store_true", help="say it as one JSON object")
    watch = commands.add_parser("witness", help="cosign what extends what was seen, over HTTP")
    watch.add_argument("places", nargs=1, metavar="DIR", help="folder of its state")
    copy = commands.add_parser("mirror", help="keep and cosign logs that are pushed, or pull one")
    copy.add_argument("places", nargs="+", metavar="[URL] DIR")
    copy.add_argument("--every", type=float, metavar="SECONDS", help="pull again and again")
    push = commands.add_parser("push", help="hand the log in a folder to a witness or mirror")
    push.add_argument("folder", type=Path, metavar="DIR")
    push.add_argument("url", metavar="URL")
    for command in (check, whole, watch, copy):
        command.add_argument("--policy", type=Path, required=True)
    push.add_argument(
        "--policy", type=Path, help="put the lines of its witnesses on the checkpoint"
    )
    for command in (watch, copy):
        command.add_argument("--key", type=Path, required=command is watch)
        command.add_argument("--new", metavar="NAME", help="make key and state, and end")
        command.add_argument("--listen", default="127.0.0.1:8080", metavar="HOST:PORT")
    return parser


def _policy(given: argparse.Namespace) -> Policy:
    return policy.parse(given.policy.read_bytes())


def _keygen(given: argparse.Namespace) -> int:
    out: Path | None = given.out
    key = SigningKey.make(given.name)
    if out is None:
        print(key.text)
    else:
        keeping.write_secret(out, key.text + "\n")
    print(key.verifier.text)
    return 0


def _receipt(given: argparse.Namespace) -> int:
    checked = receipt.verify(given.file.read_bytes(), _policy(given))
    head, leaf = checked.trusted.checkpoint, checked.leaf
    taken = datetime.fromtimestamp(leaf.time_ms / 1000, UTC).isoformat(timespec="milliseconds")
    print(f"The log {head.origin} has signed a tree of {head.size} entries; its key is trusted.")
    print(f"Cosigned by {len(checked.trusted.cosigners)} of the policy's witnesses; enough.")
    print(f"Entry {checked.index} is in that tree: {len(checked.receipt.proof)} hashes lead to it.")
    print(f"The log took it at {taken} and answered: {leaf.verdict}")
    print("VERIFIED.")
    return 0


def _verify(given: argparse.Namespace) -> int:
    root: Path = given.folder
    if not root.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(root))
    report = verify.check(store.Folder(root), _policy(given))
    if given.json:
        print(json.dumps(_facts(report), ensure_ascii=False))
        return 0 if report.holds else 1
    if report.trusted is not None:
        head = report.trusted.checkpoint
        print(
            f"The log {head.origin} has signed a tree of {head.size} entries; its key is trusted."
        )
        print(f"Cosigned by {len(report.trusted.cosigners)} of the policy's witnesses; enough.")
    if report.beyond:
        print(f"{report.beyond} files belong to a later checkpoint and were not judged.")
    for problem in report.problems:
        place = "" if problem.index is None else f"entry {problem.index}: "
        print(f"REFUSED. {place}{problem.sentence} ({problem.code})")
    if report.holds:
        print(f"All {report.entries} entries lead to the signed root; {report.files} files read.")
        print("VERIFIED.")
    return 0 if report.holds else 1


def _facts(report: verify.Report) -> dict[str, object]:
    head = None if report.trusted is None else report.trusted.checkpoint
    return {
        "holds": report.holds,
        "origin": None if head is None else head.origin,
        "size": None if head is None else head.size,
        "root": None if head is None else b64(head.root),
        "cosigners": {} if report.trusted is None else dict(report.trusted.cosigners),
        "files": report.files,
        "beyond": report.beyond,
        "first_bad_index": next(
            (one.index for one in report.problems if one.index is not None), None
        ),
        "problems": [asdict(problem) for problem in report.problems],
    }


def _witness(given: argparse.Namespace) -> int:
    keeper = keeping.witness(Path(given.places[0]), _policy(given), given.key)
    if given.new is not None:
        return _begin(keeper, given.new)
    with closing(keeper.open()):
        return _serve(keeper.witness(), given.listen)


def _mirror(given: argparse.Namespace) -> int:
    if len(given.places) > 2:
        raise OSError(errno.EINVAL, "Give a folder, or an address and a folder")
    *url, place = given.places
    rules = _policy(given)
    keeper = keeping.mirror(Path(place), rules, given.key, pulled=bool(url))
    if given.new is not None:
        return _begin(keeper, given.new)
    if not url and given.key is None:
        raise OSError(errno.EINVAL, "A mirror that is pushed to needs a key")
    with closing(keeper.open()):
        return _pull(keeper, url[0], given.every) if url else _serve(keeper.mirror(), given.listen)


def _begin(keeper: keeping.Keeper, name: str) -> int:
    for key in keeper.begin(name):
        print(key.text)
    return 0


def _serve(role: keeping.Role, listen: str) -> int:
    from chain import doors

    host, _, port = listen.rpartition(":")
    with doors.Server(role, host=host or "127.0.0.1", port=int(port)) as server:
        print(f"Listening on {server.url}", flush=True)
        server.serve_forever()
    return 0


def _pull(keeper: keeping.Keeper, url: str, every_s: float | None) -> int:
    from chain import doors

    role = keeper.mirror()
    while True:
        with closing(doors.Remote(url)) as remote:
            try:
                head = keeper.pull(role, remote.fetch, now_s=int(time.time()))
                print(f"Kept {head.size} entries of {head.origin}, all of them proven.", flush=True)
            except OSError as fault:
                if every_s is None:
                    raise
                print(f"Not reached: {fault.strerror or fault}", file=sys.stderr, flush=True)
        if every_s is None:
            return 0
        time.sleep(every_s)


def _push(given: argparse.Namespace) -> int:
    from chain import doors

    folder = store.Folder(given.folder)
    known = [] if given.policy is None else list(_policy(given).witnesses.values())
    with closing(doors.Remote(given.url)) as remote:
        pushed = keeping.push(folder, remote.post, known)
    print(pushed.lines.decode(), end="")
    if given.policy is not None:
        print(f"{pushed.added} lines of the policy's witnesses are on the checkpoint now.")
    return 0


_COMMANDS = {
    "keygen": _keygen,
    "receipt": _receipt,
    "verify": _verify,
    "witness": _witness,
    "mirror": _mirror,
    "push": _push,
}

if __name__ == "__main__":
    sys.exit(main())
