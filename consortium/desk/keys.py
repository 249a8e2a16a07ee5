"""Words by which a case is found: name, its parts, pinyin, initials, numbers.

Of a name that can be read in several ways (单, 曾, 仇) every reading is a key.
"""

import unicodedata
from collections.abc import Iterable

from consortium.fhir.identity import initials, pinyin

_WORD_MAX = 64


def fold(text: str) -> str:
    """The form in which words are stored and asked: width, case, spaces and accents aside."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in plain if not unicodedata.combining(c) and not c.isspace())[:_WORD_MAX]


def of_name(name: str) -> frozenset[str]:
    """Search words of a person's name."""
    folded = fold(name)
    if not folded:
        return frozenset()
    if folded.isascii():
        return frozenset({folded, *(fold(part) for part in name.split())}) - {""}
    tails = {folded[start:] for start in range(len(folded))}
    return frozenset(tails | {pinyin(name)[:_WORD_MAX]} | set(initials(name)))


def of_numbers(numbers: Iterable[str]) -> frozenset[str]:
    """Search words of numbers, each whole and its last four characters."""
    whole = {fold(number) for number in numbers} - {""}
    return frozenset(whole | {number[-4:] for number in whole if len(number) > 4})
