"""What every room brings: kinds, families of subjects, signed reads."""

from collections.abc import Iterable

from consortium.contracts import kinds as contract_kinds
from consortium.contracts.permit import PERMIT
from consortium.desk import kinds as desk_kinds
from consortium.desk.signing import ContractRows
from consortium.exchange import closing_kind, heads_kind, own_kinds
from consortium.exchange.kinds import QueryType, Registry, SubjectType
from consortium.members import kinds as member_kinds
from consortium.members import trust as member_trust
from consortium.members.model import REGULATOR
from consortium.records import kinds as record_kinds
from consortium.records import model as record_model
from consortium.referrals import kinds as referral_kinds
from consortium.referrals import model as referral_model
from consortium.scheduling import kinds as scheduling_kinds
from consortium.teleconsult import kinds as teleconsult_kinds
from consortium.teleconsult import model as booking_model

_ROOMS = (
    own_kinds,
    heads_kind,
    closing_kind,
    member_kinds,
    member_trust,
    contract_kinds,
    desk_kinds,
    scheduling_kinds,
    record_kinds,
    referral_kinds,
    teleconsult_kinds,
)


_FINALS = {
    referral_model.TOPIC: frozenset(one.value for one in referral_model.ENDED),
    booking_model.TOPIC: frozenset(one.value for one in booking_model.ENDED),
    record_model.TOPIC: frozenset(one.value for one in record_model.ENDED),
}


def registry() -> Registry:
    """Every kind and family of subjects of this program, with the contract check."""
    kinds = [*contract_kinds.kinds(ContractRows()), *closing_kind.kinds(REGULATOR)]
    subjects: list[SubjectType] = []
    for room in _ROOMS:
        kinds += () if room is contract_kinds else getattr(room, "KINDS", ())
        subjects += getattr(room, "SUBJECTS", ())
    return Registry(kinds, subjects, PERMIT, _FINALS)


def queries() -> dict[str, QueryType]:
    """Every signed read that the hub answers."""
    found: Iterable[QueryType] = (
        query for room in _ROOMS for query in getattr(room, "QUERIES", ())
    )
    return {query.name: query for query in found}
