"""The web process of one node."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI, Request

from consortium import wiring
from consortium.api import fhir, health, ledger, sync
from consortium.api.fhir_rooms import TABLE
from consortium.kernel import crash, log
from consortium.kernel.actor import Actor
from consortium.kernel.errors import Refusal, RefusalKind, conflict
from consortium.settings import Settings
from consortium.upkeep import service as upkeep
from consortium.upkeep.revisions import check_revision
from consortium.web import install
from consortium.web.guard import recognise
from consortium.web.icons import check_built
from consortium.web.signed import known
from consortium.wiring import Node

_log = log.logger(__name__)


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
    return app


def _browser(request: Request) -> Actor | None:
    """The person of a browser's session, for doors that are no pages; None on a locked page."""
    recognise(request)
    found = known(request)
    return None if found is None or found.session.locked else found.actor


def serve(settings: Settings) -> None:
    """Serve a node until it is told to stop; exactly one process for its folder.

    Raises:
        Refusal: `system.not_built`, `system.running`, `system.not_set_up`, `upkeep.revision`,
            `system.port`, or what `start_checks` finds.
    """
    check_built()
    with upkeep.serving(settings):
        node = wiring.build(settings)
        try:
            _refuse_empty(node)
            check_revision(node.database)
            for member, reason in wiring.start_checks(node).items():
                _log.warning("node.restored", member=member, reason=reason)
        except BaseException:
            node.close()
            raise
        log.configure(level=settings.log_level, node=node.id)
        crash.arm(settings.crash_at)
        _serve(create_app(node), settings)


def _refuse_empty(node: Node) -> None:
    if not node.identities.members:
        raise conflict("system.not_set_up")


def _serve(app: FastAPI, settings: Settings) -> None:
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
    listener = _listener(settings)
    uvicorn.Server(config).run(sockets=[listener])


def _listener(settings: Settings) -> socket.socket:
    """Bind first, so that a port in use is told in words and not in a library's log."""
    try:
        return socket.create_server((settings.host, settings.port), backlog=512)
    except OSError as fault:
        raise Refusal(RefusalKind.CONFLICT, "system.port", port=settings.port) from fault
