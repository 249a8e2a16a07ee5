"""Makes the golden ledger: the demo's story as leaves, facts and final shared state.

    python -m tests.vectors.golden_ledger

Run only when a rule changes on purpose; a rule in force holds for entries of its time, so entries
that stand in an older file must go on to be judged the same way.
"""

import base64
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import zstandard
from sqlalchemy import select

from consortium.cli.demo_cases import tell_story
from consortium.cli.demo_world import found
from consortium.exchange.tables import EntryRow, SharedStateRow
from consortium.ledger import journal

FILE = Path(__file__).parent / "golden-ledger-v1.jsonl.zst"
_UNTIL = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


def make(folder: Path) -> bytes:
    """One line an entry (leaf, facts), then one line with the final state."""
    world = found(folder / "world", port=8000, start=_UNTIL - timedelta(days=5))
    try:
        tell_story(world, until=_UNTIL)
        with world.hub.database.read() as session:
            rows = list(session.scalars(select(EntryRow).order_by(EntryRow.index)))
            leaves = journal.leaves(session, [row.index for row in rows])
            state = {
                row.subject: orjson.loads(row.value)
                for row in session.scalars(select(SharedStateRow))
            }
    finally:
        world.close()
    lines = [
        {
            "leaf": leaves[row.index].decode("ascii"),
            "facts": base64.b64encode(row.facts or b"").decode(),
        }
        for row in rows
    ]
    return b"\n".join(orjson.dumps(one, option=orjson.OPT_SORT_KEYS) for one in (*lines, state))


def read() -> tuple[list[tuple[bytes, bytes]], dict[str, object]]:
    """Entries as (leaf, facts with salt), and the state after them."""
    raw = zstandard.ZstdDecompressor().decompress(FILE.read_bytes(), max_output_size=1 << 26)
    *lines, state = (orjson.loads(line) for line in raw.split(b"\n"))
    return [(one["leaf"].encode("ascii"), base64.b64decode(one["facts"])) for one in lines], state


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        content = make(Path(place))
    FILE.write_bytes(zstandard.ZstdCompressor(level=19, write_content_size=True).compress(content))
    sys.stdout.write(f"{FILE.name} {FILE.stat().st_size}\n")
