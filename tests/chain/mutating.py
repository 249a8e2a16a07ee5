"""Files changed the way a forger or a bad disk changes them."""

import random
from collections.abc import Callable, Sequence

SPELLINGS = (
    b"0",
    b"00",
    b"-1",
    b"+1",
    b"1e3",
    b"9223372036854775808",
    b"\xd9\xa3",
    b" ",
    b"\t",
    b"\r",
    b"\n",
    b"\n\n",
    b"\x00",
    b"\x7f",
    b"\xff",
    b"+",
    b"=",
    b"AAAA",
    "— ".encode(),
    b"none",
    b"any",
    b"extra ",
    b"index ",
    b"#",
)


def mutate(data: bytes, rng: random.Random, pool: Sequence[bytes]) -> bytes:
    """The file changed in one to three ways; `pool` holds others to take pieces from."""
    for _ in range(rng.randint(1, 3)):
        data = rng.choice(WAYS)(data, rng, pool)
    return data


def _flip(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    if not data:
        return data
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def _cut(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    at = rng.randint(0, len(data))
    return data[:at] + data[at + rng.choice((1, 1, 2, 33, len(data))) :]


def _insert(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    at = rng.randint(0, len(data))
    return data[:at] + rng.choice((rng.randbytes(1), rng.choice(SPELLINGS))) + data[at:]


def _respell(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    at = rng.randint(0, len(data))
    return data[:at] + rng.choice(SPELLINGS) + data[at + rng.randint(1, 4) :]


def _line(data: bytes, rng: random.Random, pool: Sequence[bytes]) -> bytes:
    lines = data.split(b"\n")
    at, to = rng.randrange(len(lines)), rng.randrange(len(lines))
    way = rng.randrange(4)
    if way == 0:
        lines[at], lines[to] = lines[to], lines[at]
    elif way == 1:
        del lines[at]
    elif way == 2:
        lines.insert(to, lines[at])
    else:
        lines[at] = rng.choice(rng.choice(pool).split(b"\n"))
    return b"\n".join(lines)


def _splice(data: bytes, rng: random.Random, pool: Sequence[bytes]) -> bytes:
    other = rng.choice(pool)
    at, to = rng.randint(0, len(data)), rng.randint(0, len(other))
    return data[:at] + other[to:]


def _part(data: bytes, rng: random.Random, pool: Sequence[bytes]) -> bytes:
    """The head of one file on the tail of another: proof and checkpoint, text and signatures."""
    head, gap, _ = data.partition(b"\n\n")
    return head + gap + rng.choice(pool).partition(b"\n\n")[2]


WAYS: tuple[Callable[[bytes, random.Random, Sequence[bytes]], bytes], ...] = (
    _flip,
    _flip,
    _cut,
    _insert,
    _respell,
    _line,
    _line,
    _splice,
    _part,
)
