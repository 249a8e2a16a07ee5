"""`consortium ledger compare` and `evidence`: checkpoints on a stick, and what does not fit."""

import base64
from pathlib import Path

import typer

from consortium import wiring, words
from consortium.cli.app import language, tell
from consortium.kernel.database import Database
from consortium.kernel.system import write_durably
from consortium.ledger import freezing, gossip, policies, receipts, witness
from consortium.ledger.witness import Evidence
from consortium.settings import Settings
from consortium.words import say

FITS, DIFFERS = 0, 1
_README = """Two checkpoints of one log that contradict each other, each signed by the log.
held: what this node had verified. offered: what it was shown. proof: the hashes offered with it.
policy: whose signatures to check. frozen, where a log was frozen: where it ends, as the
consortium's seal said (compact JWS). held and offered are C2SP signed notes; any tool that reads
C2SP tlog-checkpoint can verify the signatures without this program.
"""


def compare(settings: Settings, file: Path) -> int:
    """Hold a checkpoint or receipt from elsewhere against what this node saw; 1 if it differs.

    What differs is kept as evidence; what this node cannot decide alone is proven at the next sync.

    Raises:
        Refusal: `ledger.receipt` for a file that is neither, `ledger.note` when the log of this
            node has not signed it.
    """
    offered = gossip.checkpoint_in(file.read_bytes())
    pinned = (settings.home / wiring.POLICY_FILE).read_bytes()
    now = wiring.SystemClock().now()
    database = Database(settings.database_url)
    try:
        with database.write() as session:
            rules = policies.in_force(session, pinned)
            found = gossip.hear(session, offered, policy_bytes=rules, now=now)
            waits = bool(gossip.unproven(session))
            size = receipts.seen_size(session)
    finally:
        database.close()
    lang = language()
    if found is None:
        typer.echo(say("cli.ledger.waits" if waits else "cli.ledger.fits", lang, size=size))
        return FITS
    if found.code == "ledger.note":
        raise found
    for sentence in words.refusal(found.code, lang, **found.facts):
        tell(sentence)
    tell(f"({found.code})")
    return DIFFERS


def export(settings: Settings, folder: Path) -> int:
    """Write all evidence of this node, one folder each; gives how many."""
    pinned = (settings.home / wiring.POLICY_FILE).read_bytes()
    database = Database(settings.database_url)
    try:
        with database.read() as session:
            found = witness.evidence(session, limit=100)
            rules = policies.in_force(session, pinned)
            frozen = freezing.of(session, policies.read_policy(rules).logs[0].name)
    finally:
        database.close()
    statement = frozen.statement if frozen is not None else ""
    for one in found:
        place = folder / f"{one.at:%Y%m%dT%H%M%SZ}-{one.code}-{one.digest.hex()[:8]}"
        _write(place, one, rules, frozen=statement)
    return len(found)


def _write(place: Path, one: Evidence, rules: bytes, *, frozen: str) -> None:
    proof = "".join(base64.b64encode(node).decode() + "\n" for node in one.proof)
    for name, content in (
        ("held", one.held),
        ("offered", one.offered),
        ("proof", proof.encode()),
        ("policy", rules),
        ("frozen", frozen.encode()),
        ("README", _README.encode()),
    ):
        write_durably(place / name, content)
