"""A hub set up unattended from a file, and a clinic that joins it over HTTP, as real processes."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from consortium.cli.check_http import Browser, CheckError
from consortium.exchange import state
from consortium.kernel.database import Database
from consortium.settings import Settings
from tests.processes.conftest import command, ledger_size, started, wait_for

pytestmark = pytest.mark.process

PLAN = """
[consortium]
name_zh = "南谷县医共体"
name_en = "Nangu County Alliance"
phone = "0900-100"
address = "南谷县"
passphrase = "seal of the alliance"

[lead]
id = "nangu"
name_zh = "南谷县人民医院"
name_en = "Nangu County Hospital"
phone = "0900-200"
address = "南谷县人民路"
services = ["cardiology"]
passphrase = "seal of the hospital"

[hub]
origin = "nangu.example/ledger"
port = {port}
guard_dir = "{guard}"
"""
PASSWORD = "correct-horse-battery-2026"


def test_a_hub_from_a_plan_and_a_clinic_that_joins_it(tmp_path: Path, port: int) -> None:
    home, clinic, guard = tmp_path / "hub", tmp_path / "clinic", tmp_path / "guard"
    plan, seal = tmp_path / "plan.toml", tmp_path / "office" / "seal.json"
    plan.write_text(PLAN.format(port=port, guard=guard), encoding="utf-8")
    asked = ("hub", "init", "--home", home, "--plan", plan, "--seal", seal,
             "--recovery", tmp_path / "safe")  # fmt: skip
    _keys_are_not_printed(asked[:-2])
    home.mkdir(mode=0o755)
    made = command(*asked)
    assert made.code == 0, made.err
    invites = next(line for line in made.out.splitlines() if line.startswith("hub "))
    assert invites.count("#") == 1
    assert home.stat().st_mode & 0o777 == 0o700
    first = _first_links(made.out)
    assert set(first) == {"consortium", "nangu"}
    assert len(list((tmp_path / "safe").glob("recovery-*.html"))) == 2
    _is_not_set_up_twice(asked, seal)
    log = tmp_path / "hub.log"
    with started("serve", "--home", home, log=log) as hub:
        wait_for(port, hub, log=log)
        url, code = _invited(port, first["consortium"])
        joined = _join(clinic, url, code, port=port + 1, guard=guard)
        again = command("workstation", "join", url, code, "--home", tmp_path / "late",
                        "--passphrase-file", tmp_path / "pass",
                        "--recovery", tmp_path / "late-safe",
                        CONSORTIUM_GUARD_DIR=str(guard))  # fmt: skip
        assert (again.code, "members.code" in again.err) == (1, True), again.err
        clinic_log = tmp_path / "clinic.log"
        served = started("serve", "--home", clinic, log=clinic_log, CONSORTIUM_GUARD_DIR=str(guard))
        with served as node:
            wait_for(port + 1, node, log=clinic_log)
            _first_person(port + 1, joined)
    assert ledger_size(home) >= 6
    assert _members(home) == _members(clinic) == {"consortium": "joined", "nangu": "joined",
                                                  "xishan": "joined"}  # fmt: skip


def _first_links(out: str) -> dict[str, str]:
    """Members and the paths of their first links, as `hub init` and `join` print them."""
    lines = [line.split() for line in out.splitlines() if line.startswith("first ")]
    # as a browser opens them: what stands behind a # is not asked for
    return {member: urlsplit(url).path for _, member, url in lines}


def _keys_are_not_printed(asked: tuple[str | Path, ...]) -> None:
    told = command(*asked)
    assert (told.code, "(cli.recovery_place)" in told.err) == (1, True), told.err
    assert "AGE-SECRET-KEY" not in told.out + told.err


def _is_not_set_up_twice(asked: tuple[str | Path, ...], seal: Path) -> None:
    kept = seal.read_bytes()
    again = command(*asked)
    assert (again.code, "(members.home_exists)" in again.err) == (1, True)
    assert seal.read_bytes() == kept


def _invited(port: int, path: str) -> tuple[str, str]:
    """The first person of the office signs in by the link and invites a clinic."""
    browser = Browser(port)
    typed = {"password": PASSWORD, "again": PASSWORD, "login": "office", "name": "Wen"}
    browser.send(browser.get(path), path, typed)
    told = {"name_zh": "西山乡卫生院", "name_en": "Xishan Clinic", "phone": "0900-300",
            "member": "xishan"}  # fmt: skip
    page = browser.send(browser.get("/members"), "/members/invite", told)
    browser.close()
    _, _, shown = page.text.partition("consortium workstation join ")
    url, code, *_ = shown.split()
    return url, code


def _join(home: Path, url: str, code: str, *, port: int, guard: Path) -> str:
    passphrase = home.parent / "pass"
    passphrase.write_text("seal of the clinic\n")
    strange = url[:-4] + ("0000" if not url.endswith("0000") else "1111")
    asked = ("--home", home, "--port", str(port), "--passphrase-file", passphrase,
             "--recovery", home.parent / "clinic-safe")  # fmt: skip
    wrong = command("workstation", "join", strange, code, *asked, CONSORTIUM_GUARD_DIR=str(guard))
    assert (wrong.code, "(members.fingerprint)" in wrong.err) == (1, True), wrong.err
    told = command("workstation", "join", url, code, *asked, CONSORTIUM_GUARD_DIR=str(guard))
    assert told.code == 0, told.err
    assert "member xishan" in told.out
    return _first_links(told.out)["xishan"]


def _first_person(port: int, path: str) -> None:
    browser = Browser(port)
    typed = {"password": PASSWORD, "again": PASSWORD, "login": "head", "name": "Shi"}
    assert browser.send(browser.get(path), path, typed).path == "/"
    assert "Shi" in browser.get("/people").text
    with pytest.raises(CheckError):
        browser.get(path)
    browser.close()


def _members(home: Path) -> dict[str, str]:
    """Who has joined, as this node has folded it."""
    database = Database(Settings.read(home).database_url)
    try:
        with database.read() as session:
            found = state.scan(session, "member:")
            return {name.partition(":")[2]: value["state"] for name, value in found}
    finally:
        database.close()
