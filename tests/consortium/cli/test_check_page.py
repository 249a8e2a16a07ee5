"""The check's browser does what one without JavaScript does, and refuses what it refuses."""

import pytest

from consortium.cli import check_http, check_page
from consortium.cli.check_http import CheckError, Upload

HTML = """
<html><head><title>No word</title><style>p {}</style></head><body>
<p>Seen <b>this</b></p><dialog>not this</dialog>
<a href="/cases/7?x=1#a">Case 7</a>
<form action="/find"><input name="q"></form>
<form method="post" action="/cases/7/send" id="send" enctype="multipart/form-data">
  <input type="hidden" name="csrf" value="tok&amp;en">
  <input name="name" required value="">
  <input type="checkbox" name="types" value="a" checked>
  <input type="checkbox" name="types" value="b">
  <input type="radio" name="when" value="1"><input type="radio" name="when" value="2" checked>
  <input type="text" name="off" value="x" disabled>
  <select name="one"><option value="">-</option><option value="k" selected>K</option></select>
  <select name="two"><option>first</option><option>second</option></select>
  <textarea name="text">
line &lt;1&gt;
line 2</textarea>
  <input type="file" name="files">
  <button name="do" value="keep" formnovalidate>Keep</button>
</form>
<input type="hidden" name="far" value="away" form="send">
<button form="send" class="btn main" name="do" value="send">Send <i>it</i></button>
<button form="send" formaction="/drafts/7?back=/">Draft</button>
</body></html>
"""


@pytest.fixture
def page() -> check_page.Page:
    return check_page.read("/cases/7", 200, HTML)


def sent(
    page: check_page.Page, values: dict[str, check_http.Value], press: str = ""
) -> dict[str, object]:
    form = page.form("/cases/*/send")
    assert form is not None
    button = check_http._pressed(page, form, press)
    pairs = check_http._filled(
        page, form, values, checked=button is not None and not button.unchecked
    )
    told: dict[str, object] = dict(pairs)
    if button is not None and button.name:
        told[button.name] = button.value
    return told


def test_words_and_links_are_those_that_are_seen(page: check_page.Page) -> None:
    assert "Seen this" in page.text
    assert "not this" not in page.text
    assert "No word" not in page.text
    assert page.linked("/cases/*") == ["/cases/7?x=1#a"]
    assert page.linked("/cases") == []


def test_a_form_is_sent_as_it_stands_with_what_is_typed(page: check_page.Page) -> None:
    told = sent(page, {"name": "Ada", "when": "1"})
    assert told == {
        "csrf": "tok&en", "name": "Ada", "types": "a", "when": "1", "one": "k", "two": "first",
        "text": "line <1>\nline 2", "files": Upload("", b""), "far": "away", "do": "send",
    }  # fmt: skip


def test_the_button_that_stands_out_is_pressed_unless_another_is_named(
    page: check_page.Page,
) -> None:
    form = page.form("/cases/7/send")
    assert form is not None
    main = check_http._pressed(page, form, "")
    assert main is not None
    assert (main.word, main.action) == ("Send it", "")
    draft = check_http._pressed(page, form, "/drafts/*")
    assert draft is not None
    assert draft.action == "/drafts/7?back=/"
    assert sent(page, {}, press="do=keep")["do"] == "keep"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "needs"),
        ({"name": "Ada", "when": "3"}, "offers"),
        ({"name": "Ada", "one": "q"}, "offers"),
        ({"name": "Ada", "off": "x"}, "no field off"),
        ({"name": Upload("a", b"")}, "no file"),
    ],
)
def test_what_a_browser_would_not_send_is_refused(
    page: check_page.Page, values: dict[str, check_http.Value], said: str
) -> None:
    with pytest.raises(CheckError, match=said):
        sent(page, values)


def test_a_file_is_written_as_a_browser_writes_it() -> None:
    kind, body = check_http._multipart(
        [("a", "b"), ("files", Upload("x.png", b"\x89P", "image/png")), ("none", Upload("", b""))]
    )
    mark = kind.partition("boundary=")[2].encode()
    assert body.count(b"--" + mark) == 4
    assert b'name="files"; filename="x.png"\r\ncontent-type: image/png\r\n\r\n\x89P\r\n' in body
    assert b'name="none"; filename=""' in body
