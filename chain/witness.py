"""A witness: cosigns what extends what it saw (C2SP tlog-witness).

The protocol as pure answers to requests; the network is elsewhere, and the state is a port whose
`update` looks and writes in one step. A view is durable before its cosignature is given out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from chain import checkpoint, cosignature, merkle, note
from chain.checkpoint import Checkpoint
from chain.encoding import b64, decimal, hash_of
from chain.errors import ChainError, FormatError, ProofError, SignatureError
from chain.merkle import EMPTY_ROOT
from chain.note import MLDSA_COSIGNATURE, Note, Signature, Signer, VerifierKey
from chain.policy import Policy
from chain.views import View, Views, origin_hash

TEXT = "text/plain; charset=utf-8"
SIZE = "text/x.tlog.size"
REQUEST_BYTES_MAX = note.NOTE_BYTES_MAX + 8 * 1024
_CODE = "request.format"


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, body and content type of an HTTP answer."""

    status: int
    body: bytes = b""
    content_type: str = TEXT


@dataclass(frozen=True, slots=True)
class Request:
    """A parsed add-checkpoint request; nothing in it may be believed yet."""

    old: int
    proof: tuple[bytes, ...]
    data: bytes

    @property
    def body(self) -> bytes:
        lines = (f"old {self.old}", *map(b64, self.proof))
        return "".join(f"{line}\n" for line in lines).encode() + b"\n" + self.data


def parse_request(body: bytes) -> Request:
    """Read the body of an add-checkpoint request strictly.

    Raises:
        FormatError: `request.format`.
    """
    first, proof, data = _parts(body, heads=1)
    word, _, size = first[0].partition(" ")
    if word != "old":
        raise FormatError(_CODE, "The request does not begin with the old size.")
    return Request(decimal(size, code=_CODE), proof, data)


class Witness:
    """Answers for the logs of a policy.

    Args:
        policy: its logs are witnessed; lines of its witnesses stay on the checkpoints kept.
        signers: the cosigner's keys; none where checkpoints are only kept, as a mirror does first.
        views: the state, of these signers.
    """

    def __init__(self, policy: Policy, signers: Sequence[Signer], views: Views) -> None:
        self._policy, self._signers, self._views = policy, tuple(signers), views
        self._own = tuple(signer.verifier for signer in signers)

    # ------------------------------------------------------------ add-checkpoint

    def add_checkpoint(self, body: bytes, *, now_s: int) -> Answer:
        """Answer `POST <submission prefix>/add-checkpoint`.

        200 cosignature lines; 400 malformed, or old size above the new; 403 no good signature of
        the log; 404 unknown log; 409 another size was seen last, which is the body; 422 what does
        not extend what was seen.

        Raises:
            OSError: when the state cannot be kept; nothing is signed then.
        """
        try:
            request = parse_request(body)
            read = note.parse(request.data)
            origin = read.text.partition("\n")[0]
        except FormatError as fault:
            return _said(400, fault)
        logs = self._logs(origin)
        if not logs:
            return Answer(404, b"The log is not known here.\n")
        try:
            signed = note.verify(request.data, logs)[0]
            head = checkpoint.parse(signed.text)
        except SignatureError as fault:
            return _said(403, fault)
        except FormatError as fault:
            return _said(422 if fault.code == "checkpoint.empty" else 400, fault)
        if request.old > head.size:
            return Answer(400, b"The old size is above the new one.\n")
        kept = _only(signed, logs)

        def decide(view: View | None) -> tuple[tuple[Answer, bytes | None], View | None]:
            answer, following = self._decided(view, request, head, kept, now_s)
            # one size, two roots: no later proof can mend that
            if view is None or view.head.size != head.size or view.head.root == head.root:
                return (answer, None), following
            return (answer, view.data), following

        answer, held = self._views.update(origin, decide)
        if held is not None:
            self._views.keep_evidence(held, kept.data)
        return answer

    def _decided(
        self, view: View | None, request: Request, head: Checkpoint, kept: Note, now_s: int
    ) -> tuple[Answer, View | None]:
        seen, root = (0, EMPTY_ROOT) if view is None else (view.head.size, view.head.root)
        if request.old != seen:
            return Answer(409, b"%d\n" % seen, SIZE), None
        try:
            merkle.verify_consistency(
                seen, head.size, request.proof, old_root=root, new_root=head.root
            )
            lines = [cosignature.cosign(kept.text, one, time_s=now_s) for one in self._signers]
        except ProofError as fault:
            return _said(422, fault), None
        except FormatError as fault:
            # an origin that an ML-DSA cosignature cannot name
            return _said(400, fault), None
        offered = [*lines, *note.parse(request.data).signatures]
        known = [*self._own, *self._policy.witnesses.values()]
        data = cosignature.add(kept.data, offered, known).data
        return Answer(200, _lines(lines)), View(head, data)

    def _logs(self, origin: str) -> list[VerifierKey]:
        return [key for key in self._policy.logs if key.name == origin]

    # ------------------------------------------------------------ sign-subtree

    def sign_subtree(self, body: bytes) -> Answer:
        """Answer `POST <submission prefix>/sign-subtree`.

        200 signature lines of the ML-DSA-44 keys, which alone sign subtrees; 400 malformed, or no
        subtree of the tree; 403 a checkpoint that this cosigner has not signed; 404 unknown log,
        or no such key; 422 a proof that does not lead to the root.
        """
        try:
            (start, end), node, proof, data = _subtree(body)
            origin = note.parse(data).text.partition("\n")[0]
            logs = self._logs(origin)
            able = [one for one in self._signers if one.verifier.kind == MLDSA_COSIGNATURE]
            if not logs or not able:
                return Answer(404, b"The log is not known here, or no key signs subtrees.\n")
            head = checkpoint.parse(note.verify(data, self._own)[0].text)
            if end > head.size:
                return Answer(400, b"The subtree ends beyond the tree.\n")
            merkle.verify_subtree(start, end, head.size, proof, subtree_root=node, root=head.root)
        except FormatError as fault:
            return _said(400, fault)
        except SignatureError as fault:
            return _said(403, fault)
        except ProofError as fault:
            return _said(422, fault)
        made = [
            cosignature.sign_subtree(one, origin=origin, start=start, end=end, root=node)
            for one in able
        ]
        return Answer(200, _lines(made))

    # ------------------------------------------------------------ monitors

    def checkpoint(self, name: str) -> Answer:
        """Answer `GET <monitoring prefix>/<origin hash>/checkpoint`.

        Raises:
            FormatError, SignatureError, OSError: when the state is damaged.
        """
        for origin in {key.name for key in self._policy.logs}:
            if origin_hash(origin) == name and (view := self._views.read(origin)) is not None:
                return Answer(200, view.data)
        return Answer(404, b"No checkpoint of that log was cosigned here.\n")


def _only(signed: Note, keys: Sequence[VerifierKey]) -> Note:
    """The note with the lines of these keys alone, which are verified."""
    ids = {(key.name, key.key_id) for key in keys}
    lines = [line for line in signed.signatures if (line.name, line.key_id) in ids]
    return Note(signed.text, tuple(dict.fromkeys(lines)))


def _lines(lines: Sequence[Signature]) -> bytes:
    return "".join(line.line for line in lines).encode()


def _said(status: int, fault: ChainError) -> Answer:
    return Answer(status, f"{fault}\n".encode())


def _parts(body: bytes, *, heads: int) -> tuple[list[str], tuple[bytes, ...], bytes]:
    """First lines, proof and checkpoint of a request; each line ends, and none is left over."""
    top, gap, data = body.partition(b"\n\n")
    try:
        lines = top.decode("ascii").split("\n")
    except UnicodeDecodeError as fault:
        raise FormatError(_CODE, "The lines of the proof are not ASCII.") from fault
    if not gap or len(lines) < heads or len(lines) - heads > merkle.PROOF_MAX:
        raise FormatError(_CODE, "The request is not: lines, at most 63 hashes, a checkpoint.")
    return lines[:heads], tuple(hash_of(line, code=_CODE) for line in lines[heads:]), data


def _subtree(body: bytes) -> tuple[tuple[int, int], bytes, tuple[bytes, ...], bytes]:
    (first, second), proof, data = _parts(body, heads=2)
    words = first.split(" ")
    if len(words) != 3 or words[0] != "subtree":
        raise FormatError(_CODE, "The request does not begin with the range of a subtree.")
    start, end = (decimal(word, code=_CODE) for word in words[1:])
    if not merkle.valid_subtree(start, end):
        raise FormatError(_CODE, "The range is not that of a subtree.")
    return (start, end), hash_of(second, code=_CODE), proof, data
