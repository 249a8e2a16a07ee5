"""Names stay Chinese on English pages; each run of Chinese says so (WCAG 2.2, 3.1.2).

Browsers choose the glyphs by it, and those who hear the page hear the name. Names stand inside of
sentences everywhere, so this is done to the finished page and not in every template.
"""

import re
from typing import Final

from consortium.words import Lang

_HAN: Final = f"{chr(0x3400)}-{chr(0x4DBF)}{chr(0x4E00)}-{chr(0x9FFF)}"
_RUN: Final = re.compile(
    rf"[{_HAN}](?:[{_HAN}0-9 \u00b7\u2018-\u201d\u3001-\u301f\uff00-\uffef.:,;()-]*[{_HAN}])?"
)
_PIECES: Final = re.compile(r"(<[^>]*>)")
_PLAIN: Final = ("<script", "<style", "<title", "<textarea")
"""Elements that hold text and nothing else."""
_TONGUE: Final = 'lang="zh-CN"'


def marked(html: str, lang: Lang) -> str:
    """The page with each run of Chinese in an element of that language; Chinese pages as is."""
    if lang != "en":
        return html
    pieces = _PIECES.split(html)
    for place in range(2, len(pieces), 2):
        tag = pieces[place - 1]
        if _TONGUE in tag or tag.startswith(_PLAIN) or not _RUN.search(pieces[place]):
            continue
        if tag.startswith("<option"):
            pieces[place - 1] = f"{tag[:-1]} {_TONGUE}>"
        else:
            pieces[place] = _RUN.sub(rf"<bdi {_TONGUE}>\g<0></bdi>", pieces[place])
    return "".join(pieces)
