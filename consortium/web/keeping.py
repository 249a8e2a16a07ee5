"""What was typed and could not be kept: shown again, to be sent again, copied or printed."""

import re
from collections.abc import Sequence
from typing import Final

from fastapi import Request
from starlette.datastructures import FormData
from starlette.responses import HTMLResponse

from consortium.web.guard import SAFE, local_path
from consortium.web.pages import render
from consortium.web.signed import LOCK_FIELD
from consortium.web.views import Refused

FIELDS_MAX: Final = 200
_OWN: Final = frozenset({"csrf", LOCK_FIELD, "exchange", "keep", "do", "version", "back", "to"})
_SECRET: Final = re.compile(r"pass|^old$|^new$|^again$")
_CODE: Final = re.compile(r"[\w.:/-]*", re.ASCII)
_UNSEEN: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def whole(fields: FormData | None) -> list[tuple[str, str]]:
    """Every text of a form that its page sends again; the files must be chosen anew."""
    return [
        (name, value)
        for name, value in (fields.multi_items() if fields is not None else [])[:FIELDS_MAX]
        if isinstance(value, str) and name not in {"csrf", LOCK_FIELD}
    ]


def texts(fields: FormData | None) -> Sequence[str]:
    """What a person typed: no ids and choices, no passwords."""
    found = [
        _UNSEEN.sub(" ", value).strip()
        for name, value in whole(fields)
        if name not in _OWN and not _SECRET.search(name) and not _CODE.fullmatch(value)
    ]
    return [one for one in dict.fromkeys(found) if one]


def page(request: Request, refusal: Refused, *, status: int, again: bool) -> HTMLResponse:
    """The three lines, and below them what was typed; with `again` a button that sends it anew.

    Without the shell: what it would read may be what failed.
    """
    fields: FormData | None = getattr(request.state, "fields", None)
    request.state.signed = None
    where = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    # a password is not written into a page
    secret = any(_SECRET.search(name) for name, _value in whole(fields))
    again = again and request.method not in SAFE and not secret
    return render(
        request,
        "kept.html",
        status=status,
        refusal=refusal,
        place="",
        texts=texts(fields),
        action=local_path(where) if again else "",
        kept=whole(fields) if again else (),
    )
