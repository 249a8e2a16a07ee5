"""Keys, lists and a fold for the tests of members: shared state as a dict, nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from consortium.exchange import facts as fact_rules
from consortium.exchange.header import Header, Lane
from consortium.exchange.kinds import ExchangeKind, placed
from consortium.kernel.errors import Refusal
from consortium.members import details, joining, kinds, model, statements
from consortium.members.keys import KeyFolder, SeedSigner
from consortium.members.statements import b64

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
TOLD = details.of(name_zh="石桥镇卫生院", name_en="Shiqiao Township Clinic", phone="0571-8800 1201")
PASSPHRASE = "correct horse battery"
CHARTER = statements.charter_hash(b"{}")


class Shared:
    """Shared state in a dict: judges and folds as admission does, one exchange after the other."""

    def __init__(self) -> None:
        self.values: dict[str, Mapping[str, Any]] = {}
        self.size = 0

    def __repr__(self) -> str:
        return f"Shared({len(self.values)})"

    def get(self, name: str) -> Mapping[str, Any] | None:
        return self.values.get(name)

    def link(self, name: str) -> tuple[str, Mapping[str, Any] | None]:
        return "", None

    def submit(
        self, kind: ExchangeKind, facts: dict[str, Any], *, sender: str, node: str = "n",
        to: tuple[str, ...] = ("all",),
    ) -> str | Refusal:  # fmt: skip
        """The verdict; an admitted exchange moves the state."""
        if refusal := fact_rules.check(facts, kind.rules):
            return refusal
        header = header_of(kind.name, sender=sender, node=node, to=to)
        verdict = kind.judge(self, header, facts, NOW)
        index, self.size = self.size, self.size + 1
        if isinstance(verdict, Refusal):
            return verdict
        moved = {}
        for name in kind.subjects(header, facts):
            old = self.get(name)
            new = kind.step(name, old, header, facts, NOW, verdict.split())
            if new is not None and new != old:
                moved[name] = placed(new, index)
        self.values |= moved
        return verdict


def header_of(kind: str, *, sender: str, node: str, to: tuple[str, ...] = ("all",)) -> Header:
    return Header(
        id="x", kind=kind, sender=sender, to=to, node=node, lane=Lane.CONTROL, seq=1, prev="p",
        facts="f", body="b", at="2026-11-24T08:00Z",
    )  # fmt: skip


SIGN, ADD, REVOKE, DIRECTORY = kinds.KINDS


@dataclass
class Member:
    """A member whose secrets a test holds."""

    made: joining.Made = field(repr=False)
    persons: dict[str, SeedSigner] = field(default_factory=dict, repr=False)

    @property
    def id(self) -> str:
        return str(self.made.facts["member"])

    @property
    def seal(self) -> SeedSigner:
        return self.made.seal

    @property
    def kids(self) -> dict[str, str]:
        return model.uses_of(model.keys_of(self.made.facts))

    def person_key(self, holder: str, *, roles: tuple[str, ...] = ("township_doctor",)) -> Any:
        """A new person key of this member, with its proof."""
        signer = SeedSigner(sha256(f"{self.id} {len(self.persons)}".encode()).digest())
        self.persons[signer.key_id] = signer
        return key_entry(signer, "person", self.id, holder=holder, roles=roles)

    def list(self, *, by: SeedSigner | None = None, kind: str = model.ADD, **fields: Any) -> Any:
        """A list signed by the seal or by another key."""
        signer = by or self.seal
        facts = {"member": self.id, "by": signer.key_id, **fields}
        return signed(kind, facts, signer)

    def charter_signature(self, shared: Shared) -> Any:
        known = shared.values[model.CHARTER]
        statement = statements.charter(
            charter_hash=known["hash"], origin=known["origin"], member=self.id
        )
        return {
            "member": self.id,
            "charter": known["hash"],
            "by": self.seal.key_id,
            "signature": b64(self.seal.sign(statement)),
        }


def signed(kind: str, facts: dict[str, Any], signer: SeedSigner, charter: str = CHARTER) -> Any:
    """Facts with the signature of a list."""
    bare = {name: value for name, value in facts.items() if name != "signature"}
    return {**bare, "signature": b64(signer.sign(statements.listed(kind, charter, bare)))}


def key_entry(
    signer: SeedSigner, use: str, member: str, *, holder: str = "", roles: tuple[str, ...] = (),
    charter: str = CHARTER,
) -> Any:  # fmt: skip
    """A key as a list holds it, with its proof of possession."""
    statement = statements.proof(
        charter=charter, member=member, use=use, public=signer.text, holder=holder
    )
    entry = {"use": use, "public": signer.text, "proof": b64(signer.sign(statement))}
    return {**entry, "holder": holder, "roles": sorted(roles)} if use == "person" else entry


def make(home: Path, member: str, kind: str) -> Member:
    """First keys of a member."""
    extra, list_kind = {}, model.ADD
    if kind == model.CONSORTIUM:
        extra = {"charter": CHARTER, "origin": "log.example", "zone": "Asia/Shanghai"}
        list_kind = model.SIGN
    return Member(
        joining.make_keys(
            KeyFolder(home), member=member, kind=kind, told=TOLD, charter_hash=CHARTER,
            passphrase=PASSPHRASE, list_kind=list_kind, extra=extra,
        )
    )  # fmt: skip


def begun(home: Path) -> tuple[Shared, Member, Member]:
    """Shared state after entry 0 and the joining of one clinic, with both members' secrets."""
    shared = Shared()
    office, clinic = make(home, "consortium", "consortium"), make(home, "shiqiao", "clinic")
    for verdict in (
        shared.submit(SIGN, dict(office.made.facts), sender="consortium"),
        shared.submit(ADD, dict(clinic.made.facts), sender="consortium"),
        shared.submit(SIGN, clinic.charter_signature(shared), sender="shiqiao"),
    ):
        assert verdict == "", verdict
    return shared, office, clinic
