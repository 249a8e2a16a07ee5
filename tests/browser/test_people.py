"""Eight people of three nodes in one browser."""

import pytest
from playwright.sync_api import expect

from consortium.cli.demo_people import PEOPLE
from tests.browser.world import World

pytestmark = pytest.mark.browser


def test_everybody_signs_in_and_one_profile_keeps_all_three_nodes(world: World) -> None:
    with world.window() as profile:
        page = profile.new_page()
        for one in PEOPLE:
            world.sign_in(page, one.login)
            expect(page.locator("summary.who")).to_contain_text(one.name)
        last = ("song", "han", "bai")
        for login in last:
            world.sign_in(page, login)
        for login in last:
            page.goto(world.base(login))
            name = next(one.name for one in PEOPLE if one.login == login)
            expect(page.locator("summary.who")).to_contain_text(name)
