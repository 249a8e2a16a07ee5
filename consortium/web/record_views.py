"""A record as pages draw one: what it says in words, where it came from, its original."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy.orm import Session

from consortium.exchange.blobs import IDENTITY_URL
from consortium.fhir import gate
from consortium.kernel.time import ZONE
from consortium.records.library import Record
from consortium.web import patient_views
from consortium.web.names import member_name
from consortium.web.record_files import files_of
from consortium.web.views import Attachment
from consortium.web.wording import dated, t

LINES_MOST: Final = 60
ORIGINAL_MOST: Final = 20_000


@dataclass(frozen=True, slots=True)
class RecordView:
    """One record. `lines` are its texts in order, `original` its FHIR JSON, indented.

    What opens its files is left out of the original.
    """

    record: Record
    title: str
    text: str
    day: str
    source: str
    lines: list[str]
    original: str
    files: Sequence[Attachment]


def build(session: Session, record: Record) -> RecordView:
    """The record's page, in the language being written."""
    resource = record.resource
    return RecordView(
        record=record,
        title=t(f"contract.type.{record.type}"),
        text=patient_views.summary(resource),
        day=dated(day_of(record.start)) if record.start else t("records.list.undated"),
        source=t("records.list.own") if record.own else member_name(session, record.source),
        lines=list(dict.fromkeys(_texts(resource)))[:LINES_MOST],
        original=_indented(record.raw),
        files=files_of(session, [record]),
    )


def day_of(moment: datetime, *, last: bool = False) -> date:
    """The day of a moment in the charter's zone; of the end of a span (`last`) its last day."""
    return (moment - timedelta(milliseconds=1 if last else 0)).astimezone(ZONE).date()


def _texts(value: Any) -> Iterator[str]:
    """What people wrote into a resource: texts, displays, conclusions, measured values."""
    if isinstance(value, list):
        for one in value:
            yield from _texts(one)
    if not isinstance(value, Mapping):
        return
    if "value" in value and "unit" in value:
        yield f"{value['value']} {value['unit']}"
    for name, inner in value.items():
        if name in ("text", "display", "conclusion", "description", "title") and isinstance(
            inner, str
        ):
            yield inner
        elif isinstance(inner, list | Mapping) and name not in ("meta", "extension"):
            yield from _texts(inner)


def _indented(raw: bytes) -> str:
    """The original for people's eyes: indented, cut where it is long. Its bytes stay as stored."""
    parsed = _without_secrets(gate.parse(raw))
    text = orjson.dumps(orjson.loads(gate.dump(parsed)), option=orjson.OPT_INDENT_2).decode()
    return text[:ORIGINAL_MOST]


def _without_secrets(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_secrets(one) for one in value if not _is_secret(one)]
    if isinstance(value, Mapping):
        return {name: _without_secrets(inner) for name, inner in value.items()}
    return value


def _is_secret(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("url") == IDENTITY_URL
