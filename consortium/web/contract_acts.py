"""Acts on a contract: sealing it, returning it, and what takes two persons.

Each has a page of its own that says what the act does before it is done; a refused act comes back
to its page with the three lines.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Request, UploadFile
from sqlalchemy.orm import Session
from starlette.responses import Response

from consortium.contracts import service, signing
from consortium.contracts.model import HOLD_REASONS, HOLDS, WITHDRAW_REASONS, Action
from consortium.contracts.service import Review
from consortium.contracts.signing import Means, Passphrase
from consortium.desk.signing import ContractRows
from consortium.kernel.actor import Actor
from consortium.kernel.errors import Refusal, missing
from consortium.kernel.ids import new_id
from consortium.members.seal import FILE_MAX_BYTES
from consortium.web import contract_views
from consortium.web.contract_views import Names
from consortium.web.deps import Node, Now, PageRoute, Reading, SignedIn, Writing
from consortium.web.errors import STATUS, refused
from consortium.web.node import WebNode
from consortium.web.pages import after, look_of, render
from consortium.web.views import Option, Refused
from consortium.web.wording import t, written

router = APIRouter(route_class=PageRoute)
Id = Annotated[str, Form(max_length=64)]
Word = Annotated[str, Form(max_length=256)]
Upload = Annotated[UploadFile | None, File()]


# ---------------------------------------------------------------- sealing


@router.get("/contracts/{contract}/sign")
def sign_page(
    request: Request, contract: str, session: Reading, actor: SignedIn, node: Node, now: Now
) -> Response:
    """What is to be sealed and what it does, before the passphrase."""
    return _sign_page(request, session, contract, actor=actor, node=node, now=now)


@router.post("/contracts/{contract}/sign")
def sign(
    request: Request,
    contract: str,
    session: Writing,
    actor: SignedIn,
    node: Node,
    now: Now,
    version: Annotated[int, Form()],
    exchange: Id,
    passphrase: Word = "",
    seal: Upload = None,
) -> Response:
    """Put the member's seal to the version that was shown."""
    try:
        signing.sign(
            session,
            actor=actor,
            post=node.post,
            seals=node.seals,
            contract=contract,
            version=version,
            passphrase=_passphrase(passphrase, seal),
            exchange=exchange,
            now=now,
        )
    except Refusal as refusal:
        return _sign_page(
            request, session, contract, actor=actor, node=node, now=now, refusal=refusal
        )
    return after(request, f"/contracts/{contract}", toast="contract.sign.done")


def _sign_page(
    request: Request,
    session: Session,
    contract: str,
    *,
    actor: Actor,
    node: WebNode,
    now: datetime,
    refusal: Refusal | None = None,
) -> Response:
    seen = _allowed(session, contract, "sign", actor=actor, now=now, refusal=refusal)
    with written(look_of(request)):
        effects = contract_views.signing_effects(seen, actor)
    return _act_page(
        request, session, "contracts/sign.html", seen, actor=actor, node=node, now=now,
        refusal=refusal, effects=effects,
    )  # fmt: skip


# ---------------------------------------------------------------- returning


@router.get("/contracts/{contract}/return")
def return_page(
    request: Request, contract: str, session: Reading, actor: SignedIn, node: Node, now: Now
) -> Response:
    """Take a proposal back, or return it; why."""
    return _return_page(request, session, contract, actor=actor, node=node, now=now)


@router.post("/contracts/{contract}/return")
def give_back(
    request: Request,
    contract: str,
    session: Writing,
    actor: SignedIn,
    node: Node,
    now: Now,
    version: Annotated[int, Form()],
    exchange: Id,
    reason: Word = "",
) -> Response:
    """Send the proposal back."""
    try:
        signing.withdraw(
            session,
            actor=actor,
            post=node.post,
            contract=contract,
            version=version,
            reason=reason,
            exchange=exchange,
            now=now,
        )
    except Refusal as refusal:
        return _return_page(
            request, session, contract, actor=actor, node=node, now=now, refusal=refusal
        )
    return after(request, f"/contracts/{contract}", toast="contract.return.done")


def _return_page(
    request: Request,
    session: Session,
    contract: str,
    *,
    actor: Actor,
    node: WebNode,
    now: datetime,
    refusal: Refusal | None = None,
) -> Response:
    seen = _allowed(session, contract, "withdraw", actor=actor, now=now, refusal=refusal)
    own = seen.proposer == actor.member
    with written(look_of(request)):
        effects = [t(f"contract.effect.withdraw_{'own' if own else 'return'}")]
        reasons = [r for r in WITHDRAW_REASONS if own or r != "taken_back"]
        options = _reasons(reasons)
    return _act_page(
        request, session, "contracts/return.html", seen, actor=actor, node=node, now=now,
        refusal=refusal, effects=effects, reasons=options, own=own,
    )  # fmt: skip


# ---------------------------------------------------------------- two persons


@router.get("/contracts/{contract}/hold/{act}")
def hold_page(
    request: Request,
    contract: str,
    act: str,
    session: Reading,
    actor: SignedIn,
    node: Node,
    now: Now,
) -> Response:
    """What suspending, resuming or terminating does, before anybody asks for it."""
    return _hold_page(request, session, contract, act, actor=actor, node=node, now=now)


@router.post("/contracts/{contract}/hold/{act}")
def hold(
    request: Request,
    contract: str,
    act: str,
    session: Writing,
    actor: SignedIn,
    node: Node,
    now: Now,
    reason: Word = "",
    passphrase: Word = "",
    seal: Upload = None,
) -> Response:
    """The first person asks, with the seal."""
    try:
        signing.ask(
            session,
            actor=actor,
            means=Means(node.keyring, node.seals, node.post, ContractRows()),
            contract=contract,
            action=_action(act),
            reason=reason,
            passphrase=_passphrase(passphrase, seal),
            now=now,
        )
    except Refusal as refusal:
        return _hold_page(
            request, session, contract, act, actor=actor, node=node, now=now, refusal=refusal
        )
    return after(request, f"/contracts/{contract}", toast="contract.hold.asked")


def _hold_page(
    request: Request,
    session: Session,
    contract: str,
    act: str,
    *,
    actor: Actor,
    node: WebNode,
    now: datetime,
    refusal: Refusal | None = None,
) -> Response:
    action = _action(act)
    seen = _allowed(session, contract, action.value, actor=actor, now=now, refusal=refusal)
    with written(look_of(request)):
        count = service.open_cases(session, contract=contract)
        effects = contract_views.hold_effects(seen, action, open_cases=count)
        options = _reasons(HOLD_REASONS)
    return _act_page(
        request, session, "contracts/hold.html", seen, actor=actor, node=node, now=now,
        refusal=refusal, effects=effects, reasons=options, action=action.value,
    )  # fmt: skip


@router.get("/contracts/{contract}/confirm")
def confirm_page(
    request: Request, contract: str, session: Reading, actor: SignedIn, node: Node, now: Now
) -> Response:
    """What a second person confirms, and what it does."""
    return _confirm_page(request, session, contract, actor=actor, node=node, now=now)


@router.post("/contracts/{contract}/confirm")
def confirm(
    request: Request, contract: str, session: Writing, actor: SignedIn, node: Node, now: Now
) -> Response:
    """The second person confirms; the exchange leaves."""
    try:
        signing.confirm(
            session, actor=actor, keyring=node.keyring, post=node.post, contract=contract, now=now
        )
    except Refusal as refusal:
        return _confirm_page(
            request, session, contract, actor=actor, node=node, now=now, refusal=refusal
        )
    return after(request, f"/contracts/{contract}", toast="contract.hold.confirmed")


@router.post("/contracts/{contract}/drop")
def drop(
    request: Request, contract: str, session: Writing, actor: SignedIn, node: Node, now: Now
) -> Response:
    """What was asked for is not done."""
    signing.drop(
        session, actor=actor, post=node.post, notices=ContractRows(), contract=contract, now=now
    )
    return after(request, f"/contracts/{contract}", toast="contract.hold.dropped")


def _confirm_page(
    request: Request,
    session: Session,
    contract: str,
    *,
    actor: Actor,
    node: WebNode,
    now: datetime,
    refusal: Refusal | None = None,
) -> Response:
    seen = _allowed(session, contract, "confirm", actor=actor, now=now, refusal=refusal)
    asked = seen.hold
    if asked is None:
        raise refusal or missing("contract.missing")
    with written(look_of(request)):
        count = service.open_cases(session, contract=contract)
        effects = contract_views.hold_effects(seen, asked.action, open_cases=count)
        party = Names(session)(asked.member)
    return _act_page(
        request, session, "contracts/confirm.html", seen, actor=actor, node=node, now=now,
        refusal=refusal, effects=effects, asked=asked, party=party,
    )  # fmt: skip


# ---------------------------------------------------------------- shared by the acts' pages


def _allowed(
    session: Session,
    contract: str,
    what: str,
    *,
    actor: Actor,
    now: datetime,
    refusal: Refusal | None,
) -> Review:
    """The contract, if the actor may do this; a refused act keeps its page."""
    seen = service.review(session, actor=actor, contract=contract, now=now)
    if what not in seen.can and refusal is None:
        raise missing("contract.missing")
    return seen


def _act_page(
    request: Request,
    session: Session,
    template: str,
    seen: Review,
    *,
    actor: Actor,
    node: WebNode,
    now: datetime,
    refusal: Refusal | None,
    **values: Any,
) -> Response:
    with written(look_of(request)):
        said: Refused | None = None if refusal is None else refused(refusal)
        member = Names(session)(actor.member)
    return render(
        request,
        template,
        status=200 if refusal is None else STATUS[refusal.kind],
        page="contracts",
        contract=seen,
        digest=contract_views.short(seen.digest),
        member=member,
        person=actor.name,
        seal_here=node.seals.held(actor.member),
        exchange=new_id(now),
        refusal=said,
        **values,
    )


def _reasons(codes: Sequence[str]) -> list[Option]:
    return [Option(code, t(f"contract.reason.{code}")) for code in codes]


def _action(text: str) -> Action:
    for action in HOLDS:
        if action.value == text:
            return action
    raise missing("contract.missing")


def _passphrase(text: str, seal: UploadFile | None) -> Passphrase:
    upload = seal.file.read(FILE_MAX_BYTES + 1) if seal is not None and seal.filename else None
    return Passphrase(text, upload)
