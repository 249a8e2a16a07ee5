"""A mirror answers the hub that lost its database: the whole ledger back, page by page.

PROTOCOL 5 ("Restore"). Only a node of the hub's own member is answered: facts are for mirrors, and
for the hub that gave them.
"""

from collections.abc import Callable

from consortium.exchange.envelope import frames, unframe
from consortium.exchange.mirrorpages import MirrorPages
from consortium.exchange.problems import answered, refused
from consortium.exchange.requests import Requests
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal, invalid, missing
from consortium.kernel.time import to_ms
from consortium.ledger import journal
from consortium.ports import Clock, Reply


class MirrorDesk:
    """Answers hello and `/sync/mirror` at a mirror.

    Args:
        pages: gives out the ledger to members of the hub's kind.
    """

    def __init__(self, database: Database, pages: MirrorPages, *, clock: Clock) -> None:
        self._database = database
        self._pages = pages
        self._clock = clock
        self._requests = Requests()
        self._paths: dict[str, Callable[[bytes], Reply]] = {
            "/sync/hello": self._hello,
            "/sync/mirror": self._mirror,
        }

    @property
    def paths(self) -> frozenset[str]:
        return frozenset(self._paths)

    def handle(self, path: str, body: bytes) -> Reply:
        """Answer one request. A refusal is a reply with its code, never an exception."""
        try:
            if path not in self._paths:
                raise missing("sync.path")
            return self._paths[path](body)
        except Refusal as refusal:
            return refused(refusal)

    def _hello(self, body: bytes) -> Reply:
        now = self._clock.now()
        with self._database.read() as session:
            node, member, _ = self._requests.hello(session, body)
            size = journal.size(session)
        return answered(
            {
                "nonce": self._requests.nonce(node, now=now),
                "member": member,
                "time_ms": to_ms(now),
                "heads": {},
                "size": size,
            }
        )

    def _mirror(self, body: bytes) -> Reply:
        [raw] = unframe(body, most=1) or [b""]
        with self._database.read() as session:
            node, member, statement = self._requests.check(
                session, "/sync/mirror", raw, b"", now=self._clock.now()
            )
            start = statement.get("from")
            if not isinstance(start, int) or isinstance(start, bool) or not 0 <= start < 2**53:
                raise invalid("exchange.malformed", field="from")
            parts = self._pages.page(session, member=member, node=node, start=start)
        return Reply(200, frames(parts), {"content-type": "application/octet-stream"})
