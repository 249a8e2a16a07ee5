"""Pages in English over the real app: institutions go by the English names they registered."""

import html
import re

import pytest

from consortium.cli import check_page
from consortium.cli.demo_people import CLINICS, CONSORTIUM, HOSPITAL
from tests.support.real_world import World

PLACES = (CONSORTIUM, HOSPITAL, *CLINICS)
OFTEN = ("/", "/referrals?all=1", "/bookings", "/records", "/outbox", "/contracts")
"""Lists in which every institution that one deals with stands."""
FREE_TEXT = re.compile(r"\w+协议")
"""Titles of contracts: written by people, in the language in which they write."""


@pytest.mark.parametrize("login", ["han", "gu", "song", "gaoyuan"])
def test_no_institution_stands_there_in_chinese(common_world: World, login: str) -> None:
    browser = common_world.browser(login, anew=True)
    browser.post("/language", {"to": "en", "back": "/"})
    reached = set(OFTEN)
    for path in OFTEN:
        page = browser.get(path)
        if page.status_code == 200:
            links = check_page.read(path, 200, page.text).links
            reached |= {href for href, _word in links if re.fullmatch(r"/\w+/[0-9a-f-]{36}", href)}
    named = set()
    for path in sorted(reached):
        text = html.unescape(browser.get(path).text)
        for place in PLACES:
            if place.name_en in text:
                named.add(place.member)
            assert place.name_zh not in FREE_TEXT.sub("", text), (path, place.name_zh)
    assert "lead" in named
