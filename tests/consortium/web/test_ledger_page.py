"""The ledger page: entries, and a checkpoint from elsewhere laid beside the own."""

import re
from pathlib import Path

import httpx2
from sqlalchemy import delete, update
from starlette.testclient import TestClient

from chain import checkpoint
from consortium.exchange import register
from consortium.kernel.actor import Role
from consortium.ledger import witness
from consortium.ledger.keys import make_log_key
from consortium.ledger.tables import EvidenceRow
from consortium.members.tables import OrganisationRow
from tests.consortium.web.conftest import BASE, sign_in
from tests.consortium.web.receipt_world import SEAL, Sent
from tests.support.web_stage import furnish, stage


def compare(sent: Sent, data: bytes) -> "httpx2.Response":
    """Lay a checkpoint from elsewhere beside the one that this node saw."""
    token = re.search(r'name="csrf" value="([^"]+)"', sent.client.get("/ledger").text)
    assert token is not None
    return sent.client.post("/ledger", data={"csrf": token[1]}, files={"file": ("c", data)})


def test_the_ledger_page_lists_the_own_feed(sent: Sent) -> None:
    page = sent.client.get("/ledger").text
    assert f'href="/receipts/{sent.first}"' in page
    assert f'href="/receipts/{sent.second}"' in page
    assert sent.waiting not in page
    assert "编号相连，没有缺口" in page
    with sent.stage.node.database.read() as session:
        whole = [one.index for one in register.of_member(session, member="a").rows]
        pages: list[int] = []
        after: str | None = ""
        while after is not None:
            found = register.of_member(session, member="a", after=after, limit=1)
            pages += [one.index for one in found.rows]
            after = found.after
    assert pages == whole == sorted(whole, reverse=True)
    assert len(whole) >= 3
    assert sent.client.get("/ledger?after=x").status_code == 422
    assert sent.client.get("/entries/0").status_code == 404


def test_a_checkpoint_from_elsewhere_is_laid_beside_the_own(sent: Sent, tmp_path: Path) -> None:
    with sent.stage.node.database.read() as session:
        view = witness.checkpoint_view(session)
    assert view is not None
    assert "是同一本账" in compare(sent, view.note.replace(b"\n", b"\r\n")).text
    early = sent.receipt(sent.first)
    answer = compare(sent, early)
    assert "是同一本账" in answer.text or "下一次同步由中心证明" in answer.text
    foreign = make_log_key(tmp_path / "k", origin="hub.test/ledger")
    other = checkpoint.Checkpoint("hub.test/ledger", view.size, bytes(32))
    for bad, code in (
        (checkpoint.sign(other, [foreign]), "ledger.note"),
        (b"nothing of the kind", "ledger.receipt"),
        (b"", "ledger.nothing"),
        (checkpoint.sign(other, [sent.world.log]), "ledger.split"),
    ):
        refused = compare(sent, bad)
        assert refused.status_code == 422
        assert code in refused.text
    try:
        page = sent.client.get("/ledger").text
        assert "账本核验没通过" in page
        assert SEAL not in page
    finally:
        with sent.stage.node.database.write() as session:
            session.execute(delete(EvidenceRow))
    assert SEAL in sent.client.get("/ledger").text


def test_the_office_at_the_hub_sees_every_entry(sent: Sent, tmp_path: Path) -> None:
    world = sent.world
    furnish(world.hub_database, member="consortium")
    with world.hub_database.write() as session:
        session.execute(update(OrganisationRow).values(kind="consortium"))
    office = stage(world.hub_database, tmp_path, world.clock, member="consortium")
    office.node.policy = world.policy
    office.person("han", "高远", frozenset({Role.CONSORTIUM_ADMIN}))
    client = TestClient(
        office.app, base_url=BASE, raise_server_exceptions=False, follow_redirects=False
    )
    sign_in(client)
    page = client.get("/ledger").text
    indices = re.findall(r'href="/entries/([0-9]+)"', page)
    assert len(indices) >= 3
    shown = client.get(f"/entries/{indices[0]}")
    assert shown.status_code == 200
    assert SEAL in shown.text
    assert client.get("/entries/99999").status_code == 404


def test_a_damaged_policy_is_told_on_the_page_that_shows_the_ledger(sent: Sent) -> None:
    node = sent.stage.node
    whole, node.policy = node.policy, b"quorum"
    try:
        answer = sent.client.get("/ledger")
    finally:
        node.policy = whole
    assert answer.status_code == 200
    assert "信任名单不能用" in answer.text
    assert f'href="/receipts/{sent.first}"' in answer.text
