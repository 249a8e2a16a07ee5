"""What doors call to set up and to get back in: `hub init`, `workstation join`, `user reset`."""

from datetime import datetime
from typing import Protocol

from consortium.exchange.hubdesk import Handler
from consortium.kernel.database import Database
from consortium.kernel.errors import missing
from consortium.ledger import receipts
from consortium.members import charter, invitations, joining, lists, people
from consortium.members.enrolling import Joined, join
from consortium.members.founding import Founded, Plan, hub_init, read_plan
from consortium.members.invitations import Door
from consortium.members.keyring import Keyring
from consortium.members.links import OneTimeLink
from consortium.members.setup_node import Means, SetupNode
from consortium.ports import Reply
from consortium.settings import NodeRole, Settings

__all__ = [
    "Founded",
    "Joined",
    "Means",
    "Plan",
    "door_of",
    "handlers",
    "hub_init",
    "join",
    "read_plan",
    "user_reset",
]

_JSON = {"content-type": "application/json"}


class Doorstep(Protocol):
    """What of a hub's node is shown to those who join."""

    @property
    def settings(self) -> Settings: ...
    @property
    def policy(self) -> bytes: ...


def door_of(node: Doorstep) -> Door:
    """What this hub shows to those who join.

    Raises:
        Refusal: `rights.not_here` at a workstation: only a hub invites.
    """
    if node.settings.role is not NodeRole.HUB:
        raise missing("rights.not_here")
    document = (node.settings.home / joining.CHARTER_FILE).read_bytes()
    vkey = receipts.read_policy(node.policy).logs[0].text
    return Door(node.settings.public_url, vkey, charter.read(document))


def handlers(node: SetupNode) -> dict[str, Handler]:
    """The hub's answers on this room's paths: joining, and signed lists of keys."""

    def join_(body: bytes) -> Reply:
        with node.database.write() as session:
            said = invitations.answer(
                session, body, door=door_of(node), post=node.post, now=node.clock.now()
            )
        return Reply(200, said, _JSON)

    def keys(body: bytes) -> Reply:
        with node.database.write() as session:
            said = lists.answer(session, body, post=node.post, now=node.clock.now())
        return Reply(200, said, _JSON)

    return {invitations.PATH: join_, lists.PATH: keys}


def user_reset(database: Database, login: str, *, keyring: Keyring, now: datetime) -> OneTimeLink:
    """A one-time link for a person who cannot get in any more; asked for on the machine itself.

    Raises:
        Refusal: `members.no_such_person`.
    """
    with database.write() as session:
        return people.reset_on_machine(session, login, keyring=keyring, now=now)
