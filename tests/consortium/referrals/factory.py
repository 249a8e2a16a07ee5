"""A case, its bodies and a fold in memory for tests of referrals."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium.contracts.permit import PERMIT, QUOTA
from consortium.exchange.facts import Facts, Value
from consortium.exchange.header import Header, Lane
from consortium.exchange.judgement import evaluate, fold, subjects_of
from consortium.exchange.kinds import ExchangeKind, Registry, SubjectType, everyone, parties
from consortium.exchange.own_kinds import BodyRefuse
from consortium.kernel.actor import Actor, Role
from consortium.kernel.errors import Refusal
from consortium.kernel.ids import KeyId, MemberId, UserId, new_id
from consortium.kernel.time import to_ms
from consortium.referrals.content import Content, Paper, Vital
from consortium.referrals.frame import Frame
from consortium.referrals.kinds import KINDS
from consortium.scheduling import model as slots

NOW = datetime(2026, 11, 24, 2, 12, tzinfo=UTC)
"""A Tuesday, 10:12 in Shanghai."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CASE = "0193a1b2-0000-7000-8000-00000000c001"
CONTRACT = "ct-1"
SESSION = "s1"
SLOT = f"slot:{SESSION}/2"
START = NOW + 2 * DAY
TYPES_SENT = (
    "Condition",
    "Observation",
    "AllergyIntolerance",
    "MedicationStatement",
    "DocumentReference",
)
BY_NAME: dict[str, ExchangeKind] = {kind.name: kind for kind in KINDS}

CONTENT = Content(
    service="cardiology",
    urgency="urgent",
    question="活动后胸闷 3 周加重，请评估是否需要冠脉造影。",
    diagnosis="不稳定型心绞痛待查；高血压 3 级",
    diagnosis_code="I20.0",
    history="高血压 12 年，服氨氯地平 5 mg 每日一次。",
    medication=("氨氯地平 5 mg 每日一次",),
    allergies=("青霉素：皮疹",),
    consent="explicit",
    consent_note="患者本人签字，纸质件已拍照",
    vitals=(
        Vital("systolic", "168", "2026-11-24T09:46:00+08:00"),
        Vital("diastolic", "94", "2026-11-24T09:46:00+08:00"),
        Vital("pulse", "88", "2026-11-24T09:46:00+08:00"),
        Vital("temperature", "36.50", "2026-11-24T09:46:00+08:00"),
    ),
    papers=(
        Paper(
            title="心电图.jpg",
            content_type="image/jpeg",
            size=184_000,
            sealed="ab" * 32,
            attachment={
                "extension": [
                    {"url": "urn:sharing-chain:age-identity", "valueString": "AGE-SECRET-KEY-1X"},
                    {"url": "urn:sharing-chain:sealed-sha256", "valueString": "ab" * 32},
                    {"url": "urn:sharing-chain:sealed-size", "valueInteger": 184_000},
                ],
                "contentType": "image/jpeg",
                "title": "心电图.jpg",
            },
        ),
    ),
)
PATIENT: Mapping[str, Any] = {
    "resourceType": "Patient",
    "id": "p-wu",
    "active": True,
    "name": [{"text": "吴桂兰"}],
    "gender": "female",
    "birthDate": "1959-03-14",
}


class Key:
    """A person's key."""

    def __init__(self, key_id: str = "k-han") -> None:
        self._key = Ed25519PrivateKey.generate()
        self.key_id = key_id

    @property
    def public(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


def doctor(member: str = "shiqiao", *roles: Role) -> Actor:
    return Actor(
        user=UserId(f"u-{member}"),
        name="韩素云" if member == "shiqiao" else "陆怀安",
        member=MemberId(member),
        roles=frozenset(roles or (Role.TOWNSHIP_DOCTOR,)),
        key=KeyId("k-han"),
    )


def frame(event: str, *, sender: str = "shiqiao", **changes: Any) -> Frame:
    values: dict[str, Any] = {
        "event": event,
        "exchange": new_id(NOW),
        "case": CASE,
        "taker": "shiqiao",
        "provider": "lead",
        "sender": sender,
        "urgency": "urgent",
        "opened": NOW,
        "now": NOW,
        "actor": doctor(sender),
        "patient": "Patient/p-wu",
    }
    return Frame(**{**values, **changes})


def contract(*, quota: int = 2, answer_urgent: int = 240) -> dict[str, Any]:
    """A contract in force between clinic and hospital with one referral service."""
    terms = {
        "s": [
            [1, "cardiology", "r", 1, 0, quota, ["r", "u", "e"], [1440, answer_urgent, 30]],
        ],
        "t": list(TYPES_SENT),
        "p": ["TREAT"],
        "d": [None, None],
        "n": 30,
    }
    return {
        "parties": ["lead", "shiqiao"],
        "state": "in_force",
        "version": 1,
        "versions": {"1": {"hash": "h", "terms": terms, "signed": {}, "proposed": 0, "from": 0}},
        "suspended": None,
        "ends": None,
        "by": "lead",
        "since": 0,
    }


def session(**changes: Any) -> dict[str, Any]:
    starts = [to_ms(START) - 20 * 60_000, to_ms(START)]
    values: dict[str, Any] = {
        "provider": "lead",
        "holder": "u-lead",
        "service": "cardiology",
        "kind": "clinic",
        "starts": starts,
        "minutes": 20,
        "state": "open",
        "opened": 0,
        "cancelled": None,
        "reason": "",
    }
    return {**values, **changes}


REGISTRY = Registry(
    KINDS,
    [
        SubjectType("case", parties),
        SubjectType("contract", parties),
        SubjectType("slot", parties, freed=slots.release),
        SubjectType("session", everyone),
        QUOTA,
    ],
    PERMIT,
)


@dataclass
class Fold:
    """Shared state in a dict, moved by the same checks and steps as the hub's."""

    values: dict[str, Any] = field(default_factory=dict)
    registry: Registry = REGISTRY

    def get(self, name: str) -> Value | None:
        return self.values.get(name)

    def link(self, name: str) -> tuple[str, Value | None]:
        subject, _, key = name.partition(">")
        value = self.values.get(subject)
        target = str(value.get(key) or "") if value else ""
        return target, self.values.get(target) if target else None

    def send(
        self,
        kind: str,
        facts: Facts | None = None,
        *,
        sender: str = "",
        to: tuple[str, ...] = (),
        case: str = CASE,
        time: datetime = NOW,
        contract_id: str = CONTRACT,
        purpose: str = "TREAT",
    ) -> str:
        """Judge and fold one exchange; `ok words` or the refusal's code and clause."""
        kind = f"referral.{kind}/1"
        one = BY_NAME[kind]
        sender = sender or ("lead" if one.action.value in LEAD_ACTS else "shiqiao")  # type: ignore[attr-defined]
        facts = facts or {}
        header = Header(
            id=new_id(time),
            kind=kind,
            sender=sender,
            to=to or (("shiqiao",) if sender == "lead" else ("lead",)),
            node="n1",
            lane=one.lane(facts),
            seq=1,
            prev="x",
            facts="f",
            body="b",
            at="2026-11-24T02:12Z",
            contract=contract_id,
            case=case,
            purpose=purpose,
        )
        return self.take(one, header, facts, time)

    def refuse(self, *, by: str = "shiqiao", of: str = "", code: str = "fhir.value") -> str:
        """The recipient cannot take a body, the last one if none is named."""
        last = self.case["last"]
        header = Header(
            id=new_id(NOW), kind="body.refuse/1", sender=by,
            to=(next(one for one in self.case["parties"] if one != by),),
            node="n1", lane=Lane.ROUTINE, seq=1, prev="x", facts="f", body="b",
            at="2026-11-24T02:12Z", case=CASE,
        )  # fmt: skip
        return self.take(BodyRefuse(), header, {"of": of or last["id"], "code": code}, NOW)

    def take(self, one: ExchangeKind, header: Header, facts: Facts, time: datetime) -> str:
        verdict = evaluate(self.registry, one, header, facts, self, time)
        if isinstance(verdict, Refusal):
            return f"{verdict.code} {verdict.clause}".strip()
        names: list[str] = []
        for name in subjects_of(self.registry, one, header, facts, time):
            real = self.link(name)[0] if ">" in name else name
            if real.partition(":")[0] in self.registry.families and real not in names:
                names.append(real)
        words = verdict.split()
        self.values.update(fold(self.registry, one, header, facts, time, words, names, self))
        return f"ok {verdict}".strip()

    @property
    def case(self) -> dict[str, Any]:
        found: dict[str, Any] = self.values[f"case:{CASE}"]
        return found

    @property
    def used(self) -> int:
        return sum(v["used"] for k, v in self.values.items() if k.startswith("quota:"))


LEAD_ACTS = frozenset({"claim", "accept", "return", "decline", "arrive", "no_show", "report"})
REQUEST: Facts = {
    "service": "cardiology",
    "urgency": "urgent",
    "consent": "explicit",
    "types": list(TYPES_SENT),
    "filled": 8,
}
SLOTTED: Facts = {"urgency": "urgent", "slot": SLOT, "start": to_ms(START)}
DATED: Facts = {"urgency": "urgent", "date": to_ms(NOW + 5 * DAY)}


def begun(**changes: Any) -> Fold:
    """A fold with contract and session, in which the request is on the ledger."""
    fold = Fold({f"contract:{CONTRACT}": contract(), f"session:{SESSION}": session()})
    assert fold.send("request", {**REQUEST, **changes}).startswith("ok v1")
    return fold
