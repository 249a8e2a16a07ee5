"""Every visible sentence by key, Chinese and English side by side.

Areas are the TOML files beside this one; a key is the path of tables to a pair:

    [referral.state]
    accepted = { zh = "同意接收", en = "Accepted" }      # say("referral.state.accepted", "zh")

Sentences hold parameters as str.format does. Where English counts, a language may be a pair of its
own, `en = { one = "{n} day", other = "{n} days" }`, chosen by the parameter `n`.
A refusal has three sentences under `refusal."room.word"`: happened, safe, do.
"""

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final, Literal

Lang = Literal["zh", "en"]
LANGS: Final[tuple[Lang, ...]] = ("zh", "en")
Words = Mapping[str, str | Mapping[str, str]]
UNTOLD: Final = "…"


def say(key: str, lang: str, **params: object) -> str:
    """The sentence of a key in a language.

    Raises KeyError for a missing key, language or parameter.
    """
    return _fill(_sentences()[key][lang], params)


def refusal(code: str, lang: str, **facts: object) -> tuple[str, str, str]:
    """What happened, what is safe, what to do, of a `Refusal`'s code. Raises KeyError as `say`."""
    happened, safe, do = (
        say(f"refusal.{code}.{part}", lang, **facts) for part in ("happened", "safe", "do")
    )
    return happened, safe, do


def refusal_told(code: str, lang: str, **facts: object) -> tuple[str, str, str]:
    """As `refusal`, of a code that came back over the ledger, where its facts did not come along.

    A fact that is missing reads `…`. Raises KeyError for a code without sentences.
    """
    told = _Told(facts)
    happened, safe, do = (
        _fill(_sentences()[f"refusal.{code}.{part}"][lang], told)
        for part in ("happened", "safe", "do")
    )
    return happened, safe, do


def known(key: str) -> bool:
    """Whether there is a sentence of this key, for the few keys that are built from codes."""
    return key in _sentences()


def areas() -> Mapping[str, Mapping[str, Words]]:
    """Sentences by area and key, as written. Raises ValueError for a pair that is not one."""
    return _areas()


class _Told(dict[str, object]):
    """Facts, each there."""

    def __missing__(self, _name: str) -> str:
        return UNTOLD


def _fill(words: str | Mapping[str, str], params: Mapping[str, object]) -> str:
    if not isinstance(words, str):
        words = words["one" if params["n"] == 1 else "other"]
    return words.format_map(params)


@cache
def _sentences() -> Mapping[str, Words]:
    whole: dict[str, Words] = {}
    for area, pairs in _areas().items():
        twice = whole.keys() & pairs.keys()
        if twice:
            raise ValueError(f"words/{area}.toml says again: {', '.join(sorted(twice))}")
        whole.update(pairs)
    return MappingProxyType(whole)


@cache
def _areas() -> Mapping[str, Mapping[str, Words]]:
    return {
        file.name.removesuffix(".toml"): dict(
            _pairs((), tomllib.loads(file.read_text(encoding="utf-8")))
        )
        for file in sorted(files(__name__).iterdir(), key=lambda file: file.name)
        if file.name.endswith(".toml")
    }


def _pairs(path: tuple[str, ...], table: Mapping[str, Any]) -> Iterator[tuple[str, Words]]:
    key = ".".join(path)
    if table.keys() & set(LANGS):
        if table.keys() - set(LANGS) or not all(map(_is_sentence, table.values())):
            raise ValueError(f"{key} is no pair of sentences")
        yield key, table
        return
    for name, inner in table.items():
        if not isinstance(inner, dict):
            raise ValueError(f"{key}.{name} names no language")  # noqa: TRY004 - a file's mistake
        yield from _pairs((*path, name), inner)


def _is_sentence(words: object) -> bool:
    if isinstance(words, dict):
        return words.keys() == {"one", "other"} and all(isinstance(w, str) for w in words.values())
    return isinstance(words, str) and bool(words.strip())
