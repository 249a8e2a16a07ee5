"""`hub init`: charter, log, the consortium's and the lead hospital's keys, entry 0 (PROTOCOL 2)."""

import shutil
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from consortium import settings as node_settings
from consortium.exchange import outqueue
from consortium.exchange.outbox import Draft
from consortium.kernel.errors import Refusal, RefusalKind, conflict, invalid
from consortium.kernel.ids import new_id
from consortium.ledger import journal
from consortium.ledger.keys import LOG_KEY_FILE, make_log_key
from consortium.members import charter as charters
from consortium.members import codes, details, invitations, joining, kinds, model, people
from consortium.members.charter import Charter
from consortium.members.invitations import Door
from consortium.members.joining import Made
from consortium.members.keys import KeyFolder, write_new
from consortium.members.links import OneTimeLink
from consortium.members.setup_node import (
    HubParts,
    Means,
    SetupNode,
    begin_guards,
    member_state,
    own_folder,
    refuse_if_used,
    sign_charter,
)
from consortium.ports import Reply
from consortium.settings import NodeRole, Settings

LEAD = "lead"
_ROUNDS = 20
_FIELDS = {
    "consortium": {"name_zh", "name_en", "phone", "address", "passphrase"},
    "lead": {"id", "name_zh", "name_en", "phone", "address", "services", "passphrase"},
    "hub": {"origin", *Settings.model_fields} - {"home", "role", "emergency_phone"},
    "articles": set(),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a new hub is to be. Passphrases close the seals and are kept nowhere."""

    consortium: Mapping[str, Any]
    lead: Mapping[str, Any]
    consortium_passphrase: str = field(repr=False)
    lead_passphrase: str = field(repr=False)
    origin: str
    lead_id: str = LEAD
    articles: Sequence[Mapping[str, str]] = ()
    own: Mapping[str, str | int] = field(default_factory=dict)
    """Settings of the node, by the names of `Settings`: port, public_url, database_url."""


@dataclass(frozen=True, slots=True)
class Founded:
    """A new hub: the first links by member, where the consortium's seal went, what invites.

    `address` is what invitations carry: the hub's `url` with the fingerprint behind it.
    """

    links: Mapping[str, OneTimeLink]
    seal_file: Path
    fingerprint: str
    address: str
    url: str


def read_plan(path: Path) -> Plan:
    """A plan from a TOML file, for setting up unattended.

    Tables `consortium` and `lead` (name_zh, name_en, phone, address, passphrase; the lead also id
    and services), `hub` (origin, and any setting of the node), and `[[articles]]` (zh, en) for a
    charter of one's own.

    Raises:
        Refusal: `members.plan` with the name that is missing, unknown or wrong.
    """
    try:
        whole = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        raise invalid("members.plan", name=path.name) from None
    if strange := whole.keys() - _FIELDS.keys():
        raise invalid("members.plan", name=min(strange))
    parts = {name: whole.get(name, {}) for name in ("consortium", "lead", "hub")}
    for name, part in parts.items():
        if not isinstance(part, dict) or (part.keys() - _FIELDS[name]):
            raise invalid("members.plan", name=name)
    hub, lead = dict(parts["hub"]), parts["lead"]
    try:
        return Plan(
            origin=str(hub.pop("origin")),
            consortium=_told(parts["consortium"]),
            lead=_told(lead),
            consortium_passphrase=str(parts["consortium"]["passphrase"]),
            lead_passphrase=str(lead["passphrase"]),
            lead_id=str(lead.get("id", LEAD)),
            articles=tuple(whole.get("articles", ())),
            own=hub,
        )
    except (KeyError, TypeError) as fault:
        raise invalid("members.plan", name=str(fault).strip("'")[:60]) from None


def hub_init(home: Path, plan: Plan, *, means: Means, seal_file: Path) -> Founded:
    """Set up a hub in a new folder: the consortium and its lead hospital, both on the ledger.

    Args:
        means: shows both recovery pages, the consortium's and the lead hospital's.
        seal_file: where the consortium's closed seal is written to leave this machine; outside
            the folder.

    Raises:
        Refusal: `members.home_exists`, `members.seal_file_place`, `members.details`,
            `members.passphrase_short`, `members.member_id`. Nothing is left behind.
    """
    refuse_if_used(home)
    _check(plan)
    if seal_file.exists() or home.absolute() in seal_file.absolute().parents:
        raise conflict("members.seal_file_place", name=seal_file.name)
    own_folder(home)
    try:
        return _found(home, plan, means=means, seal_file=seal_file)
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        seal_file.unlink(missing_ok=True)
        raise


def _found(home: Path, plan: Plan, *, means: Means, seal_file: Path) -> Founded:
    log = make_log_key(home / LOG_KEY_FILE, origin=plan.origin)
    charter = charters.draft(
        name_zh=plan.consortium["name_zh"],
        name_en=plan.consortium["name_en"],
        origin=plan.origin,
        articles=plan.articles,
    )
    office = _consortium(home, plan, charter)
    means.show(office.recovery, plan.consortium["name_zh"])
    write_new(seal_file, office.seal_file.text)
    KeyFolder(home).make(plan.lead_id)
    joining.pin(home, vkey=log.vkey, document=charter.document)
    node_settings.save(home, **_settings(plan))
    settings = Settings.read(home)
    means.prepare(settings)
    node = means.build(settings)
    try:
        begin_guards(node)
        _entry_0(node, office, plan, charter)
        door = Door(settings.public_url, log.vkey, charter)
        _lead_joins(node, home, plan, door, means=means)
        links = _first_links(node, plan)
        return Founded(links, seal_file, door.fingerprint, door.address, door.url)
    finally:
        node.close()


def _consortium(home: Path, plan: Plan, charter: Charter) -> Made:
    return joining.make_keys(
        KeyFolder(home),
        member=model.CONSORTIUM,
        kind=model.CONSORTIUM,
        told=plan.consortium,
        charter_hash=charter.hash,
        passphrase=plan.consortium_passphrase,
        list_kind=model.SIGN,
        extra={"charter": charter.hash, "origin": charter.origin, "zone": charter.zone},
    )


def _entry_0(node: SetupNode, office: Made, plan: Plan, charter: Charter) -> None:
    now, hub = node.clock.now(), _hub(node)
    exchange_id = new_id(now)
    body = kinds.body(
        model.SIGN,
        sender=model.CONSORTIUM,
        exchange_id=exchange_id,
        facts=office.facts,
        told=plan.consortium,
        charter=charter.data,
        now=now,
    )
    draft = Draft(id=exchange_id, kind=model.SIGN, sender=model.CONSORTIUM, to=("all",), body=body)
    with node.database.write() as session:
        journal.create(session)
        node.post.send(session, draft, now=now)
    # no key stands on the ledger yet by which a courier's request could be known
    with node.database.read() as session:
        identity = node.identities.of(model.CONSORTIUM)
        rows = outqueue.next_batch(session, identity.node, now=now)
        packed = [outqueue.envelope_of(row).pack() for row in rows]
    hub.admission.admit(packed)
    _sync(node)
    if member_state(node, model.CONSORTIUM) != model.JOINED:
        raise Refusal(RefusalKind.UNAVAILABLE, "members.entry_0")


def _lead_joins(node: SetupNode, home: Path, plan: Plan, door: Door, *, means: Means) -> None:
    """The lead hospital joins as every member does, by a code that this process gives itself."""
    link = _OwnDesk(node)
    with node.database.write() as session:
        invited = invitations.new(
            session,
            door=door,
            member=plan.lead_id,
            kind="lead",
            told=plan.lead,
            by=people.MACHINE,
            now=node.clock.now(),
        )
    code = codes.parse(invited.code)
    key = code.key()
    offer = joining.ask_offer(link, code=code, key=key, expected=door.fingerprint)
    made = joining.make_keys(
        KeyFolder(home),
        member=offer.member,
        kind=offer.kind,
        told=offer.told,
        charter_hash=offer.charter.hash,
        passphrase=plan.lead_passphrase,
    )
    means.show(made.recovery, plan.lead["name_zh"])
    joining.keep_seal(home, made)
    asked = joining.request(code, key, made)
    policy = joining.policy_of(offer)
    for _ in range(_ROUNDS):
        if joining.ask_keys(link, asked, policy=policy) is not None:
            break
        _sync(node)
    with node.database.write() as session:
        now = node.clock.now()
        sign_charter(session, member=offer.member, signer=made.seal, post=node.post, now=now)
    for _ in range(_ROUNDS):
        if member_state(node, offer.member) == model.JOINED:
            return
        _sync(node)
    raise Refusal(RefusalKind.UNAVAILABLE, "members.entry_0")


def _first_links(node: SetupNode, plan: Plan) -> dict[str, OneTimeLink]:
    _sync(node)
    now = node.clock.now()
    with node.database.write() as session:
        return {
            member: people.first_link(
                session, member=member, roles=model.FIRST_ROLES[kind], now=now
            )
            for member, kind in ((model.CONSORTIUM, model.CONSORTIUM), (plan.lead_id, "lead"))
        }


def _sync(node: SetupNode) -> None:
    node.sync(node.clock.now())
    node.publish(node.clock.now())


class _OwnDesk:
    """The port Link to this very hub."""

    def __init__(self, node: SetupNode) -> None:
        self._desk = _hub(node).desk

    def call(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        return self._desk.handle(path, body)


def _hub(node: SetupNode) -> HubParts:
    if node.hub is None:
        raise TypeError("a hub is set up by a node that is one")
    return node.hub


def _settings(plan: Plan) -> dict[str, str | int]:
    return {
        **plan.own,
        "role": NodeRole.HUB.value,
        "origin": plan.origin,
        "emergency_phone": str(plan.lead["phone"]),
    }


def _check(plan: Plan) -> None:
    for told in (plan.consortium, plan.lead):
        if field_name := details.fault(told):
            raise invalid("members.details", field=field_name)
    if not model.good_member_id(plan.lead_id):
        raise invalid("members.member_id")


def _told(part: Mapping[str, Any]) -> dict[str, Any]:
    return details.of(
        name_zh=part["name_zh"],
        name_en=part["name_en"],
        phone=part["phone"],
        address=part.get("address", ""),
        services=tuple(part.get("services", ())),
    )
