"""Vital signs of a referral as its page shows them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from consortium.referrals.content import Vital
from consortium.web.wording import t, when

USUAL: Final[Mapping[str, tuple[str, str]]] = {
    "systolic": ("90", "139"),
    "diastolic": ("60", "89"),
    "pulse": ("60", "100"),
    "oxygen": ("95", "100"),
    "temperature": ("36.0", "37.2"),
    "glucose": ("3.9", "11.0"),
}
"""Resting values of adults between which no arrow is drawn; a help to the eye, not a judgement."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A row of the table of vitals; `arrow` is up, down or empty."""

    label: str
    value: str
    arrow: str
    note: str


def measured(vitals: Sequence[Vital]) -> list[Measured]:
    """Vital signs as a table shows them, both pressures in one row."""
    by_code = {one.code: one for one in vitals}
    found = []
    upper, lower = by_code.get("systolic"), by_code.get("diastolic")
    if upper is not None and lower is not None:
        arrow = _arrow(upper) or _arrow(lower)
        label, value = t("referral.vital.pressure"), f"{upper.value}/{lower.value}"
        found.append(Measured(label, value, arrow, _taken(upper)))
        by_code = {name: one for name, one in by_code.items() if not name.endswith("stolic")}
    for name, one in by_code.items():
        value = f"{one.value} {t(f'referral.unit.{name}')}"
        found.append(Measured(t(f"referral.vital.{name}"), value, _arrow(one), _taken(one)))
    return found


def _arrow(vital: Vital) -> str:
    least, most = USUAL[vital.code]
    value = Decimal(vital.value)
    return "up" if value > Decimal(most) else "down" if value < Decimal(least) else ""


def _taken(vital: Vital) -> str:
    if not vital.at:
        return ""
    return t("referral.line.taken", at=when(datetime.fromisoformat(vital.at)))
