"""Writing terms: a draft as typed, its contradictions, its proposal.

A draft is the form's fields and may be incomplete; only a proposal must be sound. It belongs to
the consortium's office and is seen by nobody else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy.orm import Session

from consortium.contracts import fhir, model, store
from consortium.contracts.model import PROPOSE, Action, Finding
from consortium.contracts.tables import ContractDraftRow
from consortium.contracts.terms import (
    SCHEMA,
    SERVICES_MAX,
    TITLE_MAX,
    Terms,
    canonical,
    digest,
    document,
    parse,
)
from consortium.exchange import state
from consortium.exchange.outbox import Draft, Post, Queued
from consortium.fhir import message as messages
from consortium.kernel.actor import Actor, Role
from consortium.kernel.errors import Refusal, conflict, missing
from consortium.kernel.ids import new_id
from consortium.kernel.time import to_ms
from consortium.members import directory

DRAFTS_MAX = 50
NEW_SERVICE: Mapping[str, Any] = {
    "no": None,
    "code": "",
    "kind": "referral",
    "taker": "",
    "provider": "",
    "quota": "",
    "urgencies": ["routine", "urgent", "emergency"],
    "answers": {"routine": "1440", "urgent": "240", "emergency": "30"},
}
"""A further line; times to answer are product.md's defaults (4.8)."""
_NEW_TYPES = (
    "Patient",
    "Condition",
    "Observation",
    "AllergyIntolerance",
    "MedicationStatement",
    "DiagnosticReport",
    "DocumentReference",
)
_NEW_PURPOSES = ("TREAT", "ETREAT", "CAREMGT")


@dataclass(frozen=True, slots=True)
class DraftView:
    """A draft with what is wrong in it. `terms` is None while a field cannot be read."""

    contract: str
    form: Mapping[str, Any]
    exchange: str
    author: str
    updated_at: datetime
    sent: bool
    refused: str
    field: str
    findings: Sequence[Finding]
    terms: Terms | None
    before: Terms | None
    version: int

    @property
    def sound(self) -> bool:
        """Whether it can be proposed."""
        return self.terms is not None and not any(one.blocks for one in self.findings)


def create(
    session: Session, *, actor: Actor, parties: Sequence[str], title: str, now: datetime
) -> str:
    """Begin terms between members, with the usual choices filled in; gives the contract's id."""
    actor.require(Role.CONSORTIUM_ADMIN)
    contract = new_id(now)
    form = {
        "title": title[:TITLE_MAX],
        "parties": list(parties),
        "services": [{**NEW_SERVICE, "taker": parties[0], "provider": parties[1]}]
        if len(parties) > 1
        else [],
        "types": list(_NEW_TYPES),
        "purposes": list(_NEW_PURPOSES),
        "from": "",
        "until": "",
        "notice": "30",
    }
    _add(session, actor=actor, contract=contract, form=form, now=now)
    return contract


def revise(session: Session, *, actor: Actor, contract: str, now: datetime) -> None:
    """Begin the next version of a contract whose proposal was taken back.

    Raises:
        Refusal: `contract.missing`, `contract.state` where no further version is to be proposed.
    """
    actor.require(Role.CONSORTIUM_ADMIN)
    row = store.document(session, contract=contract, member=actor.member)
    if row is None:
        raise missing("contract.missing")
    value = state.read(session, f"contract:{contract}")
    model.advance(model.status(value, time_ms=to_ms(now)), Action.PROPOSE)
    if store.draft(session, contract=contract, member=actor.member) is None:
        form = form_of(row.title, parse(orjson.loads(row.document))[1])
        _add(session, actor=actor, contract=contract, form=form, now=now)


def save(
    session: Session, *, actor: Actor, contract: str, form: Mapping[str, Any], now: datetime
) -> None:
    """Keep what has been typed, whole or not.

    Raises:
        Refusal: `contract.missing`, `contract.draft_sent` once it has been proposed.
    """
    row = _draft(session, actor, contract)
    if row.sent:
        raise conflict("contract.draft_sent")
    row.form = orjson.dumps(_bounded(form)).decode()
    row.updated_at, row.refused = now, ""


def discard(session: Session, *, actor: Actor, contract: str) -> None:
    """Throw a draft away. Raises Refusal `contract.missing`, `contract.draft_sent`."""
    row = _draft(session, actor, contract)
    if row.sent:
        raise conflict("contract.draft_sent")
    session.delete(row)


def show(
    session: Session, *, actor: Actor, contract: str, form: Mapping[str, Any] | None = None
) -> DraftView:
    """A draft and everything that speaks against proposing it; `form` shows it as if so typed.

    Raises:
        Refusal: `contract.missing`.
    """
    row = _draft(session, actor, contract)
    form = orjson.loads(row.form) if form is None else _bounded(form)
    terms, at, findings = _read(form)
    old = store.document(session, contract=contract, member=actor.member)
    return DraftView(
        contract=contract,
        form=form,
        exchange=row.exchange,
        author=row.author_name,
        updated_at=row.updated_at,
        sent=bool(row.sent),
        refused=row.refused,
        field=at,
        findings=findings,
        terms=terms,
        before=None if old is None else parse(orjson.loads(old.document))[1],
        version=1 if old is None else old.version + 1,
    )


def listing(session: Session, *, actor: Actor) -> list[DraftView]:
    """Drafts of the actor's member, last changed first; none for who may not write them."""
    if not actor.may(Role.CONSORTIUM_ADMIN):
        return []
    rows = store.drafts(session, member=actor.member, limit=DRAFTS_MAX)
    return [show(session, actor=actor, contract=row.contract) for row in rows]


def propose(session: Session, *, actor: Actor, post: Post, contract: str, now: datetime) -> Queued:
    """Put the draft before the other parties; a second press gives the first one back.

    Raises:
        Refusal: `contract.terms`, `contract.lint`, and what the exchange refuses.
    """
    row = _draft(session, actor, contract)
    title, terms = parse(_document(orjson.loads(row.form)))
    for finding in model.lint(terms):
        if finding.blocks:
            raise conflict("contract.lint", clause=finding.clause, finding=finding.code)
    old = store.document(session, contract=contract, member=actor.member)
    version = 1 if old is None else old.version + 1
    to = tuple(member for member in terms.parties if member != actor.member)
    written = canonical(document(title, terms))
    body = messages.build(
        PROPOSE,
        source=actor.member,
        destinations=to,
        resources=[
            fhir.resource(
                contract=contract,
                version=version,
                title=title,
                terms=terms,
                names=lambda member: directory.name(session, member),
                now=now,
            ),
            messages.json_part("terms", orjson.loads(written)),
            messages.json_part(
                "act", {"contract": contract, "version": version, "person": actor.name}
            ),
        ],
        exchange_id=row.exchange,
        now=now,
    )
    queued = post.send(
        session,
        Draft(id=row.exchange, kind=PROPOSE, sender=actor.member, to=to, body=body, case=contract),
        now=now,
    )
    row.sent, row.refused = 1, ""
    return queued


def form_of(title: str, terms: Terms) -> dict[str, Any]:
    """Terms as the form's fields; `document_of` gives them back."""
    whole = document(title, terms)
    return {
        "title": title,
        "parties": whole["parties"],
        "services": [
            {
                "no": one["no"],
                "code": one["code"],
                "kind": one["kind"],
                "taker": one["taker"],
                "provider": one["provider"],
                "quota": str(one["quota_month"]),
                "urgencies": one["urgencies"],
                "answers": {name: str(minutes) for name, minutes in one["answer_min"].items()},
            }
            for one in whole["services"]
        ],
        "types": whole["types"],
        "purposes": whole["purposes"],
        "from": whole["from"] or "",
        "until": whole["until"] or "",
        "notice": str(terms.notice_days),
    }


def seal_digest(title: str, terms: Terms) -> str:
    """What the parties will sign when these terms are proposed as they are."""
    return digest(canonical(document(title, terms)))


def _read(form: Mapping[str, Any]) -> tuple[Terms | None, str, Sequence[Finding]]:
    try:
        _title, terms = parse(_document(form))
    except Refusal as refusal:
        return None, str(refusal.facts["field"]), ()
    return terms, "", tuple(model.lint(terms))


def _document(form: Mapping[str, Any]) -> dict[str, Any]:
    """The document that a form means; what cannot be a number stays text and is refused there."""
    return {
        "schema": SCHEMA,
        "title": form.get("title", ""),
        "parties": form.get("parties", []),
        "services": [_line(one) for one in form.get("services", [])],
        "types": form.get("types", []),
        "purposes": form.get("purposes", []),
        "from": form.get("from") or None,
        "until": form.get("until") or None,
        "notice_days": _number(form.get("notice")),
    }


def _line(one: Mapping[str, Any]) -> dict[str, Any]:
    answers = one.get("answers", {})
    return {
        "no": one.get("no"),
        "code": one.get("code", ""),
        "kind": one.get("kind", ""),
        "taker": one.get("taker", ""),
        "provider": one.get("provider", ""),
        "quota_month": _number(one.get("quota")),
        "urgencies": one.get("urgencies", []),
        "answer_min": {
            name: _number(answers[name]) for name in one.get("urgencies", []) if name in answers
        },
    }


def _number(text: object) -> object:
    if isinstance(text, str) and text.strip().isascii() and text.strip().isdigit():
        return int(text.strip()[:9])
    return text


def _bounded(form: Mapping[str, Any]) -> dict[str, Any]:
    """The form with no more lines than a contract can hold, each with its number."""
    services = [dict(one) for one in form.get("services", [])[:SERVICES_MAX]]
    highest = max((one["no"] for one in services if one.get("no")), default=0)
    for one in services:
        if not one.get("no"):
            highest += 1
            one["no"] = highest
    return {**form, "title": str(form.get("title", ""))[:TITLE_MAX], "services": services}


def _add(
    session: Session, *, actor: Actor, contract: str, form: Mapping[str, Any], now: datetime
) -> None:
    session.add(
        ContractDraftRow(
            contract=contract,
            member=actor.member,
            form=orjson.dumps(_bounded(form)).decode(),
            author=actor.user,
            author_name=actor.name,
            exchange=new_id(now),
            sent=0,
            refused="",
            created_at=now,
            updated_at=now,
        )
    )
    session.flush()


def _draft(session: Session, actor: Actor, contract: str) -> ContractDraftRow:
    actor.require(Role.CONSORTIUM_ADMIN)
    row = store.draft(session, contract=contract, member=actor.member)
    if row is None:
        raise missing("contract.missing")
    return row
