"""Trust policies over time: the one pinned at joining, and those that followed it on the ledger.

A node believes a later policy only as an extension of the one before: for the same log, with at
least one log key that it knows already. So the file pinned at joining stays the root of trust, and
a log key is replaced by two policies that overlap.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from sqlalchemy import select
from sqlalchemy.orm import Session

from chain import policy as chain_policy
from chain.errors import ChainError
from chain.policy import Policy
from consortium.kernel.errors import Refusal, conflict, invalid
from consortium.ledger.tables import PolicyRow

WITNESSES_MAX = 15
"""On one checkpoint: with the log's own line the 16 that every reader of notes takes."""
_KEPT_MAX = 1000
_NO_QUORUM = "none"


def policy_text(vkey: str, *more: str) -> bytes:
    """A policy (C2SP tlog-policy) that trusts one log, and no witness but by further lines.

    Raises:
        Refusal: `ledger.policy` when it does not read back as a policy.
    """
    lines = (f"log {vkey}", *more) if more else (f"log {vkey}", "quorum none")
    text = "".join(f"{line}\n" for line in lines).encode()
    read_policy(text)
    return text


@lru_cache(maxsize=64)
def read_policy(data: bytes) -> Policy:
    """Read a policy file. Raises Refusal `ledger.policy`."""
    try:
        return chain_policy.parse(data)
    except ChainError as fault:
        raise invalid("ledger.policy", reason=fault.code) from fault


def text_of(lines: Sequence[Sequence[str]]) -> bytes:
    """The text of a policy from its lines, each a list of words."""
    return "".join(" ".join(words) + "\n" for words in lines).encode()


def lines_of(text: bytes) -> list[list[str]]:
    """The words of each line that says something (C2SP tlog-policy), without comments.

    Raises:
        Refusal: `ledger.policy`.
    """
    read_policy(text)
    lines = (line.split() for line in text.decode("utf-8", "surrogateescape").splitlines())
    return [words for words in lines if words and not words[0].startswith("#")]


def check(text: bytes, *, origin: str, before: bytes | None = None) -> Refusal | None:
    """Whether a policy may follow another. Pure.

    Returns:
        `ledger.policy` with `reason`, the code of `chain`; `ledger.policy_witnesses` for more than
        15, `ledger.policy_log` for a key of another log or none, `ledger.policy_keys` when it
        knows none of the log keys of the policy before.
    """
    try:
        rules = read_policy(text)
    except Refusal as refusal:
        return refusal
    if len(rules.witnesses) > WITNESSES_MAX:
        return invalid("ledger.policy_witnesses", most=WITNESSES_MAX)
    if not rules.logs or {key.name for key in rules.logs} != {origin}:
        return invalid("ledger.policy_log", origin=origin)
    if before is not None and not {*rules.logs} & {*read_policy(before).logs}:
        return conflict("ledger.policy_keys")
    return None


def keep(session: Session, text: bytes, *, index: int, now: datetime) -> None:
    """Keep a policy that stands on the ledger; it counts where it extends the one before."""
    if session.get(PolicyRow, index) is None:
        session.add(PolicyRow(index=index, text=text, at=now))
        session.flush()


def newest(session: Session) -> bytes | None:
    """The newest policy on the ledger, None while there is none."""
    return session.scalar(select(PolicyRow.text).order_by(PolicyRow.index.desc()).limit(1))


def in_force(session: Session, pinned: bytes) -> bytes:
    """The policy that this node believes: the newest that leads back to the pinned one."""
    return _followed(pinned, _later(session))


def strange(session: Session, pinned: bytes) -> bool:
    """Whether a policy stands on the ledger that does not lead back to the pinned one."""
    later = _later(session)
    return bool(later) and _followed(pinned, later) != later[-1]


def asks(rules: Policy) -> bool:
    """Whether a policy asks for any witness."""
    return rules.quorum != _NO_QUORUM


def _later(session: Session) -> tuple[bytes, ...]:
    rows = session.scalars(select(PolicyRow.text).order_by(PolicyRow.index).limit(_KEPT_MAX))
    return tuple(rows)


@lru_cache(maxsize=64)
def _followed(pinned: bytes, later: tuple[bytes, ...]) -> bytes:
    held = pinned
    for text in later:
        origin = read_policy(held).logs[0].name
        if check(text, origin=origin, before=held) is None:
            held = text
    return held


@lru_cache(maxsize=64)
def quorum_met(text: bytes, note: bytes) -> bool:
    """Whether witnesses, as many as the policy asks, have cosigned; False where it asks for none.

    Raises:
        Refusal: `ledger.policy`.
    """
    rules = read_policy(text)
    try:
        return asks(rules) and rules.examine(note).quorum
    except ChainError:
        return False
