"""No visible word outside consortium/words: templates, code of faces and rooms, scripts, styles."""

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import pytest

from tests.support.source import ROOT, product_files, syntax, tracked

HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
LETTER = re.compile(r"[^\W\d_]")
SHOWN = frozenset({"alt", "aria-description", "aria-label", "aria-roledescription", "content",
                   "label", "placeholder", "title"})  # fmt: skip
UNSHOWN = frozenset({"script", "style"})
# Ends of the ranges that tell a Chinese character from others: data, nobody reads them.
ENDS = frozenset({"\u3400", "\u4e00", "\u9fff", "\uf900"})
# Macros that write into a tag: what they hold is read as attributes, not as text.
IN_TAG = ("wired",)
TEMPLATES = [
    file
    for file in tracked()
    if file.parts[0] == "consortium" and file.suffix in {".html", ".jinja", ".svg", ".txt", ".xml"}
]
SCRIPTS = [
    file for file in tracked() if file.parts[0] == "consortium" and file.suffix in {".js", ".css"}
]


class _Text(HTMLParser):
    """Collects the letters that a reader would see or hear."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._unshown = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unshown += tag in UNSHOWN
        pairs = dict(attrs)
        shown = [pairs[name] for name in SHOWN & pairs.keys()]
        if tag == "input" and pairs.get("type") in {"button", "reset", "submit"}:
            shown.append(pairs.get("value"))
        if tag == "meta" and pairs.get("name") not in {"description", "application-name"}:
            shown = []
        self.found += [text for text in shown if text and LETTER.search(text)]

    def handle_endtag(self, tag: str) -> None:
        self._unshown -= tag in UNSHOWN

    def handle_data(self, data: str) -> None:
        if not self._unshown and LETTER.search(data):
            self.found.append(data.strip())


def words_in(template: str) -> list[str]:
    """Words written into a template instead of being asked for by key."""
    parser, found = _Text(), []
    for name in IN_TAG:
        body = rf"({{% macro {name}\(.*?%}})(.*?)({{% endmacro %}})"
        template = re.sub(body, r"\1<i \2>\3", template, flags=re.DOTALL)
    for _, token, value in jinja2.Environment().lex(template):
        if token == "data":
            parser.feed(value)
        elif token in {"variable_begin", "block_begin"}:
            # keeps `a{{ b }}c` apart and an attribute's value in one piece
            parser.feed(" ")
        elif token == "string" and HAN.search(value):
            found.append(value)
    parser.close()
    return parser.found + found


@pytest.mark.parametrize("file", TEMPLATES, ids=str)
def test_a_template_holds_no_words(file: Path) -> None:
    assert words_in((ROOT / file).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("<p>{{ t('referral.state.sent') }} · 12:00</p>", []),
        ("<p>Sent</p>", ["Sent"]),
        ("<p>{{ n }} 天</p>", ["天"]),
        ("{{ '已发送' }}", ["'已发送'"]),
        ('<img alt="Seal">', ["Seal"]),
        ('<a class="row {{ kind }}" title="{{ t("a.b") }}"></a>', []),
        ('<input type="submit" value="Send">', ["Send"]),
        ('<input type="text" name="given" value="x">', []),
        ("<style>p { color: red }</style><script>let a = 1</script>", []),
        ('<a {% if x %}class="on"{% endif %} href="/x">{# why #}</a>', []),
        ("<p>&lt;b&gt;</p>", ["<b>"]),
        ("{% macro wired(x) %}{% if x %} required{% endif %}{% endmacro %}", []),
        ('{% macro wired(x) %} title="Seal"{% endmacro %}', ["Seal"]),
    ],
)
def test_the_search_finds_words_and_only_words(template: str, found: list[str]) -> None:
    assert words_in(template) == found


def _strings(file: Path) -> Iterator[ast.Constant]:
    """Text in a file's code; docstrings stand alone and are no part of it."""
    alone = {id(node.value) for node in ast.walk(syntax(file)) if isinstance(node, ast.Expr)}
    for node in ast.walk(syntax(file)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node


def _is_demo(file: Path) -> bool:
    # names of people and places of the demonstration are data, not words of the program
    return any(part.startswith("demo") for part in file.parts)


def test_code_holds_no_chinese() -> None:
    found = [
        f"{file}:{node.lineno} {node.value!s:.20}"
        for file in product_files()
        if not _is_demo(file)
        for node in _strings(file)
        if HAN.search(str(node.value)) and node.value not in ENDS
    ]
    assert found == []


@pytest.mark.parametrize("file", SCRIPTS, ids=str)
def test_scripts_and_styles_hold_no_chinese(file: Path) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    without_comments = re.sub(r"/\*.*?\*/|^\s*//.*?$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert HAN.findall(without_comments) == []
