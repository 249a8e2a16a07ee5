"""A mirror answers the hub that lost its database, and members that the hub hides something from.

The hub gets the whole ledger back, page by page (PROTOCOL 5, "Restore"): facts are for mirrors, and
for the hub that gave them. Any other member gets the list of its own feed, as the mirror has made
it again from the leaves, and nothing else.
"""

from collections.abc import Callable

from consortium.exchange.envelope import frames, unframe
from consortium.exchange.heads_kind import FEED_OF, feed_of
from consortium.exchange.mirrorpages import MirrorPages
from consortium.exchange.problems import answered, refused
from consortium.exchange.requests import Requests
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal, invalid, missing
from consortium.kernel.time import to_ms
from consortium.ledger import journal
from consortium.ports import Clock, Reply


class MirrorDesk:
    """Answers hello, `/sync/mirror` and the query `feed.of` at a mirror.

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
            "/sync/query": self._query,
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

    def _query(self, body: bytes) -> Reply:
        [raw] = unframe(body, most=1) or [b""]
        now = self._clock.now()
        with self._database.read() as session:
            _, member, statement = self._requests.check(session, "/sync/query", raw, b"", now=now)
            params = statement.get("params", {})
            if statement.get("name") != FEED_OF or not isinstance(params, dict):
                raise missing("sync.query")
            return answered(
                {
                    "answer": feed_of(session, member, params),
                    "index": journal.size(session) - 1,
                    "time_ms": to_ms(now),
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
