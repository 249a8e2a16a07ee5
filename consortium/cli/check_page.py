"""A page as a browser without JavaScript has it: its words, its links, and its forms with fields.

Only what HTML says is used; nothing here knows a page of this program.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

_UNSHOWN = frozenset({"script", "style", "template", "title", "dialog"})
_BUTTONS = frozenset({"submit", "image"})
_Attributes = dict[str, str | None]


@dataclass(slots=True)
class Field:
    """One control of a form. `value` is what it holds; `options` what a choice offers."""

    name: str
    kind: str
    value: str = ""
    checked: bool = False
    required: bool = False
    options: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Button:
    """A button that sends its form, with what pressing it adds or changes.

    `main` is the one that stands out on the page, `unchecked` sends an unfinished form too.
    """

    name: str
    value: str
    word: str = ""
    action: str = ""
    unchecked: bool = False
    main: bool = False


@dataclass(slots=True)
class Form:
    """A form: where it goes, what it holds, what can be pressed."""

    action: str
    method: str
    multipart: bool
    id: str = ""
    fields: list[Field] = field(default_factory=list)
    buttons: list[Button] = field(default_factory=list)

    def get(self, name: str) -> Field | None:
        """The first control of a name."""
        return next((one for one in self.fields if one.name == name), None)

    @property
    def names(self) -> list[str]:
        """Names of its controls, each once, in order."""
        return list(dict.fromkeys(one.name for one in self.fields if one.name))

    def offered(self, name: str) -> list[str]:
        """The values that may be chosen under a name; the empty one left out."""
        of_choices = [one.value for one in self.fields if one.name == name and one.kind in _PICKED]
        of_lists = [
            value for one in self.fields if one.name == name for value, _word in one.options
        ]
        return [value for value in (*of_choices, *of_lists) if value]


_PICKED = frozenset({"radio", "checkbox"})


@dataclass(slots=True)
class Page:
    """What an address answered."""

    path: str
    status: int
    html: str
    text: str = ""
    forms: list[Form] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)

    def form(self, action: str) -> Form | None:
        """The form that is posted to an address; `*` stands for one part of a path."""
        found = (one for one in self.forms if one.method == "post" and fits(one.action, action))
        return next(found, None)

    def linked(self, pattern: str) -> list[str]:
        """Addresses of links of a pattern, each once, in order."""
        return list(dict.fromkeys(href for href, _word in self.links if fits(href, pattern)))


def fits(href: str, pattern: str) -> bool:
    """Whether an address is of a pattern: the query apart, `*` stands for one part."""
    path = href.partition("?")[0].partition("#")[0].split("/")
    wanted = pattern.split("/")
    return len(path) == len(wanted) and all(
        there == one or (one == "*" and there) for there, one in zip(path, wanted, strict=True)
    )


def read(path: str, status: int, html: str) -> Page:
    """Read a page."""
    reader = _Reader(path)
    reader.feed(html)
    reader.close()
    page = Page(path, status, html, " ".join(reader.words()), links=reader.links)
    page.forms = reader.whole()
    return page


class _Reader(HTMLParser):
    def __init__(self, path: str) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[tuple[str, str]] = []
        self._path = path
        self._forms: list[Form] = []
        self._form: Form | None = None
        # controls may stand outside the form that they name
        self._apart: list[tuple[str, Field | Button]] = []
        self._text: list[str] = []
        self._unshown: list[str] = []
        self._select: Field | None = None
        self._option: tuple[str | None, bool] | None = None
        self._said: list[str] = []
        self._open: Field | Button | tuple[str, str] | None = None

    def words(self) -> Iterator[str]:
        return (word for one in self._text for word in one.split())

    def whole(self) -> list[Form]:
        by_id = {one.id: one for one in self._forms if one.id}
        for name, control in self._apart:
            if (form := by_id.get(name)) is not None:
                _put(form, control)
        return self._forms

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in _UNSHOWN:
            self._unshown.append(tag)
        match tag:
            case "form":
                self._form = Form(
                    given.get("action") or self._path,
                    (given.get("method") or "get").lower(),
                    given.get("enctype") == "multipart/form-data",
                    given.get("id") or "",
                )
                self._forms.append(self._form)
            case "input":
                self._input(given)
            case "button":
                self._open = _button(given)
                self._keep(given, self._open)
                self._said = []
            case "textarea":
                self._open = Field(given.get("name") or "", tag, required="required" in given)
                self._keep(given, self._open)
                self._said = []
            case "select":
                self._select = Field(given.get("name") or "", tag, required="required" in given)
                self._keep(given, self._select)
            case "option" if self._select is not None:
                self._end_option()
                self._option = (given.get("value"), "selected" in given)
                self._said = []
            case "a" if given.get("href"):
                self._open = (str(given["href"]), "")
                self._said = []

    def handle_endtag(self, tag: str) -> None:
        if self._unshown and tag == self._unshown[-1]:
            self._unshown.pop()
        match tag:
            case "form":
                self._form = None
            case "option":
                self._end_option()
            case "select":
                self._end_option()
                self._end_select()
            case "button" if isinstance(self._open, Button):
                self._open.word = _line(self._said)
                self._open = None
            case "textarea" if isinstance(self._open, Field):
                # the first line break after the tag is not part of the text
                self._open.value = "".join(self._said).removeprefix("\n")
                self._open = None
            case "a" if isinstance(self._open, tuple):
                self.links.append((self._open[0], _line(self._said)))
                self._open = None

    def handle_data(self, data: str) -> None:
        self._said.append(data)
        if not self._unshown and not isinstance(self._open, Field):
            self._text.append(data)

    def _input(self, given: _Attributes) -> None:
        kind = (given.get("type") or "text").lower()
        if kind in _BUTTONS:
            self._keep(given, _button(given))
            return
        standard = "on" if kind in _PICKED else ""
        self._keep(
            given,
            Field(
                given.get("name") or "",
                kind,
                given.get("value") or standard,
                checked="checked" in given,
                required="required" in given,
            ),
        )

    def _keep(self, given: _Attributes, control: Field | Button) -> None:
        if "disabled" in given or given.get("type") in {"reset", "button"}:
            return
        if name := given.get("form"):
            self._apart.append((name, control))
        elif self._form is not None:
            _put(self._form, control)

    def _end_option(self) -> None:
        if self._option is None or self._select is None:
            return
        value, selected = self._option
        word = _line(self._said)
        self._select.options.append((word if value is None else value, word))
        if selected:
            self._select.value, self._select.checked = self._select.options[-1][0], True
        self._option = None

    def _end_select(self) -> None:
        if self._select is not None and not self._select.checked and self._select.options:
            self._select.value = self._select.options[0][0]
        self._select = None


def _button(given: _Attributes) -> Button:
    return Button(
        given.get("name") or "",
        given.get("value") or "",
        action=given.get("formaction") or "",
        unchecked="formnovalidate" in given,
        main="main" in (given.get("class") or "").split(),
    )


def _put(form: Form, control: Field | Button) -> None:
    if isinstance(control, Button):
        form.buttons.append(control)
    else:
        form.fields.append(control)


def _line(said: Iterable[str]) -> str:
    return " ".join("".join(said).split())
