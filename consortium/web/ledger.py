"""The ledger as this machine sees it: how far it was checked, what did not fit, what was kept."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from consortium.exchange import timeline
from consortium.ledger import witness
from consortium.web.deps import Node, PageRoute, Reading, SignedIn
from consortium.web.outbox import sent
from consortium.web.pages import look_of, render
from consortium.web.shell import is_broken
from consortium.web.wording import written

router = APIRouter(route_class=PageRoute)


@router.get("/ledger")
def show(request: Request, session: Reading, actor: SignedIn, node: Node) -> Response:
    """The newest checkpoint that fits what was seen before, and every alarm."""
    link = node.link_state(actor.member)
    alarms = timeline.alarms(session, member=actor.member)
    with written(look_of(request)):
        return render(
            request,
            "ledger.html",
            page="ledger",
            view=witness.checkpoint_view(session),
            evidence=witness.evidence(session),
            alarms=[sent(session, entry, actor=actor) for entry in alarms],
            link=link,
            broken=is_broken(session, link),
        )
