"""The signer as a process of its own: it alone holds the log's key, and signs what may be signed.

    publisher -> local socket (Windows: named pipe) -> signer

It signs checkpoints of its own origin only, and none that is smaller than one it has signed or of
that size with another root: what it signed last is on its disk before the signature leaves it. A
hub that was restored from an old copy, or taken over, cannot fork the log with it. An HSM stands
behind the same port (`consortium.ports.Signer`).
"""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path

from chain import checkpoint
from chain.checkpoint import Checkpoint
from chain.errors import ChainError
from chain.note import VerifierKey
from consortium.kernel.errors import Refusal, RefusalKind
from consortium.kernel.system import write_durably
from consortium.ledger.keys import LogKey

_KEYS = b"keys"
_REFUSED = b"!"
_MESSAGE_BYTES_MAX = 16 * 1024
_PATIENCE_S = 10.0


class SignerDesk:
    """Answers publishers: which keys there are, and signatures over checkpoints.

    Args:
        key: the log's key, with its successor during a change.
        memory: where the largest checkpoint signed is kept; outside every backup.
    """

    def __init__(self, key: LogKey, *, memory: Path) -> None:
        self._key = key
        self._memory = memory
        self._lock = threading.Lock()
        try:
            self._last: Checkpoint | None = checkpoint.parse(memory.read_text("utf-8"))
        except FileNotFoundError:
            self._last = None
        except (ChainError, UnicodeDecodeError):
            raise Refusal(RefusalKind.UNAVAILABLE, "ledger.signer_memory") from None

    def answer(self, message: bytes) -> bytes:
        """Answer one message; a refusal begins with `!`."""
        if message == _KEYS:
            return "\n".join(one.vkey for one in self._key.signers).encode()
        public, _, text = message.partition(b"\n")
        for one in self._key.signers:
            if one.verifier.public.hex().encode() == public and self._may(text):
                return one.sign(text)
        return _REFUSED

    def _may(self, text: bytes) -> bool:
        """Whether this is a checkpoint that extends the last one, as far as its size can tell."""
        try:
            head = checkpoint.parse(text.decode("utf-8"))
        except (ChainError, UnicodeDecodeError):
            return False
        with self._lock:
            last = self._last
            if head.origin != self._key.origin or (
                last is not None
                and (head.size < last.size or (head.size == last.size and head != last))
            ):
                return False
            if head != last:
                write_durably(self._memory, text)
                self._last = head
        return True


def serve(
    address: str,
    desk: SignerDesk,
    *,
    ready: Callable[[], None] = lambda: None,
    ended: Callable[[], bool] = lambda: False,
) -> None:
    """Serve at an address until the process ends; `ready` is called once publishers can connect.

    Whether it has `ended` is asked after each connection.

    Whoever may enter the folder of the socket may have checkpoints signed.

    Raises:
        OSError: the address cannot be used.
    """
    if os.name == "posix":
        Path(address).unlink(missing_ok=True)
    with Listener(address) as listener:
        if os.name == "posix":
            Path(address).chmod(0o660)
        ready()
        while not ended():
            with suppress(OSError, EOFError):
                link = listener.accept()
                threading.Thread(target=_attend, args=(link, desk), daemon=True).start()


def _attend(link: Connection, desk: SignerDesk) -> None:
    with link, suppress(OSError, EOFError):
        while True:
            link.send_bytes(desk.answer(link.recv_bytes(_MESSAGE_BYTES_MAX)))


class _RemoteSigner:
    """One key of a signer process, as `consortium.ports.Signer`."""

    def __init__(self, address: str, key: VerifierKey) -> None:
        self._address = address
        self.public = key.public
        self.key_id = key.key_id.hex()

    def sign(self, message: bytes) -> bytes:
        answer = _ask(self._address, self.public.hex().encode() + b"\n" + message)
        if answer.startswith(_REFUSED) and len(answer) == len(_REFUSED):
            raise Refusal(RefusalKind.CONFLICT, "ledger.signer_refuses")
        return answer


def remote_log_key(address: str) -> LogKey:
    """The log's key in a signer process, with its successor during a change.

    Raises:
        Refusal: `ledger.signer_away` when none answers there, `ledger.key` when what answers is
            none; when signing also `ledger.signer_refuses`.
    """
    try:
        keys = [VerifierKey.parse(line) for line in _ask(address, _KEYS).decode().splitlines()]
    except (ChainError, UnicodeDecodeError):
        raise Refusal(RefusalKind.UNAVAILABLE, "ledger.signer_away") from None
    if not 1 <= len(keys) <= 2 or len({one.name for one in keys}) != 1:
        raise Refusal(RefusalKind.UNAVAILABLE, "ledger.signer_away")
    made = [LogKey(one.name, _RemoteSigner(address, one)) for one in keys]
    return made[0].followed_by(made[1]) if len(made) > 1 else made[0]


def _ask(address: str, message: bytes) -> bytes:
    away = Refusal(RefusalKind.UNAVAILABLE, "ledger.signer_away")
    try:
        with Client(address) as link:
            link.send_bytes(message)
            if not link.poll(_PATIENCE_S):
                raise away
            return link.recv_bytes(_MESSAGE_BYTES_MAX)
    except (OSError, EOFError):
        raise away from None
