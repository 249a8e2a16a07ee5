"""Pages with invented people, to look at: a clinic as in the pictures, and a page of all parts.

    python -m tests.browser.preview 8765 [offline]

Test code only: the product has no such page.
"""

# ruff: noqa: E501 - tables of invented words are read in lines

import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import uvicorn
from jinja2 import ChoiceLoader, FileSystemLoader

from consortium import words
from consortium.desk import service as desk
from consortium.desk.model import DeskRow
from consortium.exchange.links import LinkState
from consortium.kernel.database import Database
from consortium.web import pages
from tests.browser.gallery import router as gallery
from tests.support.clock import VirtualClock
from tests.support.databases import fill
from tests.support.web_stage import Stage, a_row, furnish, stage

NOW = datetime(2026, 11, 24, 2, 12, tzinfo=UTC)
ROWS: tuple[tuple[str, str, str, date, str, str, str, str, float | None, float, str], ...] = (
    # urgency, name, sex, born, need, source, turn, who, hours left, hours used, act
    ("emergency", "马德顺", "male", date(1968, 2, 1), "补交绿色通道手续：知情同意", "胸痛 2 小时，已到市院急诊 08:41", "mine", "", 22.5, 1.5, "补手续"),
    ("urgent", "钟秀英", "female", date(1962, 3, 1), "补充 2 项后重发：尿常规、用药清单", "肾内科 顾明远 11-20 周五退回", "mine", "", -1.7, 4, "去补充"),
    ("urgent", "李长庚", "male", date(1965, 5, 1), "远程会诊 10:30，内分泌科", "血糖控制不佳，房间已开放，链路可用语音", "mine", "", 0.3, 2, "进会诊间"),
    ("routine", "何秀莲", "female", date(1972, 8, 1), "答复下转：脑梗恢复期，需康复床 1 张", "神经内科 · 用药 4 种，本院有 3 种", "mine", "", 6.8, 3, "看计划"),
    ("routine", "陈水根", "male", date(1954, 9, 1), "阅回传报告，标注是否采纳", "冠脉造影后出院 · 附随访计划 5 项", "mine", "", 49, 23, "阅报告"),
    ("urgent", "赵巧云", "female", date(1981, 1, 1), "上转 · 分诊中", "神经内科，09:02 已签收，账本 48 207", "theirs", "神经内科", 2.84, 1.2, "看进度"),
    ("routine", "孙有田", "male", date(1960, 1, 1), "上转 · 待发送，已存本机", "骨科，10:09 入发件箱，正在发 62%", "theirs", "链路", None, 0, "看发件箱"),
    ("routine", "钱玉梅", "female", date(1988, 1, 1), "已预约，待到诊", "明日 09:20 妇科门诊 3 诊室，凭条已打印", "theirs", "患者", 23, 40, "看进度"),
    ("routine", "郑来福", "male", date(1956, 1, 1), "已同意接收，排队等床位", "呼吸内科，排第 4 位，昨日收治 2 人", "theirs", "呼吸内科", 48.1, 20, "看进度"),
)  # fmt: skip
LONG_EN = "A sentence in English that is about sixty per cent longer than the Chinese one"


@contextmanager
def invented_words() -> Iterator[None]:
    """The sentences of the invented rows, under keys that no room has."""
    made: dict[str, Mapping[str, str]] = {}
    for place, row in enumerate(ROWS):
        made[f"preview.need{place}"] = {"zh": row[4], "en": LONG_EN[:38]}
        made[f"preview.source{place}"] = {"zh": row[5], "en": LONG_EN}
        made[f"preview.act{place}"] = {"zh": row[10], "en": "Add papers"}
    whole = {**words._sentences(), **made}
    with mock.patch.object(words, "_sentences", return_value=whole):
        yield


def rows(now: datetime) -> Iterator[DeskRow]:
    """The worklist of picture 01."""
    for place, (urgency, name, sex, born, _need, _source, turn, who, left, used, _act) in enumerate(
        ROWS
    ):
        more: dict[str, Any] = {"turn": turn, "turn_name": who, "patient_sex": sex}
        yield a_row(
            f"case{place}",
            name,
            now,
            urgency=urgency,
            patient_birth=born,
            need=f"preview.need{place}",
            source=f"preview.source{place}",
            act=f"preview.act{place}",
            due_at=None if left is None else now + timedelta(hours=left),
            started_at=now - timedelta(hours=used),
            topic="teleconsult" if place == 2 else "referral",
            **more,
        )


def preview_stage(home: Path, *, offline: bool = False) -> Stage:
    """A clinic as in the pictures. The words must be invented around it."""
    clock = VirtualClock(NOW)
    fill(f"sqlite:///{home / 'node.db'}")
    furnish(Database(f"sqlite:///{home / 'node.db'}"))
    made = stage(Database(f"sqlite:///{home / 'node.db'}"), home, clock)
    actor = made.person("han", "韩素云")
    made.put(*rows(clock.now()))
    with made.node.database.write() as session:
        desk.visit(session, actor=actor, now=NOW - timedelta(hours=16))
    if offline:
        down = timedelta(hours=2, minutes=14)
        made.node.link = LinkState(online=False, since=NOW - down, last_sync=NOW - down)
    made.app.include_router(gallery)
    own = FileSystemLoader(Path(__file__).parent / "templates")
    environment = pages.environment()
    environment.loader = ChoiceLoader([own, environment.loader])  # type: ignore[list-item]
    return made


def main(port: int, *, offline: bool) -> None:
    """Serve until it is stopped."""
    with tempfile.TemporaryDirectory() as home, invented_words():
        uvicorn.run(preview_stage(Path(home), offline=offline).app, port=port, log_level="warning")


if __name__ == "__main__":
    main(int(sys.argv[1]), offline="offline" in sys.argv)
