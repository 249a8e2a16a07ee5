"""The pages of a consortium in one process: an app a node, browsers signed in as its people."""

import hashlib
import re
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import orjson
from fastapi import FastAPI
from starlette.testclient import TestClient

from consortium.exchange.links import LinkState
from consortium.kernel.database import Database
from consortium.kernel.ids import UserId
from consortium.members.keyring import Keyring
from consortium.members.seal import Seals
from consortium.members.tables import AccountRow, OrganisationRow
from consortium.settings import NodeRole, Settings
from consortium.web.guard import session_cookie
from consortium.web.install import install
from consortium.web.wake import Broadcaster
from tests.consortium.contracts.world import CLINIC, OTHER, PEOPLE, ContractWorld
from tests.consortium.exchange.world import HUB, LEAD
from tests.support.clock import VirtualClock

BASE = "http://127.0.0.1:8000"
ORGANISATIONS = {
    HUB: ("consortium", "清源县医联体", "Qingyuan County Medical Consortium"),
    LEAD: ("lead", "清源市第一人民医院", "Qingyuan First People's Hospital"),
    CLINIC: ("clinic", "云岭乡卫生院", "Yunling Township Health Centre"),
    OTHER: ("clinic", "石桥镇卫生院", "Shiqiao Town Health Centre"),
}


@dataclass
class PageNode:
    """Fits `consortium.web.node.WebNode`."""

    settings: Settings
    database: Database
    clock: VirtualClock
    post: Any
    seals: Seals
    keyring: Keyring
    identities: Any
    id: str
    wake: Broadcaster = field(default_factory=Broadcaster)
    policy: bytes = b""
    store: Any = None

    def link_state(self, member: str) -> LinkState:
        now = self.clock.now()
        return LinkState(online=True, since=now, last_sync=now)


PLACE = hashlib.sha256(b"testclient\ntestclient").digest()
"""Where the test client is, as the guard sees it."""


class Pages:
    """Every node of a world with its pages."""

    def __init__(self, world: ContractWorld) -> None:
        self.world = world
        self.apps: dict[str, FastAPI] = {}
        for member in (HUB, CLINIC, OTHER):
            self.apps[member] = self._app(member)
        self.apps[LEAD] = self.apps[HUB]

    def _app(self, member: str) -> FastAPI:
        world = self.world
        at_hub = member == HUB
        home = world.folder / "homes" / (LEAD if at_hub else member)
        node = PageNode(
            settings=Settings(home=home, role=NodeRole.HUB, idle_lock_min=5),
            database=world.databases[member],
            clock=world.clock,
            post=world.members[member].post,
            seals=world.seals[LEAD if at_hub else member],
            keyring=world.keyring,
            identities=SimpleNamespace(of=lambda one: world.identities[one]),
            id=f"page-{member}",
        )
        with node.database.write() as session:
            for one, (kind, zh, en) in ORGANISATIONS.items():
                session.add(
                    OrganisationRow(
                        member=one, kind=kind, name_zh=zh, name_en=en, phone="0550-555 0120",
                        address="", services="[]", index=1,
                    )
                )  # fmt: skip
            for who, (owner, name, role) in PEOPLE.items():
                if owner in ((HUB, LEAD) if at_hub else (member,)):
                    session.add(
                        AccountRow(
                            user=who, login=who, name=name, member=owner,
                            roles=orjson.dumps([role.value]).decode(), password="x",
                            made_at=world.clock.now(), changed_at=world.clock.now(),
                            key_id=world.person_keys[who].key_id, key_index=0,
                        )
                    )  # fmt: skip
        app = FastAPI()
        install(app, node)
        return app

    def browser(self, who: str, *, lang: str = "zh") -> TestClient:
        """A browser in which this person is signed in now."""
        member = PEOPLE[who][0]
        app = self.apps[member]
        token, _ = app.state.sessions.open(UserId(who), now=self.world.now, place=PLACE)
        client = TestClient(app, base_url=BASE, follow_redirects=False)
        client.cookies.set(session_cookie(app.state.node.id), token)
        with app.state.node.database.write() as session:
            account = session.get(AccountRow, who)
            assert account is not None
            account.language = lang
        return client


def fields(html: str, form: str = "") -> list[tuple[str, str]]:
    """What a browser would send of the form with this id: inputs, ticked boxes, chosen options."""
    inside = re.search(rf'<form[^>]*id="{form}".*?</form>', html, re.DOTALL)
    assert inside is not None, html
    text, found = inside.group(0), []
    for tag in re.finditer(r"<input\b[^>]*>", text):
        attributes = dict(re.findall(r'([\w:-]+)(?:="([^"]*)")?', tag.group(0)))
        kind = attributes.get("type", "text")
        if kind == "file" or (kind in {"checkbox", "radio"} and "checked" not in attributes):
            continue
        if name := attributes.get("name"):
            found.append((name, _plain(attributes.get("value", ""))))
    for name, options in re.findall(
        r'<select[^>]*name="([^"]+)"[^>]*>(.*?)</select>', text, re.DOTALL
    ):
        chosen = re.search(r'<option value="([^"]*)" selected', options)
        found.append((name, _plain(chosen.group(1)) if chosen else ""))
    return found


def _plain(text: str) -> str:
    return text.replace("&gt;", ">").replace("&amp;", "&").replace("&#34;", '"')


def put(pairs: list[tuple[str, str]], **values: str) -> dict[str, Any]:
    """The fields with some of them filled in; `__` in a name stands for a dot."""
    whole: dict[str, Any] = {}
    for name, value in pairs:
        whole.setdefault(name, []).append(value)
    for name, value in values.items():
        whole[name.replace("__", ".")] = [value]
    return whole
