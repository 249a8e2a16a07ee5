"""The form of a request: read strictly, and carried out once.

A form carries the id of the exchange that it will send. While the first press is under way a
second one waits for it, and then finds it done; only when that takes too long is it told so. The
same form with other words, sent from a page that was gone back to, is refused: what was sent is
sent, and nobody may believe that the change went along.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import Request
from starlette.datastructures import FormData

from consortium.kernel.errors import Refusal, RefusalKind, conflict, invalid
from consortium.web.session import SignIn

TYPES: Final = ("application/x-www-form-urlencoded", "multipart/form-data")
FIELDS_MAX: Final = 400
FIELD_MAX_BYTES: Final = 1024 * 1024
PATIENCE_S: Final = 5.0
Running = dict[tuple[bytes, str], asyncio.Event]
"""Forms under way, by session and exchange (`app.state.running`)."""
Sent = dict[tuple[str, str], bytes]
"""What was sent under which path and exchange, hashed (`app.state.sent`); of this process."""
SENT_MAX: Final = 10_000
_UNTOLD: Final = frozenset({"csrf", "do", "keep", "password", "passphrase", "lock_password"})


async def read(request: Request) -> FormData:
    """Every field of the form, kept with the request; none where there is no body.

    Raises:
        Refusal: `web.content_type` for what is no form in UTF-8, `web.encoding` where bytes were
            no text, `web.control` for a NUL, which no database keeps.
    """
    _check_type(request)
    form = FormData()
    if request.headers.get("content-type"):
        sent = await request.form(max_fields=FIELDS_MAX, max_part_size=FIELD_MAX_BYTES)
        form = FormData(sent.multi_items())
    request.state.fields = form
    for name, value in form.multi_items():
        text = name + (value if isinstance(value, str) else "")
        if "\x00" in text:
            raise invalid("web.control")
        if "\N{REPLACEMENT CHARACTER}" in text:
            raise invalid("web.encoding")
    return form


def _check_type(request: Request) -> None:
    kind, *more = request.headers.get("content-type", "").lower().replace(" ", "").split(";")
    # a charset of the sender's choice decodes to what nobody checked
    charset = {one for one in more if one.startswith("charset=")}
    known = kind in {"", *TYPES} and charset <= {"charset=utf-8", 'charset="utf-8"'}
    if not known or "content-encoding" in request.headers:
        raise Refusal(RefusalKind.UNSUPPORTED, "web.content_type")


@asynccontextmanager
async def once(request: Request, session: SignIn | None, form: FormData) -> AsyncIterator[None]:
    """Hold back a form whose twin is under way.

    Raises:
        Refusal: `web.running` when that takes longer than `PATIENCE_S`; `web.sent_already` for one
            that was sent with other words.
    """
    exchange = form.get("exchange")
    if session is None or not isinstance(exchange, str) or not exchange:
        yield
        return
    running: Running = request.app.state.running
    key = (session.key, exchange)
    try:
        async with asyncio.timeout(PATIENCE_S):
            while key in running:
                await running[key].wait()
    except TimeoutError:
        raise conflict("web.running") from None
    sent: Sent = request.app.state.sent
    if sent.get((request.url.path, exchange), _digest(form)) != _digest(form):
        raise invalid("web.sent_already")
    running[key] = asyncio.Event()
    try:
        yield
    finally:
        running.pop(key).set()


def remember(request: Request) -> None:
    """The form of this request was carried out."""
    form: FormData | None = getattr(request.state, "fields", None)
    exchange = form.get("exchange") if form is not None else None
    if form is None or not isinstance(exchange, str) or not exchange:
        return
    sent: Sent = request.app.state.sent
    if len(sent) >= SENT_MAX:
        sent.clear()
    sent[request.url.path, exchange] = _digest(form)


def _digest(form: FormData) -> bytes:
    told = [
        f"{name}={value}\0"
        for name, value in form.multi_items()
        if isinstance(value, str) and name not in _UNTOLD
    ]
    return hashlib.sha256("".join(told).encode()).digest()
