"""The charter: what every member signs on joining. Its bytes are fixed once, at `hub init`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from consortium import words
from consortium.fhir import gate
from consortium.kernel.errors import Refusal, invalid
from consortium.kernel.time import ZONE
from consortium.members import statements

DOCUMENT_MAX_BYTES = 128 * 1024
ARTICLES_MAX = 100
_VERSION = 1
_DEFAULT_ARTICLES = 8


@dataclass(frozen=True, slots=True)
class Charter:
    """A charter as read from its bytes; `document` is what the hash is over."""

    document: bytes
    name: Mapping[str, str]
    origin: str
    zone: str
    articles: Sequence[Mapping[str, str]]

    @property
    def hash(self) -> str:
        return statements.charter_hash(self.document)

    @property
    def data(self) -> Any:
        """The JSON of the document; serialised again it gives the same bytes."""
        return gate.parse(self.document)


def draft(
    *,
    name_zh: str,
    name_en: str,
    origin: str,
    articles: Sequence[Mapping[str, str]] = (),
) -> Charter:
    """A new charter; without own articles it has the eight that the product brings.

    Raises:
        Refusal: `members.charter_form`.
    """
    whole = {
        "v": _VERSION,
        "name": {"zh": name_zh, "en": name_en},
        "origin": origin,
        "zone": ZONE.key,
        "articles": list(articles) or _default_articles(),
    }
    return read(gate.dump(whole))


def read(document: bytes) -> Charter:
    """Read a charter. Raises Refusal `members.charter_form`."""
    wrong = invalid("members.charter_form")
    try:
        whole = gate.parse(document, limit_bytes=DOCUMENT_MAX_BYTES)
    except Refusal:
        raise wrong from None
    if not isinstance(whole, dict) or whole.get("v") != _VERSION:
        raise wrong
    articles = whole.get("articles")
    if not isinstance(articles, list) or not 1 <= len(articles) <= ARTICLES_MAX:
        raise wrong
    if not all(map(_is_pair, [whole.get("name"), *articles])) or not _is_zone(whole.get("zone")):
        raise wrong
    origin = whole.get("origin")
    if not isinstance(origin, str) or not origin or gate.dump(whole) != document:
        raise wrong
    return Charter(document, whole["name"], origin, whole["zone"], tuple(articles))


def fingerprint(vkey: str, charter_hash: str) -> str:
    """What an invitation carries: 128 bits over the log's key and the charter, in hex."""
    content = json.dumps([vkey, charter_hash]).encode()
    return statements.digest(b"sharing-chain/fingerprint/1\0", content)[:16].hex()


def grouped(fingerprint_hex: str) -> str:
    """A fingerprint for the eye: groups of four."""
    return "-".join(fingerprint_hex[at : at + 4] for at in range(0, len(fingerprint_hex), 4))


def _default_articles() -> list[dict[str, str]]:
    return [
        {lang: words.say(f"members.charter.article_{number}", lang) for lang in words.LANGS}
        for number in range(1, _DEFAULT_ARTICLES + 1)
    ]


def _is_pair(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == set(words.LANGS)
        and all(isinstance(text, str) and text.strip() for text in value.values())
    )


def _is_zone(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(ZoneInfo(value))
    except (ZoneInfoNotFoundError, ValueError):
        return False
