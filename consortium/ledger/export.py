"""The log as a folder that an outsider can check with nothing else (C2SP tlog-tiles).

    checkpoint   tile/<L>/<N>   tile/entries/<N>   policy   vkeys

`python -m chain verify DIR --policy POLICY` checks it, and so do other people's tools. Every hash
is derived again from the entries on the way out; a second export only adds, and goes on where an
earlier one was stopped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from chain.errors import ChainError
from chain.log import LogWriter
from chain.note import VerifierKey
from chain.store import Folder
from consortium.kernel.errors import conflict, missing
from consortium.kernel.system import write_durably
from consortium.ledger import cosignatures, policies, store

POLICY_NAME, VKEYS_NAME = "policy", "vkeys"
_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export came to. `witnessed`: the policy's quorum has cosigned what it ends with."""

    size: int
    added: int
    witnessed: bool


def export(
    session: Session, folder: Path, *, policy: bytes, vkeys: Sequence[VerifierKey]
) -> Exported:
    """Write the published log into a folder, or what is new of it.

    It ends with the newest checkpoint that the policy's witnesses have cosigned; while there is
    none, with the newest that the log has signed alone.

    Args:
        policy: the policy in force, which goes along.
        vkeys: every key that the log ever had.

    Raises:
        Refusal: `ledger.no_checkpoint` before the first one; `ledger.export` with `reason` when
            the folder holds another log, or the database does not give the root that was signed.
        OSError: the folder cannot be written; run it again.
    """
    asks = policies.asks(policies.read_policy(policy))
    head = cosignatures.witnessed(session) if asks else None
    newest = head or cosignatures.latest(session)
    if newest is None:
        raise missing("ledger.no_checkpoint")
    try:
        writer = LogWriter.open(Folder(folder), unsigned=True)
        before = writer.size
        for start in range(before, newest.size, _CHUNK):
            rows = store.leaves(session, start, min(_CHUNK, newest.size - start))
            writer.append(one.leaf for one in rows)
        if writer.signed is None or writer.signed.size <= newest.size:
            writer.publish(newest.note)
    except ChainError as fault:
        raise conflict("ledger.export", reason=fault.code) from fault
    write_durably(folder / POLICY_NAME, policy)
    write_durably(folder / VKEYS_NAME, "".join(f"{key.text}\n" for key in vkeys).encode())
    return Exported(writer.size, writer.size - before, head is not None or not asks)
