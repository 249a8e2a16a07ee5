"""One's own settings: language, theme, size of text, password, key."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from consortium.kernel.errors import Refusal, invalid
from consortium.members import accounts, passwords
from consortium.web.deps import Node, Now, PageRoute, Whoever, Writing
from consortium.web.errors import STATUS, refused
from consortium.web.pages import after, look_of, render
from consortium.web.signed import Signed
from consortium.web.views import Option, Refused
from consortium.web.wording import t, written

router = APIRouter(route_class=PageRoute)
THEMES = ("", "light", "dark")
Word = Annotated[str, Form(max_length=256)]


@router.get("/account")
def show(request: Request, whoever: Whoever) -> Response:
    """The settings of the signed-in person."""
    return _page(request, whoever)


@router.post("/account")
def save(
    request: Request,
    session: Writing,
    whoever: Whoever,
    language: Word = "zh",
    theme: Word = "",
    large: Annotated[bool, Form()] = False,  # noqa: FBT002 - a box of a form
) -> Response:
    """Keep how the person wants pages shown."""
    accounts.prefer(session, actor=whoever.actor, language=language, theme=theme, large_text=large)
    return after(request, "/account", toast="web.account.saved")


@router.post("/account/password")
def change_password(
    request: Request,
    session: Writing,
    whoever: Whoever,
    node: Node,
    now: Now,
    old: Word = "",
    password: Word = "",
    again: Word = "",
) -> Response:
    """Another password for the same key; other sign-ins of the person end."""
    try:
        if password != again:
            raise invalid("web.passwords_differ")
        accounts.change_password(
            session, actor=whoever.actor, old=old, new=password, keyring=node.keyring, now=now
        )
    except Refusal as refusal:
        with written(look_of(request)):
            view = refused(refusal)
        return _page(request, whoever, refusal=view, status=STATUS[refusal.kind])
    request.app.state.sessions.renew(whoever.session, now=now)
    return after(request, "/account", toast="web.account.changed")


def _page(
    request: Request, whoever: Signed, *, refusal: Refused | None = None, status: int = 200
) -> Response:
    with written(look_of(request)):
        languages = [
            Option("zh", t("web.tongue.chinese")),
            Option("en", t("web.tongue.english")),
        ]
        themes = [Option(theme, t(f"web.account.theme_{theme or 'system'}")) for theme in THEMES]
        return render(
            request,
            "account.html",
            status=status,
            account=whoever.account,
            languages=languages,
            themes=themes,
            refusal=refusal,
            least=passwords.LENGTH_MIN,
        )
