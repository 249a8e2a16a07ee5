"""A message inside a case as a FHIR Communication (hl7.org/fhir/R4/communication.html)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from consortium.fhir import message, systems
from consortium.fhir.message import Message
from consortium.kernel.actor import Actor
from consortium.kernel.ids import new_id

TEXT_MAX = 1000


def communication(
    actor: Actor, *, case: str, to: str, text: str, event: str, exchange: str, now: datetime
) -> bytes:
    """The body of a message that `actor` writes in a case to the member `to`."""
    said = {
        "resourceType": "Communication",
        "id": new_id(now),
        "identifier": [{"system": systems.EXCHANGE, "value": exchange}],
        "status": "completed",
        "about": [{"identifier": {"system": systems.CASE, "value": case}, "display": "case"}],
        "sent": message.instant(now),
        "recipient": [{"reference": f"Organization/{to}"}],
        "sender": {"reference": f"Practitioner/{actor.user}", "display": actor.name},
        "payload": [{"contentString": text}],
    }
    return message.build(
        event,
        source=actor.member,
        destinations=(to,),
        resources=[said],
        exchange_id=exchange,
        now=now,
    )


def read_of(*, of: str, member: str, to: str, event: str, exchange: str, now: datetime) -> bytes:
    """The body that tells a sender that a person has opened its exchange `of`."""
    return message.build(
        event,
        source=member,
        destinations=(to,),
        resources=[message.parameters(of=of)],
        exchange_id=exchange,
        now=now,
    )


def text_of(found: Message) -> str:
    """What a message says; empty when it says nothing."""
    said: Mapping[str, Any] = found.one("Communication")
    return "\n".join(one.get("contentString", "") for one in said.get("payload", ())).strip()


def author_of(found: Message) -> str:
    """Who wrote it, by name."""
    return str(found.one("Communication").get("sender", {}).get("display", ""))
