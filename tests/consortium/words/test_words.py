"""Words: every key in both languages with the same parameters, every refusal in three sentences."""

import ast
import re
import string
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from consortium import words
from tests.support.source import ROOT, called_name, calls, product_files, syntax, tracked

PARTS = ("happened", "safe", "do")
ERRORS = "consortium.kernel.errors"
LETTER = re.compile(r"[^\W\d_]")
# A date has other parts in each language (day of the month by name or number).
DATES = "shell.day."
# The name of a language is written in that language, so that its readers find it; units are
# written alike in both.
ALIKE = re.compile(r"language|tongue|\.unit\.")
# Files that pass on a code that they were told, with why.
PASSED_ON = {
    "consortium/exchange/caller.py": "the hub's answer",
    "consortium/ledger/witness.py": "what does not fit between two heads",
    "consortium/members/joining.py": "the hub's answer",
    "consortium/records/reading.py": "what is strange about what was released",
    "consortium/web/errors.py": "a verdict's code",
}
CODE = re.compile(r"[a-z_]+(\.[a-z_]+)+")


def _flat(sentence: str | Mapping[str, str]) -> list[str]:
    return [sentence] if isinstance(sentence, str) else list(sentence.values())


def _parameters(sentence: str | Mapping[str, str]) -> set[str]:
    names = {
        name
        for form in _flat(sentence)
        for _, name, _, _ in string.Formatter().parse(form)
        if name is not None
    }
    return names if isinstance(sentence, str) else names | {"n"}


PAIRS = {key: pair for pairs in words.areas().values() for key, pair in pairs.items()}


def test_no_key_is_said_twice() -> None:
    assert sum(map(len, words.areas().values())) == len(PAIRS)


@pytest.mark.parametrize("area", list(words.areas()))
def test_each_key_has_both_languages_and_the_same_parameters(area: str) -> None:
    wrong = {
        key: sorted(pair)
        for key, pair in words.areas()[area].items()
        if set(pair) != set(words.LANGS)
        or (not key.startswith(DATES) and _parameters(pair["zh"]) != _parameters(pair["en"]))
    }
    assert wrong == {}


@pytest.mark.parametrize("area", list(words.areas()))
def test_chinese_is_chinese_and_english_is_not(area: str) -> None:
    han = re.compile(r"[\u4e00-\u9fff]")
    wrong = [
        key
        for key, pair in words.areas()[area].items()
        if any(han.search(form) for form in _flat(pair["en"]))
        or (
            LETTER.search(re.sub(r"\{.*?\}", "", "".join(_flat(pair["en"]))))
            and not re.search(r"[\u4e00-\u9fffA-Z]", "".join(_flat(pair["zh"])))
        )
    ]
    assert [key for key in wrong if not ALIKE.search(key)] == []


def _makers(file: Path) -> dict[str, int]:
    """Names in a file that make a refusal, with the place of the code among their arguments."""
    makers = {}
    for node in ast.walk(syntax(file)):
        if isinstance(node, ast.ImportFrom) and node.module == ERRORS:
            for alias in node.names:
                if alias.name == "Refusal" or alias.name.islower():
                    makers[alias.asname or alias.name] = int(alias.name == "Refusal")
    return makers


def _codes() -> Iterator[tuple[str, str | None]]:
    """(place, code) of each refusal that the product makes; None where the code is built."""
    for file in product_files():
        if file == Path("consortium/kernel/errors.py"):
            continue
        makers = _makers(file)
        for call in calls(file):
            if not isinstance(call.func, ast.Name) or call.func.id not in makers:
                continue
            given = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
            match given or call.args[makers[call.func.id] :]:
                case [ast.Constant(value=str(code)), *_]:
                    yield f"{file}:{call.lineno}", code
                case _:
                    yield f"{file}:{call.lineno}", None


def test_each_refusal_says_what_happened_what_is_safe_what_to_do() -> None:
    codes = list(_codes())
    assert codes
    silent = {
        f"{code} ({place})"
        for place, code in codes
        if code is not None and not all(words.known(f"refusal.{code}.{part}") for part in PARTS)
    }
    assert sorted(silent) == []


def test_codes_of_refusals_are_written_out_so_that_they_can_be_found() -> None:
    built = [place for place, code in _codes() if code is None]
    assert [place for place in built if place.partition(":")[0] not in PASSED_ON] == []
    assert {place.partition(":")[0] for place in built} == PASSED_ON.keys()


def _constants(file: Path) -> set[str]:
    return {
        node.value
        for node in ast.walk(syntax(file))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_no_refusal_has_sentences_without_being_made() -> None:
    made = set().union(*map(_constants, product_files()))
    told = {key.removeprefix("refusal.").rpartition(".")[0] for key in PAIRS if "refusal." in key}
    assert sorted(told - made) == []


def _returned(file: Path) -> set[str]:
    return {
        node.value.value
        for node in ast.walk(syntax(file))
        if isinstance(node, ast.Return | ast.Yield)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        and CODE.fullmatch(node.value.value)
    }


def test_codes_that_are_passed_on_have_sentences_too() -> None:
    told = _returned(Path("consortium/ledger/witness.py"))
    told |= _returned(Path("consortium/records/reading.py"))
    assert told
    assert [code for code in sorted(told) if not words.known(f"refusal.{code}.happened")] == []


def _said() -> Iterator[tuple[str, str]]:
    """(place, key) of each sentence that code or a template asks for by a literal key."""
    for file in product_files():
        for call in calls(file):
            first = call.args[0] if call.args else None
            if called_name(call) in {"say", "t"} and isinstance(first, ast.Constant):
                yield f"{file}:{call.lineno}", str(first.value)
    asked = re.compile(r"""\b(?:t|say)\(\s*["']([\w.]+)["']\s*[,)]""")
    for file in tracked():
        if file.suffix in {".html", ".svg"} and file.parts[0] == "consortium":
            text = (ROOT / file).read_text(encoding="utf-8")
            for found in asked.finditer(text):
                yield f"{file}:{text.count(chr(10), 0, found.start()) + 1}", found.group(1)


def test_each_key_that_is_asked_for_is_there() -> None:
    assert [f"{place}: {key}" for place, key in _said() if not words.known(key)] == []


def test_say_fills_in_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = {"zh": "{n} 天", "en": {"one": "{n} day", "other": "{n} days"}}
    monkeypatch.setattr(words, "_sentences", lambda: {"span.days": pair})
    assert words.say("span.days", "zh", n=2) == "2 天"
    assert words.say("span.days", "en", n=1) == "1 day"
    assert words.say("span.days", "en", n=0) == "0 days"
    for key, lang, params in (("span.weeks", "zh", {"n": 1}), ("span.days", "de", {"n": 1})):
        with pytest.raises(KeyError):
            words.say(key, lang, **params)
    with pytest.raises(KeyError):
        words.say("span.days", "zh")


def test_a_refusal_that_came_back_without_its_facts_is_still_told() -> None:
    with pytest.raises(KeyError):
        words.refusal("record.body", "en")
    codes = {
        key.removeprefix("refusal.").rpartition(".")[0]
        for area in words.areas().values()
        for key in area
        if key.startswith("refusal.")
    }
    assert "record.body" in codes
    for code in codes:
        for lang in words.LANGS:
            told = words.refusal_told(code, lang)
            assert all(told)
            assert not any("{" in sentence for sentence in told)


def test_a_refusal_is_three_sentences() -> None:
    happened, safe, do = words.refusal("settings.unknown", "en", name="prot")
    assert "prot" in happened
    assert all((safe, do))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[a]\nb = { zh = "x", de = "y" }', "a.b is no pair"),
        ('[a]\nb = "x"', "a.b names no language"),
        ('[a]\nb = { zh = "x", en = " " }', "a.b is no pair"),
        ('[a]\nb = { zh = "x", en = { one = "y" } }', "a.b is no pair"),
    ],
)
def test_what_is_no_pair_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, complaint: str
) -> None:
    (tmp_path / "area.toml").write_text(text)
    monkeypatch.setattr(words, "files", lambda _: tmp_path)
    words._areas.cache_clear()
    try:
        with pytest.raises(ValueError, match=complaint):
            words.areas()
    finally:
        words._areas.cache_clear()
