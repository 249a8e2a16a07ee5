"""A receipt (picture 07): checked anew at each opening, by the code of `python -m chain receipt`.

What is not verified carries no seal. The file is for checking elsewhere, years later; the codes on
the printed page hold the same.
"""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from consortium.exchange import timeline
from consortium.exchange.timeline import CaseEntry
from consortium.kernel.actor import Actor
from consortium.kernel.errors import missing
from consortium.web.deps import Node, PageRoute, Reading, SignedIn
from consortium.web.node import WebNode
from consortium.web.outbox import Sent, sent
from consortium.web.pages import look_of, render
from consortium.web.receipt_views import Proof, drawing, fault_words, prove_file, slip_of
from consortium.web.wording import written

router = APIRouter(route_class=PageRoute)
LISTED = 30


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
            "slip": slip_of(session, node=node, actor=actor, entry=entry, proof=proof),
            "drawing": drawing(proof),
            "fault": fault_words(proof),
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
    """Check the receipt that this member holds of an exchange."""
    data = timeline.receipt_file(session, member=actor.member, exchange_id=entry.id)
    if data is None:
        return Proof(fault=entry.alarm)
    found = prove_file(session, data, node=node, entry=entry)
    return found if found.fault or not entry.alarm else found.alarmed(entry.alarm)
