"""A clinic's pages with receipts of its own, and what people bring to be checked."""

import io
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import segno
from sqlalchemy import update
from starlette.testclient import TestClient

from consortium.exchange.tables import InboxRow, OutboxRow
from consortium.ledger import receipts
from consortium.ledger.keys import make_log_key
from consortium.web import codes
from tests.consortium.exchange.world import World
from tests.consortium.web.conftest import BASE, sign_in
from tests.support.databases import SqliteFiles
from tests.support.web_stage import Stage, furnish, stage

SEAL = "核验<br>无误"
RED = '<div class="banner red" role="alert">'


@dataclass
class Sent:
    """A clinic's pages, two exchanges of its own on the ledger, one that waits."""

    world: World
    stage: Stage
    client: TestClient
    first: str
    second: str
    waiting: str

    def show(self, exchange: str) -> str:
        return self.client.get(f"/receipts/{exchange}").text

    def receipt(self, exchange: str) -> bytes:
        with self.stage.node.database.read() as session:
            row = session.get_one(OutboxRow, exchange)
            assert row.receipt is not None
            return row.receipt

    def put(self, exchange: str, data: bytes) -> None:
        """Put other bytes where the receipt was."""
        with self.stage.node.database.write() as session:
            for table, key in ((OutboxRow, OutboxRow.id), (InboxRow, InboxRow.exchange)):
                session.execute(update(table).where(key == exchange).values(receipt=data))

    def check(self, *files: bytes, **fields: str | list[str]) -> "httpx2.Response":
        """Bring files, text and parts to the page that checks receipts."""
        page = self.client.get("/receipts/check").text
        found = re.search(r'name="csrf" value="([^"]+)"', page)
        assert found is not None
        sent = [("file", (f"f{n}", data, "image/png")) for n, data in enumerate(files)]
        return self.client.post(
            "/receipts/check", data={"csrf": found[1], **fields}, files=sent or None
        )

    def foreign(self, tmp_path: Path) -> bytes:
        """A policy that trusts another log of the same name."""
        return receipts.policy_text(make_log_key(tmp_path / "k", origin="hub.test/ledger").vkey)


def pictures(receipt: bytes, *, scale: int = 4) -> list[bytes]:
    """The codes of a receipt as PNG pictures."""
    made = []
    for part in codes.parts(receipt):
        out = io.BytesIO()
        segno.make(part.frame, error="m", mode="byte", boost_error=False).save(
            out, kind="png", scale=scale
        )
        made.append(out.getvalue())
    return made


def png(width: int, height: int, lines: bytes) -> bytes:
    """A grey PNG of these lines."""

    def chunk(name: bytes, data: bytes) -> bytes:
        whole = name + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    packed = zlib.compress(lines, 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    )


@contextmanager
def receipts_of(sqlite_files: SqliteFiles, folder: Path) -> Iterator[Sent]:
    """The clinic, in a world of its own."""
    with ExitStack() as stack:
        made = iter(range(9))
        world = World(
            folder, lambda: stack.enter_context(sqlite_files.one(folder, f"n{next(made)}.db"))
        )
        clinic = world.members["a"]
        opened = clinic.send("test.open/1", ("lead",), case="c1", urgency="urgent")
        said = clinic.send("test.say/1", ("lead",), case="c1", close=False)
        world.settle()
        world.settle()
        clinic.link.cut = True
        waiting = clinic.send("test.open/1", ("lead",), case="c2", urgency="routine")
        furnish(clinic.database, member="a")
        pages = stage(clinic.database, folder / "home", world.clock, member="a")
        pages.node.policy = world.policy
        pages.person("han", "韩素云")
        client = TestClient(
            pages.app, base_url=BASE, raise_server_exceptions=False, follow_redirects=False
        )
        sign_in(client)
        yield Sent(world, pages, client, opened.id, said.id, waiting.id)
