"""The self-check of a node: each check finds one thing, says it in words, and what to do.

Reads only; works beside a running node and where the node does not start. Words:
`doctor."clock.off"` with `found` and `do`.
"""

import os
import secrets
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson
from sqlalchemy.exc import DatabaseError

from consortium import words
from consortium.exchange import alarms, closing, jws, requests, restored, state, timeline, trimming
from consortium.exchange.hub_guard import HubGuard
from consortium.exchange.own_kinds import HUB_MEMBER
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.kernel.time import from_ms, to_ms
from consortium.ledger import journal, publisher, witness
from consortium.members.keys import KeyFolder
from consortium.members.model import REGULATOR
from consortium.ports import Clock, Link, LinkDown
from consortium.settings import NodeRole, Settings
from consortium.upkeep import backups
from consortium.upkeep.revisions import check_revision

CLOCK_OFF_MAX_S: Final = 300
DISK_FREE_MIN_BYTES: Final = 500 * 1024 * 1024
BACKUP_AGE_MAX: Final = timedelta(hours=50)
AGREEMENT_AGE_MAX: Final = timedelta(days=7)
_HTTP_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; `code` is `check.state`, facts are numbers, codes and file names."""

    code: str
    ok: bool
    facts: Mapping[str, Any] = field(default_factory=dict)

    def told(self, lang: str) -> tuple[str, str]:
        """What was found and what to do, as sentences; nothing to do is an empty one."""
        found = words.say(f"doctor.{self.code}.found", lang, **self.facts)
        return found, "" if self.ok else words.say(f"doctor.{self.code}.do", lang, **self.facts)


def _fine(code: str, /, **facts: object) -> Finding:
    return Finding(code, ok=True, facts=facts)


def _fault(code: str, /, **facts: object) -> Finding:
    return Finding(code, ok=False, facts=facts)


def examine(
    settings: Settings, database: Database, *, link: Link | None, clock: Clock
) -> list[Finding]:
    """All checks. `link` is None where nothing is to be asked of the hub (at the hub itself).

    What needs the tables is left out while they are another release's.
    """
    findings = [disk(settings), migrations(database)]
    if not findings[-1].ok:
        return findings
    findings.append(keys(settings, database))
    findings += hub(settings, database, link=link, clock=clock)
    findings += [ledger(settings, database), alarming(database)]
    findings.append(backup(settings, now=clock.now()))
    if settings.role is NodeRole.HUB:
        findings += [trim(database, now=clock.now()), closed(database, now=clock.now())]
    return findings


def disk(settings: Settings) -> Finding:
    """Room to write in, and leave to write, wherever this node keeps things."""
    for folder in (settings.home, settings.guard_dir):
        place = _existing(folder)
        free = shutil.disk_usage(place).free
        if free < DISK_FREE_MIN_BYTES:
            return _fault("disk.low", folder=str(folder), free_mb=free // 2**20)
        if not _writable(place):
            return _fault("disk.locked", folder=str(folder))
    return _fine("disk.ok", free_gb=round(shutil.disk_usage(settings.home).free / 2**30, 1))


def _existing(folder: Path) -> Path:
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return folder


def _writable(folder: Path) -> bool:
    probe = folder / f".doctor-{secrets.token_hex(4)}"
    try:
        handle = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(handle, b"x")
            os.fsync(handle)
        finally:
            os.close(handle)
            probe.unlink()
    except OSError:
        return False
    return True


def migrations(database: Database) -> Finding:
    """The database can be read and is this release's."""
    try:
        check_revision(database)
        if database.dialect == "sqlite":
            with database.engine.connect() as connection:
                told = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
            if told != "ok":
                return _fault("migrations.damaged")
    except Refusal as refusal:
        return _fault("migrations.other", **refusal.facts)
    except DatabaseError:
        return _fault("migrations.damaged")
    return _fine("migrations.ok")


def keys(settings: Settings, database: Database) -> Finding:
    """Key files are whole, their owner's alone, and valid on the ledger."""
    folder = KeyFolder(settings.home)
    members = folder.members()
    if not members:
        return _fault("keys.none")
    for member in members:
        try:
            node, sealing = folder.node(member), folder.sealing(member)
        except Refusal as refusal:
            return _fault("keys.damaged", member=member, name=str(refusal.facts.get("name", "")))
        if name := _open_to_others(folder.path / member):
            return _fault("keys.open", member=member, name=name)
        with database.read() as session:
            record = state.read(session, f"key:{node.key_id}")
            directory = state.read(session, f"member:{member}")
        if record is None or record.get("until") is not None:
            return _fault("keys.ended", member=member)
        if directory is None or directory.get("sealing") != sealing.recipient:
            return _fault("keys.sealing", member=member)
    return _fine("keys.ok", n=len(members))


def _open_to_others(folder: Path) -> str:
    """The first file of a key folder that others may read; empty where modes mean nothing."""
    if os.name != "posix":
        return ""
    for file in sorted(folder.iterdir()):
        if file.is_file() and stat.S_IMODE(file.stat().st_mode) & 0o077:
            return file.name
    return ""


def hub(
    settings: Settings, database: Database, *, link: Link | None, clock: Clock
) -> list[Finding]:
    """The way to the hub, and this clock beside the hub's (at the hub: beside its last leaf)."""
    if settings.role is NodeRole.HUB:
        return [_fine("link.hub"), _after_last_leaf(database, now=clock.now())]
    if link is None:
        return [_fault("link.none"), _fine("clock.alone")]
    member, *_ = KeyFolder(settings.home).members() or [""]
    try:
        node = KeyFolder(settings.home).node(member)
    except Refusal:
        return [_fault("link.unasked"), _fine("clock.alone")]
    statement = {"member": member, "salt": secrets.token_urlsafe(12)}
    raw = jws.sign_statement(statement, kid=node.key_id, signer=node, typ=requests.HELLO)
    started = clock.monotonic()
    try:
        reply = link.call("/sync/hello", raw.encode(), {})
    except LinkDown:
        return [_fault("link.down", url=settings.hub_url), _fine("clock.alone")]
    took_s = clock.monotonic() - started
    time_ms = _hub_time_ms(reply.body) if reply.status == _HTTP_OK else None
    if time_ms is None:
        refused = _fault("link.refused", url=settings.hub_url, status=reply.status)
        return [refused, _fine("clock.alone")]
    answered = _fine("link.ok", url=settings.hub_url, ms=round(took_s * 1000))
    return [answered, _beside_hub(to_ms(clock.now()), time_ms)]


def _hub_time_ms(body: bytes) -> int | None:
    try:
        return int(orjson.loads(body)["time_ms"])
    except (KeyError, TypeError, ValueError):
        return None


def _beside_hub(here_ms: int, hub_ms: int) -> Finding:
    off_s = (here_ms - hub_ms) // 1000
    if abs(off_s) > CLOCK_OFF_MAX_S:
        return _fault("clock.off", minutes=round(off_s / 60))
    return _fine("clock.ok", seconds=abs(off_s))


def _after_last_leaf(database: Database, *, now: datetime) -> Finding:
    with database.read() as session:
        size = journal.size(session)
        last = journal.leaves(session, [size - 1]).get(size - 1)
    if last is None:
        return _fine("clock.alone")
    behind = from_ms(journal.read_leaf(last).time_ms) - now
    if behind > timedelta(seconds=60):
        return _fault("clock.behind", minutes=round(behind.total_seconds() / 60))
    return _fine("clock.hub")


def ledger(settings: Settings, database: Database) -> Finding:
    """What this node holds of the ledger is whole, and fits what others were shown."""
    with database.read() as session:
        for member in (folder := KeyFolder(settings.home)).members():
            why = restored.reason(session, _node_id(folder, member))
            if why:
                return _fault("ledger.restored", member=member, why=why)
            if strange := timeline.alarms(session, member=member, limit=1):
                return _fault("ledger.alarm", member=member, index=strange[0].index)
        if against := witness.evidence(session, limit=1):
            return _fault("ledger.split", code=against[0].code)
        if settings.role is NodeRole.WORKSTATION:
            view = witness.checkpoint_view(session)
            return _fine("ledger.ok", size=view.size if view else 0)
        try:
            publisher.check_tail(session)
        except Refusal as refusal:
            return _fault("ledger.damaged", index=refusal.facts.get("index", -1))
        size = journal.size(session)
    guarded = _guarded(settings) if settings.role is NodeRole.HUB else 0
    if size < guarded:
        return _fault("ledger.short", size=size, guarded=guarded)
    return _fine("ledger.ok", size=size)


def alarming(database: Database) -> Finding:
    """What raised an alarm at this node and is not mended: how many of each code."""
    with database.read() as session:
        counts = alarms.counts(session)
    if not counts:
        return _fine("alarms.none")
    codes = ", ".join(f"{code} {count}" for code, count in counts.items())
    return _fault("alarms.some", n=sum(counts.values()), codes=codes)


def _guarded(settings: Settings) -> int:
    """The size that the hub's guard vouches for; 0 where there is no guard yet."""
    name = f"hub-{_node_id(KeyFolder(settings.home), HUB_MEMBER)}"
    if not (settings.guard_dir / f"{name}.guardlog").exists():
        return 0
    guard = HubGuard(settings.guard_dir, name=name)
    try:
        return guard.size()
    finally:
        guard.close()


def trim(database: Database, *, now: datetime) -> Finding:
    """What the next trimming will drop: sealed bodies that nobody needs any more."""
    with database.read() as session:
        due = trimming.due(session, now=now)
    return _fine("trim.ok", n=due.count, mb=round(due.size_bytes / 2**20, 1))


def closed(database: Database, *, now: datetime) -> Finding:
    """The newest month that was closed, and whether a mirror came to the same."""
    with database.read() as session:
        newest = state.read(session, closing.NEWEST)
        if newest is None:
            return _fine("closing.none")
        said = state.read(session, closing.subject(newest["month"]))
        members = state.scan(session, "member:")
    agreed = said["agreed"] if said is not None else []
    mirrors = any(value.get("kind") == REGULATOR for _, value in members)
    if said and mirrors and not agreed and now > from_ms(said["at"]) + AGREEMENT_AGE_MAX:
        return _fault("closing.alone", month=newest["month"])
    return _fine("closing.ok", month=newest["month"], by=", ".join(agreed) or "-")


def _node_id(folder: KeyFolder, member: str) -> str:
    try:
        return folder.node(member).key_id
    except Refusal:
        return ""


def backup(settings: Settings, *, now: datetime) -> Finding:
    """There is a backup of the last two nights."""
    if settings.database_url.partition(":")[0].partition("+")[0] != "sqlite":
        return _fine("backup.elsewhere")
    kept = backups.kept(settings.backup_dir)
    if not kept:
        return _fault("backup.none", folder=str(settings.backup_dir))
    age = now - kept[-1][0]
    if age > BACKUP_AGE_MAX:
        return _fault("backup.old", n=age.days, folder=str(settings.backup_dir))
    return _fine("backup.ok", n=max(0, round(age.total_seconds() / 3600)))
