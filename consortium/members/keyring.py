"""Person keys that are open now: in memory only, from sign-in to sign-out or lock."""

import threading

from consortium.kernel.actor import Actor
from consortium.kernel.errors import Refusal, RefusalKind, forbidden
from consortium.kernel.ids import UserId
from consortium.members.keys import SeedSigner
from consortium.ports import Signer


class Keyring:
    """Open person keys of one process, by user."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[UserId, SeedSigner] = {}

    def put(self, user: UserId, signer: SeedSigner) -> None:
        """Hold a key that its owner's password has opened."""
        with self._lock:
            self._open[user] = signer

    def drop(self, user: UserId) -> None:
        """Forget a person's key: sign-out, idle lock, reset."""
        with self._lock:
            self._open.pop(user, None)

    def holds(self, user: UserId) -> bool:
        """Whether this person's key is open."""
        with self._lock:
            return user in self._open

    def signer(self, actor: Actor) -> Signer:
        """The actor's own key, for a clinical act.

        Raises:
            Refusal: `members.key_unconfirmed` until the ledger holds the key (the act stays a
                draft), `members.key_locked` when the password must be given again.
        """
        if not actor.key:
            raise forbidden("members.key_unconfirmed")
        with self._lock:
            signer = self._open.get(actor.user)
        if signer is None or signer.key_id != actor.key:
            raise Refusal(RefusalKind.SIGN_IN, "members.key_locked")
        return signer
