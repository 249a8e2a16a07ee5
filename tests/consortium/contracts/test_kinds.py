"""Contract acts judged: whose seal, which version, which two persons; bodies that disagree."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from consortium.contracts import fhir, model, statements
from consortium.contracts.kinds import Propose, Resume, Sign, Suspend, Terminate, Withdraw
from consortium.contracts.model import HOLDS, Action
from consortium.contracts.notices import Notices
from consortium.contracts.terms import Terms, canonical, document, tree
from consortium.exchange.facts import Facts, Value, check
from consortium.exchange.header import Header
from consortium.exchange.kinds import ExchangeKind
from consortium.fhir import message as messages
from consortium.fhir.bindings import check as check_fhir
from consortium.kernel.errors import Refusal
from consortium.members.keys import SeedSigner
from consortium.members.statements import b64
from tests.consortium.contracts.making import (
    NOW,
    PARTIES,
    Shared,
    digest_of,
    header,
    in_force,
    name_of,
    proposed,
    service,
    terms,
)

KEYS = {name: SeedSigner(name.encode().ljust(32, b".")) for name in (*PARTIES, "old", "stranger")}
PEOPLE = {
    "admin": ("consortium", "consortium_admin"),
    "second": ("consortium", "member_admin"),
    "lead-head": ("lead", "head"),
    "head": ("yunling", "head"),
    "doctor": ("yunling", "township_doctor"),
    "gone": ("consortium", "head"),
    "alien": ("shiqiao", "head"),
}
PERSONS = {name: SeedSigner(name.encode().ljust(32, b"_")) for name in PEOPLE}


def _key(use: str, member: str, signer: SeedSigner, **more: Any) -> Value:
    return {"use": use, "member": member, "public": signer.text, "until": None, **more}


def _shared(value: Value | None) -> Shared:
    values: dict[str, Value] = {f"member:{one}": {"state": "joined"} for one in PARTIES}
    values["member:invited"] = {"state": "invited"}
    for member in PARTIES:
        values[f"key:{KEYS[member].key_id}"] = _key("seal", member, KEYS[member])
    values[f"key:{KEYS['old'].key_id}"] = {**_key("seal", "lead", KEYS["old"]), "until": 7}
    values[f"key:{KEYS['stranger'].key_id}"] = _key("seal", "shiqiao", KEYS["stranger"])
    for name, (member, role) in PEOPLE.items():
        until = 9 if name == "gone" else None
        values[f"key:{PERSONS[name].key_id}"] = {
            **_key("person", member, PERSONS[name], holder=f"h-{name}", roles=[role]),
            "until": until,
        }
    if value is not None:
        values["contract:c1"] = value
    return Shared(values)


def _at(kind: ExchangeKind, by: str, **changes: Any) -> Header:
    to = tuple(member for member in PARTIES if member != by)
    whole = {"sender": by, "to": to, "case": "c1", "contract": "", "purpose": ""}
    return header(kind.name, **(whole | changes))


def _judge(kind: ExchangeKind, shared: Shared, at: Header, facts: Facts) -> str:
    assert check(dict(facts), kind.rules) is None
    names = set(kind.subjects(at, facts))
    seen = Shared({name: value for name, value in shared.values.items() if name in names})
    verdict = kind.judge(seen, at, facts, NOW)
    return verdict.code if isinstance(verdict, Refusal) else f"ok {verdict}".strip()


# ---------------------------------------------------------------- propose


def _proposal(made: Terms, **changes: Any) -> Facts:
    whole = {
        "contract": "c1",
        "version": 1,
        "hash": digest_of(made),
        "parties": list(made.parties),
        "terms": tree(made),
    }
    return whole | changes


@pytest.mark.parametrize(
    ("made", "facts", "at", "code"),
    [
        (terms(), {}, {}, "ok"),
        (terms(), {"version": 2}, {}, "contract.version"),
        (terms(), {}, {"case": "other"}, "contract.case"),
        (terms(), {}, {"to": ("lead",)}, "contract.recipients"),
        (terms(), {}, {"to": ("all",)}, "contract.recipients"),
        (terms(), {}, {"sender": "shiqiao", "to": PARTIES}, "contract.not_party"),
        (
            terms(parties=("consortium", "invited"), services=()),
            {},
            {"to": ("invited",)},
            "contract.party_unknown",
        ),
        (
            terms(parties=("consortium", "nobody"), services=()),
            {},
            {"to": ("nobody",)},
            "contract.party_unknown",
        ),
        (terms(service(quota_month=0)), {}, {}, "contract.lint"),
        (terms(), {"terms": {"s": []}}, {}, "contract.terms"),
    ],
)
def test_proposals(made: Terms, facts: dict[str, Any], at: dict[str, Any], code: str) -> None:
    kind = Propose(Notices())
    told = _proposal(made, **facts)
    assert _judge(kind, _shared(None), _at(kind, "consortium", **at), told) == code


@pytest.mark.parametrize(
    ("value", "made", "code"),
    [
        (in_force(terms()), terms(), "contract.state"),
        (proposed(terms()), terms(), "contract.state"),
        (
            model.changed(
                proposed(terms()), action=Action.WITHDRAW, by="lead", reason="terms", time_ms=1
            ),
            terms(),
            "ok",
        ),
        (
            model.changed(
                proposed(terms()), action=Action.WITHDRAW, by="lead", reason="terms", time_ms=1
            ),
            terms(service(taker="consortium"), parties=("consortium", "lead")),
            "contract.parties_changed",
        ),
    ],
)
def test_a_further_version(value: Value, made: Terms, code: str) -> None:
    kind = Propose(Notices())
    to = tuple(one for one in made.parties if one != "consortium")
    at = _at(kind, "consortium", to=to)
    assert _judge(kind, _shared(value), at, _proposal(made, version=2)) == code


# ---------------------------------------------------------------- sign


def _signature(signer: SeedSigner, **changes: Any) -> Facts:
    told: dict[str, Any] = {"contract": "c1", "version": 1, "hash": digest_of(terms())}
    told |= {name: value for name, value in changes.items() if name in told}
    statement = statements.signing(
        contract=changes.get("over", "c1"), version=1, digest=digest_of(terms())
    )
    return {**told, "seal": signer.key_id, "signature": b64(signer.sign(statement))}


@pytest.mark.parametrize(
    ("facts", "at", "code"),
    [
        (_signature(KEYS["lead"]), {}, "ok"),
        (_signature(KEYS["yunling"]), {}, "contract.seal"),
        (_signature(KEYS["old"]), {}, "contract.seal"),
        (_signature(KEYS["stranger"]), {}, "contract.seal"),
        (_signature(PERSONS["lead-head"]), {}, "contract.seal"),
        (_signature(KEYS["lead"], over="c2"), {}, "contract.seal"),
        ({**_signature(KEYS["lead"]), "signature": "AA"}, {}, "contract.seal"),
        (_signature(KEYS["lead"], version=2), {}, "contract.version"),
        (_signature(KEYS["lead"], hash="x"), {}, "contract.hash"),
        (_signature(KEYS["lead"], contract="c2"), {"case": "c2"}, "contract.unknown"),
        (_signature(KEYS["stranger"]), {"sender": "shiqiao", "to": PARTIES}, "contract.not_party"),
    ],
)
def test_signatures(facts: Facts, at: dict[str, Any], code: str) -> None:
    kind = Sign(Notices())
    shared = _shared(proposed(terms()))
    assert _judge(kind, shared, _at(kind, "lead", **at), facts) == code


def test_the_last_signature_says_so_and_a_second_one_is_refused() -> None:
    kind, value = Sign(Notices()), proposed(terms())
    for member in PARTIES:
        at, facts = _at(kind, member), _signature(KEYS[member])
        last = member == PARTIES[-1]
        assert _judge(kind, _shared(value), at, facts) == ("ok in_force" if last else "ok")
        new = kind.step("contract:c1", value, at, facts, NOW, ())
        assert new is not None
        value = dict(new)
        again = "contract.state" if last else "contract.signed"
        assert _judge(kind, _shared(value), at, facts) == again
    assert value["state"] == "in_force"


def test_a_step_moves_the_contract_alone() -> None:
    key = {"member": "lead"}
    for kind in (Propose(Notices()), Sign(Notices()), Suspend(Notices())):
        at = _at(kind, "lead")
        assert kind.step("key:k", key, at, {}, NOW, ()) is key
        assert kind.step("member:lead", key, at, {}, NOW, ()) is key


# ---------------------------------------------------------------- two persons


def _hold(
    kind: Suspend | Resume | Terminate,
    *,
    first: str = "admin",
    second: str = "lead-head",
    seal: SeedSigner = KEYS["consortium"],
    exchange: str = "x1",
) -> Facts:
    told = {"contract": "c1", "version": 1, "reason": "safety"}
    statement = statements.holding(
        action=kind.action.value, contract="c1", version=1, reason="safety", exchange=exchange
    )
    signed: dict[str, Any] = {"seal": seal.key_id, "seal_signature": b64(seal.sign(statement))}
    for which, who in (("first", first), ("second", second)):
        signed[which] = PERSONS[who].key_id
        signed[f"{which}_signature"] = b64(PERSONS[who].sign(statement))
    return {**told, **signed}


_ACTIONS: list[tuple[Suspend | Resume | Terminate, Value]] = [
    (Suspend(Notices()), in_force(terms())),
    (
        Resume(Notices()),
        model.changed(
            in_force(terms()), action=Action.SUSPEND, by="lead", reason="safety", time_ms=1
        ),
    ),
    (Terminate(Notices()), in_force(terms())),
]


@pytest.mark.parametrize(("kind", "value"), _ACTIONS)
@pytest.mark.parametrize(
    ("made", "code"),
    [
        (_hold, "ok"),
        (lambda kind: _hold(kind, second="second"), "ok"),
        (lambda kind: _hold(kind, first="lead-head", second="admin"), "ok"),
        (lambda kind: _hold(kind, second="admin"), "contract.same_person"),
        (lambda kind: _hold(kind, second="gone"), "contract.person"),
        (lambda kind: _hold(kind, second="alien"), "contract.person"),
        (lambda kind: _hold(kind, first="second", second="doctor"), "contract.no_officer"),
        (lambda kind: _hold(kind, second="doctor"), "contract.no_officer"),
        (lambda kind: _hold(kind, seal=KEYS["lead"]), "contract.seal"),
        (lambda kind: _hold(kind, exchange="x9"), "contract.seal"),
        (lambda kind: {**_hold(kind), "reason": "other"}, "contract.seal"),
        (lambda kind: {**_hold(kind), "first_signature": "AA"}, "contract.person"),
        (lambda kind: {**_hold(kind), "second": KEYS["consortium"].key_id}, "contract.person"),
        (lambda kind: {**_hold(kind), "version": 2}, "contract.version"),
    ],
)
def test_two_persons_and_a_seal(
    kind: Suspend | Resume | Terminate,
    value: Value,
    made: Callable[[Suspend | Resume | Terminate], Facts],
    code: str,
) -> None:
    assert _judge(kind, _shared(value), _at(kind, "consortium"), made(kind)) == code


@pytest.mark.parametrize(
    ("suspended_by", "by", "officer", "code"),
    [
        ("lead", "lead", "lead-head", "ok"),
        ("lead", "yunling", "head", "contract.not_suspender"),
        ("consortium", "yunling", "head", "contract.not_suspender"),
        ("yunling", "lead", "lead-head", "contract.not_suspender"),
        ("yunling", "consortium", "second", "ok"),
    ],
)
def test_a_suspension_is_lifted_by_who_made_it_or_by_the_consortium(
    suspended_by: str, by: str, officer: str, code: str
) -> None:
    kind = Resume(Notices())
    value = model.changed(
        in_force(terms()), action=Action.SUSPEND, by=suspended_by, reason="safety", time_ms=1
    )
    facts = _hold(kind, first="admin", second=officer, seal=KEYS[by])
    assert _judge(kind, _shared(value), _at(kind, by), facts) == code


def test_signatures_of_one_suspension_do_not_serve_for_another_act() -> None:
    suspend, terminate = Suspend(Notices()), Terminate(Notices())
    at = _at(terminate, "consortium")
    facts = _hold(suspend)
    assert _judge(terminate, _shared(in_force(terms())), at, facts) == "contract.seal"


@pytest.mark.parametrize("kind", [Suspend(Notices()), Resume(Notices()), Terminate(Notices())])
def test_nothing_is_suspended_before_it_is_in_force(kind: Suspend | Resume | Terminate) -> None:
    shared = _shared(proposed(terms()))
    assert _judge(kind, shared, _at(kind, "consortium"), _hold(kind)) == "contract.state"


def test_every_act_of_two_persons_has_its_kind() -> None:
    assert {kind.action: kind.name for kind, _ in _ACTIONS} == dict(HOLDS)


@pytest.mark.parametrize(
    ("value", "code"),
    [(proposed(terms()), "ok"), (in_force(terms()), "contract.state"), (None, "contract.unknown")],
)
def test_returning(value: Value | None, code: str) -> None:
    kind = Withdraw(Notices())
    facts = {"contract": "c1", "version": 1, "reason": "terms"}
    assert _judge(kind, _shared(value), _at(kind, "lead"), facts) == code


# ---------------------------------------------------------------- FHIR


def _resource(made: Terms, **changes: Any) -> dict[str, Any]:
    whole = fhir.resource(
        contract="c1", version=1, title="协作协议", terms=made, names=name_of, now=NOW
    )
    return whole | changes


def _message(made: Terms, contract: dict[str, Any]) -> messages.Message:
    raw = messages.build(
        "contract.propose",
        source="consortium",
        destinations=("lead", "yunling"),
        resources=[
            contract,
            messages.json_part("terms", document("协作协议", made)),
            messages.json_part("act", {"contract": "c1", "version": 1}),
        ],
        exchange_id="x1",
        now=NOW,
    )
    return messages.read(raw, now=NOW)


def test_the_contract_is_valid_fhir_and_says_every_clause_in_plain_words() -> None:
    made = terms(service(), start_ms=1796054400000, end_ms=1798732800000)
    found = _resource(made)
    check_fhir(found, now=NOW)
    assert found["applies"] == {"start": "2026-12-01", "end": "2026-12-31"}
    texts = {one["identifier"]["value"]: one["offer"]["text"] for one in found["term"]}
    assert list(texts) == ["B1", "S1", "Q1", "U1", "A1", "T1", "P1", "D1", "N1"]
    assert texts["Q1"] == "清源市第一人民医院心内科每月接收云岭乡卫生院转来的病人，最多 3 人。"


def test_facts_are_what_the_document_in_the_body_says() -> None:
    made = terms()
    message = _message(made, _resource(made))
    facts = Propose(Notices()).facts_of(message)
    assert facts == _proposal(made, hash=facts["hash"])
    written = messages.json_bytes_of(message, "terms")
    assert written != canonical(document("协作协议", made))
    assert facts["hash"] != digest_of(made)
    assert fhir.disagrees(message, facts) is None


@pytest.mark.parametrize(
    ("changes", "element"),
    [
        ({"identifier": [{"value": "c2"}]}, "identifier"),
        ({"version": "2"}, "version"),
        ({"subject": [{"reference": "Organization/lead"}]}, "subject"),
        ({"applies": {"start": "2026-01-01"}}, "applies"),
        ({"term": [{"identifier": {"value": "Q9"}, "offer": {"text": "x"}}]}, "term"),
    ],
)
def test_a_contract_that_says_something_else_is_refused(
    changes: dict[str, Any], element: str
) -> None:
    made = terms()
    message = _message(made, _resource(made, **changes))
    refusal = fhir.disagrees(message, _proposal(made))
    assert refusal is not None
    assert (refusal.code, refusal.facts["field"]) == ("contract.body", f"Contract.{element}")


def test_a_header_of_another_exchange_is_another_statement() -> None:
    kind = Suspend(Notices())
    at = replace(_at(kind, "consortium"), id="x2")
    assert _judge(kind, _shared(in_force(terms())), at, _hold(kind)) == "contract.seal"
