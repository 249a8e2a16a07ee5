"""Icons of lucide-static, put into the page as SVG; the build copies them beside this file."""

import re
from functools import cache
from importlib.resources import files

from markupsafe import Markup

from consortium.kernel.errors import Refusal, RefusalKind

_INNER = re.compile(r"<svg[^>]*>(.*)</svg>", re.DOTALL)
_HEAD = (
    '<svg class="i{size}" viewBox="0 0 24 24" fill="none" stroke="currentColor"'
    ' stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">'
)


@cache
def icon(name: str, size: str = "") -> Markup:
    """The drawing of an icon; `size` "s" is the small one. It never speaks: words stand beside it.

    Raises FileNotFoundError for a name that lucide-static 1.62.0 does not have.
    """
    text = files("consortium.web").joinpath("icons", f"{name}.svg").read_text(encoding="utf-8")
    found = _INNER.search(text)
    if found is None:
        raise ValueError(f"{name} is no drawing")
    drawing = re.sub(r"\s*\n\s*", "", found[1])
    # files of the build, never input
    return Markup(_HEAD.format(size=f" {size}" if size else "") + drawing + "</svg>")  # noqa: S704


def check_built() -> None:
    """Whether the build has put the icons and scripts of pages beside this program.

    Raises:
        Refusal: `system.not_built`: every page would fail.
    """
    here = files("consortium.web")
    for part in (("icons", "check.svg"), ("static", "vendor", "htmx.min.js")):
        if not here.joinpath(*part).is_file():
            raise Refusal(RefusalKind.UNAVAILABLE, "system.not_built")
