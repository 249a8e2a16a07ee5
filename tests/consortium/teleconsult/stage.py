"""Two nodes with pages over the world of clinics, and a browser for each person."""

import hashlib
import itertools
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from starlette.testclient import TestClient

from consortium.contracts import service as contracts
from consortium.kernel.database import Database
from consortium.members.tables import AccountRow
from consortium.scheduling import service as scheduling
from consortium.web.guard import session_cookie
from tests.consortium.exchange import world as worlds
from tests.consortium.referrals.test_pages import token, words
from tests.consortium.referrals.world import Site, name_members
from tests.consortium.teleconsult.world import Clinics, Covering, in_force, registry
from tests.support.databases import SqliteFiles

PLACE = hashlib.sha256(b"testclient\ntestclient").digest()
"""Where a TestClient says that it is (`guard.place_of`)."""
BASE = "http://127.0.0.1:8001"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000b49444154789c63f8"
    "0f040009fb03fdfb5e6b2b0000000049454e44ae426082"
)


@contextmanager
def staged(folder: Path, files: SqliteFiles, patch: pytest.MonkeyPatch) -> Iterator["Stage"]:
    """Pages are the same on both databases: what is below them is tested on both."""
    patch.setattr(worlds, "registry", registry)
    patch.setattr(contracts, "covering", Covering.found)
    patch.setattr(contracts, "in_force", in_force)
    count = itertools.count()
    with ExitStack() as stack:

        def make() -> Database:
            return stack.enter_context(files.one(folder, f"node{next(count)}.db"))

        yield Stage(Clinics(folder, make))


class Stage:
    """Pages of the hospital and of both clinics; clinics ask the hub for free slots."""

    def __init__(self, world: Clinics) -> None:
        self.world = world
        name_members(world)
        self.sites = {member: Site(world, member) for member in ("shiqiao", "lead", "yunling")}
        for member in ("shiqiao", "yunling"):
            world.members[member].post._query = self._query
        for name in world.people:
            self._account(name)
        self.browsers = _Browsers(self)

    def _account(self, name: str) -> None:
        """An account whose key is open; no password, for closing a key is slow by design."""
        site, actor, now = self.site(name), self.world.actor(name), self.world.clock.now()
        site.node.keyring.put(actor.user, self.world.key(name))  # type: ignore[arg-type]
        with site.node.database.write() as session:
            session.add(
                AccountRow(
                    user=actor.user, login=name, name=actor.name, member=actor.member,
                    roles=orjson.dumps(sorted(actor.roles)).decode(), password="x",
                    made_at=now, changed_at=now, key_id=actor.key, key_index=0,
                )
            )  # fmt: skip

    def _query(self, member: str, _name: str, params: Mapping[str, Any]) -> dict[str, Any]:
        with self.world.hub_database.read() as session:
            found = scheduling.answer(session, member, params)
        now = self.world.clock.now()
        return {"answer": found, "index": 7, "time_ms": int(now.timestamp() * 1000)}

    def site(self, name: str) -> Site:
        return self.sites[self.world.actor(name).member]

    def cut(self, name: str, *, cut: bool = True) -> None:
        """Cut a person's node off, or mend its link."""
        site = self.site(name)
        self.world.members[site.member].link.cut = cut
        site.node.link.online = not cut

    def get(self, name: str, path: str) -> str:
        answer = self.browsers[name].get(path)
        assert answer.status_code == 200, (path, answer.status_code, answer.headers)
        return answer.text

    def words(self, name: str, path: str) -> str:
        """What a person reads on a page."""
        return words(self.get(name, path))

    def send(self, name: str, path: str, fields: Mapping[str, Any], files: Any = None) -> Any:
        client: TestClient = self.browsers[name]
        return client.post(path, data={"csrf": token(client), **fields}, files=files)

    def post(self, name: str, path: str, fields: Mapping[str, Any], files: Any = None) -> str:
        """Send a form with its token; the address that it leads to."""
        answer = self.send(name, path, fields, files)
        assert answer.status_code == 303, (path, answer.status_code, words(answer.text))
        return str(answer.headers["location"])

    def browser(self, name: str) -> TestClient:
        """A browser in which a person has just signed in."""
        site = self.site(name)
        sessions = site.app.state.sessions
        user, now = self.world.actor(name).user, self.world.clock.now()
        token_, _ = sessions.open(user, now=now, place=PLACE)
        client = TestClient(site.app, base_url=BASE, follow_redirects=False)
        client.cookies.set(session_cookie(site.node.id), token_)
        return client

    def settle(self) -> None:
        self.world.settle()


class _Browsers(dict[str, TestClient]):
    """Each person's browser, signed in anew where hours have passed in the world."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage, self._at = stage, stage.world.clock.now()

    def __getitem__(self, name: str) -> TestClient:
        now = self._stage.world.clock.now()
        if now != self._at:
            self.clear()
            self._at = now
        if name not in self:
            self[name] = self._stage.browser(name)
        return super().__getitem__(name)
