"""A member's entry in the directory: what it holds and what may stand in it. Pure."""

import re
from collections.abc import Mapping
from typing import Any

_LENGTHS = {"name_zh": 120, "name_en": 120, "phone": 40, "address": 200}
_NEEDED = ("name_zh", "name_en", "phone")
_PHONE = re.compile(r"[0-9+() -]{3,40}")
_CODE = re.compile(r"[a-z][a-z0-9-]{1,40}")
SERVICES_MAX = 64


def fault(told: object) -> str:
    """The first field that does not fit, empty when all do."""
    if not isinstance(told, Mapping) or told.keys() != {*_LENGTHS, "services"}:
        return "fields"
    for name, most in _LENGTHS.items():
        if not _plain(told[name], most) or (name in _NEEDED and not told[name].strip()):
            return name
    if _PHONE.fullmatch(told["phone"]) is None:
        return "phone"
    services = told["services"]
    if not isinstance(services, list) or len(services) > SERVICES_MAX:
        return "services"
    if len(set(map(str, services))) != len(services):
        return "services"
    good = all(isinstance(one, str) and _CODE.fullmatch(one) for one in services)
    return "" if good else "services"


def of(
    *,
    name_zh: str,
    name_en: str,
    phone: str,
    address: str = "",
    services: tuple[str, ...] = (),
) -> dict[str, Any]:
    """An entry as it is signed and sent."""
    return {
        "name_zh": name_zh.strip(),
        "name_en": name_en.strip(),
        "phone": phone.strip(),
        "address": address.strip(),
        "services": list(services),
    }


def _plain(text: object, most: int) -> bool:
    return isinstance(text, str) and len(text) <= most and (not text or text.isprintable())
