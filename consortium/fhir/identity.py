"""Identity in China: 居民身份证 (GB 11643), 统一社会信用代码 (GB 32100), names, pinyin.

The exact-match rule for releasing records by machine needs one number and one name to be equal
after these normalisations and nothing looser.
"""

import itertools
import re
import unicodedata
from dataclasses import dataclass
from datetime import date, datetime

from consortium.kernel.errors import invalid
from consortium.kernel.time import ZONE

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
_SHAPE = re.compile(r"[1-9]\d{16}[0-9X]")
# GB/T 2260, first two digits, with Hong Kong, Macao and Taiwan residents' permits (81 to 83) and
# the permanent residence card of 2023 (9)
_PROVINCES = frozenset(
    {11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51, 52}
    | {53, 54, 61, 62, 63, 64, 65, 71, 81, 82, 83, *range(90, 100)}
)
_CREDIT_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_DOTS = re.compile(r"[\u00b7\u2022\u2027\u2219\u22c5\u30fb\uff65\u0387.]")
_SPACE = re.compile(r"\s+")
_INITIALS_MAX = 8


@dataclass(frozen=True, slots=True)
class IdNumber:
    """What an identity number says. `sex` is a FHIR code, male or female."""

    number: str
    birth_date: date
    sex: str


def id_number(text: str, *, now: datetime) -> IdNumber:
    """Read a 居民身份证 number; spaces, full-width digits and a small x are put right.

    Raises:
        Refusal: `identity.number` when shape, area, birth date or check character is wrong.
    """
    number = number_text(text)
    if _SHAPE.fullmatch(number) is None or int(number[:2]) not in _PROVINCES:
        raise invalid("identity.number")
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, number, strict=False))
    if _CHECKS[total % 11] != number[17]:
        raise invalid("identity.number")
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        raise invalid("identity.number") from None
    if born.year < 1880 or born > now.astimezone(ZONE).date():
        raise invalid("identity.number")
    return IdNumber(number, born, "male" if int(number[16]) % 2 else "female")


def number_text(text: str) -> str:
    """An identity or card number as it is compared: narrow, no spaces, capitals."""
    return _SPACE.sub("", unicodedata.normalize("NFKC", text)).upper()


def credit_code(text: str) -> str:
    """Read a 统一社会信用代码 (18 characters, base 31, weights 3^i mod 31).

    Raises:
        Refusal: `identity.credit_code` when shape or check character is wrong.
    """
    code = number_text(text)
    if len(code) != 18 or any(char not in _CREDIT_ALPHABET for char in code):
        raise invalid("identity.credit_code")
    total = sum(
        _CREDIT_ALPHABET.index(char) * pow(3, place, 31) for place, char in enumerate(code[:17])
    )
    if _CREDIT_ALPHABET[(31 - total % 31) % 31] != code[17]:
        raise invalid("identity.credit_code")
    return code


def age_years(born: date, *, now: datetime) -> int:
    """Whole years of age on the day of `now` in the charter's zone."""
    today = now.astimezone(ZONE).date()
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def name_key(name: str) -> str:
    """A name as it is compared: width, case and spaces put right, one kind of middle dot."""
    narrow = _SPACE.sub("", unicodedata.normalize("NFKC", name).casefold())
    # once more: what stood apart may now combine
    return _DOTS.sub("·", unicodedata.normalize("NFKC", narrow))


def same_name(one: str, other: str) -> bool:
    """Whether two names are equal by `name_key`; no likeness counts."""
    return bool(name_key(one)) and name_key(one) == name_key(other)


def pinyin(name: str) -> str:
    """The reading of a name in lower case without tones or spaces; other letters stay."""
    from pypinyin import lazy_pinyin

    return "".join(lazy_pinyin(_plain(name))).lower()


def initials(name: str) -> tuple[str, ...]:
    """Pinyin initials to search by, the likeliest reading first, at most eight.

    A character with several readings (曾, 单, 长) gives one spelling for each.
    """
    from pypinyin import Style, lazy_pinyin
    from pypinyin import pinyin as readings_of

    plain = _plain(name)
    if not plain:
        return ()
    likely = "".join(part[:1] for part in lazy_pinyin(plain)).lower()
    letters = [
        dict.fromkeys(reading[:1].lower() for reading in readings)
        for readings in readings_of(plain, style=Style.NORMAL, heteronym=True)
    ]
    spelled = ("".join(parts) for parts in itertools.product(*letters))
    few = itertools.islice(spelled, _INITIALS_MAX)
    return tuple(dict.fromkeys((likely, *few)))[:_INITIALS_MAX]


def _plain(name: str) -> str:
    return name_key(name).replace("·", "")
