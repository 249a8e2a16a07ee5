"""Logs: one JSON object a line, and nothing of a patient in any of them."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from consortium.kernel import log


class Lines(io.StringIO):
    """What was logged, read back."""

    def read_all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture
def lines() -> Iterator[Lines]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = Lines()
    log.configure(level="INFO", node="node-1", stream=stream)
    yield stream
    root.handlers[:], root.level = before, level
    structlog.reset_defaults()


def test_a_line_says_when_where_what(lines: Lines) -> None:
    log.logger("consortium.exchange").info("exchange.pushed", index=12, lane="urgent", ok=True)
    (line,) = lines.read_all()
    assert line.pop("time").endswith("Z")
    assert line == {
        "event": "exchange.pushed", "index": 12, "lane": "urgent", "level": "info",
        "logger": "consortium.exchange", "node": "node-1", "ok": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [
        "张三", "chest pain since Monday", "330106198001011231", "33010619800101123X", 13912345678,
        "+8613912345678", ["ok", "李四"], {"name": "张三"}, "name=13912345678",
    ],
)  # fmt: skip
def test_what_could_be_a_persons_is_withheld(lines: Lines, value: object) -> None:
    log.logger("x").warning("referral.refused", value=value)
    text = lines.getvalue()
    assert log.WITHHELD in text
    for word in ("张", "李", "pain", "3301", "1391"):
        assert word not in text


@pytest.mark.parametrize(
    "value", ["0192f3a4-5b6c-7d8e-9f01-139123456789", "case:a/3", 1_790_000_000_123, 0.5, None]
)
def test_ids_codes_and_numbers_pass(lines: Lines, value: object) -> None:
    log.logger("x").info("exchange.pushed", value=value)
    assert lines.read_all()[0]["value"] == value


def test_an_error_is_its_type_and_its_places_never_its_message(lines: Lines) -> None:
    try:
        int("张三 330106198001011231")
    except ValueError:
        log.logger("x").exception("job.failed", job="deliver")
    (line,) = lines.read_all()
    assert (line["error"], line["job"]) == ("ValueError", "deliver")
    assert "test_an_error_is_its_type" in line["frames"][-1]
    assert "3301" not in lines.getvalue()


def test_a_library_is_quoted_by_its_place(lines: Lines) -> None:
    logging.getLogger("uvicorn.error").error("Bad request from %s", "张三")
    (line,) = lines.read_all()
    assert (line["event"], line["logger"]) == ("library", "uvicorn.error")
    assert line["place"].startswith("test_log.test_a_library")
    assert "张" not in lines.getvalue()


def test_what_is_below_the_level_is_not_written(lines: Lines) -> None:
    log.logger("x").debug("exchange.detail")
    assert lines.getvalue() == ""


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.text()))
def test_only_codes_pass_whatever_is_logged(values: dict[str, str]) -> None:
    sifted = log.sieve(
        None, "info", {"event": "e.v", **{f"k{key}": v for key, v in values.items()}}
    )
    assert all(isinstance(value, str) and value.isascii() for value in sifted.values())
    assert not any(" " in str(value) for value in sifted.values())
