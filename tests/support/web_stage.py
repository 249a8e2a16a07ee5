"""A node for tests of pages: real database, accounts and desk; the link is what the test says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.orm import Session

from consortium.desk import service as desk
from consortium.desk.model import DeskRow
from consortium.exchange.links import LinkState
from consortium.exchange.tables import SharedStateRow
from consortium.kernel.actor import Actor, Role
from consortium.kernel.database import Database
from consortium.kernel.ids import CaseId, MemberId, PatientId
from consortium.members import accounts, people
from consortium.members.keyring import Keyring
from consortium.members.person import actor_of
from consortium.members.seal import Seals
from consortium.members.tables import AccountRow, OrganisationRow
from consortium.settings import NodeRole, Settings
from consortium.web.install import install
from consortium.web.wake import Broadcaster
from tests.support.clock import VirtualClock

MEMBER = "shiqiao"
PASSWORD = "a long and quiet sentence"
DOCTOR = frozenset({Role.TOWNSHIP_DOCTOR, Role.MEMBER_ADMIN, Role.HEAD})


@dataclass
class StageNode:
    """Fits `consortium.web.node.WebNode`."""

    settings: Settings
    database: Database
    clock: VirtualClock
    id: str = "node1"
    wake: Broadcaster = field(default_factory=Broadcaster)
    keyring: Keyring = field(default_factory=Keyring)
    policy: bytes = b""
    post: Any = None
    store: Any = None
    link: LinkState = field(default_factory=LinkState)

    @property
    def seals(self) -> Seals:
        return Seals(self.settings.home)

    @property
    def identities(self) -> Any:
        return SimpleNamespace(of=lambda member: SimpleNamespace(node=f"node-of-{member}"))

    def link_state(self, member: str) -> LinkState:
        """The one link of this stage."""
        return self.link


@dataclass
class Stage:
    """An app with pages, and hands to put things on it."""

    node: StageNode
    app: FastAPI
    member: str = MEMBER

    def person(self, login: str, name: str, roles: frozenset[Role] = DOCTOR) -> Actor:
        """Add a person with `PASSWORD`."""
        now = self.node.clock.now()
        with self.node.database.write() as session:
            link = people.first_link(session, member=self.member, roles=roles, now=now)
            return accounts.use_link(
                session, link.token, password=PASSWORD, keyring=self.node.keyring, now=now,
                login=login, name=name,
            )  # fmt: skip

    def actor(self, session: Session, login: str) -> Actor:
        """The actor of a sign-in name, as of now."""
        found = session.scalars(select(AccountRow).where(AccountRow.login == login)).one()
        return actor_of(found)

    def put(self, *rows: DeskRow) -> None:
        """Put rows on the desk, and wake whoever waits."""
        with self.node.database.write() as session:
            for row in rows:
                desk.put(session, row, now=self.node.clock.now())
        self.node.wake.notify()


def stage(
    database: Database, home: Path, clock: VirtualClock, *, member: str = MEMBER, **settings: Any
) -> Stage:
    """The pages of a clinic over a database that `furnish` has filled."""
    node = StageNode(
        Settings(home=home, role=NodeRole.HUB, **{"idle_lock_min": 5, **settings}), database, clock
    )
    now = clock.now()
    node.link = LinkState(online=True, since=now - timedelta(hours=5), last_sync=now)
    app = FastAPI()
    install(app, node)
    return Stage(node, app, member)


def furnish(database: Database, *, member: str = MEMBER) -> None:
    """What a clinic that has joined knows: charter, members, directory."""
    with database.write() as session:
        for subject, value in _SHARED.items():
            session.merge(
                SharedStateRow(subject=subject, value=orjson.dumps(value).decode(), entry=0)
            )
        for one, (kind, zh, en) in (_DIRECTORY | {member: _DIRECTORY[MEMBER]}).items():
            session.add(
                OrganisationRow(
                    member=one, kind=kind, name_zh=zh, name_en=en, phone="0550-555 0120",
                    address="", services="[]", index=1,
                )
            )  # fmt: skip


_SHARED: Mapping[str, Mapping[str, Any]] = {
    "charter:": {"hash": "h", "origin": "lanjiang.example/log", "consortium": "consortium"},
    f"member:{MEMBER}": {"state": "joined", "kind": "clinic", "nodes": []},
    "member:city": {"state": "joined", "kind": "lead", "nodes": []},
}
_DIRECTORY = {
    MEMBER: ("clinic", "石桥镇卫生院", "Shiqiao Township"),
    "city": ("lead", "市人民医院", "City Hospital"),
}


def a_row(case: str, name: str, now: datetime, **changes: Any) -> DeskRow:
    """A row of the worklist; what is not given is plain."""
    plain: dict[str, Any] = {
        "member": MemberId(MEMBER),
        "case": CaseId(case),
        "topic": "referral",
        "urgency": "routine",
        "patient": PatientId(f"patient-{case}"),
        "patient_name": name,
        "patient_sex": "female",
        "patient_birth": date(1962, 3, 14),
        "need": "shell.urgency.routine",
        "need_params": {},
        "source": "",
        "source_params": {},
        "state": "outbox.state.sent",
        "turn": "mine",
        "turn_name": "",
        "roles": frozenset({Role.TOWNSHIP_DOCTOR}),
        "due_at": None,
        "started_at": now - timedelta(hours=1),
        "link": f"/referrals/{case}",
        "act": "shell.back",
    }
    return DeskRow(**{**plain, **changes})
