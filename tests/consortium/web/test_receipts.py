"""A receipt is checked at each opening; what does not check carries no seal and a red banner."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

from sqlalchemy import select

from consortium.exchange import timeline
from consortium.exchange.tables import InboxRow, OutboxRow
from consortium.exchange.timeline import CaseEntry
from consortium.kernel.actor import Actor
from consortium.ledger import receipts
from consortium.ledger.keys import make_log_key
from consortium.web.receipt_views import Proof
from consortium.web.receipts import prove
from tests.consortium.web.receipt_world import RED, SEAL, Sent


def test_a_receipt_that_checks_carries_the_seal(sent: Sent) -> None:
    page = sent.show(sent.first)
    assert SEAL in page
    assert RED not in page
    assert page.count('<li class="ok">') >= 3
    assert "对方的机器已确认收到" in page


def test_the_file_checks_elsewhere_without_the_product(sent: Sent, tmp_path: Path) -> None:
    answer = sent.client.get(f"/receipts/{sent.first}/file")
    assert ".tlog-proof" in answer.headers["content-disposition"]
    (tmp_path / "receipt").write_bytes(answer.content)
    (tmp_path / "policy").write_bytes(sent.world.policy)
    command = [sys.executable, "-m", "chain", "receipt", "receipt", "--policy", "policy"]
    root = Path(__file__).resolve().parents[3]
    run = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(root)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert "VERIFIED" in run.stdout


def test_what_waits_here_has_no_seal_and_no_alarm(sent: Sent) -> None:
    page = sent.show(sent.waiting)
    assert SEAL not in page
    assert RED not in page
    assert "这件还在本机" in page
    assert sent.client.get(f"/receipts/{sent.waiting}/file").status_code == 404


def test_each_flipped_byte_is_seen(sent: Sent) -> None:
    good = sent.receipt(sent.first)
    node = sent.stage.node
    with node.database.read() as session:
        actor = sent.stage.actor(session, "han")
        entry = timeline.one(session, member="a", exchange_id=sent.first)
        row = session.get_one(OutboxRow, sent.first)
        inbox = session.scalars(select(InboxRow).where(InboxRow.exchange == sent.first)).one()
        session.expunge_all()
        for place in range(len(good)):
            bad = good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]
            proof = _proved(node, actor, entry, bad)
            assert not proof.verified, place
            assert proof.fault, place
        assert _proved(node, actor, entry, good).verified
    assert row.receipt == inbox.receipt == good


def _proved(node: Any, actor: Actor, entry: CaseEntry, data: bytes) -> Proof:
    with (
        mock.patch.object(timeline, "receipt_file", return_value=data),
        node.database.read() as session,
    ):
        return prove(session, node=node, actor=actor, entry=entry)


def test_a_flipped_byte_takes_the_seal_off_the_page(sent: Sent) -> None:
    good = sent.receipt(sent.first)
    try:
        for place in range(0, len(good), 97):
            sent.put(sent.first, good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
            page = sent.show(sent.first)
            assert SEAL not in page, place
            assert RED in page, place
    finally:
        sent.put(sent.first, good)
    assert SEAL in sent.show(sent.first)


def test_the_receipt_of_another_entry_is_none_of_this_one(sent: Sent) -> None:
    good = sent.receipt(sent.first)
    sent.put(sent.first, sent.receipt(sent.second))
    try:
        page = sent.show(sent.first)
    finally:
        sent.put(sent.first, good)
    assert SEAL not in page
    assert RED in page


def test_a_receipt_of_a_foreign_log_is_refused(sent: Sent, tmp_path: Path) -> None:
    foreign = make_log_key(tmp_path / "log.key", origin="hub.test/ledger")
    sent.stage.node.policy = receipts.policy_text(foreign.vkey)
    try:
        page = sent.show(sent.first)
    finally:
        sent.stage.node.policy = sent.world.policy
    assert SEAL not in page
    assert RED in page


def test_the_list_says_how_far_each_has_come(sent: Sent) -> None:
    page = sent.client.get("/outbox").text
    states = re.findall(r'<span class="st[^>]*>.*?</svg>([^<]+)</span>', page)
    assert "本机待发" in states
    assert "对方已收到" in states
    pending = sent.client.get("/outbox?state=pending").text
    assert sent.waiting in pending
    assert sent.first not in pending


def test_the_ledger_page_shows_what_was_checked(sent: Sent) -> None:
    page = sent.client.get("/ledger").text
    assert SEAL in page
    assert "hub.test/ledger" in page
    sent.stage.node.link.trouble = "sync.feed"
    try:
        broken = sent.client.get("/ledger").text
    finally:
        sent.stage.node.link.trouble = ""
    assert SEAL not in broken
    assert broken.count("账本核验没通过") >= 2
