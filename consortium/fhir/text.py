"""Text that may be kept: databases and screens take no control characters, nor half a character."""

import re

from consortium.kernel.errors import Refusal, invalid

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def text_fault(text: str) -> Refusal | None:
    """Why a text may not be kept: `fhir.control`, `fhir.encoding` (lone surrogate), or None."""
    if text.isascii() and text.isprintable():
        return None
    if _CONTROL.search(text):
        return invalid("fhir.control")
    return invalid("fhir.encoding") if _SURROGATE.search(text) else None
