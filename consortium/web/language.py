"""Which language a page is written in: the person's, the browser's cookie, what it accepts, zh."""

from fastapi import Request

from consortium.web.wording import as_lang
from consortium.words import Lang

COOKIE = "language"


def language(request: Request) -> Lang:
    """The language of this request."""
    own = as_lang(getattr(request.state, "language", None))
    return own or as_lang(request.cookies.get(COOKIE)) or accepted(request)


def accepted(request: Request) -> Lang:
    """The first language of Accept-Language that we have; Chinese when there is none."""
    wanted: list[tuple[float, int, str]] = []
    for place, item in enumerate(request.headers.get("accept-language", "").split(",")[:16]):
        tag, _, quality = item.strip().partition(";q=")
        try:
            weight = float(quality or 1)
        except ValueError:
            continue
        wanted.append((-weight, place, tag.lower()[:2]))
    for _weight, _place, tag in sorted(wanted):
        found = as_lang(tag)
        if found:
            return found
    return "zh"
