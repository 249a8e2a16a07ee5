"""Chinese on English pages says that it is Chinese."""

import pytest

from consortium.web.tongues import marked


@pytest.mark.parametrize(
    ("html", "wanted"),
    [
        ("<p>Taken up by 顾明远</p>", '<p>Taken up by <bdi lang="zh-CN">顾明远</bdi></p>'),
        (
            "<p>石桥镇卫生院 韩素云 and 顾明远</p>",
            '<p><bdi lang="zh-CN">石桥镇卫生院 韩素云</bdi> and <bdi lang="zh-CN">顾明远</bdi></p>',
        ),
        (
            "<option value=lead>清源医院</option>",
            '<option value=lead lang="zh-CN">清源医院</option>',
        ),
        ('<b lang="zh-CN">顾明远</b>', '<b lang="zh-CN">顾明远</b>'),
        ("<textarea>\n胸闷</textarea>", "<textarea>\n胸闷</textarea>"),
        ("<title>顾明远</title>", "<title>顾明远</title>"),
        ('<a aria-label="看 顾明远">Open</a>', '<a aria-label="看 顾明远">Open</a>'),
    ],
)
def test_each_run_is_marked_once(html: str, wanted: str) -> None:
    assert marked(html, "en") == wanted


def test_chinese_pages_stay_as_they_are() -> None:
    assert marked("<p>顾明远</p>", "zh") == "<p>顾明远</p>"
