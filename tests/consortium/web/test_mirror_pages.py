"""The regulator at a mirror: sees ledger, members, contracts and alarms, and can change nothing."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient

from consortium.cli.demo_patients import SKETCHES
from consortium.cli.demo_people import INSPECTOR, PEOPLE, REGULATOR
from consortium.cli.demo_world import DemoWorld, join
from consortium.exchange import register, replay
from consortium.exchange.replay import Finding
from consortium.ledger import cosignatures, publisher
from consortium.main import create_app
from consortium.patients.tables import PatientTable
from consortium.settings import NodeRole
from consortium.wiring import Node
from tests.support import real_world
from tests.support.real_world import csrf_of


@pytest.fixture(scope="module")
def mirror(founded_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A mirror that has joined the demo's consortium, with its inspector's account."""
    home = tmp_path_factory.mktemp("mirror") / "home"
    with real_world.open_copy(founded_home, home) as world:
        demo = DemoWorld(
            home, world.clock, world.nodes["hub"],
            {name: world.nodes[name] for name in ("shiqiao", "yunling")}, world.cables,
            people=(*PEOPLE, INSPECTOR),
        )  # fmt: skip
        demo.sign_in("gaoyuan")
        guard = home.with_name(f"{home.name}-guard")
        join(demo, REGULATOR, port=8003, guard=guard, role=NodeRole.MIRROR)
        demo.settle()
        # witnesses are asked for the last checkpoint of the ten seconds before
        demo.clock.pass_s(20)
        demo.settle()
        node = demo.beside[REGULATOR.member]
        yield node
        node.close()


@pytest.fixture(scope="module")
def browser(mirror: Node) -> TestClient:
    client = TestClient(
        create_app(mirror), base_url="http://127.0.0.1:8003", raise_server_exceptions=False,
        follow_redirects=False,
    )  # fmt: skip
    told = {"name": INSPECTOR.login, "password": INSPECTOR.password}
    assert client.post("/sign-in", data=told).status_code == 303
    return client


def test_the_mirror_has_the_hubs_tree_and_found_nothing(mirror: Node, browser: TestClient) -> None:
    with mirror.database.read() as session:
        assert replay.count(session) == 0
        newest = publisher.latest(session)
    assert newest is not None
    # the log's own words, with the lines of those who witnessed them
    served = browser.get("/ledger/checkpoint").content
    assert served.startswith(newest.note)
    assert len(served) > len(newest.note)
    assert browser.get("/ledger/tile/0/000").status_code == 404
    assert browser.get(f"/ledger/tile/0/000.p/{newest.size}").status_code == 200
    assert browser.get(f"/ledger/tile/entries/000.p/{newest.size}").status_code == 404


def test_the_regulator_reads_ledger_members_contracts_and_alarms(browser: TestClient) -> None:
    ledger = browser.get("/ledger").text
    assert "石桥镇卫生院" in ledger
    entry = re.search(r'href="(/entries/\d+)"', ledger)
    assert entry is not None
    assert browser.get(entry[1]).status_code == 200
    assert "清源县卫生健康局" in browser.get("/members").text
    contracts = browser.get("/contracts").text
    assert "石桥镇卫生院" in contracts
    assert browser.get("/alarms").status_code == 200


def test_no_patient_is_there(mirror: Node) -> None:
    """Not one row of a patient, and no name of one anywhere in the database."""
    names = [sketch.name for sketch in SKETCHES.values()]
    [file] = mirror.settings.home.glob("node.db")
    written = b"".join(
        one.read_bytes() for one in mirror.settings.home.glob(f"{file.name}*") if one.is_file()
    )
    assert [name for name in names if name.encode() in written] == []
    with mirror.database.read() as session:
        assert session.scalar(select(func.count()).select_from(PatientTable)) == 0


def test_the_regulator_changes_nothing(browser: TestClient) -> None:
    token = csrf_of(browser.get("/account").text)
    for path in ("/members/invite", "/contracts/new", "/referrals/new"):
        assert browser.post(path, data={"csrf": token}).status_code in {404, 405, 422}


def test_a_finding_is_on_every_page(mirror: Node, browser: TestClient) -> None:
    one = Finding(7, "verdict", "referral.request/1", "ok v1", "contract.quota")
    with mirror.database.write() as session:
        replay.keep(session, [one], now=mirror.clock.now())
    assert "/alarms" in browser.get("/members").text
    assert "contract.quota" in browser.get("/alarms").text


def test_receipts_made_at_the_mirror_name_their_witnesses(
    mirror: Node, browser: TestClient
) -> None:
    with mirror.database.read() as session:
        sure = cosignatures.witnessed(session)
        index = next(
            one.index for one in register.of_ledger(session).rows if one.index < sure.size
        ) if sure is not None else -1  # fmt: skip
    assert sure is not None
    page = browser.get(f"/entries/{index}").text
    assert "仅中心签名" not in page
    assert "石桥镇卫生院" in page[page.index("见证人") :]


def test_a_contract_that_the_mirror_does_not_hold_has_its_short_number(
    mirror: Node, browser: TestClient
) -> None:
    with mirror.database.read() as session:
        (contract,) = {one.contract for one in register.of_ledger(session).rows} - {""}
    page = browser.get("/ledger").text
    assert f"协议 {contract[-6:].upper()}" in page
    assert contract not in page
