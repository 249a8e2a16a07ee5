"""What every body of one exchange of a referral needs to be built."""

from dataclasses import dataclass
from datetime import datetime

from consortium.kernel.actor import Actor


@dataclass(frozen=True, slots=True)
class Frame:
    """What every body of one exchange needs: the case, its two members, who acts and when."""

    event: str
    exchange: str
    case: str
    taker: str
    provider: str
    sender: str
    urgency: str
    opened: datetime
    now: datetime
    actor: Actor
    patient: str
    """Reference of the patient, as the clinic named it."""
    response_to: str = ""

    @property
    def to(self) -> str:
        return self.provider if self.sender == self.taker else self.taker
