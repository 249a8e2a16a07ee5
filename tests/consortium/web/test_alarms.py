"""Alarms on pages: nobody can overlook one, and who has seen it is written down."""

from sqlalchemy import select

from consortium.audit.tables import EventRow
from consortium.exchange import alarms
from tests.support.real_world import World


def test_an_alarm_stands_over_every_page_until_it_is_mended(own_world: World) -> None:
    node = own_world.nodes["shiqiao"]
    han = own_world.browser("han")
    assert "/alarms" not in han.get("/help").text
    assert "没有报警" in han.get("/alarms").text
    now = own_world.clock.now()
    facts = {"number": 9, "mine": 8, "after": 3, "upto": 40}
    with node.database.write() as session:
        alarms.put(session, "feed.short", about="shiqiao", now=now, **facts)
        alarms.put(session, "gossip.new_code", now=now)
    pages = [han.get(path).text for path in ("/help", "/outbox", "/alarms")]
    for page in pages:
        assert 'class="banner red" role="alert"' in page
        assert "有 2 个报警。" in page
    page = pages[-1]
    assert "应有 9 条，收到 8 条；缺的是账本第 … 条" in page
    assert "有一处对不上。" in page
    with node.database.write() as session:
        alarms.put(session, "feed.short", about="shiqiao", now=now, entry=17, what="missing")
    assert "缺的是账本第 17 条" in han.get("/alarms").text
    for alarm in ("alarm:feed.short:shiqiao", "alarm:gossip.new_code:"):
        assert han.post("/alarms", {"alarm": alarm}).status_code == 303
    page = han.get("/alarms").text
    assert "2 个报警已有人看过" in page
    assert page.count("韩") >= 1
    assert 'class="banner red" role="alert"' not in page
    assert han.post("/alarms", {"alarm": "alarm:clock:shiqiao"}).status_code == 404
    with node.database.write() as session:
        acts = session.scalars(select(EventRow.subject).where(EventRow.action == "alarm.seen"))
        assert sorted(acts) == ["alarm:feed.short:shiqiao", "alarm:gossip.new_code:"]
        assert {one.seen_by for one in alarms.of_node(session)} != {""}
        alarms.drop(session, "feed.short", about="shiqiao")
        alarms.drop(session, "gossip.new_code")
        assert alarms.of_node(session) == []
    assert "/alarms" not in han.get("/help").text
