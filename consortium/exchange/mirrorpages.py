"""The hub's answer to a mirror: the whole published ledger with its facts, page by page.

A page holds leaves with facts and the open bodies of what was admitted; nothing that is sealed, and
no body that was refused (PROTOCOL 4, 5). It ends at a size that was signed, so that a mirror can
compare roots before it keeps anything, and is given to members of the mirrors' kind alone.
"""

from dataclasses import dataclass

import orjson
from sqlalchemy.orm import Session

from consortium.exchange import state, takeover
from consortium.exchange.judgement import outcome_of
from consortium.exchange.kinds import Registry
from consortium.exchange.limits import BATCH_MAX, PULL_MAX_BYTES
from consortium.exchange.recheck import shown
from consortium.exchange.replay import Shown
from consortium.kernel.errors import missing
from consortium.ledger import cosignatures, journal, publisher

_FRAME_BYTES = 64


@dataclass(frozen=True, slots=True)
class MirrorPages:
    """Gives out the ledger.

    Args:
        member_kind: the kind of member that may have it.
    """

    registry: Registry
    member_kind: str

    def page(self, session: Session, *, member: str, node: str, start: int) -> list[bytes]:
        """Frames: JSON, then leaf, facts, body of each entry from `start` on, bounded as a pull.

        JSON: `has` (1 facts, 2 body) of each entry, `checkpoint` (the signed note at the end of the
        page, "" where none ends there, or at `start` where nothing follows), `witnessed` (on the
        last page, the newest note that meets the policy's quorum, "" while none does).

        Raises:
            Refusal: `sync.mirror` for whoever keeps no mirror, or whose key has ended.
        """
        self._refuse_others(session, member, node)
        newest = publisher.latest(session)
        size = newest.size if newest is not None else 0
        entries = self._fitting(
            shown(session, self.registry, start, limit=max(0, min(size - start, BATCH_MAX)))
        )
        end = start + len(entries)
        ends_at = publisher.covering(session, after=start, end=end) if entries else newest
        if entries and ends_at is not None:
            entries, end = entries[: ends_at.size - start], ends_at.size
        note = ends_at.note.decode() if ends_at is not None and ends_at.size == end else ""
        has = [(one.facts is not None) + 2 * (one.body is not None) for one in entries]
        sure = cosignatures.witnessed(session) if end == size else None
        told = {
            "has": has,
            "checkpoint": note,
            "witnessed": sure.note.decode() if sure is not None else "",
        }
        parts = [orjson.dumps(told)]
        for one in entries:
            parts += [one.leaf, one.facts or b"", one.body or b""]
        return parts

    def beginning(self, session: Session, *, member: str, node: str, after: str) -> list[bytes]:
        """Where a new mirror may begin, as `takeover.answer`. Raises as `page`."""
        self._refuse_others(session, member, node)
        return takeover.answer(session, after=after)

    def _refuse_others(self, session: Session, member: str, node: str) -> None:
        known = state.read_many(session, (f"member:{member}", f"key:{node}"))
        kind = known.get(f"member:{member}", {}).get("kind")
        if kind != self.member_kind or known[f"key:{node}"].get("until") is not None:
            raise missing("sync.mirror")

    def _fitting(self, entries: list[Shown]) -> list[Shown]:
        """As many as fit a page, at least one if there is any."""
        found: list[Shown] = []
        room = PULL_MAX_BYTES
        for one in entries:
            admitted = outcome_of(journal.read_leaf(one.leaf).verdict)[0]
            given = one if admitted else Shown(one.leaf, one.facts)
            room -= _FRAME_BYTES + sum(
                map(len, (given.leaf, given.facts or b"", given.body or b""))
            )
            if found and room < 0:
                break
            found.append(given)
        return found
