"""The demo's first contract: Shiqiao's, drafted by the admin, signed by three seals."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from consortium.cli.demo_people import HUB, LEAD, SERVICES, SHIQIAO
from consortium.cli.demo_world import DemoWorld
from consortium.contracts import drafting, signing
from consortium.kernel.actor import Actor
from consortium.kernel.ids import new_id
from consortium.wiring import Node

TITLE = "石桥镇卫生院双向转诊与远程会诊协议"
_QUOTAS = {"cardiology": 10, "neurology": 6, "endocrinology": 6, "orthopedics": 4}
_QUOTA = 8
_TELECONSULT = ("cardiology", "endocrinology", "pediatrics")


def make_contract(
    world: DemoWorld, clinic: str = SHIQIAO, *, sessions: int = 12, referrals: int | None = None
) -> str:
    """Draft, propose and seal a contract of a clinic with the lead hospital; gives its id.

    `sessions` is the monthly quota of each teleconsultation service, `referrals` that of each
    referral service, the demo's own where none is given.
    """

    def draft(session: Session, actor: Actor, _node: Node, now: datetime) -> str:
        contract = drafting.create(
            session, actor=actor, parties=(clinic, LEAD, HUB), title=TITLE, now=now
        )
        form = dict(drafting.show(session, actor=actor, contract=contract).form)
        form["services"] = lines(clinic, sessions, referrals)
        drafting.save(session, actor=actor, contract=contract, form=form, now=now)
        return contract

    contract = str(world.act("gaoyuan", draft))

    def propose(session: Session, actor: Actor, node: Node, now: datetime) -> object:
        return drafting.propose(session, actor=actor, post=node.post, contract=contract, now=now)

    world.act("gaoyuan", propose)
    world.settle()
    for login in ("chen" if clinic == SHIQIAO else "tang", "lin", "gaoyuan"):
        _seal(world, login, contract)
        world.settle()
    return contract


def _seal(world: DemoWorld, login: str, contract: str) -> None:
    def sign(session: Session, actor: Actor, node: Node, now: datetime) -> object:
        upload = world.consortium_seal() if actor.member == HUB else None
        return signing.sign(
            session,
            actor=actor,
            post=node.post,
            seals=node.seals,
            contract=contract,
            version=1,
            passphrase=signing.Passphrase(world.seal_of(actor.member), upload),
            exchange=new_id(now),
            now=now,
        )

    world.act(login, sign)


def lines(clinic: str, sessions: int, quota: int | None = None) -> list[dict[str, Any]]:
    """The services of a contract as its form holds them."""
    answers = {"routine": "1440", "urgent": "240", "emergency": "30"}
    referrals = [
        {
            **drafting.NEW_SERVICE,
            "no": number,
            "code": code,
            "taker": clinic,
            "provider": LEAD,
            "quota": str(quota or _QUOTAS.get(code, _QUOTA)),
            "answers": answers,
        }
        for number, code in enumerate(SERVICES, start=1)
    ]
    consults = [
        {
            **drafting.NEW_SERVICE,
            "no": number,
            "code": code,
            "kind": "teleconsult",
            "taker": clinic,
            "provider": LEAD,
            "quota": str(sessions),
            "answers": answers,
        }
        for number, code in enumerate(_TELECONSULT, start=len(SERVICES) + 1)
    ]
    return [*referrals, *consults]
