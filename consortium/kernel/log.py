"""Structured logs, one JSON object a line, that cannot hold patient data.

No free text passes: a value is a number, a truth or a short code (ids, kinds, stable words). What
is neither is withheld, and so is anything shaped like an identity or telephone number. Of an
exception the type and the frames are kept, never its message: messages quote their input.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any, Final, TextIO

import structlog

WITHHELD: Final = "withheld"
_CODE = re.compile(r"[\w.:/@+=>,\-]{0,200}", re.ASCII)
# GB 11643 identity numbers and mobile numbers, not inside a longer id
_PERSONAL = re.compile(r"(?<![\w-])(?:\d{17}[\dXx]|(?:\+?86)?1[3-9]\d{9})(?![\w-])")
_FRAMES_MAX = 30
# these speak of every request that they make; only their warnings are news
_CHATTY = ("httpx2", "httpcore2")
_OWN = frozenset({"event", "frames", "level", "logger", "time"})

Event = MutableMapping[str, Any]


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module: `logger(__name__).info("exchange.pushed", index=12)`."""
    bound: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return bound


def configure(*, level: str, node: str = "", stream: TextIO | None = None) -> None:
    """Send every log of this process, libraries' too, to one stream (default: standard error)."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_library, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _named(node),
                _frames,
                sieve,
                structlog.processors.JSONRenderer(ensure_ascii=False, sort_keys=True),
            ],
        )
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))


def sieve(_logger: object, _method: str, event: Event) -> Event:
    """Withhold every value that could be a person's."""
    for key, value in event.items():
        if key not in _OWN:
            event[key] = _sifted(value)
    event["event"] = _sifted(event["event"])
    return event


def _sifted(value: object) -> object:
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return WITHHELD if _PERSONAL.fullmatch(str(value)) else value
    if isinstance(value, list | tuple | set | frozenset):
        return [_sifted(one) for one in value]
    text = str(value)
    return text if _CODE.fullmatch(text) and not _PERSONAL.search(text) else WITHHELD


def _library(_logger: object, _method: str, event: Event) -> Event:
    """A library's message is free text; its place in the library's code says as much."""
    record: logging.LogRecord = event["_record"]
    event["event"] = "library"
    event["place"] = f"{record.module}.{record.funcName}:{record.lineno}"
    return event


def _named(node: str) -> structlog.typing.Processor:
    def name(_logger: object, _method: str, event: Event) -> Event:
        if node:
            event.setdefault("node", node)
        return event

    return name


def _frames(_logger: object, _method: str, event: Event) -> Event:
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    if isinstance(info, BaseException):
        info = (type(info), info, info.__traceback__)
    if not info or info[0] is None:
        return event
    event["error"] = info[0].__qualname__
    event["frames"] = _places(info[2])
    return event


def _places(traceback: TracebackType | None) -> list[str]:
    places = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        module = traceback.tb_frame.f_globals.get("__name__", "")
        places.append(f"{module}.{code.co_name}:{traceback.tb_lineno}")
        traceback = traceback.tb_next
    return places[-_FRAMES_MAX:]
