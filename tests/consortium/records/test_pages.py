"""Pages of records over HTTP as plain forms send them, on both sides."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from consortium import audit
from consortium.fhir import clinical
from consortium.members.tables import AccountRow
from tests.consortium.records.asking import add, house, person
from tests.consortium.referrals.test_pages import exchange, words
from tests.consortium.teleconsult.stage import PNG, Stage, staged
from tests.support.databases import SqliteFiles


@pytest.fixture
def stage(
    tmp_path: Path, sqlite_files: SqliteFiles, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    with staged(tmp_path, sqlite_files, monkeypatch) as made:
        yield made


def form(patient: str, page: str, **changes: object) -> dict[str, object]:
    return {
        "patient": patient,
        "exchange": exchange(page),
        "to": "lead",
        "types": ["Observation"],
        "months": "12",
        "basis": "explicit",
        "question": "调整用药前看既往结果",
        **changes,
    }


def ask(stage: Stage, patient: str, **changes: object) -> str:
    page = stage.get("han", f"/records/new?patient={patient}")
    picture = [("picture", ("consent.png", PNG, "image/png"))]
    return stage.post("han", "/records/new", form(patient, page, **changes), picture)


def test_a_request_with_the_consents_picture_is_answered_and_read(stage: Stage) -> None:
    here, there = person(stage.world, "han"), person(stage.world, "lu")
    house(stage.world, there)
    href = ask(stage, here)
    assert "等账本登记" in stage.words("han", href)
    stage.settle()
    page = stage.words("han", href)
    for text in ("收到 2 份", "自动提供", "提供病历", "账本"):
        assert text in page, text
    assert "病历已到，2 份，请查看" in stage.words("han", "/")
    image = stage.browsers["han"].get(f"{href}/consent")
    assert (image.content, image.headers["content-type"]) == (PNG, "image/png")
    assert stage.browsers["lu"].get(f"{href}/consent").content == PNG
    with stage.world.reading("lu") as session:
        assert "records.consent" in [act.action for act in audit.viewed_by(session, there)]

    patient = stage.get("han", f"/patients/{here}")
    record = re.search(r'href="(/records/[0-9a-f-]{36})"', patient)
    assert record is not None
    one = stage.get("han", record[1])
    assert "清源市第一人民医院" in words(one)
    assert re.search(r'href="/receipts/[0-9a-f-]{36}"', one)
    with stage.world.reading("han") as session:
        acts = [event.action for event in audit.viewed_by(session, here)]
    assert acts[0] == "records.view"
    assert "records.request" in acts
    assert stage.browsers["tan"].get(record[1]).status_code == 404
    stage.post("han", f"{href}/seen", {})
    assert "病历已到" not in stage.words("han", "/")


def test_a_person_sees_both_sides_and_refuses_with_a_reason(stage: Stage) -> None:
    here, there = person(stage.world, "han"), person(stage.world, "lu", name="吴桂芳")
    house(stage.world, there)
    href = ask(stage, here)
    stage.settle()
    assert "核对身份" in stage.words("desk", "/")
    page = stage.get("desk", href)
    for text in ("吴桂兰", "吴桂芳", "有不一致", "将提供 2 份", "证号或姓名对不上"):
        assert text in words(page), text
    assert "<mark>吴桂兰</mark>" in page
    assert "吴桂芳" not in stage.get("han", href)
    told = {"exchange": exchange(page), "reason": "identity_conflict", "text": "请核对姓名"}
    assert stage.post("desk", f"{href}/refuse", told) == href
    assert stage.post("desk", f"{href}/refuse", told) == href
    stage.settle()
    assert "身份信息不一致" in stage.words("han", href)
    assert "请核对姓名" in stage.words("han", href)
    again = stage.send("desk", f"{href}/release", {"patient": there})
    assert again.status_code == 409


def test_a_person_looks_a_patient_up_and_releases(stage: Stage) -> None:
    here = person(stage.world, "han", number="", no_number_reason="not_at_hand", birth="1960-01-01")
    there = person(stage.world, "lu")
    house(stage.world, there)
    href = ask(stage, here, types=["Observation", "Condition"])
    stage.settle()
    page = stage.get("desk", href)
    assert "本院没有相符的患者" in words(page)
    found = stage.get("desk", f"{href}?q=wgl")
    assert f"{href}?patient={there}" in found
    page = stage.get("desk", f"{href}?patient={there}")
    assert "将提供 3 份" in words(page)
    nobody = stage.send("desk", f"{href}/release", {"exchange": exchange(page)})
    assert nobody.status_code == 422
    assert "没有选定患者" in words(nobody.text)
    stage.post("desk", f"{href}/release", {"exchange": exchange(page), "patient": there})
    stage.settle()
    assert "人工核对后提供" in stage.words("han", href)
    assert "收到 3 份" in stage.words("han", href)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"types": []}, "没有选要哪些资料"),
        ({"months": "0"}, "时间范围须在 1 到 120 个月"),
        ({"months": "x"}, "时间范围须在 1 到 120 个月"),
        ({"question": " "}, "没有写为什么要看"),
        ({"basis": "none"}, "没有选依据"),
        ({"to": "shiqiao"}, "没有选对机构"),
    ],
)
def test_what_is_missing_is_said_and_nothing_typed_is_lost(
    stage: Stage, changes: dict[str, object], said: str
) -> None:
    here = person(stage.world, "han")
    page = stage.get("han", f"/records/new?about={here}")
    fields = form(here, page, **{"question": "调整用药前看既往结果", **changes})
    picture = [("picture", ("consent.png", PNG, "image/png"))]
    answer = stage.send("han", "/records/new", fields, picture)
    assert answer.status_code == 422
    assert said in words(answer.text)
    assert "consent.png" in answer.text
    assert "病历调阅申请草稿" in stage.words("han", "/")


def test_a_consent_needs_its_picture_and_only_a_picture(stage: Stage) -> None:
    here = person(stage.world, "han")
    page = stage.get("han", f"/records/new?about={here}")
    answer = stage.send("han", "/records/new", form(here, page))
    assert "没有同意书照片" in words(answer.text)
    script = [("picture", ("consent.png", b"MZ program", "image/png"))]
    answer = stage.send("han", "/records/new", form(here, page), script)
    assert answer.status_code == 422
    assert "这是一个程序，不是图片或 PDF" in words(answer.text)
    assert "调整用药前看既往结果" in answer.text


def test_an_emergency_is_marked_on_both_sides(stage: Stage) -> None:
    here, there = person(stage.world, "han"), person(stage.world, "lu")
    house(stage.world, there)
    href = ask(stage, here, basis="emergency")
    stage.settle()
    for name in ("han", "desk"):
        assert "急救调阅，没有患者同意，事后要复核" in stage.words(name, href)
    assert "急救，没有同意书" in stage.words("desk", "/records")


def test_a_withdrawn_consent_takes_the_records_off_the_page(stage: Stage) -> None:
    here, there = person(stage.world, "han"), person(stage.world, "lu")
    house(stage.world, there)
    href = ask(stage, here)
    stage.settle()
    page = stage.get("han", href)
    stage.post("han", f"{href}/withdraw", {"exchange": exchange(page), "reason": "patient"})
    stage.settle()
    assert "患者已撤回同意" in stage.words("han", href)
    assert "来自 清源市第一人民医院" not in stage.words("han", f"/patients/{here}")
    assert "同意已撤回" in stage.words("desk", "/records")


def test_pages_are_whole_in_english(stage: Stage) -> None:
    here, there = person(stage.world, "han"), person(stage.world, "lu", name="吴桂芳")
    house(stage.world, there)
    href = ask(stage, here, question="before changing medicines")
    stage.settle()
    for name in ("han", "desk"):
        with stage.site(name).node.database.write() as session:
            session.get_one(AccountRow, stage.world.actor(name).user).language = "en"
    names = re.compile(r"吴桂兰|吴桂芳|韩素云|转诊办|陆怀安|中文")
    for name, path in (
        ("han", f"/records/new?about={here}"),
        ("han", "/records"),
        ("han", href),
        ("desk", "/records"),
        ("desk", href),
    ):
        page = names.sub("", stage.words(name, path))
        assert re.findall(r"[\u4e00-\u9fff]+", page) == [], path


def test_a_coding_of_words_alone_is_shown(stage: Stage) -> None:
    there = person(stage.world, "lu")
    now = stage.world.clock.now()
    told = clinical.vital(id_="p", patient=f"Patient/{there}", name="pulse", value=81, taken=now)
    add(stage.world, {**told, "code": {"coding": [{"display": "指端脉搏"}]}}, there)
    page = stage.words("lu", f"/patients/{there}")
    assert "指端脉搏" in page
    assert "81" in page
