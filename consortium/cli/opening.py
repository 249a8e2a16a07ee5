"""The shortcut on the desktop: opens the node's page, or says in words why it cannot."""

import subprocess
import sys
import time
import webbrowser
from collections.abc import Callable, Mapping
from contextlib import suppress
from html import escape
from pathlib import Path

import httpx2

from consortium import words
from consortium.cli.app import language, tell
from consortium.kernel.errors import Refusal
from consortium.kernel.system import write_durably
from consortium.settings import Settings
from consortium.words import say

_START_S = 20.0
_PAGE = """<!doctype html><html lang="{lang}"><meta charset="utf-8"><title>{title}</title>
<style>body {{ font: 17px/1.6 system-ui, sans-serif; max-width: 36rem; margin: 3rem auto }}
h1 {{ font-size: 20px }} code {{ color: #5C6662 }}</style>
<h1>{title}</h1><p>{happened}</p><p>{safe}</p><p>{do}</p><p><code>{code}</code></p></html>
"""


def open_page(home: Path, *, browser: Callable[[str], bool] = webbrowser.open) -> int:
    """Open the page of the node in a folder, starting the node if it does not run.

    A desktop shortcut has no terminal: why it cannot is shown as a page of its own as well.
    Gives the exit code.
    """
    try:
        settings = Settings.read(home)
    except Refusal as refusal:
        browser(_why_not(home, refusal.code, refusal.facts).as_uri())
        return 1
    if not answers(settings) and (why := _start(settings)):
        browser(_why_not(home, why, {"port": settings.port}).as_uri())
        return 1
    browser(f"http://127.0.0.1:{settings.port}/")
    return 0


def answers(settings: Settings) -> bool:
    """Whether this node's web process answers."""
    with suppress(httpx2.HTTPError):
        where = f"http://127.0.0.1:{settings.port}/healthz"
        return httpx2.get(where, timeout=2, trust_env=False).status_code == httpx2.codes.OK
    return False


def _start(settings: Settings) -> str:
    """Start the node in the background; the code of why it does not come up, or nothing."""
    log = settings.home / "node.log"
    at = log.stat().st_size if log.exists() else 0
    with log.open("ab") as out:
        process = subprocess.Popen(  # noqa: S603 - this very program
            [sys.executable, "-m", "consortium.cli", "serve", "--home", str(settings.home)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        if answers(settings):
            return ""
        time.sleep(0.1)
    return _said(log.read_bytes()[at:].decode(errors="replace"))


def _said(text: str) -> str:
    """The code that the node printed last, in parentheses, behind its three sentences."""
    for line in reversed(text.splitlines()):
        code = line.strip().removeprefix("(").removesuffix(")")
        if line.strip() == f"({code})" and words.known(f"refusal.{code}.happened"):
            return code
    return "system.start"


def _why_not(home: Path, code: str, facts: Mapping[str, object]) -> Path:
    lang = language()
    happened, safe, do = words.refusal(code, lang, **facts)
    for sentence in (happened, safe, do):
        tell(sentence)
    folder = home if home.is_dir() else Path.home()
    page = folder / "cannot-open.html"
    parts = {"title": say("cli.cannot_open", lang), "happened": happened, "safe": safe, "do": do}
    whole = _PAGE.format(
        lang="zh-CN" if lang == "zh" else "en",
        code=escape(code),
        **{name: escape(text) for name, text in parts.items()},
    )
    write_durably(page, whole.encode())
    return page
