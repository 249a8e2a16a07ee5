"""Upkeep as doors and jobs use it: the night's backup, the upgrade, and one process at a time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy.orm import Session

from consortium.exchange import state
from consortium.exchange.hub_guard import HubGuard
from consortium.exchange.outbox import Draft, Post
from consortium.exchange.own_kinds import HUB_MEMBER
from consortium.fhir import message as messages
from consortium.kernel.database import Database
from consortium.kernel.ids import new_id
from consortium.kernel.system import alone, sync_folder
from consortium.ledger import journal
from consortium.members.keys import KeyFolder
from consortium.migrations import NEEDED, revision_of
from consortium.settings import Settings
from consortium.upkeep import backups
from consortium.upkeep.backups import BackupMade
from consortium.upkeep.revisions import migrate

_BEFORE = "before-upgrade.db"


@contextmanager
def serving(settings: Settings) -> Iterator[None]:
    """Be the one process that serves, or changes, this node's folder.

    Raises Refusal `system.running` when another process is.
    """
    with alone(settings.home / "serving.lock"):
        yield


def recovery_recipients(session: Session, *, members: Sequence[str]) -> list[str]:
    """The age recipients of the members' recovery keys, as the ledger told them."""
    told = state.read_many(session, [f"member:{member}" for member in members])
    return [value["recovery"] for value in told.values() if value.get("recovery")]


def backup(settings: Settings, database: Database, file: Path) -> BackupMade:
    """Write a backup of this node now. Raises as `backups.backup`."""
    return backups.backup(
        database, file, home=settings.home, recipients=_recipients(settings, database)
    )


def nightly(settings: Settings, database: Database, *, now: datetime) -> BackupMade | None:
    """Write the night's backup if it is due and not there; may be run at any time.

    Raises as `backups.backup`.
    """
    if database.dialect != "sqlite" or not backups.due(
        settings.backup_dir, hour=settings.backup_hour, now=now
    ):
        return None
    return backups.nightly(
        database,
        settings.backup_dir,
        home=settings.home,
        recipients=_recipients(settings, database),
        keep=settings.backups_kept,
        now=now,
    )


def hub_nightly(
    settings: Settings, database: Database, *, post: Post, guard: HubGuard, now: datetime
) -> BackupMade | None:
    """The hub's night: backup, then the entry that says up to which size it covers the ledger.

    The guard drops what an entry of an earlier night covers (PROTOCOL 5, "Hub's guard file").
    """
    with database.read() as session:
        size = journal.size(session)
        covered = state.read(session, "backup:hub")
    made = nightly(settings, database, now=now)
    if made is None:
        return None
    if covered is not None:
        guard.trim(int(covered["size"]))
    with database.write() as session:
        post.send(session, _backup_draft(size, now=now), now=now)
    return made


def _backup_draft(size: int, *, now: datetime) -> Draft:
    exchange = new_id(now)
    body = messages.build(
        "backup",
        source=HUB_MEMBER,
        destinations=(),
        resources=[messages.parameters(size=size)],
        exchange_id=exchange,
        now=now,
    )
    return Draft(id=exchange, kind="backup/1", sender=HUB_MEMBER, to=("all",), body=body)


def _recipients(settings: Settings, database: Database) -> list[str]:
    with database.read() as session:
        return recovery_recipients(session, members=KeyFolder(settings.home).members())


def upgrade(settings: Settings) -> str:
    """Take the database to this program's revision: copy, steps, self-check, back on failure.

    Gives the revision that it was at. Raises Refusal `system.running`, whatever a step raises, or
    `upkeep.revision` when the check afterwards fails; the database is then as it was before.
    """
    with serving(settings):
        database = Database(settings.database_url)
        try:
            with database.engine.connect() as connection:
                before = revision_of(connection)
            if before == NEEDED:
                return before
            if database.dialect != "sqlite":
                # one transaction: a failed step leaves nothing
                migrate(database, needed=NEEDED)
                return before
            copy = settings.home / _BEFORE
            backups.snapshot(database, copy)
            try:
                migrate(database, needed=NEEDED)
                backups.check_file(settings.home / backups.DATABASE)
            except BaseException:
                database.close()
                _put_back(copy, settings.home / backups.DATABASE)
                raise
            copy.unlink()
            return before
        finally:
            database.close()


def _put_back(copy: Path, file: Path) -> None:
    for trace in ("-wal", "-shm"):
        file.with_name(file.name + trace).unlink(missing_ok=True)
    copy.replace(file)
    sync_folder(file.parent)
