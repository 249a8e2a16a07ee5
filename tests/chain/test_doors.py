"""Witness and mirror as commands and over HTTP on this machine."""

import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path

import pytest

from chain import keeping, note, policy
from chain.__main__ import main
from chain.doors import Remote, Server, _Chunked, _Unzipped
from chain.errors import ChainError, FormatError
from chain.log import LogWriter
from chain.note import MLDSA_COSIGNATURE, VerifierKey
from chain.store import Folder
from chain.views import origin_hash
from chain.witness import SIZE, Answer
from tests.chain.making import policy_text
from tests.chain.test_log import ENTRIES, KEY, grown, signed
from tests.chain.test_main import ROOT
from tests.chain.test_mirror import body, info
from tests.chain.test_witness import request

NAME = origin_hash(KEY.name)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    file = tmp_path / "policy"
    file.write_bytes(policy_text(KEY, "quorum none"))
    return file


@pytest.fixture
def log(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path / "log")
    grown(folder, 300)
    return folder


@contextmanager
def serving(role: keeping.Role) -> Iterator[str]:
    with Server(role, host="127.0.0.1", port=0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def begun(
    kind: str, tmp_path: Path, rules: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[tuple[str, list[VerifierKey]]]:
    """A witness or mirror, made by its command; its address and keys."""
    key, place = tmp_path / f"{kind}.key", tmp_path / kind
    command = [kind, str(place), "--policy", str(rules), "--key", str(key)]
    assert main([*command, "--new", f"{kind}.example/k"]) == 0
    keys = [VerifierKey.parse(line) for line in capsys.readouterr().out.split()]
    assert {one.name for one in keys} == {f"{kind}.example/k"}
    if sys.platform != "win32":
        assert key.stat().st_mode & 0o777 == 0o600
    read = policy.parse(rules.read_bytes())
    if kind == "witness":
        keeper = keeping.witness(place, read, key)
    else:
        keeper = keeping.mirror(place, read, key, pulled=False)
    with closing(keeper.open()):
        role = keeper.witness() if kind == "witness" else keeper.mirror()
        with serving(role) as url:
            yield url, keys


def test_a_witness_over_http(
    tmp_path: Path, rules: Path, log: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    with begun("witness", tmp_path, rules, capsys) as (url, keys), closing(Remote(url)) as remote:
        answer = remote.post("add-checkpoint", request(3, 300))
        assert (answer.status, answer.body) == (409, b"0\n")
        assert answer.content_type == SIZE
        assert remote.post("add-checkpoint", b"x").status == 400
        assert remote.post("add-entries", b"x").status == 404
        assert remote.post("add-checkpoint", bytes(600_000)).status == 413
        assert remote.fetch(f"{NAME}/checkpoint") is None
        trusting = tmp_path / "trusting"
        witnesses = [f"witness W{n} {key.text}" for n, key in enumerate(keys)]
        trusting.write_bytes(policy_text(KEY, *witnesses, "quorum W0"))
        assert main(["verify", str(log.root), "--policy", str(trusting)]) == 1
        assert main(["push", str(log.root), url, "--policy", str(trusting)]) == 0
        assert f"{len(keys)} lines of the policy's witnesses" in capsys.readouterr().out
        assert main(["verify", str(log.root), "--policy", str(trusting)]) == 0
        served = remote.fetch(f"{NAME}/checkpoint")
        assert served is not None
        assert len(note.verify(served, keys)[1]) == len(keys)
        assert remote.fetch(f"{NAME}/tile/0/000") is None
        # the log grew by one entry and the witness is asked again
        writer = LogWriter.open(log)
        writer.append(ENTRIES[300:301])
        writer.publish(signed(301))
        assert main(["push", str(log.root), url, "--policy", str(trusting)]) == 0
        if any(key.kind == MLDSA_COSIGNATURE for key in keys):
            assert remote.post("sign-subtree", b"subtree 0 1\n\n").status == 400


def test_a_mirror_over_http(
    tmp_path: Path, rules: Path, log: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    with begun("mirror", tmp_path, rules, capsys) as (url, keys):
        assert main(["push", str(log.root), url]) == 0
        lines = capsys.readouterr().out
        assert len(note.verify(signed(300) + lines.encode(), keys)[1]) == len(keys)
        copy = f"{url}/{NAME}"
        with closing(Remote(copy)) as remote:
            assert remote.fetch("tile/0/000") == log.read("tile/0/000")
            assert remote.fetch("tile/0/077") is None
            assert remote.fetch("tile/0/000.p/0") is None
        # what the mirror serves is a log like any other: it is pulled from there
        place = tmp_path / "copy"
        command = ["mirror", copy, str(place), "--policy", str(rules)]
        for _ in range(2):
            assert main(command) == 0
            assert "Kept 300 entries" in capsys.readouterr().out
        assert main(["verify", str(place), "--policy", str(rules)]) == 0


def ask(url: str, headers: dict[str, str], data: bytes) -> int:
    connection = HTTPConnection(url.removeprefix("http://"), timeout=10)
    with closing(connection):
        connection.request("POST", "/add-entries", data, headers)
        with connection.getresponse() as response:
            response.read()
            return response.status


def test_bodies_come_zipped_and_in_chunks(
    tmp_path: Path, rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with begun("mirror", tmp_path, rules, capsys) as (url, _), closing(Remote(url)) as remote:
        assert remote.post("add-checkpoint", request(0, 300)).status == 200
        whole = body(0, 300)
        assert info(remote.post("add-entries", whole[:-10])) == (202, 300, 256)
        zipped = gzip.compress(body(256, 300))
        assert ask(url, {"Content-Encoding": "gzip"}, zipped[:40]) == 400
        assert ask(url, {"Content-Encoding": "gzip"}, b"no gzip") == 400
        assert ask(url, {"Content-Encoding": "gzip"}, zipped) == 200
        assert remote.post("add-checkpoint", request(300, 700)).status == 200
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body(300, 700), b""))
        connection = HTTPConnection(url.removeprefix("http://"), timeout=10)
        with closing(connection):
            connection.putrequest("POST", "/add-entries")
            connection.putheader("Transfer-Encoding", "chunked")
            connection.endheaders(chunks)
            with connection.getresponse() as response:
                assert response.status == 200
                assert response.headers["Accept-Encoding"] == "gzip"
        connection = HTTPConnection(url.removeprefix("http://"), timeout=10)
        with closing(connection):
            connection.putrequest("POST", "/add-entries")
            connection.endheaders()
            with connection.getresponse() as response:
                assert response.status == 411


def test_chunks_and_gzip_end_where_they_end() -> None:
    data = b"4;x=y\r\nabcd\r\n3\r\nefg\r\n0\r\n\r\nmore"
    chunked = _Chunked(BytesIO(data))
    assert [chunked.read(3), chunked.read(9), chunked.read(1)] == [b"abc", b"defg", b""]
    for broken in (b"", b"x\r\nabcd", b"-4\r\nabcd", b"4\r\nab", b"\r\n", b"4"):
        assert len(_Chunked(BytesIO(broken)).read(9)) <= 2
    opened = _Unzipped(BytesIO(gzip.compress(bytes(100_000))))
    assert [len(opened.read(70_000)), len(opened.read(70_000))] == [70_000, 30_000]
    assert _Unzipped(BytesIO(b"")).read(5) == b""


def test_a_lost_state_is_not_begun_again(
    tmp_path: Path, rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, place = tmp_path / "w.key", tmp_path / "w"
    command = ["witness", str(place), "--policy", str(rules), "--key", str(key)]
    assert main(command) == 2
    assert main([*command, "--new", "w.example/1"]) == 0
    assert main([*command, "--new", "w.example/1"]) == 2
    place.rename(tmp_path / "lost")
    capsys.readouterr()
    assert main([*command, "--listen", "127.0.0.1:0"]) == 1
    assert "state.lost" in capsys.readouterr().out
    # nor by beginning anew: the key is there, and never gets another state
    assert main([*command, "--new", "w.example/1"]) == 2
    assert main(["mirror", str(place), "--policy", str(rules)]) == 2
    assert main(["mirror", "a", "b", "c", "--policy", str(rules)]) == 2
    assert main(["mirror", "http://a", str(place), "--policy", str(rules), "--new", "n"]) == 1
    key.write_text("PRIVATE+KEY+nothing\n")
    assert main(command) == 1
    key.write_text("\n")
    assert main(command) == 1


def test_what_cannot_be_reached_or_read(
    tmp_path: Path, rules: Path, log: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving_nothing() as url:
        pass
    assert main(["mirror", url, str(tmp_path / "copy"), "--policy", str(rules)]) == 2
    assert "Not tried" in capsys.readouterr().err
    assert main(["push", str(log.root), url]) == 2
    assert main(["push", str(tmp_path / "none"), url]) == 1
    for wrong in ("ftp://a.example", "http://", "a.example"):
        with pytest.raises(FormatError):
            Remote(wrong)


@contextmanager
def serving_nothing() -> Iterator[str]:
    """An address at which nobody listens any more."""
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([(409, b"400\n")], "more than are here"),
        ([(409, b"x\n")], "names no size"),
        ([(409, b"3\n"), (409, b"4\n"), (409, b"5\n")], "It answers 409"),
        ([(200, b""), (202, b"300\n0\n\n")], "It answers 202"),
        ([(422, b"no\n")], "It answers 422: no"),
    ],
)
def test_a_witness_that_makes_no_sense_is_left(
    log: Folder, answers: list[tuple[int, bytes]], said: str
) -> None:
    left = list(answers)

    def post(path: str, data: bytes) -> Answer:
        status, text = left.pop(0) if len(left) > 1 else left[0]
        kind = "text/x.tlog.mirror-info" if path == "add-entries" else SIZE
        return Answer(status, text, kind)

    with pytest.raises(ChainError, match=said):
        keeping.push(log, post, [])
    assert log.read("checkpoint") == signed(300)


@pytest.mark.process
def test_as_processes(tmp_path: Path, rules: Path, log: Folder) -> None:
    """The commands as an operator runs them; the mirror is killed and started again."""
    place, key = tmp_path / "mirror", tmp_path / "m.key"
    command = [sys.executable, "-m", "chain", "mirror", str(place), "--policy", str(rules)]
    command += ["--key", str(key), "--listen", "127.0.0.1:0"]
    subprocess.run([*command, "--new", "m.example/1"], cwd=ROOT, check=True, capture_output=True)
    for size in (300, 700):
        writer = LogWriter.open(log)
        writer.append(ENTRIES[writer.size : size])
        writer.publish(signed(size))
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            try:
                assert main(["push", str(log.root), url]) == 0
            finally:
                process.kill()
    check = [*command[:3], "verify", str(place / NAME), "--policy", str(rules), "--json"]
    done = subprocess.run(check, cwd=ROOT, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout)["size"] == 700
