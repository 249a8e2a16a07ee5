"""`make demo`'s command: starts, tells who may sign in, goes on, stops; a taken port is told."""

import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from consortium.cli.check_http import Browser
from consortium.cli.demo_people import INSPECTOR, PEOPLE
from tests.processes.conftest import answers, command, ledger_size, started, wait_for

pytestmark = pytest.mark.process

NODES = 4
SIGN_INS_S = 20.0


def test_the_demo_starts_goes_on_with_its_folder_and_stops_all_four(
    tmp_path: Path, port: int
) -> None:
    home, log = tmp_path / "demo", tmp_path / "demo.log"
    asked = ("demo", "--port", str(port), "--keep", home)
    with started(*asked, log=log) as process:
        _all_answer(port, process, log)
        _tells_everybody(log, port)
        _everybody_signs_in(port)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0, log.read_text()
    assert not any(answers(port + number) for number in range(NODES))
    size = ledger_size(home / "hub")
    assert size > 50
    begun = time.monotonic()
    with started(*asked, log=log) as process:
        _all_answer(port, process, log)
        assert time.monotonic() - begun < 30
        assert ledger_size(home / "hub") >= size
        other = command("demo", "--port", str(port), "--keep", tmp_path / "other")
        assert (other.code, "(system.port)" in other.err, f"{port}" in other.err) == (1, True, True)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0, log.read_text()
    assert not any(answers(port + number) for number in range(NODES))


def test_a_folder_that_was_made_for_another_port_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "ready").write_text("8000")
    told = command("demo", "--port", "8342", "--keep", tmp_path)
    assert (told.code, "(demo.other_port)" in told.err) == (1, True)


def test_a_port_in_use_is_told_in_words(tmp_path: Path, port: int) -> None:
    with socket.create_server(("127.0.0.1", port + 1)):
        told = command("demo", "--port", str(port), "--keep", tmp_path / "demo")
    assert told.code == 1
    assert f"Port {port + 1} is used by another program." in told.err
    assert not (tmp_path / "demo").exists()


def _all_answer(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for number in range(NODES):
        wait_for(port + number, process, log=log)


def _tells_everybody(log: Path, port: int) -> None:
    end = time.monotonic() + SIGN_INS_S
    while not all(one.password in log.read_text() for one in (*PEOPLE, INSPECTOR)):
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.1)
    told = log.read_text()
    assert re.findall(r"http://127\.0\.0\.1:(\d+)", told) == [
        str(port + number) for number in range(NODES)
    ]


def _everybody_signs_in(port: int) -> None:
    places = {"shiqiao": 1, "yunling": 2, "weijian": 3}
    for one in (*PEOPLE, INSPECTOR):
        browser = Browser(port + places.get(one.member, 0))
        browser.sign_in(one.login, one.password)
        assert one.name in browser.get("/").text
        browser.close()
