"""A consortium in one process whose members have seals and people: contracts from end to end."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

from consortium.contracts import drafting, signing
from consortium.contracts.kinds import SUBJECTS, kinds
from consortium.contracts.notices import Notices
from consortium.contracts.permit import PERMIT, quota_taken
from consortium.contracts.signing import Passphrase
from consortium.exchange import facts as rules
from consortium.exchange import outqueue, state
from consortium.exchange.commitment import b64
from consortium.exchange.facts import FactRule, Facts, Value
from consortium.exchange.header import Header
from consortium.exchange.kinds import (
    HERE,
    ExchangeKind,
    Registry,
    SubjectType,
    everyone,
    parties,
    version_of,
)
from consortium.exchange.outbox import Draft
from consortium.exchange.own_kinds import KINDS as OWN_KINDS
from consortium.exchange.own_kinds import SUBJECTS as OWN_SUBJECTS
from consortium.exchange.timeline import CaseEntry, one
from consortium.fhir import message as messages
from consortium.kernel.actor import Actor, Role
from consortium.kernel.database import Database
from consortium.kernel.ids import MemberId, UserId, new_id
from consortium.members.keyring import Keyring
from consortium.members.keys import SeedSigner
from consortium.members.seal import SealFile, Seals
from tests.consortium.exchange import world as exchange_world
from tests.consortium.exchange.kinds import Seed
from tests.consortium.exchange.world import HUB, LEAD, World

CLINIC, OTHER = "yunling", "shiqiao"
WORD = "correct horse battery"
PEOPLE: dict[str, tuple[str, str, Role]] = {
    "admin": (HUB, "秦可立", Role.CONSORTIUM_ADMIN),
    "lead-head": (LEAD, "方致远", Role.HEAD),
    "lead-doctor": (LEAD, "陆明", Role.SPECIALIST),
    "head": (CLINIC, "沈砚秋", Role.HEAD),
    "clerk": (CLINIC, "何一凡", Role.MEMBER_ADMIN),
    "doctor": (CLINIC, "林小满", Role.TOWNSHIP_DOCTOR),
    "other-head": (OTHER, "白若溪", Role.HEAD),
}


class _Seed(Seed):
    """Members with their seals, and people with their keys."""

    rules: ClassVar[dict[str, FactRule]] = {
        **Seed.rules,
        "seals": rules.tree(),
        "people": rules.tree(),
    }

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        kids = [row[0] for row in (*facts["seals"].values(), *facts["people"].values())]
        return [*super().subjects(header, facts), *(f"key:{kid}" for kid in kids)]

    def step(
        self,
        name: str,
        old: Value | None,
        header: Header,
        facts: Facts,
        time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:
        family, _, rest = name.partition(":")
        if family == "member":
            kind = {HUB: "consortium", LEAD: "lead"}.get(rest, "clinic")
            base = super().step(name, old, header, facts, time, outcome)
            return {**(base or {}), "kind": kind, "seal": facts["seals"][rest][0]}
        for member, (kid, public) in facts["seals"].items():
            if kid == rest:
                return _key(member, "seal", public)
        for holder, (kid, public) in facts["people"].items():
            if kid == rest:
                member, _name, role = PEOPLE[holder]
                return {**_key(member, "person", public), "holder": holder, "roles": [role.value]}
        return super().step(name, old, header, facts, time, outcome)


def _key(member: str, use: str, public: str) -> dict[str, Any]:
    return {
        "member": member, "use": use, "alg": "Ed25519", "public": public, "from": HERE,
        "until": None,
    }  # fmt: skip


@cache
def _seal(member: str) -> SealFile:
    """Closing a seal is slow on purpose: one of each member for all tests."""
    return SealFile.make(member, WORD)[0]


class _Told(ExchangeKind):
    rules: ClassVar[dict[str, FactRule]] = {
        "service": rules.code(optional=True),
        "urgency": rules.code("routine", "urgent", "emergency", optional=True),
    }

    def facts_of(self, message: messages.Message) -> Facts:
        return messages.parameters_of(message)

    def subjects(self, header: Header, facts: Facts) -> Sequence[str]:
        return (f"case:{header.case}",)


class Ask(_Told):
    """Opens a case under a contract."""

    name = "test.ask/1"
    opens_case = True
    quota = 1

    def step(
        self,
        name: str,
        old: Value | None,
        header: Header,
        facts: Facts,
        time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:
        return {
            "parties": sorted(header.members), "state": "open", "turn": header.to[0],
            "contract": header.contract, "version": version_of(outcome), "prior": "",
            "urgency": facts["urgency"],
            "quota": quota_taken(self, header, facts, time, outcome),
        }  # fmt: skip


class Close(_Told):
    """Closes a case and gives its place back."""

    name = "test.close/1"
    quota = -1

    def step(
        self,
        name: str,
        old: Value | None,
        header: Header,
        facts: Facts,
        time: datetime,
        outcome: Sequence[str],
    ) -> Value | None:
        return {**old, "state": "closed", "turn": ""} if old else None


def _registry(notices: Notices) -> Registry:
    return Registry(
        [_Seed(), Ask(), Close(), *kinds(notices), *OWN_KINDS],
        [
            SubjectType("key", everyone),
            SubjectType("member", everyone),
            SubjectType("case", parties),
            *SUBJECTS,
            *OWN_SUBJECTS,
        ],
        PERMIT,
    )


class ContractWorld(World):
    """Consortium and lead hospital at the hub, two clinics with a workstation each."""

    def __init__(self, folder: Path, make: Callable[[], Database], notices: Notices) -> None:
        self.seal_files = {member: _seal(member) for member in (HUB, LEAD, CLINIC, OTHER)}
        self.person_keys = {who: SeedSigner(who.encode().ljust(32, b"-")) for who in PEOPLE}
        self.keyring = Keyring()
        self.seals = {m: Seals(folder / "homes" / m) for m in self.seal_files}
        for member in (LEAD, CLINIC, OTHER):
            self.seals[member].keep(self.seal_files[member])
        for who, signer in self.person_keys.items():
            self.keyring.put(UserId(who), signer)
        with patch.object(exchange_world, "registry", lambda: _registry(notices)):
            super().__init__(folder, make, clinics=(CLINIC, OTHER))

    def _seed(self) -> None:
        facts = {
            "nodes": {name: b64(one.signer.public) for name, one in self.identities.items()},
            "sealing": self.sealing,
            "seals": {m: [file.key_id, file.public] for m, file in self.seal_files.items()},
            "people": {who: [key.key_id, key.text] for who, key in self.person_keys.items()},
        }
        now, exchange = self.now, new_id(self.now)
        body = messages.build(
            "test.seed", source=HUB, destinations=(), exchange_id=exchange, now=now,
            resources=[messages.json_part("seed", facts)],
        )  # fmt: skip
        draft = Draft(id=exchange, kind="test.seed/1", sender=HUB, to=("all",), body=body)
        member = self.members[HUB]
        with self.hub_database.write() as session:
            member.post.send(session, draft, now=now)
        with self.hub_database.read() as session:
            rows = outqueue.next_batch(session, member.identity.node, now=now)
            packed = [outqueue.envelope_of(row).pack() for row in rows]
        self.admission.admit(packed)
        self.settle()

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def actor(self, who: str) -> Actor:
        member, name, role = PEOPLE[who]
        return Actor(
            user=UserId(who), name=name, member=MemberId(member), roles=frozenset({role}),
            key=self.person_keys[who].key_id,
        )  # fmt: skip

    # ------------------------------------------------------------ acts

    def write_terms(self, **changes: Any) -> str:
        """A sound draft of the consortium's office for the clinic."""
        admin = self.actor("admin")
        with self.hub_database.write() as session:
            contract = drafting.create(
                session, actor=admin, parties=(CLINIC, LEAD, HUB), title="协作协议", now=self.now
            )
            form = dict(drafting.show(session, actor=admin, contract=contract).form)
            form["services"][0] |= {"code": "cardiology", "quota": "2"}
            drafting.save(
                session, actor=admin, contract=contract, form={**form, **changes}, now=self.now
            )
        return contract

    def propose(self, contract: str) -> str:
        with self.hub_database.write() as session:
            queued = drafting.propose(
                session, actor=self.actor("admin"), post=self.members[HUB].post,
                contract=contract, now=self.now,
            )  # fmt: skip
        self.settle()
        return queued.id

    def sign(self, who: str, contract: str, *, version: int = 1, word: str = WORD) -> str:
        actor = self.actor(who)
        upload = self.seal_files[HUB].text.encode() if actor.member == HUB else None
        with self.databases[actor.member].write() as session:
            queued = signing.sign(
                session, actor=actor, post=self.members[actor.member].post,
                seals=self.seals[actor.member], contract=contract, version=version,
                passphrase=Passphrase(word, upload), exchange=new_id(self.now), now=self.now,
            )  # fmt: skip
        self.settle()
        return queued.id

    def agree(self, **changes: Any) -> str:
        """A contract that everybody has signed."""
        contract = self.write_terms(**changes)
        self.propose(contract)
        for who in ("head", "lead-head", "admin"):
            self.sign(who, contract)
        return contract

    def ask(
        self, contract: str, *, case: str = "", member: str = CLINIC, **facts: str
    ) -> CaseEntry:
        """A clinic's request as it stands after the hub has judged it, sent past its own checks."""
        told = {"service": "cardiology", "urgency": "routine", **facts}
        return self._send("test.ask/1", contract, case or new_id(self.now), member, told)

    def end_case(self, contract: str, case: str, *, member: str = CLINIC) -> CaseEntry:
        return self._send("test.close/1", contract, case, member, {})

    def _send(
        self, kind: str, contract: str, case: str, member: str, told: dict[str, str]
    ) -> CaseEntry:
        node, exchange = self.members[member], new_id(self.now)
        body = messages.build(
            kind, source=member, destinations=(LEAD,), exchange_id=exchange, now=self.now,
            resources=[messages.parameters(**told)],
        )  # fmt: skip
        draft = Draft(
            id=exchange, kind=kind, sender=member, to=(LEAD,), body=body, case=case,
            contract=contract, purpose="TREAT",
        )  # fmt: skip
        # the hub must judge even what the clinic's own node would not have sent
        with (
            patch("consortium.exchange.outbox.evaluate", lambda *_args, **_more: ""),
            node.database.write() as session,
        ):
            node.post.send(session, draft, now=self.now)
        self.settle()
        with node.database.read() as session:
            return one(session, member=member, exchange_id=exchange)

    def value(self, contract: str, member: str = HUB) -> Value | None:
        with self.databases[member].read() as session:
            return state.read(session, f"contract:{contract}")
