"""What a receipt shows, whoever holds it: the exchange in words, its checks, who has witnessed it.

A receipt of this member comes with the entry that its books hold; one that somebody else brought
comes alone, and shows what its header and this member's directory tell.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy.orm import Session

from consortium import words
from consortium.exchange import jws, state
from consortium.exchange.header import Header
from consortium.exchange.judgement import key_public, outcome_of
from consortium.exchange.jws import Signed as SignedExchange
from consortium.exchange.timeline import CaseEntry
from consortium.kernel.actor import Actor
from consortium.kernel.errors import Refusal
from consortium.ledger import policies, receipts
from consortium.ledger.receipts import Checked
from consortium.web import tree
from consortium.web.codes import codes
from consortium.web.errors import refused_code
from consortium.web.names import contract_name, member_name
from consortium.web.node import WebNode
from consortium.web.outbox import entry_words, kind_words
from consortium.web.views import Check, Slip
from consortium.web.wording import number, stamp, t

HEX_GROUP = 4


@dataclass(frozen=True, slots=True)
class Proof:
    """What checking found; `checked` is None when it failed or cannot be done yet.

    `fault` is the code of the check that failed, `data` the file that was checked.
    """

    checked: Checked | None = None
    exchange: SignedExchange | None = None
    fault: str = ""
    took_ms: int = 0
    data: bytes = b""

    @property
    def verified(self) -> bool:
        return self.checked is not None and not self.fault

    def alarmed(self, code: str) -> "Proof":
        """The same, of an entry that this node keeps and does not apply."""
        return replace(self, fault=code)


def prove_file(
    session: Session, data: bytes, *, node: WebNode, entry: CaseEntry | None = None
) -> Proof:
    """Check a receipt file: log, place, the sender's signature; and that it is of this entry."""
    started = time.perf_counter()
    try:
        checked = receipts.believed(session, data, policies.in_force(session, node.policy))
        exchange = jws.parse(checked.jws)
    except Refusal as refusal:
        return Proof(fault=str(refusal.facts.get("reason", refusal.code)))
    fault = _exchange_fault(session, exchange, checked, entry)
    took_ms = max(1, round((time.perf_counter() - started) * 1000))
    return Proof(None if fault else checked, exchange, fault, took_ms, data)


def _exchange_fault(
    session: Session, exchange: SignedExchange, checked: Checked, entry: CaseEntry | None
) -> str:
    """Why the entry is not what its sender signed, or not this one; empty when it is."""
    header = exchange.header
    if entry is not None and (header.id != entry.id or checked.index != entry.index):
        return "proof.leaf"
    record = state.read(session, f"key:{header.node}")
    public = key_public(record, member=header.sender, index=checked.index)
    if public is None:
        return "exchange.key"
    return "" if jws.verify(exchange, public) else "exchange.signature"


def slip_of(
    session: Session,
    *,
    node: WebNode,
    actor: Actor,
    proof: Proof,
    entry: CaseEntry | None = None,
) -> Slip:
    """A receipt in the language being written."""
    found, exchange = proof.checked, proof.exchange
    header = exchange.header if exchange is not None else None
    at = found.time if found is not None else entry.time if entry is not None else None
    index = found.index if found is not None else entry.index if entry is not None else None
    return Slip(
        exchange=entry.id if entry is not None else header.id if header is not None else "",
        title=_title(entry, header),
        index=index,
        at=at if index is not None else None,
        verified=proof.verified,
        rows=_rows(session, actor, proof, entry),
        digest=_grouped(exchange.digest.hex()) if exchange is not None else "",
        checks=_checks(node=node, actor=actor, entry=entry, proof=proof),
        size=found.size if found else 0,
        steps=len(found.proof) if found else 0,
        took_ms=proof.took_ms,
        witnesses=_witnesses(session, proof),
        hub_only=found is not None and not found.cosigners,
        quorum=number(len(found.cosigners)) if found else "",
        codes=codes(proof.data) if proof.verified else (),
    )


def _title(entry: CaseEntry | None, header: Header | None) -> str:
    if entry is not None:
        return entry_words(entry)
    return kind_words(header.kind) if header is not None else t("receipt.title")


def _rows(
    session: Session, actor: Actor, proof: Proof, entry: CaseEntry | None
) -> Sequence[tuple[str, str]]:
    comma = t("shell.list_comma")
    header = proof.exchange.header if proof.exchange is not None else None
    rows = []
    if header is not None:
        key = t("receipt.key", node=header.node[:12])
        who = f"{member_name(session, header.sender)}{comma}{key}"
        to = comma.join(member_name(session, one) for one in header.to)
    elif entry is not None:
        who = member_name(session, entry.sender)
        to = comma.join(member_name(session, one) for one in entry.to)
    else:
        return ()
    rows = [(t("receipt.row.from"), who), (t("receipt.row.to"), to)]
    if entry is not None:
        rows.append((t("receipt.row.state"), t(f"outbox.state.{entry.state}")))
    if proof.checked is not None:
        rows.append((t("receipt.row.verdict"), _verdict(proof.checked)))
    if header is not None and header.contract:
        rows.append((t("receipt.row.contract"), contract_name(session, actor, header.contract)))
    if header is not None and words.known(f"contract.purpose.{header.purpose}"):
        rows.append((t("receipt.row.purpose"), t(f"contract.purpose.{header.purpose}")))
    if proof.checked is not None:
        rows.append((t("receipt.row.ledger"), proof.checked.origin))
    rows.append((t("receipt.row.kept"), t("receipt.kept")))
    return rows


def _verdict(found: Checked) -> str:
    admitted, said = outcome_of(found.verdict)
    if admitted:
        return t("receipt.verdict.ok")
    clause = " ".join(said[1:])
    return t("receipt.verdict.refused", why=refused_code(said[0], clause).happened)


def _checks(
    *, node: WebNode, actor: Actor, entry: CaseEntry | None, proof: Proof
) -> Sequence[Check]:
    """The checks as sentences; what cannot be tried yet is said to wait, never to be well."""
    found, exchange = proof.checked, proof.exchange
    bad_signature = proof.fault in {"exchange.signature", "exchange.key"}
    other_fault = bool(proof.fault) and not bad_signature
    steps = len(found.proof) if found else 0
    signature_fits = exchange is not None and not bad_signature
    checks = [
        _check("signature", well=signature_fits, failed=bad_signature),
        _check("place", well=found is not None, failed=other_fault, n=steps),
    ]
    if entry is not None:
        checks.append(_chain(node, actor, exchange))
    checks.append(_witnessed(found))
    if entry is not None:
        heard = entry.state in {"delivered", "read", "received"}
        checks.append(_check("other_side", well=heard))
    return checks


def _check(name: str, *, well: bool, failed: bool = False, **params: object) -> Check:
    how: Literal["ok", "no", "wait"] = "no" if failed else "ok" if well else "wait"
    text = t(f"receipt.check.{name}_{how}", **params)
    return Check(t(f"receipt.check.{name}"), text, how)


def _chain(node: WebNode, actor: Actor, exchange: SignedExchange | None) -> Check:
    """The feed is taken only while its running hash agrees: a gap would have raised the alarm."""
    broken = node.link_state(actor.member).trouble == "sync.feed"
    params: dict[str, object] = {"lane": "", "n": "0"}
    if exchange is not None:
        lane = t(f"receipt.lane.{exchange.header.lane.value}")
        params = {"lane": lane, "n": number(exchange.header.seq)}
    return _check("chain", well=exchange is not None and not broken, failed=broken, **params)


def _witnessed(found: Checked | None) -> Check:
    """Witnessed as the policy asks, by some only, or signed by the hub alone."""
    n = len(found.cosigners) if found is not None else 0
    size = number(found.size) if found is not None else "0"
    if found is not None and n and not found.quorum:
        return Check(
            t("receipt.check.witness"), t("receipt.check.witness_few", n=n, size=size), "wait"
        )
    return _check("witness", well=n > 0, n=n, size=size)


def _witnesses(session: Session, proof: Proof) -> Sequence[tuple[str, str, bool]]:
    """Who cosigned and when; a policy calls a member by its id."""
    if proof.checked is None:
        return ()
    found = sorted(proof.checked.cosigners.items())
    return [(member_name(session, name), stamp(at), True) for name, at in found]


def drawing(proof: Proof) -> tree.Drawing | None:
    """The way from the entry to the total, None where there is none to draw."""
    found = proof.checked
    if found is None or not found.proof:
        return None
    return tree.draw(index=found.index, size=found.size, steps=len(found.proof))


def fault_words(proof: Proof) -> str:
    """Why a receipt does not hold; empty when it does."""
    if not proof.fault:
        return ""
    for area in ("ledger.reason", "receipt.reason"):
        if words.known(f"{area}.{proof.fault}"):
            return t("receipt.because", why=t(f"{area}.{proof.fault}"))
    return t("receipt.fault", code=proof.fault)


def _grouped(digest: str) -> str:
    return " ".join(digest[start : start + HEX_GROUP] for start in range(0, len(digest), HEX_GROUP))
