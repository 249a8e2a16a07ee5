"""Words by which a case is found: name, its parts, pinyin, initials, numbers.

Of a name that can be read in several ways (单, 曾, 仇) every reading is a key.
"""

import unicodedata
from collections.abc import Iterable
from itertools import islice, product

_WORD_MAX = 64
_READINGS_MAX = 16


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
    tails = {folded[start:] for start in range(len(folded)) if len(folded) - start >= 1}
    return frozenset(tails | _pinyin(folded))


def of_numbers(numbers: Iterable[str]) -> frozenset[str]:
    """Search words of numbers, each whole and its last four characters."""
    whole = {fold(number) for number in numbers} - {""}
    return frozenset(whole | {number[-4:] for number in whole if len(number) > 4})


def _pinyin(name: str) -> set[str]:
    from pypinyin import Style, pinyin

    syllables = pinyin(name, style=Style.NORMAL, heteronym=True)
    readings = islice(product(*(dict.fromkeys(options) for options in syllables)), _READINGS_MAX)
    words: set[str] = set()
    for reading in readings:
        words.add("".join(reading)[:_WORD_MAX])
        words.add("".join(part[:1] for part in reading))
    return {fold(word) for word in words}
