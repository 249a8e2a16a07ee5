"""Heads and administrators see contracts and figures: no page of theirs names a patient."""

import html
import re

import pytest
from sqlalchemy import select

from consortium.cli import check_page
from consortium.patients.tables import PatientTable
from tests.support.real_world import World

PAGES = ("/", "/?scope=member", "/outbox", "/receipts", "/ledger", "/contracts", "/people")


def _patients(world: World, login: str) -> set[str]:
    with world.node_of(login).database.read() as session:
        return set(session.scalars(select(PatientTable.name)))


@pytest.mark.parametrize("login", ["chen", "lin", "gaoyuan"])
def test_no_page_of_a_head_names_a_patient(common_world: World, login: str) -> None:
    browser, names = common_world.browser(login), _patients(common_world, login)
    assert names
    pages = set(PAGES) | {f"/search?q={name}" for name in names}
    for path in PAGES:
        page = browser.get(path)
        links = check_page.read(path, page.status_code, page.text).links
        pages |= {href for href, _word in links if re.match(r"/(?!sign-out)", href)}
    for path in sorted(pages):
        text = html.unescape(browser.get(path).text)
        if path.startswith("/search"):
            text = re.sub(r'value="[^"]*"|<(title|h1)[^>]*>.*?</\1>', "", text)
            assert "/referrals/" not in text
            assert "/bookings/" not in text
            continue
        assert [name for name in names if name in text] == [], path


def test_a_doctor_of_the_same_member_reads_them(common_world: World) -> None:
    text = common_world.browser("han").get("/outbox").text
    assert any(name in text for name in _patients(common_world, "han"))
