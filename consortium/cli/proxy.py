"""A cable between a workstation and its hub, for the check: it can be cut and counts its bytes.

TCP in, TCP out, one connection each; nothing is understood but how a request begins, so that one
answer can be swallowed: the hub has acted, and the workstation never hears of it.
"""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

_CHUNK_BYTES = 64 * 1024


class Proxy:
    """Listens on a free port of this machine and carries what comes to another.

    Attributes:
        sent_bytes: carried towards the hub.
        received_bytes: carried back.
        swallowed_bytes: of answers that were kept from the workstation.
    """

    def __init__(self, target_port: int) -> None:
        self._target = ("127.0.0.1", target_port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._cut = False
        self._closed = False
        self._hides = b""
        self.sent_bytes = 0
        self.received_bytes = 0
        self.swallowed_bytes = 0
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    @property
    def port(self) -> int:
        """The port to connect to instead of the target's."""
        return int(self._listener.getsockname()[1])

    @property
    def carried_bytes(self) -> int:
        """Bytes carried either way."""
        return self.sent_bytes + self.received_bytes

    def cut(self) -> None:
        """End every connection, and each new one at once, until `restore`."""
        with self._lock:
            self._cut = True
            for one in self._open:
                _end(one)

    def restore(self) -> None:
        """Carry again, answers too."""
        with self._lock:
            self._cut = False
            self._hides = b""

    def swallow(self, path: str) -> None:
        """Carry again, but keep every answer to a POST of `path` until `restore`."""
        with self._lock:
            self._cut = False
            self._hides = f"POST {path} ".encode()

    def close(self) -> None:
        """Stop listening; end every connection."""
        self._closed = True
        # a listener that is only closed leaves its thread in accept
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while not self._closed:
            try:
                inner, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(inner,), daemon=True).start()

    def _carry(self, inner: socket.socket) -> None:
        try:
            outer = socket.create_connection(self._target, timeout=5)
        except OSError:
            inner.close()
            return
        outer.settimeout(None)
        line = _Line(inner, outer)
        with self._lock:
            self._open |= {inner, outer}
            if self._cut:
                line.end()
        back = threading.Thread(target=self._pump, args=(line, self._back), daemon=True)
        back.start()
        self._pump(line, self._forth)
        back.join()
        with self._lock:
            self._open -= {inner, outer}
        inner.close()
        outer.close()

    def _pump(self, line: "_Line", step: "Callable[[_Line], bool]") -> None:
        try:
            while step(line):
                pass
        except OSError:
            pass
        line.end()

    def _forth(self, line: "_Line") -> bool:
        data = line.inner.recv(_CHUNK_BYTES)
        with self._lock:
            if not data or self._cut:
                return False
            # each client waits for its answer, so a request begins at the beginning of a chunk
            if self._hides and data.startswith(self._hides):
                line.muted = True
            self.sent_bytes += len(data)
        line.outer.sendall(data)
        return True

    def _back(self, line: "_Line") -> bool:
        data = line.outer.recv(_CHUNK_BYTES)
        with self._lock:
            if not data or self._cut:
                return False
            if line.muted:
                self.swallowed_bytes += len(data)
                return True
            self.received_bytes += len(data)
        line.inner.sendall(data)
        return True


class _Line:
    """One connection: the workstation's end and the hub's."""

    def __init__(self, inner: socket.socket, outer: socket.socket) -> None:
        self.inner = inner
        self.outer = outer
        self.muted = False

    def end(self) -> None:
        _end(self.inner)
        _end(self.outer)


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
