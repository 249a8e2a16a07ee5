"""Files of released documents: fetched, shown with their source, opened by whoever may read."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from consortium import audit
from consortium.exchange import blobs
from consortium.exchange.courier import Courier
from consortium.fhir.elements import moment
from tests.consortium.exchange.files import document
from tests.consortium.records.asking import DAY, add, ask, at, kept, person, release
from tests.consortium.referrals.test_pages import words
from tests.consortium.teleconsult.stage import PNG, Stage, staged
from tests.consortium.teleconsult.world import Clinics
from tests.support.databases import SqliteFiles

TYPES = ("DocumentReference",)


@pytest.fixture
def stage(
    tmp_path: Path, sqlite_files: SqliteFiles, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    with staged(tmp_path, sqlite_files, monkeypatch) as made:
        yield made


def letter(world: Clinics, patient: str, name: str, raw: bytes = PNG) -> str:
    """A document of the hospital with its file; the file's name."""
    now = world.clock.now()
    with world.writing("lu") as session:
        sealed = blobs.seal(
            session, world.members["lead"].store, raw, name=f"{name}.png",
            content_type="image/png", now=now,
        ).id  # fmt: skip
        attached = blobs.attachment(session, sealed)
    told = {"subject": {"reference": f"Patient/{patient}"}, "date": moment(now - DAY)}
    add(world, {**document(name, attached), **told, "description": "出院小结"}, patient)
    return sealed


def test_the_file_of_a_document_is_fetched_shown_and_opened(stage: Stage) -> None:
    world = stage.world
    here, there = person(world, "han"), person(world, "lu")
    sealed = letter(world, there, "letter")
    ask(world, here, types=TYPES)
    stage.settle()
    [record] = kept(world, here)
    page = stage.get("han", f"/patients/{here}")
    for text in ("letter.png", "清源市第一人民医院"):
        assert text in words(page), text
    href = f"/records/{record.id}/files/{sealed}"
    assert href in page
    one = stage.get("han", f"/records/{record.id}")
    assert href in one
    # the secret that opens the file is nobody's reading
    assert "AGE-SECRET-KEY" not in one
    answer = stage.browsers["han"].get(href)
    assert (answer.content, answer.headers["content-type"]) == (PNG, "image/png")
    with world.reading("han") as session:
        assert audit.viewed_by(session, here)[0].action == "records.file"
    assert stage.browsers["tan"].get(href).status_code == 404
    assert stage.browsers["han"].get(href[:-1] + "0").status_code == 404


def test_a_file_that_is_still_to_come_is_said_to_wait(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = stage.world
    here, there = person(world, "han"), person(world, "lu")
    sealed = letter(world, there, "letter")
    ask(world, here, types=TYPES)
    get = Courier._get_blobs
    monkeypatch.setattr(Courier, "_get_blobs", lambda *_: 0)
    stage.settle()
    [record] = kept(world, here)
    href = f"/records/{record.id}/files/{sealed}"
    for path in (f"/patients/{here}", f"/records/{record.id}"):
        page = stage.get("han", path)
        assert "letter.png" in words(page)
        assert "还在传" in words(page)
        assert href not in page
    waiting = stage.browsers["han"].get(href)
    assert waiting.status_code == 503
    assert "还没到" in words(waiting.text)
    monkeypatch.setattr(Courier, "_get_blobs", get)
    for _ in range(3):
        stage.settle()
    assert href in stage.get("han", f"/patients/{here}")
    assert stage.browsers["han"].get(href).content == PNG


def test_each_part_of_a_release_carries_its_own_files(stage: Stage) -> None:
    world = stage.world
    here, there = world.patient("han"), person(world, "lu")
    names = [letter(world, there, f"letter-{n}", b"%d" % n) for n in range(40)]
    case = ask(world, here, types=TYPES)
    stage.settle()
    release(world, case, there)
    for _ in range(4):
        stage.settle()
    assert at(world, "han", case).state == "released"
    found = kept(world, here)
    page = stage.get("han", f"/patients/{here}")
    assert len(set(re.findall(r"/records/[0-9a-f-]{36}/files/([0-9a-f]{64})", page))) >= len(found)
    store = world.members["shiqiao"].store
    assert all(store.get(one) for one in names)
