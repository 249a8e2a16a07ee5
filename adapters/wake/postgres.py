"""Wake-ups between processes that share a PostgreSQL: LISTEN and NOTIFY (its manual, 54.2).

Many wake-ups within a moment are one. A lost connection is made again, and whoever listens is
woken then, because something may have been said meanwhile.
"""

import threading
from collections.abc import Callable

import psycopg

_PAUSE_S = 1.0
_LOOK_S = 0.5
_TOGETHER_S = 0.05


class PostgresWake:
    """Tells other processes, and is told by them; what this one said does not come back.

    Args:
        address: of the database, as libpq reads it.
        name: of this process among those that share the channel.
        told: called in a thread of its own for each word that others said.
    """

    def __init__(
        self, address: str, *, channel: str, name: str, told: Callable[[str], None]
    ) -> None:
        self._address, self._channel, self._name, self._told = address, channel, name, told
        self._lock = threading.Lock()
        self._words: set[str] = set()
        self._said = threading.Event()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._forever, args=(run,), name=name, daemon=True)
            for name, run in (("wake-hear", self._hear), ("wake-tell", self._speak))
        ]

    def start(self) -> None:
        """Begin to listen and to speak."""
        for thread in self._threads:
            thread.start()

    def tell(self, word: str) -> None:
        """Wake the other processes; loses nothing while the database is not there."""
        with self._lock:
            self._words.add(word)
        self._said.set()

    def close(self) -> None:
        """End both threads."""
        self._stop.set()
        self._said.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=5)

    def _forever(self, run: Callable[["psycopg.Connection[tuple[object, ...]]"], None]) -> None:
        while not self._stop.is_set():
            try:
                with psycopg.connect(self._address, autocommit=True) as connection:
                    run(connection)
            except psycopg.OperationalError:
                self._stop.wait(_PAUSE_S)

    def _hear(self, connection: "psycopg.Connection[tuple[object, ...]]") -> None:
        connection.execute(f'LISTEN "{self._channel}"'.encode())
        self._told("")
        while not self._stop.is_set():
            for one in connection.notifies(timeout=_LOOK_S):
                name, _, word = one.payload.partition(" ")
                if name != self._name:
                    self._told(word)
                if self._stop.is_set():
                    return

    def _speak(self, connection: "psycopg.Connection[tuple[object, ...]]") -> None:
        while not self._stop.is_set():
            self._said.wait()
            self._stop.wait(_TOGETHER_S)
            self._said.clear()
            with self._lock:
                words, self._words = self._words, set()
            try:
                for word in sorted(words):
                    told = (self._channel, f"{self._name} {word}")
                    connection.execute("SELECT pg_notify(%s, %s)", told)
            except psycopg.OperationalError:
                with self._lock:
                    self._words |= words
                self._said.set()
                raise
