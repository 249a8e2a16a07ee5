"""Rows and people for tests of the desk."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from consortium.desk.model import DeskRow
from consortium.kernel.actor import Actor, Role
from consortium.kernel.ids import CaseId, MemberId, PatientId, UserId

NOW = datetime(2026, 11, 24, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def actor(
    user: str = "u-han", member: str = "shiqiao", *roles: Role, name: str = "韩素云"
) -> Actor:
    return Actor(
        user=UserId(user),
        name=name,
        member=MemberId(member),
        roles=frozenset(roles or (Role.TOWNSHIP_DOCTOR,)),
    )


def row(case: str = "c1", **changes: Any) -> DeskRow:
    values: Mapping[str, Any] = {
        "member": MemberId("shiqiao"),
        "case": CaseId(case),
        "topic": "referral",
        "urgency": "routine",
        "patient": PatientId("p1"),
        "patient_name": "钟秀英",
        "patient_sex": "female",
        "patient_birth": date(1962, 3, 1),
        "need": "referral.need.supplement",
        "need_params": {"n": 2},
        "source": "referral.source.returned",
        "source_params": {},
        "state": "referral.state.returned",
        "turn": "mine",
        "turn_name": "",
        "roles": frozenset({Role.TOWNSHIP_DOCTOR}),
        "due_at": NOW + HOUR,
        "started_at": NOW - HOUR,
        "link": f"/referrals/{case}",
    }
    return DeskRow(**{**values, **changes})
