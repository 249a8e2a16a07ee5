"""A person's own key: made with the account, opened by the password alone (PROTOCOL 2)."""

import os
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from consortium.exchange import state
from consortium.kernel import box
from consortium.kernel.errors import conflict
from consortium.kernel.ids import UserId
from consortium.members import model, statements
from consortium.members.keyring import Keyring
from consortium.members.keys import SeedSigner
from consortium.members.statements import KEY_BYTES, b64, canonical
from consortium.members.tables import AccountRow, EndedKeyRow


@dataclass(frozen=True, slots=True)
class OpenedKey:
    """A person's key as it was opened before a transaction."""

    key_id: str
    seed: bytes = field(repr=False)


def opened(row: AccountRow, password: str) -> OpenedKey | None:
    """Open the key of an account, which is slow on purpose; None when there is none to open."""
    seed = _seed(row, password)
    return None if seed is None or row.key_id is None else OpenedKey(row.key_id, seed)


def open_with(
    session: Session,
    row: AccountRow,
    password: str,
    *,
    keyring: Keyring,
    now: datetime,
    opened: OpenedKey | None = None,
) -> None:
    """Open the key into the keyring.

    A key that the ledger ended, or that was confirmed for other roles, is replaced: a key record
    never changes, so other roles need another key.
    """
    other_roles = row.key_index is not None and row.key_roles != row.roles
    if opened is not None and opened.key_id == row.key_id:
        seed: bytes | None = opened.seed
    else:
        seed = _seed(row, password)
    if seed is None or other_roles:
        make(session, row, password, keyring=keyring, now=now)
    else:
        keyring.put(UserId(row.user), SeedSigner(seed))


def make(
    session: Session, row: AccountRow, password: str, *, keyring: Keyring, now: datetime
) -> None:
    """A new key with its proof of possession, waiting for the head's list.

    Raises:
        Refusal: `members.charter_unknown` before this node has taken entry 0.
    """
    charter = state.read(session, model.CHARTER)
    if charter is None:
        raise conflict("members.charter_unknown")
    leave(session, row, now=now)
    seed = os.urandom(KEY_BYTES)
    signer = SeedSigner(seed)
    statement = statements.proof(
        charter=charter["hash"],
        member=row.member,
        use="person",
        public=signer.text,
        holder=row.user,
    )
    row.key_id, row.key_public = signer.key_id, signer.text
    row.key_proof = b64(signer.sign(statement))
    row.key_box = box.lock(seed, passphrase=password, bound=_bound(row))
    keyring.put(UserId(row.user), signer)


def wrap_anew(row: AccountRow, old: str, new: str) -> bool:
    """Put the same key under another password; False when there is none to open."""
    seed = _seed(row, old)
    if seed is None:
        return False
    row.key_box = box.lock(seed, passphrase=new, bound=_bound(row))
    return True


def leave(session: Session, row: AccountRow, *, now: datetime) -> None:
    """Part with the key; one that the ledger holds waits for the head's next list to end it."""
    if row.key_id is not None and row.key_index is not None:
        session.add(EndedKeyRow(key_id=row.key_id, member=row.member, user=row.user, at=now))
    row.key_id, row.key_box, row.key_index = None, None, None
    row.key_public = row.key_proof = ""
    session.flush()


def _seed(row: AccountRow, password: str) -> bytes | None:
    if row.key_box is None or row.key_id is None:
        return None
    return box.unlock(row.key_box, passphrase=password, bound=_bound(row))


def _bound(row: AccountRow) -> bytes:
    return canonical({"user": row.user, "key": row.key_id})
