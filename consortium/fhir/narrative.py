"""Narratives: the XHTML subset that FHIR allows in `text.div`, and nothing that could act.

hl7.org/fhir/R4/narrative.html: no head, body, script, form, base, link, frame, event attribute or
outside reference (rules txt-1, txt-2). Read by a real XML parser, never by patterns.
"""

import re
from html.entities import html5
from xml.parsers import expat

from consortium.kernel.errors import Refusal, invalid

XHTML = "http://www.w3.org/1999/xhtml"
NARRATIVE_MAX = 65_536

_ELEMENT_NAMES = """\
a abbr acronym b big blockquote br caption cite code col colgroup dd dfn div dl dt em h1 h2 h3 h4 h5
h6 hr i img li ol p pre q samp small span strong sub sup table tbody td tfoot th thead tr tt ul var
"""
_ATTRIBUTE_NAMES = """\
abbr accesskey align alt axis bgcolor border cellpadding cellspacing char charoff charset class cite
cols colspan compact coords dir frame headers height href hreflang hspace id lang longdesc name
nowrap rel rev rows rowspan rules scope shape span src start style summary tabindex title type
valign value vspace width xml:lang
"""
_ELEMENTS = frozenset(_ELEMENT_NAMES.split())
_ATTRIBUTES = frozenset(_ATTRIBUTE_NAMES.split())
_ADDRESSES = frozenset({"href", "src", "cite", "longdesc"})
_INSIDE = re.compile(r"#[A-Za-z0-9\-._]{0,64}")
_PAGE = re.compile(r"https?://[^\s\"'<>\\]{1,500}")
_STYLE_REFUSED = re.compile(r"url|expression|import|behavior|position|\\|@|<", re.IGNORECASE)
_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]*);")
_XML_ENTITIES = frozenset({"amp", "lt", "gt", "quot", "apos"})


class _Reader:
    """Handlers of one parse: what is open, whether there was anything to read."""

    def __init__(self) -> None:
        self.depth = 0
        self.content = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self.depth == 0 and (name != "div" or attributes.pop("xmlns", "") != XHTML):
            raise invalid("fhir.narrative")
        self.depth += 1
        if self.depth > 50 or name not in _ELEMENTS:
            raise invalid("fhir.narrative_active")
        for key, value in attributes.items():
            if key not in _ATTRIBUTES:
                raise invalid("fhir.narrative_active")
            if key in _ADDRESSES and not _address_fits(key, value):
                raise invalid("fhir.narrative_active")
            if key == "style" and _STYLE_REFUSED.search(value):
                raise invalid("fhir.narrative_active")
        self.content = self.content or name == "img"

    def end(self, _name: str) -> None:
        self.depth -= 1

    def text(self, data: str) -> None:
        self.content = self.content or bool(data.strip())

    def refuse(self, *_any: object) -> None:
        raise invalid("fhir.narrative_active")


def narrative_fault(div: str) -> Refusal | None:
    """Why a narrative is refused, or None.

    `fhir.narrative`: not well-formed XHTML, not one `div`, empty. `fhir.narrative_active`: an
    element or attribute outside the subset, an outside address, a declaration.
    """
    if len(div) > NARRATIVE_MAX:
        return invalid("fhir.too_long")
    reader = _Reader()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.refuse
    parser.ProcessingInstructionHandler = reader.refuse
    parser.XmlDeclHandler = reader.refuse
    try:
        parser.Parse(_ENTITY.sub(_named, div).encode(), True)
    except Refusal as refusal:
        return refusal
    except expat.ExpatError:
        return invalid("fhir.narrative")
    return None if reader.content else invalid("fhir.narrative")


def _address_fits(key: str, value: str) -> bool:
    """A link waits for a click and may go to a page; what is fetched unasked stays inside."""
    return bool(_INSIDE.fullmatch(value) or (key == "href" and _PAGE.fullmatch(value)))


def _named(found: re.Match[str]) -> str:
    """HTML's named characters (R4 allows them) as numbers: an XML parser knows five."""
    name = found[1]
    if name in _XML_ENTITIES or name + ";" not in html5:
        return found[0]
    return "".join(f"&#{ord(char)};" for char in html5[name + ";"])
