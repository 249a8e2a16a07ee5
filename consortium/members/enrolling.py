"""`workstation join`, `mirror`: a machine becomes a node of its member (PROTOCOL 2)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from consortium import settings as node_settings
from consortium.kernel.errors import Refusal, RefusalKind, conflict
from consortium.ledger import journal
from consortium.members import codes, joining, model, people
from consortium.members.joining import Address, Offer, Request
from consortium.members.keys import KeyFolder
from consortium.members.links import OneTimeLink
from consortium.members.seal import Seals
from consortium.members.setup_node import (
    Means,
    SetupNode,
    begin_guards,
    member_state,
    own_folder,
    refuse_if_used,
    sign_charter,
)
from consortium.ports import Link, LinkDown
from consortium.settings import NodeRole, Settings

WAIT_S = 300.0
_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class Joined:
    """A machine that is a node of its member now."""

    member: str
    name: str
    index: int
    link: OneTimeLink


def join(
    home: Path,
    url: str,
    code: str,
    *,
    passphrase: str,
    means: Means,
    fingerprint: str = "",
    own: Mapping[str, str | int] | None = None,
    wait_s: float = WAIT_S,
    role: NodeRole = NodeRole.WORKSTATION,
) -> Joined:
    """Join with an invitation's address and code; may be run again after any cut.

    Args:
        home: a new folder, or one in which an earlier run was cut short.
        url: the invitation's address, with the fingerprint behind `#`.
        passphrase: closes the member's seal; signs the charter once.
        own: settings of this node (port, host, language).
        role: what this machine becomes; a mirror begins its copy of the ledger here.

    Raises:
        Refusal: `members.home_exists`, `members.fingerprint`, `members.code_*`,
            `members.passphrase_short`, `members.not_yet` when the hub has not answered in time:
            run it again; `members.other_kind` for an invitation that does not fit the role.
    """
    where = joining.address(url, fingerprint)
    earlier, typed = joining.remembered(home), codes.parse(code)
    if earlier is None:
        refuse_if_used(home)
    elif earlier[1].handle != typed.handle:
        earlier = None  # a new invitation: what was asked under the old one is void
    link = means.link_to(where.url)
    patience = _Patience(means.pause, wait_s)
    if earlier is None:
        earlier = _prepare_keys(home, link, where, typed, passphrase, means, role)
    offer, asked = earlier
    index = _until_on_ledger(link, offer, asked, patience)
    settings = _settle_in(home, where, {"role": role.value, **(own or {})})
    means.prepare(settings)
    node = means.build(settings)
    try:
        begin_guards(node)
        _begin_copy(node, role)
        _sign_in_turn(node, home, offer.member, passphrase, patience)
        first = _first_link(node, offer)
    finally:
        node.close()
    (home / joining.PENDING_FILE).unlink()
    return Joined(offer.member, str(offer.told["name_zh"]), index, first)


def _prepare_keys(
    home: Path,
    link: Link,
    where: Address,
    code: codes.Code,
    passphrase: str,
    means: Means,
    role: NodeRole,
) -> tuple[Offer, Request]:
    key = code.key()
    try:
        offer = joining.ask_offer(link, code=code, key=key, expected=where.fingerprint)
    except LinkDown:
        raise Refusal(RefusalKind.UNAVAILABLE, "members.no_link") from None
    if (offer.kind == model.REGULATOR) is not (role is NodeRole.MIRROR):
        raise conflict("members.other_kind")
    own_folder(home)
    made = joining.make_keys(
        KeyFolder(home),
        member=offer.member,
        kind=offer.kind,
        told=offer.told,
        charter_hash=offer.charter.hash,
        passphrase=passphrase,
    )
    # before anything is asked: a page that was never printed belongs to no member
    means.show(made.recovery, str(offer.told["name_zh"]))
    joining.keep_seal(home, made)
    joining.pin(home, vkey=offer.vkey, document=offer.charter.document)
    asked = joining.request(code, key, made)
    joining.remember(home, offer, asked)
    return offer, asked


def _until_on_ledger(link: Link, offer: Offer, asked: Request, patience: "_Patience") -> int:
    policy = joining.policy_of(offer)
    while True:
        try:
            index = joining.ask_keys(link, asked, policy=policy)
        except LinkDown:
            index = None
        if index is not None:
            return index
        patience.wait()


def _settle_in(home: Path, where: Address, own: Mapping[str, str | int]) -> Settings:
    document = (home / joining.CHARTER_FILE).read_bytes()
    values: dict[str, str | int] = {
        "hub_url": where.url,
        "origin": joining.origin_of(document),
        **own,
    }
    node_settings.save(home, **values)
    return Settings.read(home)


def _begin_copy(node: SetupNode, role: NodeRole) -> None:
    """A mirror's empty ledger, once: serving never begins it again, whatever has become of it."""
    with node.database.write() as session:
        if role is NodeRole.MIRROR and not journal.begun(session):
            journal.create(session)


def _sign_in_turn(
    node: SetupNode, home: Path, member: str, passphrase: str, patience: "_Patience"
) -> None:
    """Take the feed, sign the charter once it is here, and wait until the ledger has it."""
    seals, signed = Seals(home), False
    while True:
        now = node.clock.now()
        node.sync(now)
        stands = member_state(node, member)
        if stands == model.JOINED:
            return
        with node.database.write() as session:
            under_way = {one.kind for one in node.post.pending(session, case="")}
            # a mirror learns of its own signature only when that is published
            if stands == model.INVITED and model.SIGN not in under_way and not signed:
                signed = True
                signer = seals.open(session, member, passphrase, now=now)
                sign_charter(session, member=member, signer=signer, post=node.post, now=now)
                continue
        patience.wait()


def _first_link(node: SetupNode, offer: Offer) -> OneTimeLink:
    roles = model.FIRST_ROLES[offer.kind]
    with node.database.write() as session:
        return people.first_link(session, member=offer.member, roles=roles, now=node.clock.now())


class _Patience:
    """Waits a little at a time, and not for ever."""

    def __init__(self, pause: Callable[[float], None], wait_s: float) -> None:
        self._pause = pause
        self._left_s = wait_s

    def wait(self) -> None:
        if self._left_s <= 0:
            raise conflict("members.not_yet")
        self._left_s -= _PAUSE_S
        self._pause(_PAUSE_S)
