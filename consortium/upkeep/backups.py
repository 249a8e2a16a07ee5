"""Backup of a node into one encrypted file, and the way back.

In it: the database (SQLite's online backup, so that the node goes on) and the rest of the node's
folder: settings, keys, policy, charter. Never in it: guard files, so that a restored node knows
that it was restored (PROTOCOL 2).
The file is age to the recovery key, which lies on paper in the member's safe. Attachments are
sealed already and never change: each is copied once into a folder beside the file.
"""

import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

import pyrage
import zstandard

from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal, RefusalKind, conflict, invalid
from consortium.kernel.system import sync_folder
from consortium.kernel.time import ZONE
from consortium.settings import NODE_FILE

DATABASE: Final = "node.db"
BLOBS: Final = "blobs"
SUFFIX: Final = ".backup.age"
GUARD: Final = "guard"
# databases (a checked copy goes in), and what belongs to a running process
_LEFT_OUT: Final = re.compile(r".*\.db.*|.*\.(?:lock|sock|log|new)")
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]*")


@dataclass(frozen=True, slots=True)
class BackupMade:
    """What a backup came to."""

    file: Path
    size_bytes: int
    attachments: int


def backup(database: Database, file: Path, *, home: Path, recipients: Sequence[str]) -> BackupMade:
    """Write a backup of a node that may be running.

    Args:
        recipients: age recipients of the recovery keys (PROTOCOL 2).

    Raises Refusal `upkeep.backup_engine` for a database that is not SQLite, `upkeep.backup_key`
    without a recovery key, `upkeep.backup_exists`, `upkeep.backup_damaged` when the database's own
    check fails, `upkeep.backup_write` when the disk refuses.
    """
    if database.dialect != "sqlite":
        raise Refusal(RefusalKind.UNSUPPORTED, "upkeep.backup_engine")
    if not recipients:
        raise invalid("upkeep.backup_key")
    if file.exists():
        raise conflict("upkeep.backup_exists", name=file.name)
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _workplace(file.parent) as place:
            snapshot(database, place / DATABASE)
            packed = place / "packed"
            _pack(packed, [place / DATABASE, *_kept_in(home)])
            sealed = place / "sealed"
            _seal(packed, sealed, recipients)
            sealed.replace(file)
        copied = _copy_new(home / BLOBS, file.parent / BLOBS)
        sync_folder(file.parent)
    except OSError as fault:
        raise Refusal(
            RefusalKind.UNAVAILABLE, "upkeep.backup_write", errno=fault.errno or 0
        ) from fault
    return BackupMade(file, file.stat().st_size, copied)


def restore(file: Path, home: Path, *, identity: str) -> None:
    """Put a backup into a folder that holds no node yet; guard files are not in it.

    Args:
        identity: the recovery key of the page in the safe, `AGE-SECRET-KEY-1...`.

    Raises Refusal `upkeep.home_exists`, `upkeep.backup_missing`, `upkeep.recovery_key` for text
    that is no key or the key of another member, `upkeep.backup_damaged`.
    """
    if (home / DATABASE).exists() or (home / NODE_FILE).exists():
        raise conflict("upkeep.home_exists")
    if not file.is_file():
        raise invalid("upkeep.backup_missing", name=file.name)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _workplace(home) as place:
        packed, unpacked = place / "packed", place / "unpacked"
        _open(file, packed, identity)
        _unpack(packed, unpacked)
        check_file(unpacked / DATABASE)
        _copy_new(file.parent / BLOBS, home / BLOBS)
        # the settings come last: with them the folder is a node
        for part in sorted(unpacked.iterdir(), key=lambda part: part.name == NODE_FILE):
            part.replace(home / part.name)
    sync_folder(home)


def due(folder: Path, *, hour: int, now: datetime) -> bool:
    """Whether the last full `hour` of the charter's zone has no backup yet."""
    local = now.astimezone(ZONE)
    moment = local.replace(hour=hour, minute=0, second=0, microsecond=0)
    if moment > local:
        moment -= timedelta(days=1)
    return all(made < moment for made, _ in kept(folder))


def kept(folder: Path) -> list[tuple[datetime, Path]]:
    """Nightly backups in a folder with their times, oldest first."""
    found = []
    for file in folder.glob(f"*{SUFFIX}"):
        try:
            made = datetime.strptime(file.name.removesuffix(SUFFIX), _STAMP).replace(tzinfo=UTC)
        except ValueError:
            continue
        found.append((made, file))
    return sorted(found)


def nightly(
    database: Database,
    folder: Path,
    *,
    home: Path,
    recipients: Sequence[str],
    keep: int,
    now: datetime,
) -> BackupMade:
    """Write the night's backup and drop the oldest ones beyond `keep`. Raises as `backup`."""
    made = backup(database, folder / f"{now:{_STAMP}}{SUFFIX}", home=home, recipients=recipients)
    for _, old in kept(folder)[:-keep]:
        old.unlink()
    return made


def snapshot(database: Database, file: Path) -> None:
    """Copy a SQLite database that others go on writing to, and check the copy.

    Raises Refusal `upkeep.backup_damaged`.
    """
    from sqlcipher3 import dbapi2

    file.unlink(missing_ok=True)
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    source = database.engine.raw_connection()
    target = dbapi2.connect(str(file))
    try:
        driver: Any = source.driver_connection
        driver.backup(target)
        target.execute("PRAGMA journal_mode=DELETE")
    finally:
        target.close()
        source.close()
    check_file(file)


def check_file(file: Path) -> None:
    """Let SQLite look at every page of a file. Raises Refusal `upkeep.backup_damaged`."""
    from sqlcipher3 import dbapi2

    if not file.is_file():
        raise invalid("upkeep.backup_damaged")
    connection = dbapi2.connect(str(file))
    try:
        told = connection.execute("PRAGMA quick_check").fetchone()
    except dbapi2.DatabaseError:
        told = None
    finally:
        connection.close()
    if told != ("ok",):
        raise invalid("upkeep.backup_damaged")


@contextmanager
def _workplace(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=folder, prefix=".upkeep-") as place:
        yield Path(place)


def _kept_in(home: Path) -> list[Path]:
    """What belongs into a backup beside the database, by name."""
    files = [
        part
        for part in sorted(home.iterdir())
        if part.is_file() and _NAME.fullmatch(part.name) and not _LEFT_OUT.fullmatch(part.name)
    ]
    return [*files, home / "keys"]


def _pack(packed: Path, sources: Iterable[Path]) -> None:
    writer = zstandard.ZstdCompressor(level=3, threads=1)
    with (
        packed.open("wb") as raw,
        writer.stream_writer(raw) as squeezed,
        tarfile.open(fileobj=squeezed, mode="w|") as tar,
    ):
        for source in sources:
            if source.exists():
                tar.add(source, arcname=source.name, filter=_ownerless)


def _ownerless(member: tarfile.TarInfo) -> tarfile.TarInfo:
    # names of people of this machine are nobody's business on another
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _unpack(packed: Path, folder: Path) -> None:
    """Take out what a backup holds, nothing else: anyone may seal a file to a public key."""
    reader = zstandard.ZstdDecompressor()
    try:
        with (
            packed.open("rb") as raw,
            reader.stream_reader(raw) as stream,
            tarfile.open(fileobj=stream, mode="r|") as tar,
        ):
            for member in tar:
                content = tar.extractfile(member) if member.isfile() else None
                if content is not None:
                    _take_out(folder, PurePosixPath(member.name), content)
    except (tarfile.TarError, zstandard.ZstdError, EOFError) as fault:
        raise invalid("upkeep.backup_damaged") from fault


def _take_out(folder: Path, name: PurePosixPath, content: IO[bytes]) -> None:
    if name.parts[0] in {GUARD, BLOBS} or not all(map(_NAME.fullmatch, name.parts)):
        raise invalid("upkeep.backup_damaged")
    file = folder.joinpath(*name.parts)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        shutil.copyfileobj(content, out)
        out.flush()
        os.fsync(out.fileno())


def _seal(packed: Path, sealed: Path, recipients: Sequence[str]) -> None:
    try:
        keys = [pyrage.x25519.Recipient.from_str(recipient) for recipient in recipients]
    except pyrage.RecipientError as fault:
        raise invalid("upkeep.backup_key") from fault
    with packed.open("rb") as plain, sealed.open("wb") as out:
        pyrage.encrypt_io(plain, out, keys)
        out.flush()
        os.fsync(out.fileno())
    sealed.chmod(0o600)


def _open(file: Path, packed: Path, identity: str) -> None:
    try:
        key = pyrage.x25519.Identity.from_str(identity.strip().upper())
    except pyrage.IdentityError as fault:
        raise invalid("upkeep.recovery_key") from fault
    try:
        with file.open("rb") as sealed, packed.open("wb") as plain:
            pyrage.decrypt_io(sealed, plain, [key])
    except pyrage.DecryptError as fault:
        raise invalid("upkeep.recovery_key") from fault
    except OSError as fault:
        if fault.errno is not None:
            raise
        # the library's way to say that a piece of the file does not open
        raise invalid("upkeep.backup_damaged") from fault


def _copy_new(source: Path, target: Path) -> int:
    """Copy the sealed attachments that are not there yet, each whole or not at all."""
    copied = 0
    for file in sorted(source.glob("*/*")):
        there = target / file.relative_to(source)
        if file.suffix or there.exists():
            continue
        there.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = there.with_suffix(".new")
        shutil.copyfile(file, fresh)
        fresh.chmod(0o600)
        fresh.replace(there)
        copied += 1
    return copied
