"""The form of a request: read strictly, and carried out once at a time.

A form carries the id of the exchange that it will send. While the first press is under way a
second one waits for it, and then finds it done; only when that takes too long is it told so.
"""

import asyncio
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
        Refusal: `web.running` when that takes longer than `PATIENCE_S`.
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
    running[key] = asyncio.Event()
    try:
        yield
    finally:
        running.pop(key).set()
