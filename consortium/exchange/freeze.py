"""The word that a log is frozen, from the hub to every node, under the consortium's seal.

It stands on no ledger, for the log gives no index any more: it travels with the pull answers as a
compact JWS of the seal, and each node checks it against the seal that its ledger names.
"""

from datetime import datetime

from sqlalchemy.orm import Session

from consortium.exchange import alarms, jws, state
from consortium.exchange.commitment import b64, unb64
from consortium.exchange.own_kinds import HUB_MEMBER
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal, forbidden
from consortium.kernel.time import from_ms, to_ms
from consortium.ledger import cosignatures, freezing, policies, publisher, witness
from consortium.ledger.freezing import Freeze
from consortium.ledger.witness import Evidence
from consortium.ports import Signer

TYPE = "log-freeze"
ALARM = "ledger.frozen"
_HASH_BYTES = 32
_SIZE_MAX = 2**53


def make(origin: str, *, size: int, root: bytes, seal: Signer, now: datetime) -> Freeze:
    """Where a log ends, signed by the consortium's seal."""
    said = {"origin": origin, "size": size, "root": b64(root), "at_ms": to_ms(now)}
    statement = jws.sign_statement(said, kid=seal.key_id, signer=seal, typ=TYPE)
    return Freeze(origin, size, root, statement, now)


def read(session: Session, statement: str) -> Freeze:
    """Read a statement that came from somewhere.

    Raises:
        Refusal: `ledger.freeze` unless the consortium's seal, valid now, has signed it.
    """
    unsealed = forbidden("ledger.freeze")
    try:
        kid, said = jws.read_statement(statement, typ=TYPE)
        record = state.read(session, f"key:{kid}")
        if (
            record is None
            or (record["member"], record["use"]) != (HUB_MEMBER, "seal")
            or record.get("until") is not None
            or not jws.verify_statement(statement, unb64(record["public"]))
        ):
            raise unsealed
        origin, size, root = str(said["origin"]), int(said["size"]), unb64(str(said["root"]))
        at = from_ms(int(said["at_ms"]))
    except (Refusal, KeyError, ValueError, TypeError, OverflowError):
        raise unsealed from None
    if not 0 < size < _SIZE_MAX or len(root) != _HASH_BYTES:
        raise unsealed
    return Freeze(origin, size, root, statement, at)


def told(session: Session) -> str:
    """The statement that is kept here; empty while the log goes on."""
    found = freezing.newest(session)
    return found.statement if found is not None else ""


def bring_back(database: Database, statement: str, *, now: datetime) -> bool:
    """At the hub: a member shows that the log was frozen; a copy from before that stops again.

    Whatever the consortium's seal has not signed about this log changes nothing.

    Returns:
        Whether it stopped now.
    """
    with database.read() as session:
        last = publisher.latest(session)
        if last is None or told(session):
            return False
        try:
            found = read(session, statement)
        except Refusal:
            return False
        if found.origin != cosignatures.origin(last):
            return False
    with database.write() as session:
        freezing.stop(session, found.origin, now=now)
        if freezing.keep(session, found):
            alarms.put(session, ALARM, now=now, entry=found.size - 1)
    return True


def take(session: Session, statement: str, *, rules: bytes, now: datetime) -> str:
    """Take the word that the log of this node's policy is frozen.

    The alarm stands from then on. A view that lies beyond the end is evidence.

    Args:
        rules: the policy in force here.

    Returns:
        `ledger.freeze` when it is not the seal's word about this log, else "".
    """
    if told(session) == statement:
        return ""
    origin = policies.read_policy(rules).logs[0].name
    try:
        found = read(session, statement)
    except Refusal as refusal:
        return refusal.code
    if found.origin != origin:
        return "ledger.freeze"
    if freezing.keep(session, found):
        alarms.put(session, ALARM, now=now, entry=found.size - 1)
        view = witness.view_for_update(session, origin)
        if view is not None and (fault := freezing.beyond(session, view)):
            witness.keep(session, Evidence(fault.code, view.note, view.note, (), now))
    return ""
