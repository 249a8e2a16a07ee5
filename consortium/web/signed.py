"""Who is signed in: session, account, rights, checked at every request."""

from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import FormData

from consortium.kernel.actor import Actor
from consortium.kernel.errors import Refusal, RefusalKind
from consortium.members import accounts
from consortium.web.session import SignIn
from consortium.words import Lang

LOCK_FIELD = "lock_password"


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed-in person with their own settings."""

    account: accounts.Account
    session: SignIn

    @property
    def actor(self) -> Actor:
        return self.account.actor

    @property
    def language(self) -> Lang:
        return self.account.language


class Locked(Exception):  # noqa: N818 - a state of the page, not an error
    """Signed in, and nobody did anything for a while: the password is wanted again."""

    def __init__(
        self, signed: Signed, fields: FormData | None = None, wrong: Refusal | None = None
    ) -> None:
        super().__init__()
        self.signed = signed
        self.fields = fields
        self.wrong = wrong


def signed(request: Request) -> Signed:
    """The person of this request.

    Raises:
        Refusal: `web.sign_in` without a session, or when the account was locked meanwhile.
        Locked: when the password must be given again.
    """
    found = known(request)
    if found is None:
        raise Refusal(RefusalKind.SIGN_IN, "web.sign_in")
    if found.session.locked:
        _unlock_by_form(request, found)
    if request.url.path != "/events":  # a stream that connects again is nobody's act
        request.app.state.sessions.touch(found.session, now=request.state.now)
    request.state.signed = found
    return found


def known(request: Request) -> Signed | None:
    """The person of this browser's session, locked or not; None when there is none any more."""
    session: SignIn | None = request.state.session
    if session is None:
        return None
    with request.app.state.node.database.read() as database:
        account = accounts.find(database, session.user)
    if account is None or not counts(account, session):
        request.app.state.sessions.close(session)
        return None
    found = Signed(account, session)
    request.state.language = found.language
    return found


def counts(account: accounts.Account, session: SignIn) -> bool:
    """Whether a session still counts: a lock, other roles or another password end those before."""
    return account.open and session.opened_at >= account.changed_at


def check_password(request: Request, found: Signed, password: str) -> None:
    """Unlock the page and the person's key. Raises Refusal as `accounts.sign_in`."""
    now = request.state.now
    signed_in(request, found.account.login, password)
    request.app.state.sessions.unlock(found.session, now=now)


def signed_in(request: Request, name: str, password: str) -> Actor:
    """Whose name and password these are; their key opens. Raises as `accounts.sign_in_apart`."""
    node = request.app.state.node
    return accounts.sign_in_apart(
        node.database,
        name,
        password,
        keyring=node.keyring,
        now=request.state.now,
        tries=request.app.state.sessions.tries,
        address=request.client.host if request.client is not None else "",
    )


def _unlock_by_form(request: Request, found: Signed) -> None:
    """A form that was sent from a locked page goes on when the password comes with it."""
    _drop_key(request, found)
    fields: FormData | None = getattr(request.state, "fields", None)
    password = fields.get(LOCK_FIELD) if fields is not None else None
    if not isinstance(password, str):
        raise Locked(found, fields)
    try:
        check_password(request, found, password)
    except Refusal as refusal:
        raise Locked(found, fields, refusal) from None


def _drop_key(request: Request, found: Signed) -> None:
    """A locked page signs nothing; unless the same person works in another browser."""
    if not request.app.state.sessions.others(found.session):
        request.app.state.node.keyring.drop(found.actor.user)
