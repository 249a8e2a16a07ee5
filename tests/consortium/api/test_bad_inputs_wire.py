"""Bodies that lie, stop or never end, over a real socket: row 8 of research/reliability.md 5."""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import ClassVar
from urllib.parse import urlsplit

import httpx2
import pytest

from consortium.web import guard
from tests.support.real_world import World
from tests.support.serving import served

WAIT_S = 0.4
PATIENT_S = 5.0
FORM = "application/x-www-form-urlencoded"
BYTES = "application/octet-stream"


@pytest.fixture(scope="module")
def hub(common_world: World) -> Iterator[str]:
    """The hub, served."""
    with served(common_world.app("hub")) as base:
        yield base


@pytest.fixture(autouse=True)
def short_wait(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(guard, "BODY_WAIT_S", WAIT_S)
    yield
    for one in Plug.open:
        one.close()
    Plug.open.clear()


class Plug:
    """A connection on which a test writes what it likes; every one is closed at its end."""

    open: ClassVar[list[socket.socket]] = []

    def __init__(self, base: str) -> None:
        where = urlsplit(base)
        self.host = where.netloc
        self.socket = socket.create_connection((where.hostname, where.port), timeout=PATIENT_S)
        self.open.append(self.socket)

    def head(self, path: str, *lines: str, method: str = "POST") -> None:
        said = [f"{method} {path} HTTP/1.1", f"Host: {self.host}", *lines, "", ""]
        self.socket.sendall("\r\n".join(said).encode("latin-1"))

    def answer(self) -> tuple[int, bytes]:
        """Status and the rest; 0 when the connection ends without an answer."""
        got = b""
        try:
            while b"\r\n\r\n" not in got or _missing(got):
                if not (more := self.socket.recv(65536)):
                    break
                got += more
        except ConnectionError:
            pass
        return (int(got.split(b" ", 2)[1]), got) if got else (0, b"")


def _missing(got: bytes) -> bool:
    head, _, body = got.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    return length is not None and len(body) < int(length[1])


def alive(base: str) -> bool:
    started = time.monotonic()
    answer = httpx2.get(f"{base}/healthz", trust_env=False, timeout=PATIENT_S)
    return answer.status_code == 200 and time.monotonic() - started < PATIENT_S


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/sync/push", BYTES), ("/blobs", BYTES), ("/sign-in", FORM), ("/patients/new", FORM)],
)
def test_row_8_a_body_that_stops_on_its_way_is_ended(hub: str, path: str, kind: str) -> None:
    plug = Plug(hub)
    plug.head(path, f"Content-Type: {kind}", "Content-Length: 1000")
    plug.socket.sendall(b"a=1")
    status, said = plug.answer()
    assert status == 408
    assert b"web.slow" in said
    assert alive(hub)


def test_row_8_a_body_that_never_ends_is_stopped(hub: str, common_world: World) -> None:
    limit = common_world.nodes["hub"].settings.request_max_bytes
    for path, kind in (("/sync/push", BYTES), ("/sign-in", FORM)):
        plug, sent = Plug(hub), 0
        plug.head(path, f"Content-Type: {kind}", "Transfer-Encoding: chunked")
        piece = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
        try:
            while sent < 2 * limit:
                plug.socket.sendall(piece)
                sent += len(piece)
        except OSError:
            pass
        status, _said = plug.answer()
        # who goes on writing may find the connection closed before it reads the answer; a form is
        # stopped earlier, by the size of one field
        assert status in {0, 413 if kind == BYTES else 400}
        assert alive(hub)


LIES = {
    "more than it said": (["Content-Length: 1"], b"a=1&b=2\r\n\r\n"),
    "two lengths": (["Content-Length: 3", "Content-Length: 7"], b"a=1"),
    "length and chunks": (
        ["Content-Length: 3", "Transfer-Encoding: chunked"], b"3\r\na=1\r\n0\r\n\r\n",
    ),
    "no number": (["Content-Length: many"], b"a=1"),
    "negative": (["Content-Length: -1"], b"a=1"),
    "a chunk that is none": (["Transfer-Encoding: chunked"], b"zz\r\na=1\r\n0\r\n\r\n"),
    "another coding": (["Transfer-Encoding: gzip"], b"a=1"),
}  # fmt: skip


@pytest.mark.parametrize("lie", list(LIES))
def test_row_8_a_length_that_lies_ends_its_own_connection_alone(hub: str, lie: str) -> None:
    lines, body = LIES[lie]
    plug = Plug(hub)
    plug.head("/sign-in", f"Content-Type: {FORM}", *lines)
    plug.socket.sendall(body)
    status, said = plug.answer()
    assert status < 500
    assert b"Traceback" not in said
    assert alive(hub)


def test_row_8_whoever_leaves_in_the_middle_is_no_fault_of_the_program(
    hub: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, kind in (("/sync/push", BYTES), ("/sign-in", FORM)):
        plug = Plug(hub)
        plug.head(path, f"Content-Type: {kind}", "Content-Length: 1000")
        plug.socket.sendall(b"a=1")
        plug.socket.close()
    time.sleep(0.2)
    assert alive(hub)
    assert "fault" not in capsys.readouterr().out
    assert not [one for one in caplog.records if one.levelname == "ERROR"]


def test_row_8_those_who_stand_still_keep_nobody_waiting(hub: str) -> None:
    for number in range(60):
        plug = Plug(hub)
        if number % 2:
            plug.head("/sign-in", f"Content-Type: {FORM}", "Content-Length: 1000")
        else:
            plug.socket.sendall(b"POST /sign-in HTTP/1.1\r\nHost: ")
    assert alive(hub)
    page = httpx2.get(f"{hub}/sign-in", trust_env=False, timeout=PATIENT_S)
    assert page.status_code == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.test\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100) + b"\r\n\r\n",
    ],
)  # fmt: skip
def test_row_8_what_is_no_request_is_refused(hub: str, raw: bytes) -> None:
    plug = Plug(hub)
    with suppress(OSError):  # it may have been hung up on before it has said everything
        plug.socket.sendall(raw)
        plug.socket.shutdown(socket.SHUT_WR)
    status, said = plug.answer()
    assert status < 500
    assert b"Traceback" not in said
    assert alive(hub)
