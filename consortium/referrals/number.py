"""The number by which people name a case: on the slip, on the telephone, in the search box.

It follows from the case's id, so both sides have the same one without asking, offline too. It
tells nothing of the patient. Crockford's base 32 (no I, L, O, U) and two check digits.
"""

import hashlib

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TAG = b"sharing-chain/case-number/1\0"
_MEANT = str.maketrans("ILO", "110")


def of_case(case_id: str) -> str:
    """The number of a case: `7F4K-2Q9M-81`."""
    raw = int.from_bytes(hashlib.sha256(_TAG + case_id.encode()).digest()[:5], "big")
    letters = "".join(_ALPHABET[raw >> 5 * place & 31] for place in reversed(range(8)))
    return f"{letters[:4]}-{letters[4:]}-{_check(letters)}"


def read(text: str) -> str:
    """A typed or scanned number in its one form; empty when it is none or has a slip in it."""
    plain = "".join(char for char in text.upper() if char.isalnum()).translate(_MEANT)
    if len(plain) != 10 or any(char not in _ALPHABET for char in plain[:8]):
        return ""
    if plain[8:] != _check(plain[:8]):
        return ""
    return f"{plain[:4]}-{plain[4:8]}-{plain[8:]}"


def _check(letters: str) -> str:
    """Two digits, modulo 97 as ISO 7064 has it: one wrong or two changed characters are seen."""
    value = 0
    for char in letters:
        value = value * 32 + _ALPHABET.index(char)
    return f"{98 - value * 100 % 97:02d}"
