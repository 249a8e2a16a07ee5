"""A receipt (picture 07): checked anew at each opening, by the code of `python -m chain receipt`.

What is not verified carries no seal. The file is for checking elsewhere, years later.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from consortium import words
from consortium.contracts import service as contracts
from consortium.exchange import jws, state, timeline
from consortium.exchange.commitment import unb64
from consortium.exchange.header import Header
from consortium.exchange.jws import Signed as SignedExchange
from consortium.exchange.timeline import CaseEntry
from consortium.kernel.actor import Actor
from consortium.kernel.errors import Refusal, missing
from consortium.ledger import policies, receipts
from consortium.ledger.receipts import Checked
from consortium.web import tree
from consortium.web.deps import Node, PageRoute, Reading, SignedIn
from consortium.web.names import member_name
from consortium.web.node import WebNode
from consortium.web.outbox import Sent, kind_words, sent
from consortium.web.pages import look_of, render
from consortium.web.views import Check, Slip
from consortium.web.wording import look, number, t, when, written

router = APIRouter(route_class=PageRoute)
LISTED = 30
HEX_GROUP = 4


@dataclass(frozen=True, slots=True)
class Proof:
    """What checking found; `checked` is None when it failed or cannot be done yet.

    `fault` is the code of the check that failed.
    """

    checked: Checked | None = None
    exchange: SignedExchange | None = None
    fault: str = ""
    took_ms: int = 0

    @property
    def verified(self) -> bool:
        return self.checked is not None and not self.fault


@router.get("/receipts/{exchange}")
def show(
    request: Request, exchange: str, session: Reading, actor: SignedIn, node: Node
) -> Response:
    """One exchange with its receipt, beside the list of the member's exchanges."""
    entry = timeline.one(session, member=actor.member, exchange_id=exchange)
    proof = prove(session, node=node, actor=actor, entry=entry)
    listed = timeline.outbox(session, members=(actor.member,), limit=LISTED)
    with written(look_of(request)):
        items: Sequence[Sent] = [sent(session, one, actor=actor) for one in listed.rows]
        values: dict[str, Any] = {
            "entry": entry,
            "items": items,
            "proof": proof,
            "slip": _slip(session, node=node, actor=actor, entry=entry, proof=proof),
            "drawing": _drawing(proof),
            "fault": _fault(proof),
        }
    return render(request, "receipt.html", page="outbox", **values)


@router.get("/receipts/{exchange}/file")
def file(exchange: str, session: Reading, actor: SignedIn) -> Response:
    """The receipt as a tlog-proof file."""
    entry = timeline.one(session, member=actor.member, exchange_id=exchange)
    data = timeline.receipt_file(session, member=actor.member, exchange_id=exchange)
    if data is None:
        raise missing("web.no_receipt")
    name = f"receipt-{entry.index}.tlog-proof"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(data, media_type="text/plain; charset=utf-8", headers=headers)


def prove(session: Session, *, node: WebNode, actor: Actor, entry: CaseEntry) -> Proof:
    """Check an exchange's receipt: log, place, this very exchange, the sender's signature."""
    data = timeline.receipt_file(session, member=actor.member, exchange_id=entry.id)
    if data is None:
        return Proof(fault=entry.alarm)
    started = time.perf_counter()
    try:
        checked = receipts.check(data, policies.in_force(session, node.policy))
        exchange = jws.parse(checked.jws)
    except Refusal as refusal:
        return Proof(fault=str(refusal.facts.get("reason", refusal.code)))
    fault = _exchange_fault(session, entry, exchange, checked)
    took_ms = max(1, round((time.perf_counter() - started) * 1000))
    return Proof(None if fault else checked, exchange, fault or entry.alarm, took_ms)


def _exchange_fault(
    session: Session, entry: CaseEntry, exchange: SignedExchange, checked: Checked
) -> str:
    """Why the receipt is not one of this exchange, signed by its sender; empty when it is."""
    header = exchange.header
    if header.id != entry.id or checked.index != entry.index:
        return "proof.leaf"
    key = state.read(session, f"key:{header.node}")
    if key is None or key["member"] != header.sender:
        return "exchange.key"
    return "" if jws.verify(exchange, unb64(key["public"])) else "exchange.signature"


def _slip(session: Session, *, node: WebNode, actor: Actor, entry: CaseEntry, proof: Proof) -> Slip:
    header = proof.exchange.header if proof.exchange is not None else None
    digest = proof.exchange.digest.hex() if proof.exchange is not None else ""
    return Slip(
        exchange=entry.id,
        title=kind_words(entry),
        index=entry.index,
        at=entry.time if entry.index is not None else None,
        verified=proof.verified,
        rows=_rows(session, actor, entry, header),
        digest=_grouped(digest),
        checks=_checks(node=node, actor=actor, entry=entry, proof=proof),
        size=proof.checked.size if proof.checked else 0,
        steps=len(proof.checked.proof) if proof.checked else 0,
        took_ms=proof.took_ms,
        witnesses=_witnesses(session, proof),
        hub_only=proof.checked is not None and not proof.checked.cosigners,
        quorum=number(len(proof.checked.cosigners)) if proof.checked else "",
    )


def _rows(
    session: Session, actor: Actor, entry: CaseEntry, header: Header | None
) -> Sequence[tuple[str, str]]:
    to = t("shell.list_comma").join(member_name(session, one) for one in entry.to)
    rows = [
        (t("receipt.row.from"), member_name(session, entry.sender)),
        (t("receipt.row.to"), to),
        (t("receipt.row.state"), t(f"outbox.state.{entry.state}")),
    ]
    if header is not None:
        key = t("receipt.key", node=header.node[:12])
        rows[0] = (rows[0][0], f"{rows[0][1]}{t('shell.list_comma')}{key}")
        if header.contract:
            rows.append((t("receipt.row.contract"), _contract(session, actor, header.contract)))
        if header.purpose and words.known(f"contract.purpose.{header.purpose}"):
            rows.append((t("receipt.row.purpose"), t(f"contract.purpose.{header.purpose}")))
    rows.append((t("receipt.row.kept"), t("receipt.kept")))
    return rows


def _contract(session: Session, actor: Actor, contract: str) -> str:
    """A contract by its title; by its number where this member does not hold it."""
    try:
        return contracts.review(session, actor=actor, contract=contract, now=look().now).title
    except Refusal:
        return contract


def _checks(*, node: WebNode, actor: Actor, entry: CaseEntry, proof: Proof) -> Sequence[Check]:
    """The five checks as sentences; what cannot be tried yet is said to wait, never to be well."""
    found, exchange = proof.checked, proof.exchange
    bad_signature = proof.fault in {"exchange.signature", "exchange.key"}
    other_fault = bool(proof.fault) and not bad_signature
    steps = len(found.proof) if found else 0
    cosigned = len(found.cosigners) if found else 0
    size = number(found.size) if found else "0"
    heard = entry.state in {"delivered", "read", "received"}
    signature_fits = exchange is not None and not bad_signature
    return [
        _check("signature", well=signature_fits, failed=bad_signature),
        _check("place", well=found is not None, failed=other_fault, n=steps),
        _chain(node, actor, exchange),
        _witness_check(found, n=cosigned, size=size),
        _check("other_side", well=heard),
    ]


def _check(name: str, *, well: bool, failed: bool = False, **params: object) -> Check:
    how: Literal["ok", "no", "wait"] = "no" if failed else "ok" if well else "wait"
    text = t(f"receipt.check.{name}_{how}", **params)
    return Check(t(f"receipt.check.{name}"), text, how)


def _witness_check(found: Checked | None, *, n: int, size: str) -> Check:
    """Witnessed as the policy asks, by some only, or signed by the hub alone."""
    if found is not None and n and not found.quorum:
        return Check(
            t("receipt.check.witness"), t("receipt.check.witness_few", n=n, size=size), "wait"
        )
    return _check("witness", well=n > 0, n=n, size=size)


def _chain(node: WebNode, actor: Actor, exchange: SignedExchange | None) -> Check:
    """The feed is taken only while its running hash agrees: a gap would have raised the alarm."""
    broken = node.link_state(actor.member).trouble == "sync.feed"
    params: dict[str, object] = {"lane": "", "n": "0"}
    if exchange is not None:
        lane = t(f"receipt.lane.{exchange.header.lane.value}")
        params = {"lane": lane, "n": number(exchange.header.seq)}
    return _check("chain", well=exchange is not None and not broken, failed=broken, **params)


def _witnesses(session: Session, proof: Proof) -> Sequence[tuple[str, str, bool]]:
    """Who cosigned and when; a policy calls a member by its id."""
    if proof.checked is None:
        return ()
    found = sorted(proof.checked.cosigners.items())
    return [(member_name(session, name), when(at), True) for name, at in found]


def _drawing(proof: Proof) -> tree.Drawing | None:
    found = proof.checked
    if found is None or not found.proof:
        return None
    return tree.draw(index=found.index, size=found.size, steps=len(found.proof))


def _fault(proof: Proof) -> str:
    if not proof.fault:
        return ""
    key = f"ledger.reason.{proof.fault}"
    return t(key) if words.known(key) else t("receipt.fault", code=proof.fault)


def _grouped(digest: str) -> str:
    return " ".join(digest[start : start + HEX_GROUP] for start in range(0, len(digest), HEX_GROUP))
