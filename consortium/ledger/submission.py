"""`add-checkpoint` of a witness (C2SP tlog-witness), over this node's own view.

Whoever has a checkpoint of the log may bring it. A proof that does not hold is the bringer's and no
evidence against the log; two roots of one size are, whoever brings them.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from chain import merkle
from chain import note as chain_note
from chain.errors import ChainError, FormatError, ProofError
from chain.witness import REQUEST_BYTES_MAX, SIZE, parse_request
from consortium.kernel.errors import Refusal
from consortium.ledger import gossip, policies, witness
from consortium.ledger.witness import View

BODY_MAX_BYTES = REQUEST_BYTES_MAX
SIZE_TYPE = SIZE


@dataclass(frozen=True, slots=True)
class Verdict:
    """An HTTP status; with 409 the size that was seen last, with 200 the view to be cosigned."""

    status: int
    seen: int = 0
    view: View | None = None


def take(session: Session, body: bytes, *, policy_bytes: bytes, now: datetime) -> Verdict:
    """Decide on a request, in the transaction in which the view grows.

    Returns:
        200 with the new view, to be persisted before it is cosigned; 400 malformed, or old above
        the size; 403 not signed by the log; 404 another log; 409 not from the size seen; 422 the
        proof fails, or two roots of one size.
    """
    try:
        asked = parse_request(body)
        read = chain_note.parse(asked.data)
    except ChainError:
        return Verdict(400)
    rules = policies.read_policy(policy_bytes)
    if read.text.partition("\n")[0] not in {key.name for key in rules.logs}:
        return Verdict(404)
    try:
        head = rules.examine(asked.data).checkpoint
    except FormatError as fault:
        return Verdict(422 if fault.code == "checkpoint.empty" else 400)
    except ChainError:
        return Verdict(403)
    if asked.old > head.size:
        return Verdict(400)
    held = witness.view_for_update(session, head.origin)
    seen, root = (held.size, held.root) if held is not None else (0, merkle.EMPTY_ROOT)
    if asked.old != seen:
        return Verdict(409, seen)
    try:
        merkle.verify_consistency(seen, head.size, asked.proof, old_root=root, new_root=head.root)
    except ProofError:
        gossip.hear(session, asked.data, policy_bytes=policy_bytes, now=now)
        return Verdict(422)
    answer = witness.advance(session, asked.data, asked.proof, policy_bytes=policy_bytes, now=now)
    return Verdict(422) if isinstance(answer, Refusal) else Verdict(200, seen, answer)
