"""The pages of members on real nodes: an invitation made in a browser lets a clinic in."""

import html
import re

import pytest
from starlette.testclient import TestClient

from consortium.main import create_app
from consortium.members import directory
from consortium.wiring import Node
from tests.consortium.members.consortium_made import (
    CLINIC_PASSPHRASE,
    PASSWORD,
    SHIQIAO,
    World,
    state_of,
)

ENTRY = {"name_zh": "石桥镇卫生院", "name_en": "Shiqiao Township Clinic", "phone": "0571-1"}


def browser(node: Node, login: str) -> TestClient:
    """A browser in which somebody is signed in. The app's own jobs do not run."""
    client = TestClient(create_app(node), base_url="https://hub.example", follow_redirects=False)
    answer = client.post("/sign-in", data={"name": login, "password": PASSWORD, "back": "/"})
    assert answer.status_code == 303
    return client


def post(client: TestClient, path: str, **fields: object) -> str:
    """Send a form of /members; the page that answers, or where it leads."""
    token = re.search(r'name="csrf" value="([^"]+)"', client.get("/members").text)
    assert token is not None
    answer = client.post(path, data={"csrf": token[1], **fields})
    return str(answer.headers["location"]) if answer.status_code == 303 else answer.text


@pytest.fixture
def admin(world: World) -> TestClient:
    world.person(world.hub, world.founded.links["consortium"].token, login="admin", name="管理员")
    return browser(world.hub, "admin")


def test_an_invitation_made_on_the_page_lets_a_clinic_in(world: World, admin: TestClient) -> None:
    page = html.unescape(post(admin, "/members/invite", **ENTRY, member="shiqiao"))
    command = re.search(r"workstation join (\S+) ([0-9A-Z-]{19})", page)
    assert command is not None
    assert page.count("<svg") > 1
    assert "-".join(re.findall("....", command[1].partition("#")[2])) in page
    wrong = post(admin, "/members/invite", **{**ENTRY, "phone": "call me"})
    assert "members.details" in wrong
    invited = world.invite("yunling")  # another one does not end this one
    assert invited.member == "yunling"
    wire = world.wire
    joined = world.join(invited, world.folder / "shiqiao", url=command[1], code=command[2])
    assert joined.member == "shiqiao"
    assert wire.heard
    shown = admin.get("/members").text
    for name in ("清源县医联体", "清源市第一人民医院", SHIQIAO["name_zh"]):
        assert str(name) in shown
    charter = admin.get("/charter").text
    assert charter.count("<tr>") == 8


def test_a_clinics_head_updates_its_entry_and_invites_nobody(world: World) -> None:
    joined = world.join(world.invite())
    station = world.node(world.folder / "shiqiao", world.wire)
    world.person(station, joined.link.token, login="wang", name="王院长")
    client = TestClient(
        create_app(station), base_url="http://127.0.0.1:8001", follow_redirects=False
    )
    client.post("/sign-in", data={"name": "wang", "password": PASSWORD, "back": "/"})
    told = {**ENTRY, "phone": "0571-9", "services": ["pediatrics", "neurology"]}
    assert post(client, "/members", **told) == "/members"
    world.settle(station)
    with world.hub.database.read() as session:
        found = directory.find(session, "shiqiao")
        assert found is not None
        assert (found.phone, found.services) == ("0571-9", ("pediatrics", "neurology"))
    token = re.search(r'name="csrf" value="([^"]+)"', client.get("/members").text)
    assert token is not None
    answer = client.post("/members/invite", data={"csrf": token[1], **ENTRY, "member": "yunling"})
    assert answer.status_code == 404
    assert state_of(world.hub.database, "member:yunling") is None
    assert CLINIC_PASSPHRASE not in answer.text
