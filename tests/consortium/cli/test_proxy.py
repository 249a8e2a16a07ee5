"""The cable of the check: carries, counts, is cut, keeps an answer back."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from consortium.cli.proxy import Proxy

REQUEST = b"POST /sync/push HTTP/1.1\r\n\r\n"


class Echo:
    """Answers each chunk with its length; keeps what came."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.came: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def _serve(self) -> None:
        while True:
            try:
                one, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(one,), daemon=True).start()

    def _answer(self, one: socket.socket) -> None:
        with one:
            while data := one.recv(65536):
                self.came.append(data)
                one.sendall(b"%d" % len(data))


@pytest.fixture
def echo() -> Iterator[Echo]:
    made = Echo()
    yield made
    made.listener.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    made = Proxy(echo.port)
    yield made
    made.close()


@contextmanager
def connected(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as one:
        yield one


def ended(one: socket.socket) -> bool:
    try:
        return one.recv(1) == b""
    except ConnectionError:
        return True


def test_bytes_are_carried_and_counted_each_way(proxy: Proxy, echo: Echo) -> None:
    with connected(proxy) as one:
        one.sendall(b"x" * 300)
        assert one.recv(10) == b"300"
    assert (proxy.sent_bytes, proxy.received_bytes, proxy.carried_bytes) == (300, 3, 303)


def test_a_cut_ends_connections_and_carries_no_byte(proxy: Proxy, echo: Echo) -> None:
    with connected(proxy) as one:
        one.sendall(b"abc")
        assert one.recv(10) == b"3"
        proxy.cut()
        assert ended(one)
    before = proxy.carried_bytes
    with connected(proxy) as another:
        another.sendall(b"abc")
        assert ended(another)
    assert (proxy.carried_bytes - before, echo.came) == (0, [b"abc"])
    proxy.restore()
    with connected(proxy) as one:
        one.sendall(b"abcd")
        assert one.recv(10) == b"4"


def test_only_the_answer_that_was_named_is_swallowed(proxy: Proxy, echo: Echo) -> None:
    proxy.cut()
    proxy.swallow("/sync/push")
    with connected(proxy) as one:
        one.sendall(b"POST /sync/hello HTTP/1.1\r\n\r\n")
        assert one.recv(10) == b"29"
        one.sendall(REQUEST)
        one.settimeout(0.3)
        with pytest.raises(TimeoutError):
            one.recv(10)
        assert echo.came[-1] == REQUEST
        assert proxy.swallowed_bytes == 2
    proxy.restore()
    with connected(proxy) as one:
        one.sendall(REQUEST)
        assert one.recv(10) == b"28"


def test_a_target_that_is_not_there_ends_the_connection(proxy: Proxy, echo: Echo) -> None:
    echo.listener.shutdown(socket.SHUT_RDWR)
    echo.listener.close()
    with connected(proxy) as one:
        one.sendall(b"abc")
        assert ended(one)
    assert proxy.carried_bytes == 0
