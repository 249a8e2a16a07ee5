"""Facts: the codes and numbers of an exchange that shared state may fold (PROTOCOL 3)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consortium.kernel.errors import Refusal, invalid

Facts = Mapping[str, Any]
Value = Mapping[str, Any]
_CODE = re.compile(r"[A-Za-z0-9_.:/+=-]{1,200}")
_LIST_MAX = 64
_INT_MAX = 2**53 - 1


@dataclass(frozen=True, slots=True)
class FactRule:
    """What one fact may be: `code` (ASCII, no spaces, 1-200), `codes`, `int`, `bool`, or `tree`.

    A `tree` is nested JSON of codes, ints and booleans (contract terms); its size is bounded by
    the 4 KiB of all facts. Free text has no place in facts: they are kept by hub and mirrors.
    """

    shape: str
    optional: bool = False
    choices: frozenset[str] = frozenset()


def code(*choices: str, optional: bool = False) -> FactRule:
    return FactRule("code", optional, frozenset(choices))


def codes(*choices: str, optional: bool = False) -> FactRule:
    return FactRule("codes", optional, frozenset(choices))


def number(*, optional: bool = False) -> FactRule:
    return FactRule("int", optional)


def flag(*, optional: bool = False) -> FactRule:
    return FactRule("bool", optional)


def tree(*, optional: bool = False) -> FactRule:
    return FactRule("tree", optional)


def check(facts: object, rules: Mapping[str, FactRule]) -> Refusal | None:
    """Whether facts fit a kind's rules: a Refusal `exchange.facts` naming the field, or None."""
    if not isinstance(facts, dict):
        return invalid("exchange.facts", field="")
    for name in facts:
        if name not in rules:
            return invalid("exchange.facts", field=name[:40])
    for name, rule in rules.items():
        if name not in facts:
            if rule.optional:
                continue
            return invalid("exchange.facts", field=name)
        if not _fits(facts[name], rule):
            return invalid("exchange.facts", field=name)
    return None


def _fits(value: object, rule: FactRule) -> bool:
    match rule.shape:
        case "code":
            return _is_code(value, rule.choices)
        case "codes":
            return (
                isinstance(value, list)
                and len(value) <= _LIST_MAX
                and all(_is_code(one, rule.choices) for one in value)
            )
        case "int":
            return _is_int(value)
        case "bool":
            return isinstance(value, bool)
        case _:
            return _is_tree(value, depth=8)


def _is_code(value: object, choices: frozenset[str]) -> bool:
    if not isinstance(value, str) or _CODE.fullmatch(value) is None:
        return False
    return not choices or value in choices


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _INT_MAX


def _is_tree(value: object, *, depth: int) -> bool:
    if depth == 0:
        return False
    if isinstance(value, dict):
        return all(
            _is_code(k, frozenset()) and _is_tree(v, depth=depth - 1) for k, v in value.items()
        )
    if isinstance(value, list):
        return all(_is_tree(one, depth=depth - 1) for one in value)
    return (
        value is None or isinstance(value, bool) or _is_int(value) or _is_code(value, frozenset())
    )
