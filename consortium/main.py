"""The web process of one node, or the several of a hub."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI, Request

from consortium import wiring
from consortium.api import fhir, health, ledger, sync
from consortium.api.fhir_rooms import TABLE
from consortium.kernel import crash, log, processes
from consortium.kernel.actor import Actor
from consortium.kernel.errors import Refusal, RefusalKind, conflict
from consortium.kernel.system import alone, own_socket
from consortium.settings import NodeRole, Settings
from consortium.upkeep import service as upkeep
from consortium.upkeep.revisions import check_revision
from consortium.web import install
from consortium.web.guard import recognise, session_cookie
from consortium.web.icons import check_built
from consortium.web.relay import Relay
from consortium.web.signed import known
from consortium.wiring import Node

_log = log.logger(__name__)
_SOCKET_PATH_MAX = 100
"""Of sockets in the file system; Linux has room for 108 bytes (unix(7))."""


def create_app(node: Node) -> FastAPI:
    """The app of a node: pages for people, faces for programs. Jobs run while it serves."""

    @asynccontextmanager
    async def running(_app: FastAPI) -> AsyncIterator[None]:
        node.start()
        yield
        node.close()

    app = FastAPI(
        title="Sharing Chain", lifespan=running, docs_url=None, redoc_url=None, openapi_url=None
    )
    app.state.node = node
    for router in (health.router, sync.router, ledger.router):
        app.include_router(router)
    install.install(app, node)
    fhir.install(app, node, table=TABLE, browser=_browser)
    if node.hub is not None and node.settings.web_processes > 1:
        app.add_middleware(
            Relay,
            process=node.settings.web_process,
            cookie=session_cookie(node.id),
            forward=node.hub.peers.forward,
        )
    return app


def _browser(request: Request) -> Actor | None:
    """The person of a browser's session, for doors that are no pages; None on a locked page."""
    recognise(request)
    found = known(request)
    return None if found is None or found.session.locked else found.actor


def serve(settings: Settings, *, recovering: bool = False) -> None:
    """Serve a node until it is told to stop; one process for its folder, or several of one hub.

    Args:
        recovering: a hub that lacks entries serves to be given them, and gives no index until then.

    Raises:
        Refusal: `system.not_built`, `system.running`, `system.not_set_up`, `upkeep.revision`,
            `system.port`, `system.processes`, or what `start_checks` finds.
    """
    check_built()
    with upkeep.serving(settings):
        several = settings.web_processes > 1
        if several:
            _refuse_several(settings)
        node = wiring.build(settings)
        try:
            _refuse_empty(node)
            check_revision(node.database)
            if recovering:
                wiring.begin_recovery(node)
            for member, reason in wiring.start_checks(node, recovering=recovering).items():
                _log.warning("node.restored", member=member, reason=reason)
        except BaseException:
            node.close()
            raise
        if several:
            node.close()
            log.configure(level=settings.log_level, node=node.id)
            processes.run(settings.web_processes, _work, (settings, _listener(settings)))
            return
        log.configure(level=settings.log_level, node=node.id)
        crash.arm(settings.crash_at)
        _serve(create_app(node), settings, [_listener(settings)])


def _refuse_several(settings: Settings) -> None:
    """Several processes need a database that serves several, and sockets to reach each other."""
    longest = len(os.fsencode(settings.socket_of(settings.web_processes)))
    if (
        settings.role is not NodeRole.HUB
        or not settings.database_url.startswith("postgresql")
        or not hasattr(socket, "AF_UNIX")
        or longest > _SOCKET_PATH_MAX
    ):
        raise conflict("system.processes", processes=settings.web_processes)


def _work(process: int, settings: Settings, listener: socket.socket) -> None:
    """One web process of several: the parent has looked at everything that is looked at once."""
    own = settings.model_copy(update={"web_process": process})
    with alone(own.home / "run" / f"web-{process}.lock"):
        node = wiring.build(own)
        log.configure(level=own.log_level, node=node.id)
        crash.arm(own.crash_at)
        node.nudge.share(own.database_url, process=process)
        if node.hub is not None:
            node.hub.admission.cover()
        beside = own_socket(own.socket_of(process))
        _serve(create_app(node), own, [listener, *([beside] if beside else [])])


def _refuse_empty(node: Node) -> None:
    if not node.identities.members:
        raise conflict("system.not_set_up")


def _serve(app: FastAPI, settings: Settings, sockets: list[socket.socket]) -> None:
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=3,
    )
    uvicorn.Server(config).run(sockets=sockets)


def _listener(settings: Settings) -> socket.socket:
    """Bind first, so that a port in use is told in words and not in a library's log."""
    try:
        return socket.create_server((settings.host, settings.port), backlog=512)
    except OSError as fault:
        raise Refusal(RefusalKind.CONFLICT, "system.port", port=settings.port) from fault
