"""QR codes as SVG, black on white, for pages that are printed."""

import io

import segno


def svg(text: str, *, module_px: int = 4) -> str:
    """A QR code of medium error correction as an SVG element, to stand in a page."""
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        out, kind="svg", xmldecl=False, svgns=True, scale=module_px, border=4, dark="#000"
    )
    return out.getvalue().decode()


def terminal(text: str) -> str:
    """The same for a terminal, light on dark."""
    out = io.StringIO()
    segno.make(text, error="m", micro=False).terminal(out, compact=True)
    return out.getvalue()
