"""Freezing the ledger: the answer of the consortium to a log key, or a hub, in wrong hands.

Two steps, for the last checkpoint lies between them: the seal is opened and the log stops; once
everything that has an index is published, the seal says where the log ends.
"""

from datetime import datetime

from sqlalchemy.orm import Session

from consortium.exchange import freeze, state
from consortium.kernel.errors import conflict
from consortium.ledger import freezing
from consortium.ledger.freezing import Freeze
from consortium.members import model
from consortium.members.keys import SeedSigner
from consortium.members.seal import Seals


def stop(
    session: Session, *, seals: Seals, passphrase: str, upload: bytes, now: datetime
) -> tuple[SeedSigner, int]:
    """At the hub: open the consortium's seal, and give no index from now on, for good.

    Gives the open seal and the size at which the log stopped. Run again it changes nothing.

    Raises:
        Refusal: what the seal refuses, `ledger.absent`, `members.charter_unknown`.
    """
    origin = _origin(session)
    signer = seals.open(session, model.CONSORTIUM, passphrase, now=now, upload=upload)
    return signer, freezing.stop(session, origin, now=now)


def say(
    session: Session,
    seal: SeedSigner,
    *,
    size: int,
    policy: bytes,
    now: datetime,
    as_published: bool = False,
) -> Freeze:
    """The seal says where the log ends; every node hears of it with its next pull.

    Args:
        size: as `stop` gave it.
        policy: the policy in force here.
        as_published: end at the newest checkpoint although entries follow it, because nobody can
            sign any more. What follows has no place on this log then.

    Raises:
        Refusal: `ledger.freeze_waits` while the last checkpoint is not published;
            `ledger.freeze` when the policy is another log's.
    """
    origin = _origin(session)
    if held := freezing.of(session, origin):
        return held
    last = freezing.end(session, size, as_published=as_published)
    made = freeze.make(origin, size=last.size, root=last.root, seal=seal, now=now)
    if freeze.take(session, made.statement, rules=policy, now=now):
        raise conflict("ledger.freeze")
    return made


def _origin(session: Session) -> str:
    charter = state.read(session, model.CHARTER)
    if charter is None:
        raise conflict("members.charter_unknown")
    return str(charter["origin"])
