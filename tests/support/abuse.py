"""Every route of the real app, and garbage for all of them."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from fastapi import FastAPI
from fastapi.routing import APIRoute
from httpx2 import Response

from consortium.cli import check_page
from consortium.cli.check_page import Button, Form
from tests.support.real_world import Browser, World

SLOW_S = 5.0
SECRETS = ("王秘密", "WangMimi-Secret", "110105194912310020", "13800138000")
"""What somebody types, puts into addresses and names files: a name, a number, a telephone."""
JUNK = (
    "", " ", "0", "-1", "1.5", "²", "٣", "9" * 5000, "9223372036854775808", "1e400", "NaN", "true",
    "{}", "[]", "\x00", "a\x07b", "\ufeff", "\u202egpj", "😀" * 40, "a" * 3000, "长" * 3000,
    "../../etc/passwd", "..\\..\\x", "<script>alert(1)</script>", "'; DROP TABLE x;--", "%00%ff",
    "\r\nSet-Cookie: a=b", "2026-02-30", "0001-01-01", "9999-12-31", "25:00", "2026-11-30 25:00",
    "slot:x/3", "x/y/z", "lead/cardiology", "a.b.c.d", "1" * 36, "-" * 36, "http://[", *SECRETS,
)  # fmt: skip
LEAVING = ("/sign-out", "/hand-over", "/lock", "/account/password")
"""Forms after which the browser is not signed in any more."""
_PLACE = re.compile(r"\{[^}]+\}")
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


def routes(app: FastAPI) -> list[APIRoute]:
    """Every route with its methods, those of included routers too."""

    def walk(found: Sequence[Any]) -> Iterator[APIRoute]:
        for one in found:
            if isinstance(one, APIRoute):
                yield one
            elif hasattr(one, "original_router"):
                yield from walk(one.original_router.routes)

    return list(walk(app.routes))


def filled(route: APIRoute, pieces: Iterator[str]) -> str:
    """An address of a route with garbage in its places."""
    return _PLACE.sub(lambda _: quote(next(pieces), safe="") or "0", route.path)


@dataclass
class Watch:
    """Sends, and says what must not be: a fault, a trace, a hang."""

    wrong: list[str] = field(default_factory=list)
    count: int = 0

    def send(self, browser: Browser, method: str, path: str, **more: Any) -> Response | None:
        """One request; None when the client itself could not write it."""
        started = time.monotonic()
        try:
            answer = browser.client.request(method, path, **more)
        except (UnicodeError, ValueError):
            return None  # not writable as HTTP
        spent = time.monotonic() - started
        self.count += 1
        told = f"{method} {path[:80]} {answer.status_code} {more!r:.400}"
        if answer.status_code >= 500:
            self.wrong.append(f"fault: {told}")
        if "Traceback (most recent call last)" in answer.text:
            self.wrong.append(f"trace: {told}")
        if spent > SLOW_S:
            self.wrong.append(f"{spent:.0f} s: {told}")
        return answer


def forms(browser: Browser, *, pages: int = 60) -> list[tuple[Form, Button | None, str]]:
    """The forms of every page that a person can reach, one of each pattern."""
    todo: list[str] = ["/"]
    seen: set[str] = set()
    found: dict[tuple[str, str, str], tuple[Form, Button | None, str]] = {}
    while todo and len(seen) < pages:
        path = todo.pop(0)
        pattern = _pattern(path)
        if pattern in seen:
            continue
        seen.add(pattern)
        answer = browser.get(path)
        if answer.is_redirect:
            todo.append(answer.headers["location"])
        if "html" not in answer.headers.get("content-type", ""):
            continue
        page = check_page.read(path, answer.status_code, answer.text)
        todo += [href for href, _word in page.links if href.startswith("/") and "#" not in href]
        for form in page.forms:
            for button in (*form.buttons, None):
                action = urljoin(path, (button.action if button else "") or form.action)
                key = (form.method, _pattern(action), button.name if button else "")
                found.setdefault(key, (form, button, action))
    return [one for one in found.values() if not urlsplit(one[2]).path.startswith(LEAVING)]


def _pattern(address: str) -> str:
    parts = urlsplit(address)
    names = sorted(re.findall(r"(\w+)=", parts.query))
    return f"{_ID.sub('*', parts.path)}?{','.join(names)}"


def as_shown(form: Form, button: Button | None) -> dict[str, list[str]]:
    """What a form would send as its page shows it."""
    told: dict[str, list[str]] = {}
    for one in form.fields:
        if one.kind != "file" and (one.kind not in ("radio", "checkbox") or one.checked):
            told.setdefault(one.name, []).append(one.value)
    if button is not None and button.name:
        told[button.name] = [button.value]
    return told


def back(world: World, login: str) -> Browser:
    """The person's browser, signed in again if garbage has ended the session."""
    browser = world.browser(login)
    if browser.client.get("/account").status_code != 200:
        browser = world.browser(login, anew=True)
    return browser


def leaked(text: str, more: Mapping[str, str]) -> list[str]:
    """Which secrets stand in a text."""
    return [one for one in (*SECRETS, *more.values()) if one and one in text]
