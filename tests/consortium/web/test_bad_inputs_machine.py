"""A full disk, a power cut, a second press, a hub that lies: rows 34, 46, 47, 51, 69 and 70.

Over the real app; the rows are those of research/reliability.md 5.
"""

import re
import resource
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from html import unescape
from io import StringIO
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
from sqlalchemy import event, func, select

from consortium.cli.demo_people import person
from consortium.exchange.envelope import frames, unframe
from consortium.exchange.outbox import Post
from consortium.exchange.tables import EntryRow
from consortium.patients.tables import PatientTable
from consortium.ports import Reply
from consortium.web import forms
from consortium.wiring import Node
from tests.support.bad_pages import (
    ENTRY,
    PNG,
    QUESTION,
    exchange_of,
    main_of,
    patient,
    sent,
    sheet,
    told,
)
from tests.support.real_world import World, build, copied, logged
from tests.support.serving import served
from tests.support.wire import Wire

LONG = "反复发作，夜间加重。" * 1500


@pytest.fixture(autouse=True)
def product_log() -> Iterator[StringIO]:
    with logged() as stream:
        yield stream


@contextmanager
def full_disk(node: Node) -> Iterator[None]:
    """The database of a node finds no page more."""

    def bounded(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        (count,) = cursor.execute("PRAGMA page_count").fetchone()
        cursor.execute(f"PRAGMA max_page_count={count}")
        cursor.close()

    event.listen(node.database.engine, "connect", bounded)
    node.database.engine.dispose()
    try:
        yield
    finally:
        event.remove(node.database.engine, "connect", bounded)
        node.database.engine.dispose()


@contextmanager
def small_files(most_bytes: int) -> Iterator[None]:
    """No file of this process grows beyond this size, as on a disk with no more room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def hidden(page: str) -> dict[str, str]:
    """What a page sends again."""
    main = page.split("<main", 1)[1]
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', main)
    return {name: unescape(value) for name, value in found}


def test_row_70_a_full_disk_refuses_in_words_and_gives_back_what_was_typed(
    own_world: World,
) -> None:
    browser, about = own_world.browser("han"), patient(own_world, "li")
    exchange = exchange_of(browser.get(f"/referrals/new?about={about}"))
    before = sent(own_world)
    with full_disk(own_world.nodes["shiqiao"]):
        answer = browser.post("/referrals/new", sheet(about, exchange, history=LONG))
        assert told(answer) == (507, "web.full")
        assert answer.headers["retry-after"] == "60"
        shown = unescape(main_of(answer))
        assert QUESTION in shown
        assert LONG in shown
        assert "打印" in shown
        assert "再存一次" in shown
        assert about not in shown.split("<form", 1)[0]
        draft = browser.post(
            f"/drafts/referral:{about}", {"question": LONG}, headers={"accept": "application/json"}
        )
        assert (draft.status_code, draft.json()["code"]) == (507, "web.full")
        assert browser.get("/").status_code == 200
    assert sent(own_world) == before
    # what the page holds goes on when there is room again
    kept = hidden(answer.text)
    assert kept["question"] == QUESTION
    again = browser.post("/referrals/new", {**kept, "history": "夜间加重"})
    assert again.status_code == 303, told(again)
    assert sent(own_world) == before + 1


def test_row_70_a_patient_is_registered_whole_or_not_at_all(own_world: World) -> None:
    browser = own_world.browser("han")
    named = {**ENTRY, "name": "没有地方的人"}
    with full_disk(own_world.nodes["shiqiao"]):
        answers = [
            browser.post(
                "/patients/new", {**named, "name": f"没有地方的人{n}", "address": "长" * 190}
            )
            for n in range(60)
        ]
    full = [one for one in answers if one.status_code == 507]
    assert full
    assert {one.status_code for one in answers} <= {303, 507}
    assert "没有地方的人" in full[-1].text
    with own_world.nodes["shiqiao"].database.read() as session:
        made = session.scalar(
            select(func.count()).where(PatientTable.name.startswith("没有地方的人"))
        )
    assert made == len([one for one in answers if one.status_code == 303])


def test_rows_51_and_70_a_file_without_room_is_not_kept_by_half(own_world: World) -> None:
    browser, about = own_world.browser("han"), patient(own_world, "li")
    exchange = exchange_of(browser.get(f"/referrals/new?about={about}"))
    fields = sheet(about, exchange, do="attach")
    # small enough to be held in memory on its way, too large for the file that keeps it
    picture = PNG + bytes(1_000_000)
    with own_world.nodes["shiqiao"].database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    blobs = own_world.home / "shiqiao" / "blobs"
    before = {one for one in blobs.rglob("*") if one.is_file()}
    with small_files(900_000):
        answer = browser.post(
            "/referrals/new", fields, [("files", ("a.png", picture, "image/png"))]
        )
        huge = browser.post(
            "/referrals/new", fields, [("files", ("a.png", picture * 4, "image/png"))]
        )
    assert told(huge) == (507, "web.full_file")
    assert "返回键" in huge.text
    assert told(answer) == (507, "web.full")
    assert QUESTION in answer.text
    after = {one for one in blobs.rglob("*") if one.is_file()}
    assert after == before
    done = browser.post("/referrals/new", fields, [("files", ("a.png", PNG, "image/png"))])
    assert done.status_code == 303


def test_row_51_a_full_hub_keeps_nothing_and_the_clinic_tries_again(own_world: World) -> None:
    browser, node = own_world.browser("han"), own_world.nodes["shiqiao"]
    courier = node.couriers["shiqiao"]
    courier.caller.link = Wire(own_world.client("hub"))
    courier.caller.forget()
    case = own_world.told["case"]
    for number in range(12):
        text = f"第 {number} 次补充：" + "病情" * 400
        assert browser.post(f"/referrals/{case}/message", {"text": text}).status_code == 303
    with full_disk(own_world.nodes["hub"]):
        node.sync(own_world.clock.now())
        assert node.link_state("shiqiao").trouble == "web.full"
        page = browser.get("/outbox").text
        assert "会自动再试" in page
    own_world.clock.pass_s(600)
    node.sync(own_world.clock.now())
    node.sync(own_world.clock.now())
    assert node.link_state("shiqiao").trouble == ""
    with own_world.nodes["hub"].database.read() as session:
        kept = session.scalar(select(func.count()).where(EntryRow.kind == "case.message/1"))
    assert kept == 12


# ---------------------------------------------------------------- power


def cut(world: World, home: Path, press: Callable[[], object], monkeypatch: pytest.MonkeyPatch,
        *, signed: bool) -> World:  # fmt: skip
    """Press a button and take the machine's disk as it stands while the act is being signed."""
    really = Post.send
    taken: list[Path] = []

    def send(self: Post, *given: Any, **more: Any) -> Any:
        queued = really(self, *given, **more) if signed else None
        if not taken:
            copied(world.home, home)
            taken.append(home)
        return queued if signed else really(self, *given, **more)

    monkeypatch.setattr(Post, "send", send)
    press()
    monkeypatch.undo()
    assert taken
    return build(home, world.told, now=world.clock.now())


@pytest.mark.parametrize("signed", [False, True])
def test_row_69_a_power_cut_while_signing_leaves_the_draft_and_nothing_sent(
    own_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signed: bool
) -> None:
    browser, about = own_world.browser("han"), patient(own_world, "li")
    fields = sheet(about, exchange_of(browser.get(f"/referrals/new?about={about}")))
    # as the page does two seconds after the last key
    saved = browser.post(
        f"/drafts/referral:{about}", fields, headers={"accept": "application/json"}
    )
    assert saved.status_code == 200
    before = sent(own_world)
    after = cut(
        own_world, tmp_path / "cut", lambda: browser.post("/referrals/new", fields), monkeypatch,
        signed=signed,
    )  # fmt: skip
    try:
        assert sent(own_world) == before + 1
        assert sent(after) == before
        again = after.browser("han")
        first = unescape(again.get("/").text)
        assert "草稿" in first
        form = again.get(f"/referrals/new?about={about}")
        assert QUESTION in form.text
        assert exchange_of(form) == fields["exchange"]
        assert "未知" not in unescape(main_of(form))
        assert again.post("/referrals/new", fields).status_code == 303
        assert sent(after) == before + 1
    finally:
        after.close()


# ---------------------------------------------------------------- twice at once


class Slowly:
    """A hub's service that is asked while a form is worked on, as slow as a test wants."""

    def __init__(self) -> None:
        self.go, self.inside = threading.Event(), threading.Event()


def test_row_34_a_second_press_waits_for_the_first_and_a_long_one_is_told(
    own_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, really = Slowly(), Post.send

    def send(self: Post, *given: Any, **more: Any) -> Any:
        slow.inside.set()
        assert slow.go.wait(20)
        return really(self, *given, **more)

    about, before = patient(own_world, "li"), sent(own_world)
    monkeypatch.setattr(forms, "PATIENCE_S", 0.5)
    with served(own_world.app("shiqiao")) as base:
        client = httpx2.Client(base_url=base, trust_env=False, timeout=20)
        signed = client.post("/sign-in", data={"name": "han", "password": person("han").password})
        assert signed.status_code == 303
        page = client.get(f"/referrals/new?about={about}")
        token = page.text.split('name="csrf" value="', 1)[1].split('"', 1)[0]
        fields = {**sheet(about, exchange_of(page)), "csrf": token}
        monkeypatch.setattr(Post, "send", send)
        answers: list[httpx2.Response] = []

        def press() -> None:
            answers.append(client.post("/referrals/new", data=fields))

        first = threading.Thread(target=press)
        first.start()
        assert slow.inside.wait(20)
        late = client.post("/referrals/new", data=fields)
        assert told(late) == (409, "web.running")
        assert late.headers["retry-after"] == "2"
        monkeypatch.setattr(forms, "PATIENCE_S", 20.0)
        second = threading.Thread(target=press)
        second.start()
        slow.go.set()
        first.join(20)
        second.join(20)
        client.close()
    assert [one.status_code for one in answers] == [303, 303]
    assert len({one.headers["location"] for one in answers}) == 1
    assert sent(own_world) == before + 1


# ---------------------------------------------------------------- a hub that lies


Change = Callable[[dict[str, Any]], Mapping[str, Any]]


class Liar:
    """A link on whose way somebody changes what the hub says of its ledger."""

    def __init__(self, node: Node, change: Change) -> None:
        assert node.desk is not None
        self._desk, self._change = node.desk, change

    def call(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        reply = self._desk.handle(path, body)
        if path != "/sync/pull" or reply.status != 200:
            return reply
        first, *rest = unframe(reply.body, most=10_000)
        meta = orjson.loads(first)
        return Reply(200, frames([orjson.dumps({**meta, **self._change(meta)}), *rest]), {})


def lied_to(world: World, change: Change) -> str:
    """What a clinic says of its link after the hub's news were changed on the way."""
    node = world.nodes["shiqiao"]
    case = world.told["case"]
    assert (
        world.browser("han").post(f"/referrals/{case}/message", {"text": "补充"}).status_code == 303
    )
    node.sync(world.clock.now())
    world.nodes["hub"].sync(world.clock.now())
    world.nodes["hub"].publish(world.clock.now())
    node.couriers["shiqiao"].caller.link = Liar(world.nodes["hub"], change)
    node.sync(world.clock.now())
    return node.link_state("shiqiao").trouble


LIES: dict[str, Change] = {
    "47 another root": lambda meta: {"checkpoint": _other_root(meta["checkpoint"])},
    "47 no proof": lambda meta: {"consistency": []},
    "47 a proof of something else": lambda meta: {"consistency": ["A" * 43] * 2},
    "47 another signature": lambda meta: {"checkpoint": meta["checkpoint"][:-8] + "AAAAAA=\n"},
}


def _other_root(note: str) -> str:
    lines = note.split("\n")
    lines[2] = lines[2][:-4] + ("AAA=" if lines[2][-4:] != "AAA=" else "BBA=")
    return "\n".join(lines)


@pytest.mark.parametrize("lie", list(LIES))
def test_row_47_a_proof_that_does_not_fit_raises_the_alarm_and_work_goes_on(
    own_world: World, lie: str
) -> None:
    assert lied_to(own_world, LIES[lie])
    browser = own_world.browser("han")
    page = unescape(browser.get("/").text)
    assert "账本核验没通过" in page
    assert "联系联盟管理员" in page
    about = patient(own_world, "li")
    exchange = exchange_of(browser.get(f"/referrals/new?about={about}"))
    assert browser.post("/referrals/new", sheet(about, exchange)).status_code == 303


def test_row_46_a_ledger_that_became_smaller_is_not_followed(own_world: World) -> None:
    old: list[str] = []

    def smaller(meta: dict[str, Any]) -> Mapping[str, Any]:
        return {"checkpoint": old[0], "consistency": []}

    def listen(meta: dict[str, Any]) -> Mapping[str, Any]:
        old.append(str(meta["checkpoint"]))
        return {}

    node = own_world.nodes["shiqiao"]
    node.couriers["shiqiao"].caller.link = Liar(own_world.nodes["hub"], listen)
    node.sync(own_world.clock.now())
    own_world.settle()
    node.couriers["shiqiao"].caller.link = own_world.cables["shiqiao"]
    case = own_world.told["case"]
    own_world.browser("han").post(f"/referrals/{case}/message", {"text": "补充"})
    own_world.settle()
    assert lied_to(own_world, smaller)
    assert "账本核验没通过" in unescape(own_world.browser("han").get("/").text)
