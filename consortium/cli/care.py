"""Commands that look after a node: doctor, backup, restore, receipts."""

from pathlib import Path

import typer

from consortium.cli.app import language, tell
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.ledger import policies, receipts
from consortium.members.recovery import Recovery
from consortium.settings import NodeRole, Settings
from consortium.upkeep import backups, doctor, service
from consortium.wiring import POLICY_FILE, HttpLink, SystemClock


def examine(settings: Settings) -> int:
    """Print each finding, `ok` or `!!` first; 1 if anything is not well."""
    database = Database(settings.database_url)
    link = (
        HttpLink(settings.hub_url, timeout_s=settings.link_timeout_s)
        if settings.role is not NodeRole.HUB
        else None
    )
    try:
        findings = doctor.examine(settings, database, link=link, clock=SystemClock())
    finally:
        database.close()
        if link is not None:
            link.close()
    for finding in findings:
        found, todo = finding.told(language())
        typer.echo(f"{'ok' if finding.ok else '!!'}  {finding.code}: {found}")
        if todo:
            typer.echo(f"      {todo}")
    return 0 if all(finding.ok for finding in findings) else 1


def back_up(settings: Settings, file: Path) -> str:
    """Write a backup now; gives its file and size."""
    database = Database(settings.database_url)
    try:
        made = service.backup(settings, database, file)
    finally:
        database.close()
    return f"{made.file} {made.size_bytes}"


def put_back(file: Path, home: Path, *, recovery_text: str) -> None:
    """Restore into an empty folder."""
    backups.restore(file, home, identity=Recovery.parse(recovery_text).age.identity)


def check_receipt(settings: Settings, file: Path) -> int:
    """Check a receipt under the policy in force; tells who witnessed it, or that nobody has."""
    pinned = (settings.home / POLICY_FILE).read_bytes()
    database = Database(settings.database_url)
    try:
        with database.read() as session:
            rules = policies.in_force(session, pinned)
            checked = receipts.believed(session, file.read_bytes(), rules)
    except Refusal as refusal:
        tell(str(refusal.facts.get("reason", refusal.code)))
        return 1
    finally:
        database.close()
    by = ",".join(sorted(checked.cosigners)) or "-"
    how = "witnessed" if checked.quorum else "hub-only"
    typer.echo(f"{checked.index} {checked.size} {checked.verdict} {how} {by}")
    return 0
