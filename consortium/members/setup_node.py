"""What setting up needs of the node that wiring builds, and the steps that both ways share."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from sqlalchemy.orm import Session

from consortium.exchange import state
from consortium.exchange.admission import Admission
from consortium.exchange.hubdesk import HubDesk
from consortium.exchange.identity import Identities
from consortium.exchange.outbox import Draft, Post, Queued
from consortium.kernel.database import Database
from consortium.kernel.errors import conflict
from consortium.kernel.ids import new_id
from consortium.ledger.keys import LogKey
from consortium.members import kinds, model, statements
from consortium.members.keys import SeedSigner
from consortium.members.recovery import Recovery
from consortium.members.statements import b64
from consortium.ports import Clock, Link
from consortium.settings import Settings


class HubParts(Protocol):
    """What only the hub's installation has."""

    @property
    def admission(self) -> Admission: ...
    @property
    def desk(self) -> HubDesk: ...
    @property
    def log(self) -> LogKey: ...


class SetupNode(Protocol):
    """A node as `wiring.build` gives it, not yet serving."""

    @property
    def settings(self) -> Settings: ...
    @property
    def database(self) -> Database: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def identities(self) -> Identities: ...
    @property
    def post(self) -> Post: ...
    @property
    def policy(self) -> bytes: ...
    @property
    def hub(self) -> HubParts | None: ...
    def sync(self, now: datetime) -> object:
        """Run every courier once."""

    def publish(self, now: datetime) -> None:
        """Publish checkpoints until all leaves are covered."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Means:
    """What a door gives to set a node up with; most of it lies above this room.

    Args:
        build: `wiring.build`.
        prepare: makes the tables of a new node's database.
        show: shows a recovery page (of a member of this name) and comes back when it is printed.
        link_to: makes a link to a hub's address.
        pause: waits some seconds.
    """

    build: Callable[[Settings], SetupNode]
    prepare: Callable[[Settings], None]
    show: Callable[[Recovery, str], None]
    link_to: Callable[[str], Link]
    pause: Callable[[float], None] = time.sleep


def refuse_if_used(home: Path) -> None:
    """Raise Refusal `members.home_exists` for a folder that holds anything."""
    if home.exists() and any(home.iterdir()):
        raise conflict("members.home_exists", name=home.name)


def own_folder(home: Path) -> None:
    """The node's folder, closed to other users of the machine, also when it was there before."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)


def begin_guards(node: SetupNode) -> None:
    """A new node has promised nothing: its guards say so, or it would count as restored."""
    for member in sorted(node.identities.members):
        node.identities.of(member).guard.advance({})


def sign_charter(
    session: Session, *, member: str, signer: SeedSigner, post: Post, now: datetime
) -> Queued:
    """A member's signature of the charter under its open seal, sent by its own node.

    Raises:
        Refusal: `members.charter_unknown` before entry 0 is here, or what the hub would refuse.
    """
    charter = state.read(session, model.CHARTER)
    if charter is None:
        raise conflict("members.charter_unknown")
    statement = statements.charter(
        charter_hash=charter["hash"], origin=charter["origin"], member=member
    )
    facts = {
        "member": member,
        "charter": charter["hash"],
        "by": signer.key_id,
        "signature": b64(signer.sign(statement)),
    }
    exchange_id = new_id(now)
    body = kinds.body(model.SIGN, sender=member, exchange_id=exchange_id, facts=facts, now=now)
    draft = Draft(id=exchange_id, kind=model.SIGN, sender=member, to=("all",), body=body)
    return post.send(session, draft, now=now)


def member_state(node: SetupNode, member: str) -> str:
    """How far a member is (invited, joined) as this node has folded it; empty if not at all."""
    with node.database.read() as session:
        value = state.read(session, f"member:{member}")
    return str(value["state"]) if value is not None else ""
