"""Pages of a referral over HTTP as plain forms send them: both sides, both languages."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from consortium import audit
from consortium.desk import drafts
from consortium.exchange.links import LinkState
from consortium.kernel.database import Database
from consortium.referrals import form, viewing
from tests.consortium.exchange import world as worlds
from tests.consortium.referrals.world import Consortium, Site, name_members, registry
from tests.support.databases import SqliteFiles

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8"
    "ffff3f0005fe02fea72d9b1e0000000049454e44ae426082"
)


class Stage:
    """Two nodes with pages, and a browser for each person."""

    def __init__(self, world: Consortium) -> None:
        self.world = world
        name_members(world)
        self.sites = {member: Site(world, member) for member in ("shiqiao", "lead", "yunling")}
        records: dict[str, object] = {}
        for name in ("han", "lu", "desk", "tan"):
            records |= self.site(name).join(name)
        world.put(records)
        self.browsers = {name: self.site(name).browser(name) for name in ("han", "lu", "desk")}

    def site(self, name: str) -> Site:
        return self.sites[self.world.actor(name).member]

    def get(self, name: str, path: str) -> str:
        answer = self.browsers[name].get(path)
        assert answer.status_code == 200, (path, answer.status_code, answer.headers)
        return answer.text

    def post(self, name: str, path: str, fields: Mapping[str, object], files: object = None) -> str:
        """Send a form with its token; the address that it leads to."""
        answer = self.send(name, path, fields, files)
        assert answer.status_code == 303, (path, answer.status_code, words(answer.text))
        return str(answer.headers["location"])

    def send(self, name: str, path: str, fields: Mapping[str, object], files: object = None):  # type: ignore[no-untyped-def]
        client = self.browsers[name]
        return client.post(path, data={"csrf": token(client), **fields}, files=files)  # type: ignore[arg-type]

    def settle(self) -> None:
        self.world.settle()


def token(client: TestClient) -> str:
    return client.get("/account").text.split('name="csrf" value="', 1)[1].split('"', 1)[0]


def exchange(page: str) -> str:
    return page.split('name="exchange" value="', 1)[1].split('"', 1)[0]


def words(html: str) -> str:
    main = html.split("<main", 1)[-1].split("</main>", 1)[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", main))


@pytest.fixture
def stage(tmp_path: Path, sqlite_files: SqliteFiles, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Pages are the same on both databases: what is below them is tested on both."""
    monkeypatch.setattr(worlds, "registry", registry)
    from contextlib import ExitStack

    stack = ExitStack()
    made: list[Database] = []

    def make() -> Database:
        made.append(stack.enter_context(sqlite_files.one(tmp_path, f"node{len(made)}.db")))
        return made[-1]

    maker: Callable[[], Database] = make
    return Stage(Consortium(tmp_path, maker))


def fields(**changes: object) -> dict[str, object]:
    from tests.consortium.referrals.factory import CONTENT

    told = form.fields_of(CONTENT, provider="lead")
    told.pop("paper")
    return {**told, "vitals_at": "", "do": "send", **changes}


def registered(stage: Stage) -> str:
    """A patient registered through the pages."""
    page = stage.get("han", "/patients?q=wgl&to=referral")
    assert "/patients/new?name=wgl&amp;to=referral" in page
    entry = {
        "name": "吴桂兰", "sex": "female", "birth": "1959-03-14", "no_number_reason": "not_at_hand",
        "to": "referral", "phone": "13800003027",
    }  # fmt: skip
    href = stage.post("han", "/patients/new", dict(entry))
    assert href.startswith("/referrals/new?about=")
    return href.partition("about=")[2]


def sent(stage: Stage, patient: str) -> tuple[str, str]:
    """A referral with a file, signed while the link is cut: its address and the sealed file."""
    page = stage.get("han", f"/referrals/new?about={patient}")
    assert "吴桂兰" in page
    upload = [("files", ("心电图.png", PNG, "image/png"))]
    told = {"patient": patient, "exchange": exchange(page)}
    href = stage.post("han", "/referrals/new", {**fields(do="attach"), **told}, upload)
    page = stage.get("han", href)
    assert "心电图.png" in page
    sealed = page.split('name="paper" value="', 1)[1].split('"', 1)[0]
    href = stage.post("han", "/referrals/new", {**fields(), **told, "paper": sealed})
    again = stage.post("han", "/referrals/new", {**fields(), **told, "paper": sealed})
    assert again == href
    return href, sealed


def returned_and_sent_again(stage: Stage, href: str, *, patient: str, sealed: str) -> None:
    page = stage.get("lu", f"{href}?act=return")
    told = {"exchange": exchange(page), "missing": ["labs", "ecg"], "note": "请补"}
    assert stage.post("lu", f"{href}/return", told) == href
    stage.settle()
    page = stage.get("han", f"{href}/resend")
    assert "检验结果" in words(page)
    told = {"patient": patient, "exchange": exchange(page), "paper": sealed}
    stage.post("han", f"{href}/resend", {**fields(history="肌钙蛋白 I 0.06 μg/L"), **told})
    stage.settle()
    assert "肌钙蛋白 I 0.06" in words(stage.get("lu", href))


def accepted_and_arrived(stage: Stage, href: str) -> None:
    page = stage.get("lu", f"{href}?act=accept")
    day = page.split('type="date" name="date" value="', 1)[1].split('"', 1)[0]
    told = {"exchange": exchange(page), "when": "date", "date": day, "place": "门诊楼 3 诊室"}
    stage.post("lu", f"{href}/accept", told)
    stage.settle()
    assert "门诊楼 3 诊室" in words(stage.get("han", href))
    slip = stage.get("han", f"{href}/slip")
    assert "吴*兰" in words(slip)
    assert "吴桂兰" not in slip.split('class="ticket', 1)[1]
    assert 'class="qr"' in slip
    code = slip.split('class="num mono">', 1)[1].split("<", 1)[0]
    found = stage.browsers["desk"].get(f"/referrals/arrivals?number={code}")
    assert found.headers["location"] == href
    assert "吴桂兰" in stage.get("desk", "/referrals/arrivals")
    page = stage.get("desk", f"{href}?act=arrive")
    stage.post("desk", f"{href}/arrive", {"exchange": exchange(page)})
    stage.settle()


def reported_and_closed(stage: Stage, href: str) -> None:
    page = stage.get("lu", f"{href}/report")
    told = {"exchange": exchange(page), "diagnosis": "冠心病", "findings": "前降支狭窄 70%"}
    stage.post("lu", f"{href}/report", {**told, "advice": "双抗一年"})
    stage.settle()
    assert "前降支狭窄 70%" in words(stage.get("han", href))
    page = stage.get("han", f"{href}?act=acknowledge")
    stage.post("han", f"{href}/acknowledge", {"exchange": exchange(page), "reason": "adopted"})
    stage.settle()


def test_the_journey_in_the_browser(stage: Stage) -> None:
    patient = registered(stage)
    stage.world.members["shiqiao"].link.cut = True
    href, sealed = sent(stage, patient)
    case = href.removeprefix("/referrals/")
    assert "本机待发" in words(stage.get("han", href))
    assert "看发件箱" in words(stage.get("han", "/"))

    stage.world.members["shiqiao"].link.cut = False
    stage.settle()
    assert "已签收" in words(stage.get("han", href))
    assert stage.browsers["lu"].get("/referrals").headers["location"] == href
    page = words(stage.get("lu", href))
    for text in ("活动后胸闷", "168/94", "青霉素：皮疹", "石桥镇卫生院", "协议第 1 版许可"):
        assert text in page, text
    image = stage.browsers["lu"].get(f"/referrals/{case}/files/{sealed}")
    assert (image.content, image.headers["content-type"]) == (PNG, "image/png")
    with stage.world.reading("lu") as session:
        seen = viewing.view(session, case, actor=stage.world.actor("lu")).patient
        assert seen is not None
        assert audit.viewed_by(session, seen.id, limit=1)[0].action == "referral.file"
    stage.settle()
    assert "对方已读" in words(stage.get("han", href))

    returned_and_sent_again(stage, href, patient=patient, sealed=sealed)
    accepted_and_arrived(stage, href)
    reported_and_closed(stage, href)
    for name in ("han", "lu"):
        page = words(stage.get(name, href))
        assert "已闭环" in page
        assert page.count("账本 ") >= 7
    assert "前降支狭窄 70%" in words(stage.get("han", f"/patients/{patient}"))


def test_what_is_refused_stays_in_the_form_with_clause_and_way_out(stage: Stage) -> None:
    patient = registered(stage)
    page = stage.get("han", f"/referrals/new?about={patient}")
    assert "协议未含" in words(page)
    told = {"patient": patient, "exchange": exchange(page)}
    answer = stage.send("han", "/referrals/new", {**fields(target="lead/neurology"), **told})
    assert answer.status_code == 403
    assert "contract.service" in answer.text
    assert "活动后胸闷" in answer.text
    assert 'href="#target"' in answer.text
    answer = stage.send("han", "/referrals/new", {**fields(question=""), **told})
    assert answer.status_code == 422
    assert 'href="#question"' in answer.text
    answer = stage.send("han", "/referrals/new", {**fields(systolic="3000"), **told})
    assert 'id="systolic-error"' in answer.text
    with stage.world.reading("han") as session:
        actor = stage.world.actor("han")
        draft = drafts.read(session, actor=actor, form=form.name(patient))
        assert draft is not None
        assert draft.fields["systolic"] == "3000"
        assert viewing.listing(session, actor=actor).rows == []


def test_a_file_that_is_none_is_refused_and_the_form_stays(stage: Stage) -> None:
    patient = registered(stage)
    page = stage.get("han", f"/referrals/new?about={patient}")
    told = {"patient": patient, "exchange": exchange(page)}
    upload = [("files", ("virus.png", b"MZ\x90\x00", "image/png"))]
    answer = stage.send("han", "/referrals/new", {**fields(do="attach"), **told}, upload)
    assert "upload.program" in answer.text
    assert "活动后胸闷" in answer.text


def test_a_refused_act_comes_back_to_its_row(stage: Stage) -> None:
    patient = registered(stage)
    page = stage.get("han", f"/referrals/new?about={patient}")
    told = {"patient": patient, "exchange": exchange(page)}
    href = stage.post("han", "/referrals/new", {**fields(), **told})
    stage.settle()
    page = stage.get("lu", f"{href}?act=decline")
    answer = stage.send(
        "lu", f"{href}/decline", {"exchange": exchange(page), "reason": "other", "note": ""}
    )
    assert answer.status_code == 422
    assert "referral.reason" in answer.text
    answer = stage.send("han", f"{href}/accept", {"exchange": exchange(page), "when": "date"})
    assert answer.status_code == 404


def test_a_stranger_meets_pages_that_do_not_exist(stage: Stage) -> None:
    patient = registered(stage)
    page = stage.get("han", f"/referrals/new?about={patient}")
    href = stage.post(
        "han", "/referrals/new", {**fields(), "patient": patient, "exchange": exchange(page)}
    )
    stage.settle()
    other = stage.site("tan").browser("tan")
    for path in (href, f"{href}/slip", f"{href}/resend", f"/patients/{patient}", f"{href}/files/x"):
        assert other.get(path).status_code == 404, path
    assert other.get("/referrals/arrivals").status_code == 404
    assert stage.browsers["lu"].get("/referrals/new").status_code == 404


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_page_is_said_in_both_languages(stage: Stage, lang: str) -> None:
    patient = registered(stage)
    page = stage.get("han", f"/referrals/new?about={patient}")
    href = stage.post(
        "han", "/referrals/new", {**fields(), "patient": patient, "exchange": exchange(page)}
    )
    stage.settle()
    for name in ("han", "lu", "desk"):
        stage.post(name, "/language", {"to": lang, "back": "/"})
    acts = [f"{href}?act={act}" for act in ("claim", "accept", "return", "decline", "correct")]
    paths = {
        "han": ["/", "/referrals", href, f"{href}?act=cancel", f"{href}?act=correct",
                f"{href}/slip?width=w80", "/patients", f"/patients/{patient}",
                f"/patients/{patient}/correct", f"/referrals/new?about={patient}"],
        "lu": [href, "/referrals?all=1", *acts, f"/patients/{patient}"],
        "desk": ["/referrals/arrivals", "/referrals/arrivals?number=x"],
    }  # fmt: skip
    for name, wanted in paths.items():
        for path in wanted:
            html = stage.get(name, path)
            assert f'lang="{"zh-CN" if lang == "zh" else "en"}"' in html
            assert html.split("<main", 1)[1].split("</main>", 1)[0].count("<h1") == 1, path


def test_an_event_brings_what_changed_and_leaves_the_fields(stage: Stage) -> None:
    from consortium.web import events
    from consortium.web.events import Moment
    from consortium.web.wording import Look, written

    patient = registered(stage)
    page = stage.get("han", f"/referrals/new?about={patient}")
    href = stage.post(
        "han", "/referrals/new", {**fields(), "patient": patient, "exchange": exchange(page)}
    )
    stage.settle()
    site = stage.site("lu")
    look = Look("zh", stage.world.clock.now())
    with written(look), site.node.database.read() as session:
        moment = Moment(site.node, session, stage.world.actor("lu"), look, "triage", -1)
        html = events.PARTS["referral"](moment, href.removeprefix("/referrals/"))
        assert events.PARTS["referral"](moment, "nothing") == ""
    for part in ("#case-aside", "#case-keys", "#queue"):
        assert f'hx-target="{part}"' in html
    assert "<textarea" not in html


def test_an_emergency_without_a_link_shows_whom_to_call(stage: Stage) -> None:
    first = stage.browsers["han"].get("/referrals/new?urgency=emergency").headers["location"]
    assert first == "/patients?to=emergency"
    told = {"name": "马德顺", "sex": "male", "birth": "1968", "no_number_reason": "not_at_hand"}
    href = stage.post("han", "/patients/new", {**told, "to": "emergency"})
    site = stage.site("han")
    site.node.link = LinkState(online=False, since=stage.world.clock.now())
    stage.world.members["shiqiao"].link.cut = True
    page = stage.get("han", href)
    assert 'value="emergency" checked' in page
    send = page.index('value="send"')
    assert page.index('href="tel:0550-5550120"') < send
    assert page.rindex('href="tel:0550-5550120"') < send
    patient = href.partition("about=")[2].partition("&")[0]
    sent = {"patient": patient, "exchange": exchange(page), "urgency": "emergency", "do": "send"}
    case = stage.post(
        "han", "/referrals/new", {**sent, "target": "lead/neurology", "question": "胸痛 2 小时"}
    )
    page = stage.get("han", case)
    assert "还没送出" in words(page)
    assert "tel:0550-5550120" in page
    assert "急危，现在就去" in words(stage.get("han", f"{case}/slip"))
