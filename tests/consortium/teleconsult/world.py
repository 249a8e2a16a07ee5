"""A hub and two clinics that may ask the hospital for consults and records, over real exchanges."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from consortium.contracts import service as contracts
from consortium.contracts.permit import PERMIT, QUOTA
from consortium.contracts.terms import TYPES
from consortium.desk.kinds import KINDS as DESK
from consortium.exchange import state
from consortium.exchange.kinds import Registry, SubjectType, everyone, parties
from consortium.exchange.own_kinds import KINDS as OWN
from consortium.exchange.own_kinds import SUBJECTS as OWN_SUBJECTS
from consortium.kernel.database import Database
from consortium.records.kinds import KINDS as RECORDS
from consortium.records.model import RELEASABLE
from consortium.scheduling.kinds import KINDS as SCHEDULING
from consortium.scheduling.kinds import SUBJECTS as SCHEDULING_SUBJECTS
from consortium.teleconsult.kinds import KINDS as TELECONSULT
from tests.consortium.exchange import world as worlds
from tests.consortium.exchange.kinds import Seed
from tests.consortium.referrals.world import Consortium, Put

CLINICS = ("shiqiao", "yunling")


def registry() -> Registry:
    """Every kind that bookings and records need."""
    return Registry(
        [*OWN, Seed(), Put(), *DESK, *SCHEDULING, *TELECONSULT, *RECORDS],
        [
            *OWN_SUBJECTS,
            *SCHEDULING_SUBJECTS,
            QUOTA,
            SubjectType("key", everyone),
            SubjectType("member", everyone),
            SubjectType("charter", everyone),
            SubjectType("contract", parties),
        ],
        PERMIT,
    )


def contract(
    clinic: str, *, quota: int = 50, types: tuple[str, ...] = RELEASABLE
) -> dict[str, Any]:
    """A contract in force: teleconsultations of cardiology, and records of these types."""
    terms = {
        "s": [[1, "cardiology", "t", 1, 0, quota, ["r", "u", "e"], [1440, 240, 30]]],
        "t": [one for one in TYPES if one in types],
        "p": ["TREAT", "ETREAT"],
        "d": [None, None],
        "n": 30,
    }
    return {
        "parties": ["lead", clinic],
        "state": "in_force",
        "version": 1,
        "versions": {"1": {"hash": "h", "terms": terms, "signed": {}, "proposed": 0, "from": 0}},
        "suspended": None,
        "ends": None,
        "by": "lead",
        "since": 0,
    }


@dataclass(frozen=True)
class Covering:
    """A service that the contract of a clinic covers, as the contracts room would find it."""

    contract: str
    provider: str = "lead"
    clause: str = "S1"
    left: int = 12
    service: Any = field(default_factory=lambda: SimpleNamespace(code="cardiology"))

    @classmethod
    def found(cls, _session: object, *, taker: str, **_more: object) -> list["Covering"]:
        return [cls(f"ct-{taker}")]


def in_force(_session: object, *, member: str, **_more: object) -> list[SimpleNamespace]:
    """As `Covering.found`, for contracts as wholes."""
    terms = SimpleNamespace(parties=("lead", member), types=RELEASABLE, purposes=("TREAT",))
    return [SimpleNamespace(contract=f"ct-{member}", terms=terms)]


class Clinics(Consortium):
    """The world with a contract for each clinic."""

    def __init__(self, folder: Path, make: Callable[[], Database]) -> None:
        super().__init__(folder, make)
        # the hub's installation keeps the files of its two members in one place
        self.members["lead"].store = self.members[worlds.HUB].store
        self.start_hub()
        for clinic in CLINICS:
            self.put_contract(clinic, contract(clinic))

    def put_contract(self, clinic: str, value: dict[str, Any]) -> None:
        """The contract of a clinic with the hospital, as both of them hold it."""
        name = f"contract:ct-{clinic}"
        for member in ("lead", clinic):
            with self.databases[member].write() as session:
                known = frozenset({name}) if state.read(session, name) else frozenset()
                state.write(session, {name: (value, 0)}, known)


@pytest.fixture
def clinics(
    tmp_path: Path, new_database: Callable[[], Database], monkeypatch: pytest.MonkeyPatch
) -> Clinics:
    """Two clinics under contract, people with keys, everything at rest."""
    monkeypatch.setattr(worlds, "registry", registry)
    monkeypatch.setattr(contracts, "covering", Covering.found)
    monkeypatch.setattr(contracts, "in_force", in_force)
    return Clinics(tmp_path, new_database)
