"""What a route asks for: a session of the database, who acts, and when.

`PageRoute` opens the session in the thread of the route and commits before the route returns. Not
by a dependency that yields: the write lock belongs to its thread, and forty requests that wait for
it in the thread pool would keep the one that holds it from ever running.
"""

import functools
import inspect
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.routing import APIRoute
from sqlalchemy.orm import Session
from starlette.responses import Response

from consortium.kernel.actor import Actor
from consortium.kernel.database import Database
from consortium.web.node import WebNode
from consortium.web.signed import Signed, signed

_MARK = "opens_transaction"


class _Read:
    """Stands for a session of a reading transaction until the route opens it."""

    def __init__(self, request: Request) -> None:
        self.database: Database = request.app.state.node.database


class _Write(_Read):
    """Stands for a session of a writing transaction until the route opens it."""


def _now(request: Request) -> datetime:
    now: datetime = request.state.now
    return now


def _node(request: Request) -> WebNode:
    node: WebNode = request.app.state.node
    return node


def _actor(whoever: Annotated[Signed, Depends(signed)]) -> Actor:
    return whoever.actor


Reading = Annotated[Session, Depends(_Read)]
"""A session for reading; nothing is committed."""
Writing = Annotated[Session, Depends(_Write)]
"""A session for one transaction, committed before the answer: when it fails, so does the answer."""
Now = Annotated[datetime, Depends(_now)]
"""The moment of the request."""
SignedIn = Annotated[Actor, Depends(_actor)]
"""Who acts. Without a session the answer is the sign-in page, with a locked one the lock page."""
Whoever = Annotated[Signed, Depends(signed)]
"""Who acts, with their own settings and their session."""
Node = Annotated[WebNode, Depends(_node)]
"""What this node offers to pages."""


class Later(Response):
    """An answer that is drawn when the route's transaction has ended.

    For pages that write down who looked: nobody waits for the one write lock of a SQLite node
    while a template runs.
    """

    def __init__(self, draw: Callable[[], Response]) -> None:
        self.draw = draw


class PageRoute(APIRoute):
    """A route whose sessions are opened and committed round its one call."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, in_transaction(endpoint), **options)


def in_transaction(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """The route with its `Reading` or `Writing` filled by a session of its own thread."""
    # a router that is included wraps its routes a second time
    if hasattr(endpoint, _MARK) or inspect.iscoroutinefunction(endpoint):
        return endpoint

    @functools.wraps(endpoint)
    def run(**values: Any) -> Any:
        with ExitStack() as stack:
            for name, value in values.items():
                if isinstance(value, _Write):
                    values[name] = stack.enter_context(value.database.write())
                elif isinstance(value, _Read):
                    values[name] = stack.enter_context(value.database.read())
            answered = endpoint(**values)
        return answered.draw() if isinstance(answered, Later) else answered

    setattr(run, _MARK, True)
    return run
