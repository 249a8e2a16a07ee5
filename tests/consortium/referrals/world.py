"""A hub and two clinics in one process, with the kinds that a referral walks through.

Contracts and people's keys are put into shared state by a kind of the test; all else is real.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from consortium.contracts.permit import PERMIT, QUOTA
from consortium.contracts.tables import ContractDocumentRow
from consortium.desk.kinds import KINDS as DESK
from consortium.exchange import facts as rules
from consortium.exchange import state
from consortium.exchange.commitment import b64
from consortium.exchange.facts import FactRule, Facts, Value
from consortium.exchange.header import Header, Lane
from consortium.exchange.kinds import ExchangeKind, Registry, SubjectType, everyone, parties
from consortium.exchange.links import LinkState
from consortium.exchange.outbox import Draft
from consortium.exchange.own_kinds import KINDS as OWN
from consortium.exchange.own_kinds import SUBJECTS as OWN_SUBJECTS
from consortium.fhir import message as messages
from consortium.fhir.message import Message
from consortium.kernel.actor import Actor, Role
from consortium.kernel.database import Database
from consortium.kernel.ids import KeyId, MemberId, UserId, new_id
from consortium.members import accounts, people
from consortium.members.tables import AccountRow, OrganisationRow
from consortium.patients import service as patients
from consortium.patients.model import Entry
from consortium.referrals import form, service
from consortium.referrals.acting import Doing
from consortium.referrals.kinds import KINDS
from consortium.scheduling.kinds import KINDS as SCHEDULING
from consortium.scheduling.kinds import SUBJECTS as SCHEDULING_SUBJECTS
from consortium.settings import NodeRole, Settings
from consortium.web.install import install
from tests.consortium.exchange import world as worlds
from tests.consortium.exchange.kinds import Seed
from tests.consortium.referrals.factory import CONTENT, Key, contract
from tests.support.web_stage import StageNode

CONTRACT = "ct-1"


class Put(ExchangeKind):
    """Writes subjects as they are given: what other rooms' kinds would have made."""

    name = "test.put/1"
    lanes = frozenset({Lane.CONTROL})
    sealed = False
    charter = True
    to_everyone = True
    rules: ClassVar[dict[str, FactRule]] = {"values": rules.tree()}

    def facts_of(self, message: Message) -> Facts:
        found: Facts = messages.json_of(message, "values")
        return found

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return list(facts["values"])

    def step(
        self, name: str, old: Value | None, header: Header, facts: Facts, time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:  # fmt: skip
        found: Value = facts["values"][name]
        return found


def registry() -> Registry:
    """Every kind that a referral needs."""
    return Registry(
        [*OWN, Seed(), Put(), *DESK, *SCHEDULING, *KINDS],
        [
            *OWN_SUBJECTS,
            *SCHEDULING_SUBJECTS,
            QUOTA,
            SubjectType("key", everyone),
            SubjectType("member", everyone),
            SubjectType("charter", everyone),
            SubjectType("contract", parties),
        ],
        PERMIT,
    )


class Consortium(worlds.World):
    """The world with a contract, people with keys, and short ways to act."""

    def __init__(self, folder: Path, make: Callable[[], Database]) -> None:
        super().__init__(folder, make, ("shiqiao", "yunling"))
        self.people: dict[str, tuple[Actor, Key]] = {}
        self._records: dict[str, Any] = {}
        person = self._person
        person("han", "shiqiao", "韩素云", Role.TOWNSHIP_DOCTOR)
        person("tan", "yunling", "谭小云", Role.TOWNSHIP_DOCTOR)
        person("lu", "lead", "陆怀安", Role.SPECIALIST)
        person("desk", "lead", "转诊办", Role.CONSULT_DESK)
        charter = {"hash": "h", "origin": "hub.test/ledger", "consortium": worlds.HUB}
        self.put({**self._records, "charter:": charter})
        self.set_contract(contract())
        for member in ("lead", "shiqiao"):
            row = ContractDocumentRow(
                member=member, contract=CONTRACT, version=1, title="转诊协议", document="{}",
                digest="h", proposed_at=self.clock.now(),
            )  # fmt: skip
            with self.databases[member].write() as session:
                session.add(row)

    def _person(self, name: str, member: str, shown: str, *roles: Role) -> None:
        key = Key(f"k-{name}")
        actor = Actor(
            UserId(f"u-{name}"), shown, MemberId(member), frozenset(roles), KeyId(key.key_id)
        )
        self.people[name] = (actor, key)
        record = {
            "member": member,
            "use": "person",
            "alg": "Ed25519",
            "public": b64(key.public),
            "from": 0,
            "until": None,
            "roles": sorted(roles),
            "holder": actor.user,
        }
        self._records[f"key:{key.key_id}"] = record

    def put(self, values: Mapping[str, Any]) -> None:
        """Write subjects into shared state through the ledger."""
        now, exchange = self.clock.now(), new_id(self.clock.now())
        body = messages.build(
            "test.put",
            source=worlds.HUB,
            destinations=(),
            exchange_id=exchange,
            now=now,
            resources=[messages.json_part("values", {"values": values})],
        )
        draft = Draft(id=exchange, kind="test.put/1", sender=worlds.HUB, to=("all",), body=body)
        with self.hub_database.write() as session:
            self.members[worlds.HUB].post.send(session, draft, now=now)
        self.settle()

    def set_contract(self, value: Mapping[str, Any], *, at: tuple[str, ...] = ()) -> None:
        """The contract between hospital and clinic as both of them, or those named, hold it."""
        name = f"contract:{CONTRACT}"
        for database in {self.databases[one] for one in at or ("lead", "shiqiao")}:
            with database.write() as session:
                known = frozenset({name}) if state.read(session, name) else frozenset()
                state.write(session, {name: (value, 0)}, known)

    def actor(self, name: str) -> Actor:
        return self.people[name][0]

    def key(self, name: str) -> Key:
        return self.people[name][1]

    def doing(self, name: str, exchange: str = "") -> Doing:
        """An act of this person now."""
        actor, now = self.actor(name), self.clock.now()
        return Doing(actor, self.members[actor.member].post, exchange or new_id(now), now)

    def writing(self, name: str) -> AbstractContextManager[Session]:
        """A transaction at this person's node."""
        return self.databases[self.actor(name).member].write()

    def reading(self, name: str) -> AbstractContextManager[Session]:
        return self.databases[self.actor(name).member].read()

    def patient(self, by: str = "han", **changes: Any) -> str:
        """A patient registered by this person."""
        entry = Entry(
            **{
                "name": "吴桂兰",
                "sex": "female",
                "birth": "1959-03-14",
                "no_number_reason": "not_at_hand",
                "phone": "13800003027",
                **changes,
            }
        )
        with self.writing(by) as session:
            made = patients.register(
                session, actor=self.actor(by), entry=entry, now=self.clock.now(), confirmed=True
            )
        return made.patient.id

    def refer(self, patient: str, *, name: str = "han", exchange: str = "", **changes: Any) -> str:
        """A referral with a whole form, on its way."""
        fields = form.fields_of(CONTENT, provider="lead") | {"paper": [], "vitals_at": ""}
        with self.writing(name) as session:
            return service.request(
                session,
                self.doing(name, exchange),
                patient=patient,
                fields=fields | changes,
                signer=self.key(name),
            )


@pytest.fixture
def consortium(
    tmp_path: Path, new_database: Callable[[], Database], monkeypatch: pytest.MonkeyPatch
) -> Consortium:
    """A consortium at rest: contract in force, four people with keys."""
    monkeypatch.setattr(worlds, "registry", registry)
    return Consortium(tmp_path, new_database)


HOUR = timedelta(hours=1)


NAMES = {
    "consortium": ("consortium", "清源县医联体", "Qingyuan Consortium"),
    "lead": ("lead", "清源市第一人民医院", "Qingyuan First Hospital"),
    "shiqiao": ("clinic", "石桥镇卫生院", "Shiqiao Township Clinic"),
    "yunling": ("clinic", "云岭乡卫生院", "Yunling Township Clinic"),
}
PASSWORD = "a long and quiet sentence"
BASE = "http://127.0.0.1:8001"


def name_members(world: Consortium) -> None:
    """Give every member its entry in the directory of every node."""
    for database in set(world.databases.values()):
        with database.write() as session:
            for member, (kind, zh, en) in NAMES.items():
                session.add(
                    OrganisationRow(
                        member=member, kind=kind, name_zh=zh, name_en=en, phone="0550-555 0120",
                        address="", services='["cardiology", "neurology"]', index=1,
                    )
                )  # fmt: skip


class Site:
    """A member's pages, with the people of the world signed in as themselves."""

    def __init__(self, world: Consortium, member: str) -> None:
        self.world, self.member = world, member
        part = world.members[member]
        home = world.folder / f"web-{member}"
        self.node = StageNode(
            Settings(home=home, role=NodeRole.HUB, idle_lock_min=480),
            world.databases[member], world.clock,
            id=f"node-{member}", post=part.post,
        )  # fmt: skip
        # the hub's installation keeps the files of its two members in one place
        self.node.store = world.members[worlds.HUB].store if member == "lead" else part.store
        self.node.link = LinkState(online=True, since=world.clock.now(), last_sync=None)
        self.app = FastAPI()
        install(self.app, self.node)

    def join(self, name: str) -> dict[str, Any]:
        """Make an account of a person of the world; the record of its key, for the ledger."""
        actor = self.world.actor(name)
        now = self.world.clock.now()
        with self.node.database.write() as session:
            link = people.first_link(session, member=actor.member, roles=actor.roles, now=now)
            made = accounts.use_link(
                session, link.token, password=PASSWORD, keyring=self.node.keyring, now=now,
                login=name, name=actor.name,
            )  # fmt: skip
            row = session.scalars(select(AccountRow).where(AccountRow.login == name)).one()
            row.key_index, row.key_roles = 1, row.roles
            record = {
                "member": actor.member, "use": "person", "alg": "Ed25519",
                "public": row.key_public, "from": 0, "until": None,
                "roles": sorted(actor.roles), "holder": made.user,
            }  # fmt: skip
            key_id = str(row.key_id)
        self.world.people[name] = (replace(made, key=KeyId(key_id)), self.world.key(name))
        return {f"key:{key_id}": record}

    def browser(self, name: str, **headers: str) -> TestClient:
        """A browser in which a person has signed in."""
        client = TestClient(self.app, base_url=BASE, follow_redirects=False, headers=headers)
        answer = client.post("/sign-in", data={"name": name, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        return client
