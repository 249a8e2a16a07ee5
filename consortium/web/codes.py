"""Receipts as QR codes: drawn for paper, read from pictures.

A code holds bytes, not an address: mark, digest of the whole, place and count, then a part of the
receipt in its short form (`ledger.compact`). Whatever is read here proves nothing; the receipt that
the parts give is checked like any other file.
"""

import hashlib
import io
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import segno
from markupsafe import Markup

from consortium.kernel.errors import Refusal, RefusalKind, invalid
from consortium.ledger import compact

MARK: Final = b"SC\x01"
HEAD_BYTES: Final = len(MARK) + 4 + 1
PART_BYTES_MAX: Final = 997 - HEAD_BYTES
"""A code of version 25 with error level M holds 997 bytes (ISO/IEC 18004, table 7)."""
COUNT_MAX: Final = 6
"""More do not fit on a printed page; such a receipt travels as a file."""
MODULE_MM: Final = 0.4
SIDE_MM_MIN: Final = 25.0
BORDER: Final = 4
PIXELS_MAX: Final = 30_000_000
SIDE_PX: Final = 3000
"""Above this a picture is made smaller before the code is looked for."""
_ONE_AT_A_TIME: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class Part:
    """One code as it was read. `digest` tells which receipt it belongs to."""

    digest: bytes
    place: int
    count: int
    data: bytes

    @property
    def frame(self) -> bytes:
        return MARK + self.digest + bytes([self.place << 4 | self.count]) + self.data


# ---------------------------------------------------------------- to paper


def codes(receipt: bytes) -> Sequence[Markup]:
    """The codes that hold a receipt file, as SVG in their size on paper: one, mostly.

    None where too many would be needed.

    Raises:
        Refusal: `ledger.compact` when the file has no short form.
    """
    return [_drawn(part.frame) for part in parts(receipt)]


def parts(receipt: bytes) -> Sequence[Part]:
    """A receipt in parts of about one length, each small enough for a code."""
    packed = compact.pack(receipt)
    count = -(-len(packed) // PART_BYTES_MAX)
    if count > COUNT_MAX:
        return []
    digest = hashlib.sha256(packed).digest()[:4]
    step = -(-len(packed) // count)
    return [
        Part(digest, place, count, packed[place * step : (place + 1) * step])
        for place in range(count)
    ]


def _drawn(frame: bytes) -> Markup:
    made = segno.make(frame, error="m", mode="byte", micro=False, boost_error=False)
    modules, _ = made.symbol_size(border=BORDER)
    module_mm = max(MODULE_MM, SIDE_MM_MIN / modules)
    return Markup(made.svg_inline(border=BORDER, scale=module_mm, unit="mm", svgclass="qr"))  # noqa: S704


# ---------------------------------------------------------------- from pictures


def part_of(frame: bytes) -> Part | None:
    """What one code holds; None for a code of something else."""
    if not frame.startswith(MARK) or len(frame) <= HEAD_BYTES:
        return None
    place, count = frame[HEAD_BYTES - 1] >> 4, frame[HEAD_BYTES - 1] & 0x0F
    if not place < count <= COUNT_MAX or len(frame) > HEAD_BYTES + PART_BYTES_MAX:
        return None
    return Part(frame[len(MARK) : len(MARK) + 4], place, count, frame[HEAD_BYTES:])


def in_picture(raw: bytes) -> list[Part]:
    """The receipt codes in a PNG or JPEG picture, in no order.

    Raises:
        Refusal: `receipt.picture` for what is no such picture, `receipt.picture_large`.
    """
    import zxingcpp

    # a picture takes memory and a second of work: pictures wait for each other
    with _ONE_AT_A_TIME:
        grey, width, height = _grey(raw)
        pixels = memoryview(grey).cast("B", (height, width))
        wanted = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
        found = zxingcpp.read_barcodes(pixels, formats=wanted)
    read = (part_of(bytes(one.bytes)) for one in found)
    return [part for part in read if part is not None]


def _grey(raw: bytes) -> tuple[bytes, int, int]:
    """The pixels of a picture, one byte each; its width and height."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = PIXELS_MAX
    try:
        with Image.open(io.BytesIO(raw), formats=("PNG", "JPEG")) as picture:
            if picture.width * picture.height > PIXELS_MAX:
                raise Refusal(RefusalKind.TOO_LARGE, "receipt.picture_large")
            # a JPEG is decoded at a fraction of its size, which is all that is looked at
            picture.draft("L", (SIDE_PX, SIDE_PX))
            if picture.mode in {"RGBA", "LA", "PA"} or "transparency" in picture.info:
                clear = picture.convert("RGBA")
                white = Image.new("RGBA", clear.size, "white")
                picture_whole = Image.alpha_composite(white, clear)
                grey = picture_whole.convert("L")
            else:
                grey = picture.convert("L")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as fault:
        raise Refusal(RefusalKind.TOO_LARGE, "receipt.picture_large") from fault
    except (OSError, SyntaxError, ValueError, EOFError) as fault:
        raise invalid("receipt.picture") from fault
    grey.thumbnail((SIDE_PX, SIDE_PX))
    return grey.tobytes(), grey.width, grey.height


def joined(found: Iterable[Part]) -> tuple[bytes | None, list[Part]]:
    """The receipt that parts give, or None, and the parts of the newest receipt among them.

    Parts of other receipts than the last one shown are left out.

    Raises:
        Refusal: `ledger.compact` when all are there and do not fit together.
    """
    every = list(found)
    if not every:
        return None, []
    last = every[-1]
    mine = {one.place: one for one in every if (one.digest, one.count) == (last.digest, last.count)}
    held = [mine[place] for place in sorted(mine)]
    if len(held) < last.count:
        return None, held
    packed = b"".join(one.data for one in held)
    if hashlib.sha256(packed).digest()[:4] != last.digest:
        raise invalid("ledger.compact")
    return compact.unpack(packed), held
