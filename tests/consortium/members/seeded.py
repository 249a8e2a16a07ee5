"""Shared state of a small consortium, written straight into a database for tests of services."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from consortium.exchange import state
from consortium.kernel.actor import Actor, Role
from consortium.kernel.database import Database
from consortium.members import accounts, people, store
from consortium.members.keyring import Keyring
from consortium.members.seal import Seals
from tests.consortium.members.keys_made import NOW, TOLD, Member, Shared, begun

PASSWORD = "three horses walk"


def fill(database: Database, home: Path) -> tuple[Shared, Member, Member]:
    """Charter, consortium and the clinic `shiqiao` as the fold would have left them."""
    shared, office, clinic = begun(home)
    with database.write() as session:
        state.write(session, {n: (v, 0) for n, v in shared.values.items()}, frozenset())
        for member, kind in (("consortium", "consortium"), ("shiqiao", "clinic")):
            store.tell(session, member=member, kind=kind, told=TOLD, index=0)
    Seals(home).keep(clinic.made.seal_file)
    return shared, office, clinic


def head_of(database: Database, keyring: Keyring, *, login: str = "wang") -> Actor:
    """The first account of the clinic: head and staff admin."""
    with database.write() as session:
        roles = frozenset({Role.HEAD, Role.MEMBER_ADMIN})
        link = people.first_link(session, member="shiqiao", roles=roles, now=NOW)
    with database.write() as session:
        return accounts.use_link(
            session, link.token, password=PASSWORD, keyring=keyring, now=NOW, login=login,
            name="王院长",
        )  # fmt: skip


def doctor_of(
    database: Database, keyring: Keyring, head: Actor, *, login: str = "li",
    roles: frozenset[Role] = frozenset({Role.TOWNSHIP_DOCTOR}),
) -> Actor:  # fmt: skip
    """A further person, added by the head, with a password of their own."""
    with database.write() as session:
        link = people.create(session, actor=head, login=login, name="李医生", roles=roles, now=NOW)
    with database.write() as session:
        return accounts.use_link(session, link.token, password=PASSWORD, keyring=keyring, now=NOW)


def put(database: Database, values: Mapping[str, Mapping[str, Any]]) -> None:
    """Write values of shared state, new or known."""
    with database.write() as session:
        known = frozenset(state.read_many(session, values))
        state.write(session, {name: (value, 9) for name, value in values.items()}, known)
