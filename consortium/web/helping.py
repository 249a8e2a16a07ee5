"""Help: keys, the words of states, the knots of the chain, whom to call."""

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from consortium.web.deps import Node, PageRoute, Reading, SignedIn
from consortium.web.outbox import LOOK
from consortium.web.pages import render
from consortium.web.shell import emergency_phone

router = APIRouter(route_class=PageRoute)
KEYS: Final = (
    ("/", "web.help.key_find"),
    ("N", "web.help.key_new"),
    ("↑ ↓", "web.help.key_rows"),
    ("Enter", "web.help.key_open"),
    ("1 – 6", "web.help.key_digits"),
    ("Ctrl Enter", "web.help.key_send"),
    ("Esc", "web.help.key_back"),
    ("?", "web.help.key_list"),
    ("F1", "web.help.key_help"),
)
STATES: Final = ("queued", "sent", "delivered", "read", "refused")
KNOTS: Final = ("on", "now", "wait", "")


@router.get("/help")
def show(request: Request, session: Reading, node: Node, _actor: SignedIn) -> Response:
    """One page, with everything that a person may want to look up."""
    states = [(state, *LOOK[state]) for state in STATES]
    phone = emergency_phone(session, node)
    return render(
        request, "help.html", page="help", keys=KEYS, states=states, knots=KNOTS, phone=phone
    )
