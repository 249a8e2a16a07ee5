"""No visible word without a key: with every sentence replaced by its key, only data is left."""

import re
from collections.abc import Iterator
from unittest import mock

import pytest
from playwright.sync_api import Page

from consortium import words
from tests.browser.site import Site

pytestmark = pytest.mark.browser
PAGES = ("/", "/outbox", "/ledger", "/search?q=zz", "/help", "/people", "/account", "/hand-over")
DATA = (
    "han", "韩素云", "石桥镇卫生院", "Shiqiao Township", "市人民医院",
    "马德顺", "钟秀英", "李长庚", "何秀莲", "陈水根", "赵巧云", "孙有田", "钱玉梅", "郑来福",
    "神经内科", "链路", "患者", "呼吸内科", "web.not_found", "ledger.policy", "zz", "KB", "MB",
    "Choose File", "No file chosen", "F1", "Esc", "Ctrl Enter", "Enter", "N",
)  # fmt: skip


@pytest.fixture
def keyed() -> Iterator[None]:
    """Every sentence is its key in brackets."""
    with mock.patch.object(words, "say", lambda key, lang, **params: f"⟦{key}⟧"):
        yield


def test_only_names_and_numbers_are_not_sentences(site: Site, keyed: None) -> None:
    with site.page() as page:
        left = {path: found for path in PAGES if (found := _left(page, path))}
        assert left == {}


def _left(page: Page, path: str) -> list[str]:
    page.goto(path)
    text = page.evaluate(
        """() => document.title + '\\n' + document.body.innerText + '\\n' +
          [...document.querySelectorAll('[aria-label],[placeholder],[title],[alt]')].map((el) =>
            ['aria-label', 'placeholder', 'title', 'alt'].map((a) => el.getAttribute(a) ?? '')
            .join('\\n')).join('\\n')"""
    )
    text = re.sub(r"⟦[^⟧]*⟧", " ", text)
    for known in sorted(DATA, key=len, reverse=True):
        text = text.replace(known, " ")
    return sorted(set(re.findall(r"[^\W\d_]+", text)))
