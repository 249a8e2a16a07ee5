"""Contract pages as their users press them: forms only, no JavaScript."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from consortium.contracts import drafting
from consortium.desk import service as desk
from consortium.desk.signing import ContractRows
from consortium.kernel.database import Database
from consortium.web.events import PARTS, Moment
from consortium.web.wording import Look, written
from tests.consortium.contracts.pages import Pages, fields, put
from tests.consortium.contracts.world import CLINIC, WORD, ContractWorld
from tests.consortium.exchange.world import HUB
from tests.support.databases import SqliteFiles


def _pages(folder: Path, sqlite_files: SqliteFiles) -> Pages:
    """Pages are the same on both databases: their services are tested on both."""
    count = 0

    def make() -> Database:
        nonlocal count
        count += 1
        return sqlite_files.one(folder, f"node{count}.db").__enter__()

    return Pages(ContractWorld(folder, make, ContractRows()))


@pytest.fixture
def pages(tmp_path: Path, sqlite_files: SqliteFiles) -> Pages:
    return _pages(tmp_path, sqlite_files)


@pytest.fixture(scope="module")
def agreed(
    tmp_path_factory: pytest.TempPathFactory, sqlite_files: SqliteFiles
) -> tuple[Pages, str]:
    """A contract in force, for tests that only look."""
    made = _pages(tmp_path_factory.mktemp("agreed"), sqlite_files)
    return made, _agree(made)


def _draft(pages: Pages) -> str:
    """The admin's way from the list to a sound draft."""
    admin = pages.browser("admin")
    page = admin.get("/contracts/new").text
    made = admin.post("/contracts/new", data=put(fields(page, "new"), clinic=CLINIC))
    assert made.status_code == 303
    return str(made.headers["location"])


def _fill(client: TestClient, href: str, *, do: str, **values: str) -> str:
    page = client.get(href).text
    data = put(fields(page, "terms"), **values) | {"do": do}
    answer = client.post(href, data=data)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def _propose(pages: Pages) -> str:
    href = _draft(pages)
    _fill(
        pages.browser("admin"), href, do="propose", s1__what="cardiology.referral", s1__quota="20"
    )
    pages.world.settle()
    return href.rpartition("/")[2]


def _sign(pages: Pages, who: str, contract: str, *, word: str = WORD) -> int:
    client = pages.browser(who)
    page = client.get(f"/contracts/{contract}/sign").text
    files = {}
    if who == "admin":
        content = pages.world.seal_files[HUB].text.encode()
        files = {"seal": ("seal.json", content, "application/json")}
    data = put(fields(page, "sign"), passphrase=word)
    answer = client.post(f"/contracts/{contract}/sign", data=data, files=files)
    pages.world.settle()
    return answer.status_code


def _agree(pages: Pages) -> str:
    contract = _propose(pages)
    for who in ("head", "lead-head", "admin"):
        assert _sign(pages, who, contract) == 303
    return contract


def test_from_the_first_click_to_in_force(pages: Pages) -> None:
    contract = _propose(pages)
    with pages.world.databases[CLINIC].read() as session:
        head = pages.world.actor("head")
        (row,) = desk.worklist(session, actor=head).rows
    assert (row.row.topic, row.row.link) == ("contract", f"/contracts/{contract}")
    page = pages.browser("head").get(f"/contracts/{contract}").text
    for said in (
        "云岭乡卫生院可以把病人转到清源市第一人民医院心内科",
        "最多 20 人",
        "service=cardiology kind=referral",
        "quota=20/month",
        "用本机构印章签署",
        "待联盟管理员用联盟印章签署",
    ):
        assert said in page
    for who in ("head", "lead-head", "admin"):
        assert _sign(pages, who, contract) == 303
    page = pages.browser("head").get(f"/contracts/{contract}").text
    assert "生效中" in page
    assert "本月用量" in page
    assert f"/contracts/{contract}/sign" not in page
    assert pages.world.ask(contract).words == ("v1",)
    page = pages.browser("head").get(f"/contracts/{contract}").text
    assert "<b>1</b> / 20" in page


def test_a_line_is_added_and_removed_by_buttons_and_keeps_its_number(pages: Pages) -> None:
    href, admin = _draft(pages), pages.browser("admin")
    added = _fill(admin, href, do="add", s1__what="cardiology.referral", s1__quota="20")
    assert added.endswith("#service-2")
    _fill(admin, href, do="add", s2__what="cardiology.teleconsult", s2__quota="8")
    _fill(admin, href, do="remove:1", s3__what="neurology.referral", s3__quota="5")
    contract = href.rpartition("/")[2]
    with pages.world.hub_database.read() as session:
        form = drafting.show(session, actor=pages.world.actor("admin"), contract=contract).form
    assert [(one["no"], one["code"], one["kind"], one["quota"]) for one in form["services"]] == [
        (2, "cardiology", "teleconsult", "8"),
        (3, "neurology", "referral", "5"),
    ]


def test_what_is_typed_is_kept_and_shown_in_plain_words(pages: Pages) -> None:
    href, admin = _draft(pages), pages.browser("admin")
    page = admin.get(href).text
    typed = put(fields(page, "terms"), s1__what="cardiology.referral", s1__quota="0")
    kept = admin.post(f"{href}/keep", data=typed, headers={"accept": "application/json"})
    assert set(kept.json()) == {"at"}
    shown = admin.post(f"{href}/preview", data=typed).text
    assert "每月名额是 0" in shown
    typed["s1.quota"] = ["40"]
    shown = admin.post(f"{href}/preview", data=typed).text
    assert "最多 40 人" in shown
    assert "可以提出" in shown
    assert 'name="s1.quota" value="0"' in admin.get(href).text


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "第 1 项服务，服务：还没有填"),
        ({"s1__what": "cardiology.referral"}, "第 1 项服务，每月名额：还没有填"),
        ({"s1__what": "cardiology.referral", "s1__quota": "many"}, "每月名额：还没有填"),
        ({"s1__what": "cardiology.referral", "s1__quota": "0"}, "每月名额是 0"),
        (
            {
                "s1__what": "cardiology.referral", "s1__quota": "9", "s1__routine": "",
                "s1__urgent": "", "s1__emergency": "",
            },
            "没有选紧急程度",
        ),
        ({"s1__what": "cardiology.referral", "s1__quota": "9", "until": "2020-01-01",
          "from": "2026-01-01"}, "终止日在生效日之前"),
        ({"s1__what": "cardiology.referral", "s1__quota": "9", "title": ""}, "协议名称：还没有填"),
    ],
)  # fmt: skip
def test_unsound_terms_come_back_with_what_to_change(
    pages: Pages, values: dict[str, str], said: str
) -> None:
    href, admin = _draft(pages), pages.browser("admin")
    data = put(fields(admin.get(href).text, "terms"), **values) | {"do": "propose"}
    answer = admin.post(href, data=data)
    assert answer.status_code in {409, 422}
    assert said in answer.text
    assert "草稿在本机，没有送出" in answer.text


def test_a_proposal_is_shown_on_its_way_and_then_as_it_stands(pages: Pages) -> None:
    href, admin = _draft(pages), pages.browser("admin")
    after = _fill(admin, href, do="propose", s1__what="cardiology.referral", s1__quota="20")
    contract = href.rpartition("/")[2]
    assert after == f"/contracts/{contract}"
    assert "正在送出" in admin.get(after).text
    assert admin.get(href).headers["location"] == after
    pages.world.settle()
    assert "已提出，等签署" in pages.browser("admin").get(after).text
    assert href not in pages.browser("admin").get("/contracts").text


def test_a_wrong_passphrase_comes_back_to_the_page_and_signs_nothing(pages: Pages) -> None:
    contract = _propose(pages)
    assert _sign(pages, "head", contract, word="wrong wrong wrong") == 403
    page = pages.browser("head").get(f"/contracts/{contract}").text
    assert "待院长用本机构印章签署" in page


def test_suspending_shows_its_effect_first_and_takes_a_second_person(pages: Pages) -> None:
    contract = _agree(pages)
    pages.world.ask(contract, case="k1")
    admin = pages.browser("admin")
    page = admin.get(f"/contracts/{contract}/hold/suspend").text
    assert "在途的 1 件照旧办完" in page
    files = {"seal": ("seal.json", pages.world.seal_files[HUB].text.encode(), "application/json")}
    data = put(fields(page, "hold"), reason="safety", passphrase=WORD)
    asked = admin.post(f"/contracts/{contract}/hold/suspend", data=data, files=files)
    assert asked.status_code == 303
    page = admin.get(f"/contracts/{contract}").text
    assert "秦可立申请中止，等第二个人确认" in page
    assert admin.get(f"/contracts/{contract}/confirm").status_code == 404
    lead = pages.browser("lead-head")
    assert "轮到我" in lead.get("/contracts").text
    page = lead.get(f"/contracts/{contract}/confirm").text
    assert "在途的 1 件照旧办完" in page
    data = put(fields(page, "confirm"))
    assert lead.post(f"/contracts/{contract}/confirm", data=data).status_code == 303
    pages.world.settle()
    page = pages.browser("head").get(f"/contracts/{contract}").text
    assert "已中止" in page
    assert "患者安全" in page
    assert pages.world.ask(contract).code == "contract.suspended"


def test_a_clinic_returns_a_proposal_and_the_next_version_shows_the_difference(
    pages: Pages,
) -> None:
    contract = _propose(pages)
    head = pages.browser("head")
    page = head.get(f"/contracts/{contract}/return").text
    assert "提出方撤回" not in page
    data = put(fields(page, "return"), reason="terms")
    assert head.post(f"/contracts/{contract}/return", data=data).status_code == 303
    pages.world.settle()
    admin = pages.browser("admin")
    token = put(fields(admin.get("/contracts/new").text, "new"))["csrf"]
    href = admin.post(f"/contracts/{contract}/revise", data={"csrf": token}).headers["location"]
    _fill(admin, href, do="propose", s1__quota="40")
    pages.world.settle()
    page = pages.browser("head").get(f"/contracts/{contract}").text
    assert "最多 <del>20</del> <ins>40</ins> 人" in page
    assert "改动 1 处" in page
    only = pages.browser("head").get(f"/contracts/{contract}?only=1").text
    assert only.count("<code>") == 1
    old = pages.browser("head").get(f"/contracts/{contract}?version=1").text
    assert "您看的是第 1 版，最新是第 2 版" in old
    assert f"/contracts/{contract}/sign" not in old


@pytest.mark.parametrize(
    ("who", "path", "status"),
    [
        ("doctor", "/contracts/new", 404),
        ("doctor", "/contracts/{c}", 200),
        ("doctor", "/contracts/{c}/sign", 404),
        ("doctor", "/contracts/{c}/hold/suspend", 404),
        ("head", "/contracts/new", 404),
        ("head", "/contracts/drafts/{c}", 404),
        ("head", "/contracts/{c}/sign", 404),
        ("head", "/contracts/{c}/hold/suspend", 200),
        ("head", "/contracts/{c}/hold/propose", 404),
        ("head", "/contracts/{c}/confirm", 404),
        ("head", "/contracts/{c}/return", 404),
        ("other-head", "/contracts/{c}", 404),
        ("admin", "/contracts/drafts/{c}", 404),
        ("head", "/contracts/{c}?version=9", 404),
        ("head", "/contracts?after=x", 422),
    ],
)
def test_who_may_see_what(agreed: tuple[Pages, str], who: str, path: str, status: int) -> None:
    pages, contract = agreed
    assert pages.browser(who).get(path.format(c=contract)).status_code == status


def test_everything_is_there_in_english(pages: Pages) -> None:
    contract = _propose(pages)
    head = pages.browser("head", lang="en")
    page = head.get(f"/contracts/{contract}").text
    assert "takes up to 20 patients a month from Yunling Township Health Centre" in page
    assert "Sign with the member" in page
    assert "1 minute" not in page
    assert "30 minutes" in page
    listed = head.get("/contracts").text
    assert "My turn" in listed


def test_an_event_brings_the_page_as_it_stands(pages: Pages) -> None:
    contract = _propose(pages)
    actor = pages.world.actor("head")
    node = pages.apps[CLINIC].state.node

    def drawn() -> str:
        look = Look("zh", pages.world.now)
        with written(look), node.database.read() as session:
            moment = Moment(node, session, actor, look, "contracts", -1)
            whole = PARTS["contract"](moment, f"{contract} 0 0")
            return whole + PARTS["contracts"](moment, "")

    with node.database.read() as session:
        before = desk.version(session)
    assert drawn().count("<hx-partial") == 3
    assert "部分已签" not in drawn()
    _sign(pages, "lead-head", contract)
    assert "部分已签" in drawn()
    with node.database.read() as session:
        assert desk.version(session) > before
        notices = desk.notices(session, actor=actor)
    assert [one.word for one in notices] == ["contract.notice.signed"]
