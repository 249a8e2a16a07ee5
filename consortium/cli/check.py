"""`consortium demo --check`: four processes, three journeys, three kills, and what must hold then.

Prints one JSON line, counted from the databases; what failed goes to stderr.
"""

import json
import shutil
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import httpx2
import typer

from consortium.cli import check_walk
from consortium.cli.app import tell
from consortium.cli.check_http import CheckError
from consortium.cli.check_nodes import NODES, Nodes, free_ports, running
from consortium.cli.demo import READY, refuse_taken_ports
from consortium.exchange import state
from consortium.kernel.errors import Refusal, conflict
from consortium.kernel.system import write_durably

_REST_S = 30.0
_LINES_SHOWN = 5


def run_check(*, port: int | None, keep: Path | None) -> int:
    """Walk the journeys in a new consortium; 0 when all holds, else 1.

    Args:
        port: the hub's; three more follow. None picks three that are free.
        keep: an empty or new folder that stays; None uses one that is removed.

    Raises:
        Refusal: `system.port`, `demo.folder`.
    """
    started = time.monotonic()
    if port is not None:
        refuse_taken_ports(port)
    if keep is not None and keep.exists() and any(keep.iterdir()):
        raise conflict("demo.folder")
    folder = Path(tempfile.mkdtemp(prefix="consortium-check-"))
    home = (keep or folder / "nodes").absolute()
    try:
        line = _run(home, port if port is not None else free_ports())
    except (CheckError, Refusal, httpx2.HTTPError) as fault:
        _tell_fault(home, fault)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    line["seconds"] = round(time.monotonic() - started, 1)
    typer.echo(json.dumps(line))
    return 0


def _run(home: Path, port: int) -> dict[str, object]:
    """The figures of a whole run; leaves a folder that `consortium demo` can go on with."""
    with running(home, port=port, mirror=True) as nodes:
        check_walk.contract(nodes)
        killed = check_walk.referral(nodes)
        check_walk.slots_and_records(nodes)
        nodes.books.rest(within_s=_REST_S)
        counts = nodes.books.count()
        journeys = _journeys(nodes)
    write_durably(home / READY, str(port).encode())
    if missing := sorted(name for name, whole in journeys.items() if not whole):
        raise CheckError(f"the ledger does not show these journeys to their end: {missing}")
    return {"journeys": len(journeys), **asdict(counts), "killed_at": killed}


def _journeys(nodes: Nodes) -> dict[str, bool]:
    """Which journeys the hub's shared state shows to their end."""
    with nodes.books.read(nodes.books.hub) as session:
        contracts = [value for _, value in state.scan(session, "contract:")]
        cases = [value for _, value in state.scan(session, "case:")]
    seen = {(value.get("topic"), value.get("state")) for value in cases}
    return {
        "contract": bool(contracts) and all(value["version"] == 1 for value in contracts),
        "referral": {("referral", one) for one in ("closed", "declined", "cancelled")} <= seen,
        "slots and records": {
            ("booking", "booked"), ("record", "released"), ("record", "refused")
        } <= seen,
    }  # fmt: skip


def _tell_fault(home: Path, fault: Exception) -> None:
    """Say what failed, and what the nodes' logs say last."""
    tell(f"{type(fault).__name__}: {fault}")
    if isinstance(fault, Refusal):
        tell(f"{fault.code} {dict(fault.facts)}")
    for node in NODES:
        log = home / node / "node.log"
        lines = (
            log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
        )
        bad = [line for line in lines if '"level": "error"' in line or "Traceback" in line]
        for line in bad[-_LINES_SHOWN:]:
            tell(f"{node}: {line[:600]}")
