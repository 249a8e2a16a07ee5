"""QR codes as SVG, black on white, for pages that are printed."""

import io

import segno


def svg(text: str, *, side_px: int = 220) -> str:
    """A QR code of medium error correction as an SVG element, to stand in a page.

    It has a viewBox, so that a style may give it any size, and its own white ground, so that it is
    read on a dark page too.
    """
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        out, kind="svg", xmldecl=False, omitsize=True, border=4, dark="#000", light="#fff"
    )
    sized = f'<svg width="{side_px}" height="{side_px}" '
    return out.getvalue().decode().replace("<svg ", sized, 1)


def terminal(text: str) -> str:
    """The same for a terminal, light on dark."""
    out = io.StringIO()
    segno.make(text, error="m", micro=False).terminal(out, compact=True)
    return out.getvalue()
