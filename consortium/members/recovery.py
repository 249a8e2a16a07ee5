"""The recovery key of a member: made at joining, shown once, never stored on the machine.

Two secrets on one page: an age identity (opens bodies and backups) and an Ed25519 seed (signs the
lists that replace a lost seal). Only their public halves stay (PROTOCOL 2).
"""

import os
import re
from dataclasses import dataclass, field
from html import escape, unescape

from consortium import words
from consortium.kernel.errors import invalid
from consortium.members import qr, statements
from consortium.members.keys import Age, SeedSigner
from consortium.members.statements import KEY_BYTES

_HEAD = "SHARING-CHAIN-RECOVERY-1"
_SEED = "SEED-"
_CHECK_TAG = b"sharing-chain/recovery-check/1\0"
_GROUP, _CHECK_BYTES = 4, 4
_MEMBER_MAX = 32
_TAG = re.compile(r"<[^>]*>")
_SPACERS = str.maketrans("", "", "- ")


@dataclass(frozen=True, slots=True)
class Recovery:
    """Both secrets of one member. Goes onto paper and nowhere else."""

    member: str
    age: Age = field(repr=False)
    seed: bytes = field(repr=False)

    @classmethod
    def make(cls, member: str) -> "Recovery":
        return cls(member, Age.make(), os.urandom(KEY_BYTES))

    @property
    def signer(self) -> SeedSigner:
        """Signs lists of keys in place of the seal."""
        return SeedSigner(self.seed)

    @property
    def text(self) -> str:
        """What the QR holds and what can be typed: three lines."""
        return f"{_HEAD} {self.member}\n{self.age.identity}\n{_SEED}{self._seed_text}\n"

    @property
    def _seed_text(self) -> str:
        """The seed in hex with eight digits that catch a slip of the pen, in groups of four."""
        digits = (self.seed + self._check).hex().upper()
        return "-".join(digits[at : at + _GROUP] for at in range(0, len(digits), _GROUP))

    @property
    def _check(self) -> bytes:
        content = self.member.encode() + b"\0" + self.seed
        return statements.digest(_CHECK_TAG, content)[:_CHECK_BYTES]

    @classmethod
    def parse(cls, text: str) -> "Recovery":
        """Read a page again: scanned, typed, or the file that was to be printed.

        Raises:
            Refusal: `members.recovery_form`, also for a single wrong letter.
        """
        plain = unescape(_TAG.sub("\n", text)) if "<" in text else text
        lines = [line.strip().upper() for line in plain.splitlines() if line.strip()]
        if plain is not text:
            first = next((at for at, line in enumerate(lines) if line.startswith(_HEAD)), 0)
            lines = lines[first : first + 3]
        wrong = invalid("members.recovery_form")
        if len(lines) != 3 or not lines[0].startswith(f"{_HEAD} "):
            raise wrong
        member = lines[0].removeprefix(f"{_HEAD} ").lower()[:_MEMBER_MAX]
        try:
            age = Age.parse(lines[1])
            digits = bytes.fromhex(lines[2].removeprefix(_SEED).translate(_SPACERS))
        except ValueError:
            raise wrong from None
        made = cls(member, age, digits[:KEY_BYTES])
        if not lines[2].startswith(_SEED) or digits != made.seed + made._check:
            raise wrong
        return made

    def page(self, *, name: str, lang: str) -> str:
        """One page to print, complete in itself: QR, text, what to do with it."""
        say = {part: escape(words.say(f"members.recovery.{part}", lang)) for part in _PARTS}
        return _PAGE.format(
            lang="zh-CN" if lang == "zh" else "en",
            name=escape(name),
            qr=qr.svg(self.text),
            text=escape(self.text),
            **say,
        )

    def terminal(self, *, name: str, lang: str) -> str:
        """The same for a terminal."""
        parts = [words.say("members.recovery.title", lang), name, "", qr.terminal(self.text)]
        parts += [self.text]
        parts += [words.say(f"members.recovery.{part}", lang) for part in ("keep", "use", "once")]
        return "\n".join(parts) + "\n"


_PARTS = ("title", "keep", "use", "once")
_PAGE = """<!doctype html>
<html lang="{lang}"><head><meta charset="utf-8"><title>{title}</title>
<style>
@page {{ size: A4; margin: 20mm }}
body {{ font: 15px/1.6 system-ui, sans-serif; color: #000; background: #fff; margin: 2rem auto;
 max-width: 40rem }}
h1 {{ font-size: 20px }} svg {{ width: 62mm; height: 62mm }}
pre {{ font: 13px/1.7 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere;
 border: 1px solid #000; padding: 4mm }}
</style></head>
<body><h1>{title}</h1><p><strong lang="zh-CN">{name}</strong></p>
<p>{keep}</p>{qr}<pre>{text}</pre><p>{use}</p><p>{once}</p></body></html>
"""
