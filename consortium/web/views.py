"""Plain values that templates draw. Pages fill them from what the rooms' services answer.

Words are either keys (named so) or sentences that are already said. Nothing here reads anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from markupsafe import Markup

Tone = Literal["", "red", "amber", "green", "blue"]
KnotState = Literal["on", "now", "wait", "refuse", ""]
"""on: on the ledger; now: here it stands; wait: signed, only here; refuse: refused; "": to come"""
SlotLook = Literal["free", "allot", "busy", "held", "off", "move", "plus"]


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that a person can do: a link, or with `post` a button that sends a form there."""

    word: str
    href: str
    main: bool = False
    post: bool = False
    icon: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class RailItem:
    """One entry of the rail. `hot` paints the count red: something there is overdue."""

    page: str
    href: str
    icon: str
    count: int = 0
    hot: bool = False


@dataclass(frozen=True, slots=True)
class Strip:
    """The chain strip. `down_since` is when an offline link was cut; `broken` a failed check."""

    link: Literal["online", "slow", "offline"]
    outbox: int
    checked_to: int
    synced_at: datetime | None = None
    down_since: datetime | None = None
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Banner:
    """A condition: it stays until it changes. `lead` and `text` are sentences."""

    tone: Tone
    icon: str
    lead: str
    text: str = ""
    act: Act | None = None


@dataclass(frozen=True, slots=True)
class Shell:
    """What stands round every page of a signed-in person."""

    person: str
    member: str
    role: str
    rail: Sequence[RailItem]
    foot: Sequence[RailItem]
    strip: Strip
    banners: Sequence[Banner] = ()
    manages: bool = False
    idle_lock_s: int = 300


@dataclass(frozen=True, slots=True)
class Due:
    """A deadline in words. `used` is the share of the time used in percent, None draws no bar."""

    words: str
    note: str = ""
    tone: Literal["", "soon", "late"] = ""
    used: int | None = None


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient as the banner shows them. `allergies` None: nobody has asked yet."""

    name: str
    sex: str
    born: date | None
    id_tail: str = ""
    extras: Sequence[tuple[str, str]] = ()
    allergies: Sequence[str] | None = None
    href: str = ""


@dataclass(frozen=True, slots=True)
class Knot:
    """One act in a case's thread. With `index` it is on the ledger and links to its receipt."""

    title: str
    state: KnotState
    at: datetime | None = None
    who: str = ""
    lines: Sequence[str] = ()
    exchange: str = ""
    index: int | None = None
    signer: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One station of a way that is known beforehand."""

    title: str
    note: str = ""
    state: KnotState = ""


@dataclass(frozen=True, slots=True)
class Option:
    """One choice of a group. `note` stands at its end, `urgency` draws the urgency's shape."""

    value: str
    label: str
    note: str = ""
    urgency: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """A service that a case can be sent to, ranked; with `off` the clause that keeps it closed."""

    value: str
    name: str
    first: str = ""
    why: str = ""
    state: str = ""
    tone: Tone = ""
    icon: str = ""
    off: bool = False


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a form or case. `link_words` says how long it takes here; `state` where it is."""

    id: str
    name: str
    size_bytes: int
    chosen: bool = False
    href: str = ""
    link_words: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """A slot in the week grid. `name` says day, time and state in full, for those who hear it."""

    look: SlotLook
    label: str
    name: str
    value: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True)
class Week:
    """A week of slots: `days` are heads, each row a time and one cell (or None) a day."""

    days: Sequence[tuple[str, str]]
    rows: Sequence[tuple[str, Sequence[Cell | None]]]
    caption: str


@dataclass(frozen=True, slots=True)
class Clause:
    """A clause in plain words beside what the machine does. Old words make it a change.

    `marked`: `plain` is HTML that holds its own `del` and `ins`.
    """

    number: str
    plain: str
    machine: str
    effect: str = ""
    old: str = ""
    note: str = ""
    changed: bool = False
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Signature:
    """A party's signature under a document; without `at` it is still awaited."""

    party: str
    person: str
    at: datetime | None = None
    index: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of a month's quota is used, and how much one would expect by today."""

    label: str
    used: int
    limit: int
    pace: int | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """One of two versions of the same thing (conflict)."""

    title: str
    who: str
    lines: Sequence[tuple[str, str]]
    act: Act


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal in three lines, with ways out; the first act marked `main` is the best one."""

    code: str
    happened: str
    safe: str
    do: str
    title: str = ""
    clause: str = ""
    acts: Sequence[Act] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """One of a receipt's checks, as a sentence: ok, failed, or not possible yet."""

    title: str
    text: str
    state: Literal["ok", "no", "wait"]


@dataclass(frozen=True, slots=True)
class Slip:
    """A receipt as its page shows it. `verified` alone decides whether the seal is drawn."""

    exchange: str
    title: str
    index: int | None
    at: datetime | None
    verified: bool
    rows: Sequence[tuple[str, str]]
    digest: str
    checks: Sequence[Check]
    size: int = 0
    steps: int = 0
    took_ms: int = 0
    witnesses: Sequence[tuple[str, str, bool]] = field(default=())
    quorum: str = ""
    hub_only: bool = False
    codes: Sequence[Markup] = field(default=())
