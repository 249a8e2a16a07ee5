"""Commands on the machine of a running node: doctor, people, clock, evidence."""

import json
import re
from pathlib import Path

import pytest

from consortium.cli import check_contract
from consortium.cli.check_http import Browser
from consortium.cli.check_nodes import HUB_FOLDER, Nodes
from consortium.cli.demo_people import YUNLING, person
from tests.processes.conftest import command

pytestmark = pytest.mark.process

GAOYUAN, LIN = person("gaoyuan"), person("lin")


def test_doctor_finds_a_node_well_once_there_is_a_backup(nodes: Nodes) -> None:
    home = nodes.home / YUNLING
    made = command("backup", home / "backups" / "node-20261124.age", "--home", home)
    assert made.code == 0, made.err
    told = command("doctor", "--home", home)
    assert [line for line in told.out.splitlines() if not line.startswith("ok")] == []
    assert told.code == 0, told.out
    assert {line.split()[1].split(".")[0] for line in told.out.splitlines()} >= {
        "clock", "disk", "keys", "link", "ledger", "migrations", "backup",
    }  # fmt: skip


def test_doctor_names_what_is_broken_and_what_to_do(nodes: Nodes) -> None:
    home = nodes.home / YUNLING
    key = home / "keys" / YUNLING / "node.key"
    key.chmod(0o644)
    try:
        told = command("doctor", "--home", home)
    finally:
        key.chmod(0o600)
    assert told.code == 1
    fault = next(line for line in told.out.splitlines() if line.startswith("!!"))
    assert "keys.open" in fault
    assert "node.key" in told.out


def test_doctor_tells_a_link_that_is_cut(nodes: Nodes) -> None:
    folder = nodes.home / YUNLING
    nodes.kill(HUB_FOLDER)
    try:
        told = command("doctor", "--home", folder)
    finally:
        nodes.start(HUB_FOLDER)
    assert (told.code, "link.down" in told.out) == (1, True)


def test_whoever_is_locked_out_gets_in_by_a_link_made_on_the_machine(nodes: Nodes) -> None:
    told = command("user", "reset", "bai", "--home", nodes.home / YUNLING)
    assert told.code == 0, told.err
    path = re.sub(r"^http://127\.0\.0\.1:\d+", "", told.out.strip())
    browser = Browser(nodes.port_of(YUNLING))
    page = browser.get(path)
    typed = {"password": "a-new-pass-phrase-2026", "again": "a-new-pass-phrase-2026"}
    assert browser.send(page, path, typed).path == "/"
    assert browser.raw(path).status_code >= 400
    browser.close()


def test_nobody_is_reset_who_is_not_there(nodes: Nodes) -> None:
    told = command("user", "reset", "nobody", "--home", nodes.home / YUNLING)
    assert (told.code, told.out, "members.no_such_person" in told.err) == (1, "", True)


def test_two_persons_confirm_the_clock(nodes: Nodes) -> None:
    home = nodes.home / HUB_FOLDER
    asked = ("hub", "clock", "--confirm", "--person", "gaoyuan", "--person", "lin", "--home", home)
    told = command(*asked, typed=f"{GAOYUAN.password}\n{LIN.password}\n")
    assert told.code == 0, told.err
    assert told.out.count(":") >= 4
    shown = command("hub", "clock", "--home", home)
    assert shown.code == 0, shown.err
    elsewhere = command("hub", "clock", "--confirm", "--home", nodes.home / YUNLING)
    assert (elsewhere.code, "(rights.not_here)" in elsewhere.err) == (1, True)


@pytest.mark.parametrize(
    ("people", "passwords", "code"),
    [
        (("gaoyuan", "gaoyuan"), (GAOYUAN.password,) * 2, "ledger.two_persons"),
        (("gaoyuan", "lin"), (GAOYUAN.password, "wrong"), "members.sign_in_wrong"),
        (("gaoyuan", "gu"), (GAOYUAN.password, person("gu").password), "rights.not_here"),
    ],
)
def test_one_person_cannot_confirm_the_clock(
    nodes: Nodes, people: tuple[str, str], passwords: tuple[str, str], code: str
) -> None:
    named = [part for name in people for part in ("--person", name)]
    home = nodes.home / HUB_FOLDER
    told = command(
        "hub",
        "clock",
        "--confirm",
        *named,
        "--home",
        home,
        typed="".join(f"{one}\n" for one in passwords),
    )
    assert (told.code, f"({code})" in told.err) == (1, True), told.err


def test_a_contract_is_shown_and_terms_are_checked(nodes: Nodes, tmp_path: Path) -> None:
    contract = check_contract.make(nodes, clinic=YUNLING, head="tang")
    told = command("contract", "show", contract, "--home", nodes.home / YUNLING)
    assert told.code == 0, told.err
    assert "In force" in told.out
    assert f"{check_contract.QUOTA}" in told.out
    file = tmp_path / "terms.json"
    file.write_text(json.dumps({"schema": "terms/1"}))
    assert command("contract", "lint", file, "--home", nodes.home / YUNLING).code == 1
    file.write_text("{")
    broken = command("contract", "lint", file, "--home", nodes.home / YUNLING)
    assert (broken.code, "(cli.not_json)" in broken.err) == (1, True)


def test_every_resource_is_written_once_as_it_was_signed(nodes: Nodes, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    told = command("fhir", "export", folder, "--home", nodes.home / YUNLING)
    assert told.code == 0, told.err
    bodies, resources = map(int, told.out.split())
    files = [file for file in folder.rglob("*.json") if file.parent.name != "Bundle"]
    assert (len(list((folder / "Bundle").iterdir())), len(files)) == (bodies, resources)
    assert bodies > 10
    for file in files:
        resource = json.loads(file.read_bytes())
        assert resource["resourceType"] == file.parent.name
        assert file.name.startswith(resource["id"])
    again = command("fhir", "export", folder, "--home", nodes.home / YUNLING)
    assert (again.code, "(cli.folder)" in again.err) == (1, True)


def test_a_receipt_of_another_log_does_not_hold(nodes: Nodes, tmp_path: Path) -> None:
    nodes.books.rest(within_s=30)
    with nodes.books.read(YUNLING) as session:
        from consortium.exchange import census

        receipt = next(iter(census.taken(session, YUNLING))).receipt
    assert receipt is not None
    file = tmp_path / "one.tlog-proof"
    file.write_bytes(receipt)
    good = command("ledger", "receipt", file, "--home", nodes.home / YUNLING)
    assert (good.code, good.out.split()[2]) == (0, "ok"), good.err
    file.write_bytes(receipt.replace(b"\n", b"\n ", 1))
    assert command("ledger", "receipt", file, "--home", nodes.home / YUNLING).code == 1
