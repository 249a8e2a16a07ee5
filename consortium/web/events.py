"""The event stream, the one async route: what changed goes to the page as HTML, in the event.

A stream waits on a wake-up and holds neither a thread nor a session of the database. When something
changed, one look in a thread of a small pool of its own, so that a hundred streams do not keep
pages waiting, renders the parts that the page shows; a part that is as it was is not sent.

A page names its parts: `/events?part=worklist&view=...`. A room's page adds its own to `PARTS`:
a function that renders the part, whole, with its id.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Final
from urllib.parse import parse_qsl

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response, StreamingResponse

from consortium.desk import service as desk
from consortium.kernel.actor import Actor
from consortium.members import accounts
from consortium.web import tongues
from consortium.web.deps import Whoever
from consortium.web.language import language
from consortium.web.node import WebNode
from consortium.web.pages import environment
from consortium.web.reading import whole
from consortium.web.shell import build as build_shell
from consortium.web.signed import Signed, counts
from consortium.web.unsent import unsent
from consortium.web.wording import Look, written
from consortium.web.worklist import View
from consortium.web.worklist import build as build_worklist
from consortium.words import Lang

router = APIRouter()
HEARTBEAT_S: Final = 20.0
QUIET_S: Final = 0.15
"""Changes that come together go out together."""
REFRESH: Final = timedelta(minutes=1)
"""Words such as "2 h left" age without any change."""
THREADS: Final = 4
ARG_MAX: Final = 300
WORKLIST: Final = "worklist"


@dataclass(frozen=True, slots=True)
class Moment:
    """With what a part is rendered. `seen`: the desk's version that the page has, -1 unknown."""

    node: WebNode
    session: Session
    actor: Actor
    look: Look
    page: str
    seen: int


Part = Callable[[Moment, str], str]
"""Renders `<hx-partial>` pieces of a page, cut by `<!--cut-->`, for an argument that it gave."""


@dataclass(slots=True)
class Watch:
    """One stream: who, which page and part, what was sent last.

    `version` is the desk's as the page has it; -1 when the page does not say.
    """

    signed: Signed
    lang: Lang
    page: str
    part: str
    argument: str
    version: int = -1
    rendered_at: datetime | None = None
    sent: dict[str, bytes] = field(default_factory=dict)


@router.get("/events")
async def events(
    request: Request,
    whoever: Whoever,
    page: Annotated[str, Query(max_length=32)] = "",
    part: Annotated[str, Query(max_length=32)] = "",
    view: Annotated[str, Query(max_length=ARG_MAX)] = "",
    seen: Annotated[int, Query()] = -1,
) -> Response:
    """The stream of one page; a browser that comes back says the last id that it got."""
    last = request.headers.get("last-event-id", "")
    version = whole(last) if last else seen
    known = part if part in PARTS else ""
    watch = Watch(whoever, language(request), page, known, view, version)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(
        _stream(request, watch), media_type="text/event-stream", headers=headers
    )


async def _stream(request: Request, watch: Watch) -> AsyncIterator[bytes]:
    node, sessions = request.app.state.node, request.app.state.sessions
    limiter: CapacityLimiter = request.app.state.event_threads
    count = node.wake.count
    yield b": hello\n\n"
    while True:
        alive = sessions.alive(watch.signed.session, now=node.clock.now())
        html = await to_thread.run_sync(_look, node, watch, limiter=limiter) if alive else None
        # it may have been locked or signed out while the look was drawn
        if html is None or not sessions.alive(watch.signed.session, now=node.clock.now()):
            yield b"event: locked\ndata: .\n\n"
            return
        if html:
            yield _event(html, watch.version)
        try:
            count = await asyncio.wait_for(node.wake.wait(count), HEARTBEAT_S)
            await asyncio.sleep(QUIET_S)
            count = node.wake.count
        except TimeoutError:
            yield b": still here\n\n"


def _look(node: WebNode, watch: Watch) -> str | None:
    """What of the page is not as it was sent last; in a thread, with a session for this long.

    None when the person may not look any more: locked, or with other roles or password since.
    """
    now = node.clock.now()
    look = Look(watch.lang, now, watch.signed.session.csrf)
    with written(look), node.database.read() as session:
        account = accounts.find(session, watch.signed.session.user)
        if account is None or not counts(account, watch.signed.session):
            return None
        version = desk.version(session)
        moment = Moment(node, session, account.actor, look, watch.page, watch.version)
        found = _shell(moment)
        aged = watch.rendered_at is not None and now - watch.rendered_at >= REFRESH
        # the worklist is the desk's rows alone; a case shows files and receipts too
        if watch.part and (version != watch.version or aged or watch.part != WORKLIST):
            found += _CUT + PARTS[watch.part](moment, watch.argument)
        watch.rendered_at = now if aged or watch.rendered_at is None else watch.rendered_at
    watch.version = version
    found = tongues.marked(found, watch.lang)
    return "".join(piece for piece in found.split(_CUT) if piece.strip() and _is_new(watch, piece))


def _is_new(watch: Watch, piece: str) -> bool:
    key = piece.split(">", 1)[0].strip()
    digest = hashlib.sha256(piece.encode()).digest()
    known = watch.sent.get(key)
    watch.sent[key] = digest
    return known != digest


_CUT = "<!--cut-->"


def _shell(moment: Moment) -> str:
    shell = build_shell(moment.session, node=moment.node, actor=moment.actor)
    return _draw("live/shell.html", shell=shell, page=moment.page)


def _worklist(moment: Moment, argument: str) -> str:
    view = View.parse(dict(parse_qsl(argument[:ARG_MAX])))
    waiting = unsent(moment.session, node=moment.node, actor=moment.actor)
    shown = build_worklist(
        moment.session,
        actor=moment.actor,
        view=view,
        now=moment.look.now,
        waiting=waiting,
        seen=moment.seen if moment.seen >= 0 else None,
    )
    return _draw("live/worklist.html", view=shown)


def _draw(template: str, **values: object) -> str:
    return environment().get_template(template).render(**values)


def _event(html: str, version: int) -> bytes:
    lines = "".join(f"data: {line}\n" for line in html.splitlines() if line.strip())
    return f"id: {version}\n{lines}\n".encode()


PARTS: Final[dict[str, Part]] = {WORKLIST: _worklist}
