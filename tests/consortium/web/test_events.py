"""The event stream over a real socket: what changed comes as HTML, and waiting costs nothing."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import httpx2
import pytest
from sqlalchemy import event, select

from consortium.members.tables import AccountRow
from consortium.web import events
from tests.support.serving import served
from tests.support.web_stage import PASSWORD, Stage, a_row

WORKLIST = "/events?page=todo&part=worklist"


class Stream:
    """One open event stream, read by a thread."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.text = ""
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(lines,), daemon=True)
        self._thread.start()

    def _read(self, lines: Iterator[str]) -> None:
        try:
            for line in lines:
                self.text += line + "\n"
        except httpx2.HTTPError:
            pass
        self.ended.set()

    def wait_for(self, what: str, *, seconds: float = 5) -> str:
        """The text once it holds `what`."""
        deadline = time.monotonic() + seconds
        while what not in self.text:
            if time.monotonic() > deadline:
                raise AssertionError(f"{what!r} did not come: {self.text[-500:]}")
            time.sleep(0.005)
        return self.text

    def settle(self) -> None:
        """Let what is on its way arrive, and forget it."""
        time.sleep(0.5)
        self.text = ""


@pytest.fixture
def client(clinic: Stage) -> Iterator[httpx2.Client]:
    with (
        served(clinic.app) as base,
        httpx2.Client(base_url=base, timeout=20, limits=httpx2.Limits(max_connections=200)) as made,
    ):
        answer = made.post("/sign-in", data={"name": "han", "password": PASSWORD})
        assert answer.status_code == 303
        yield made


@contextmanager
def opened(client: httpx2.Client, path: str = WORKLIST, **headers: str) -> Iterator[Stream]:
    with client.stream("GET", path, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        stream = Stream(answer.iter_lines())
        stream.wait_for(": hello")
        yield stream


def test_a_new_row_comes_as_html_within_two_seconds(client: httpx2.Client, clinic: Stage) -> None:
    client.get("/")  # templates are read once
    with opened(client) as stream:
        stream.wait_for('hx-target="#rail"')
        started = time.monotonic()
        clinic.put(a_row("c1", "马德顺", clinic.node.clock.now()))
        text = stream.wait_for("马德顺")
        assert time.monotonic() - started < 2
    assert '<hx-partial hx-target="#worklist" hx-swap="outerMorph">' in text
    assert 'id="row-c1"' in text
    assert "data: " in text


def test_a_row_that_changed_is_marked_and_the_others_are_not(
    client: httpx2.Client, clinic: Stage
) -> None:
    now = clinic.node.clock.now()
    row = a_row("c1", "马德顺", now)
    clinic.put(row, a_row("c2", "钟秀英", now))
    with opened(client) as stream:
        stream.wait_for('id="row-c2"')
        stream.settle()
        clinic.put(replace(row, urgency="emergency"))
        text = stream.wait_for("u1")
    assert 'id="row-c1" class=" fresh"' in text
    assert 'id="row-c2" class=""' in text


def test_what_is_as_it_was_is_not_sent_again(client: httpx2.Client, clinic: Stage) -> None:
    with opened(client) as stream:
        clinic.put(a_row("c1", "马德顺", clinic.node.clock.now()))
        stream.wait_for("马德顺")
        stream.settle()
        clinic.node.wake.notify()
        time.sleep(0.6)
        assert stream.text == ""


def test_whoever_lost_a_right_sees_nothing_more(client: httpx2.Client, clinic: Stage) -> None:
    with opened(client) as stream:
        stream.wait_for('hx-target="#rail"')
        stream.settle()
        moment = clinic.node.clock.advance(seconds=1)
        with clinic.node.database.write() as session:
            row = session.scalars(select(AccountRow).where(AccountRow.login == "han")).one()
            row.roles, row.changed_at = "[]", moment
        clinic.put(a_row("c1", "马德顺", moment))
        text = stream.wait_for("event: locked")
    assert "马德顺" not in text
    assert "hx-partial" not in text


def test_the_strip_follows_the_link(client: httpx2.Client, clinic: Stage) -> None:
    with opened(client, "/events?page=help") as stream:
        stream.wait_for("在线")
        stream.settle()
        clinic.node.link.online = False
        clinic.node.wake.notify()
        text = stream.wait_for("离线")
    assert 'hx-target="#strip"' in text
    assert 'hx-target="#banners"' in text
    assert "worklist" not in text


def test_a_browser_that_comes_back_gets_what_it_missed(
    client: httpx2.Client, clinic: Stage
) -> None:
    clinic.put(a_row("c1", "马德顺", clinic.node.clock.now()))
    with opened(client) as stream:
        text = stream.wait_for("马德顺")
    last = text.split("id: ", 1)[1].split("\n", 1)[0]
    with opened(client, **{"last-event-id": last}) as stream:
        time.sleep(0.5)
        assert "马德顺" not in stream.text
    clinic.put(a_row("c2", "钟秀英", clinic.node.clock.now()))
    with opened(client, **{"last-event-id": last}) as stream:
        stream.wait_for("钟秀英")


def test_a_locked_page_hears_nothing_more(client: httpx2.Client, clinic: Stage) -> None:
    with opened(client) as stream:
        clinic.node.clock.advance(minutes=6)
        clinic.put(a_row("c1", "马德顺", clinic.node.clock.now()))
        stream.wait_for("event: locked")
        assert stream.ended.wait(5)
        assert "马德顺" not in stream.text


def test_a_name_cannot_break_out_of_the_event(client: httpx2.Client, clinic: Stage) -> None:
    evil = "<script>x</script>\n\nevent: locked"
    with opened(client) as stream:
        clinic.put(a_row("c1", evil, clinic.node.clock.now()))
        text = stream.wait_for("row-c1")
        time.sleep(0.2)
    assert "<script>" not in text
    assert "\nevent: locked" not in text


def test_words_that_age_are_said_again(
    client: httpx2.Client, clinic: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.2)
    from datetime import timedelta

    now = clinic.node.clock.now()
    clinic.put(a_row("c1", "马德顺", now, due_at=now + timedelta(minutes=58)))
    with opened(client) as stream:
        stream.wait_for("还剩 58 分")
        clinic.node.clock.advance(minutes=2)
        stream.wait_for("还剩 56 分")


def test_a_hundred_streams_hold_no_thread_no_session_and_no_page_back(
    client: httpx2.Client, clinic: Stage
) -> None:
    engine, busy = clinic.node.database.engine, 0

    @event.listens_for(engine, "checkout")
    def taken(*_: object) -> None:
        nonlocal busy
        busy += 1

    @event.listens_for(engine, "checkin")
    def given(*_: object) -> None:
        nonlocal busy
        busy -= 1

    before = threading.active_count()
    with ExitStack() as stack:
        streams = [stack.enter_context(opened(client)) for _ in range(100)]
        for stream in streams:
            stream.wait_for('hx-target="#strip"', seconds=20)
        time.sleep(0.3)
        assert busy == 0
        # one reader each is the test's own; the server has its pool and no more
        assert threading.active_count() - before <= 100 + 45
        clinic.put(a_row("c1", "马德顺", clinic.node.clock.now()))
        started = time.monotonic()
        assert client.get("/help").status_code == 200
        assert time.monotonic() - started < 2
        for stream in streams:
            stream.wait_for("马德顺", seconds=20)


def test_signing_in_is_needed(clinic: Stage) -> None:
    with served(clinic.app) as base:
        answer = httpx2.get(f"{base}{WORKLIST}")
        assert answer.status_code == 303
