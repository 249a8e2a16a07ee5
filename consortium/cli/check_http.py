"""A tiny browser without JavaScript: cookies of its own, pages, forms sent as a browser sends them.

It refuses what a browser refuses (an empty required field, a value that no list offers), so that
a form which only works with scripts, or asks for what it does not show, fails the check.
"""

import secrets
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlencode, urljoin, urlsplit

import httpx2

from consortium.cli import check_page
from consortium.cli.check_page import Button, Field, Form, Page

_TIMEOUT_S = 30.0
_OK = 400
_TYPED = frozenset({"radio", "checkbox", "file"})


class CheckError(Exception):
    """Something that must hold does not."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that is chosen in a form."""

    name: str
    content: bytes
    kind: str = "application/octet-stream"


Value = str | Sequence[str] | Upload
_Pairs = list[tuple[str, "str | Upload"]]


class Browser:
    """One person's browser at one node."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}"
        self._client = httpx2.Client(
            base_url=self._base,
            timeout=_TIMEOUT_S,
            follow_redirects=True,
            trust_env=False,
            headers={"accept": "text/html", "accept-language": "zh-CN"},
        )

    def close(self) -> None:
        """Forget cookies and connections."""
        self._client.close()

    def raw(self, path: str, *, accept: str = "*/*") -> httpx2.Response:
        """What an address answers, as it came."""
        return self._client.get(path, headers={"accept": accept})

    def get(self, path: str, *, status: int = 200) -> Page:
        """Open a page.

        Raises:
            CheckError: it answered with another status.
        """
        return self._page(self._client.get(path), status)

    def sign_in(self, name: str, password: str) -> None:
        """Sign a person in."""
        page = self.send(self.get("/sign-in"), "/sign-in", {"name": name, "password": password})
        if page.path.startswith("/sign-in"):
            raise CheckError(f"{name} could not sign in: {page.text[:200]}")

    def send(
        self,
        page: Page,
        action: str,
        values: Mapping[str, Value] | None = None,
        *,
        press: str = "",
        status: int = 200,
    ) -> Page:
        """Fill a form of a page in and send it; gives the page that follows.

        Args:
            page: where the form stands.
            action: where the form goes; `*` stands for one part of the path.
            values: what is typed and chosen, by name; everything else stays as the page has it.
            press: the button, as `name=value` or as the address that it names; default: the one
                that stands out, else the first.
            status: what the answer must be.

        Raises:
            CheckError: no such form, field, choice or button; or another answer.
        """
        form = page.form(action)
        if form is None:
            raise CheckError(f"{page.path} has no form to {action}: {page.text[:300]}")
        button = _pressed(page, form, press)
        pairs = _filled(page, form, values or {}, checked=not (button and button.unchecked))
        if button is not None and button.name:
            pairs.append((button.name, button.value))
        target = urljoin(page.path, (button.action if button else "") or form.action)
        return self._page(self._request(form, target, pairs), status)

    def _request(self, form: Form, target: str, pairs: _Pairs) -> httpx2.Response:
        kind, body = "application/x-www-form-urlencoded", _encoded(pairs).encode()
        if form.multipart:
            kind, body = _multipart(pairs)
        headers = {"content-type": kind, "origin": self._base, "sec-fetch-site": "same-origin"}
        return self._client.post(target, content=body, headers=headers)

    def _page(self, answer: httpx2.Response, status: int) -> Page:
        where = urlsplit(str(answer.url))
        path = where.path + (f"?{where.query}" if where.query else "")
        page = check_page.read(path, answer.status_code, answer.text)
        if answer.status_code != status:
            raise CheckError(
                f"{answer.request.method} {path} answered {answer.status_code}, not {status}: "
                f"{page.text[-700:]}"
            )
        return page

    def watch(self, path: str, text: str) -> "Watch":
        """Open an event stream and wait for a text in it; nothing else is asked for."""
        return Watch(self._client, path, text)


class Watch:
    """An open event stream that is read until it brings a text.

    Raises:
        CheckError: it was not answered.
    """

    def __init__(self, client: httpx2.Client, path: str, text: str) -> None:
        self._seen, self._open = threading.Event(), threading.Event()
        self._read = threading.Thread(target=self._wait, args=(client, path, text), daemon=True)
        self._read.start()
        if not self._open.wait(_TIMEOUT_S):
            raise CheckError(f"{path} was not answered")

    def seen(self, *, within_s: float) -> bool:
        """Whether the text comes in time."""
        return self._seen.wait(within_s)

    def _wait(self, client: httpx2.Client, path: str, text: str) -> None:
        # a stream ends with its node, and reading ends with it
        with suppress(httpx2.HTTPError), client.stream("GET", path) as answer:
            for line in answer.iter_lines():
                self._open.set()
                if text in line:
                    self._seen.set()
                    return


def _pressed(page: Page, form: Form, press: str) -> Button | None:
    if not press:
        return next(iter(sorted(form.buttons, key=lambda one: not one.main)), None)
    for one in form.buttons:
        named = one.name and f"{one.name}={one.value}" == press
        if named or (one.action and check_page.fits(one.action, press)):
            return one
    raise CheckError(f"{page.path}: no button {press} in the form to {form.action}")


def _filled(page: Page, form: Form, values: Mapping[str, Value], *, checked: bool) -> _Pairs:
    """What the form sends: typed and chosen values over those that it holds."""
    for name in values:
        if form.get(name) is None:
            raise CheckError(
                f"{page.path}: the form to {form.action} has no field {name}, only {form.names}"
            )
    pairs: _Pairs = []
    for one in form.fields:
        if one.name:
            pairs += _sent(page, form, one, values.get(one.name))
    if checked:
        _refuse_gaps(page, form, pairs)
    return pairs


def _sent(page: Page, form: Form, one: Field, value: Value | None) -> _Pairs:
    if one.kind == "file":
        chosen = value if isinstance(value, Upload) else Upload("", b"")
        return [(one.name, chosen)]
    if isinstance(value, Upload):
        raise CheckError(f"{page.path}: {one.name} takes no file")
    if one.kind in _TYPED:
        ticked = one.checked if value is None else one.value in _many(value)
        _refuse_strange(page, form, one, value)
        return [(one.name, one.value)] if ticked else []
    if one.kind == "select":
        _refuse_strange(page, form, one, value)
    if value is None or one.kind == "select":
        kept = one.value if value is None else _many(value)[0]
        return [(one.name, kept)]
    return [(one.name, value if isinstance(value, str) else value[0])]


def _many(value: str | Sequence[str]) -> Sequence[str]:
    return (value,) if isinstance(value, str) else value


def _refuse_strange(page: Page, form: Form, one: Field, value: str | Sequence[str] | None) -> None:
    offered = form.offered(one.name)
    for wanted in () if value is None else _many(value):
        if wanted and wanted not in offered:
            raise CheckError(f"{page.path}: {one.name} offers {offered}, not {wanted}")


def _refuse_gaps(page: Page, form: Form, pairs: _Pairs) -> None:
    full = {
        name
        for name, value in pairs
        if (value.name if isinstance(value, Upload) else value.strip())
    }
    missing = sorted({one.name for one in form.fields if one.required} - full)
    if missing:
        raise CheckError(f"{page.path}: the form to {form.action} needs {missing}")


def _encoded(pairs: _Pairs) -> str:
    return urlencode([(name, value) for name, value in pairs if isinstance(value, str)])


def _multipart(pairs: _Pairs) -> tuple[str, bytes]:
    """As a browser writes it: a file field with nothing chosen is sent too, without a name."""
    mark = f"----{secrets.token_hex(16)}"
    out = bytearray()
    for name, value in pairs:
        out += f'--{mark}\r\ncontent-disposition: form-data; name="{name}"'.encode()
        if isinstance(value, Upload):
            out += f'; filename="{value.name}"\r\ncontent-type: {value.kind}\r\n\r\n'.encode()
            out += value.content
        else:
            out += b"\r\n\r\n" + value.encode()
        out += b"\r\n"
    out += f"--{mark}--\r\n".encode()
    return f"multipart/form-data; boundary={mark}", bytes(out)
