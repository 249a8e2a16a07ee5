"""A workstation as a clinic's PC feels it: its first screen, its start, its memory when idle."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from consortium.cli.check_nodes import Nodes, free_ports, running
from consortium.cli.demo_people import SHIQIAO
from consortium.desk import service as desk
from consortium.desk.model import DeskRow
from consortium.kernel.actor import Role
from consortium.kernel.database import Database
from consortium.kernel.ids import CaseId, MemberId
from consortium.settings import Settings
from tests.bench.measure import Measure, percentile, times_ms

PAGE_MS, START_S, RSS_MB = 150.0, 3.0, 200.0
ROWS, PAGES, STARTS = 300, 100, 5
IDLE_S = 5.0


def run() -> Iterator[Measure]:
    """The worklist with hundreds of open cases over HTTP; then starts, then memory."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-web-") as folder,
        running(Path(folder) / "nodes", port=free_ports()) as nodes,
    ):
        _fill(nodes)
        browser = nodes.browser("han")
        taken = times_ms(lambda: browser.get("/?scope=member"), rounds=PAGES)
        yield Measure(
            "page.worklist.p95", percentile(taken, 95), "ms", "promise", PAGE_MS, smaller=True
        )
        started = sorted(_started_s(nodes) for _ in range(STARTS))
        yield Measure(
            "workstation.start", started[STARTS // 2], "s", "promise", START_S, smaller=True
        )
        nodes.browser("han").get("/")
        time.sleep(IDLE_S)
        rss = _rss_mb(nodes.processes[SHIQIAO])
        yield Measure("workstation.rss", rss, "MB", "promise", RSS_MB, smaller=True)


def _started_s(nodes: Nodes) -> float:
    """Seconds from the command to the first answer of a workstation."""
    nodes.kill(SHIQIAO)
    begun = time.perf_counter()
    nodes.start(SHIQIAO)
    return time.perf_counter() - begun


def _rss_mb(process: "subprocess.Popen[bytes]") -> float:
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(resident.split()[1]) / 1024


def _fill(nodes: Nodes) -> None:
    """Open cases on the clinic's worklist, a third of them late."""
    now = datetime.now(UTC)
    database = Database(Settings.read(nodes.home / SHIQIAO).database_url)
    try:
        with database.write() as session:
            for number in range(ROWS):
                desk.put(session, _row(number, now), now=now)
    finally:
        database.close()


def _row(number: int, now: datetime) -> DeskRow:
    return DeskRow(
        member=MemberId(SHIQIAO),
        case=CaseId(f"bench-{number:04d}"),
        topic="referral",
        urgency=("routine", "urgent", "emergency")[number % 3],
        patient=None,
        patient_name=f"患者{number:03d}",
        patient_sex=("male", "female")[number % 2],
        patient_birth=date(1950 + number % 50, 1 + number % 12, 1),
        need="referral.need.taker.reported",
        need_params={},
        source="referral.source.to",
        source_params={"service": "@contract.service.cardiology", "member": "清源市第一人民医院"},
        state="referral.state.reported",
        turn="mine",
        turn_name="",
        roles=frozenset({Role.TOWNSHIP_DOCTOR}),
        due_at=now + timedelta(hours=number - ROWS // 3),
        started_at=now - timedelta(hours=number),
        link=f"/referrals/bench-{number:04d}",
    )
