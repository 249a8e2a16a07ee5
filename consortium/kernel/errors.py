"""Refusals: requests that the rules do not allow, with nothing broken."""

from enum import StrEnum


class RefusalKind(StrEnum):
    """What a face makes of a refusal (HTTP status, FHIR issue code); rooms choose one of these."""

    INVALID = "invalid"
    FORBIDDEN = "forbidden"
    MISSING = "missing"
    CONFLICT = "conflict"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    TOO_LARGE = "too_large"
    UNSUPPORTED = "unsupported"
    SIGN_IN = "sign_in"


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not an error of the program
    """A request that the rules do not allow.

    Args:
        kind: how faces translate it.
        code: stable, `room.word`; the three sentences a user reads are looked up by it.
        facts: ids, numbers and codes only (they are logged and shown); never a name of a patient
            or a clinical word. `clause` names the contract clause that is missing or used up.
    """

    def __init__(self, kind: RefusalKind, code: str, **facts: object) -> None:
        super().__init__(code, facts)
        self.kind = kind
        self.code = code
        self.facts = facts

    @property
    def clause(self) -> str:
        """The contract clause that refuses, or an empty string."""
        return str(self.facts.get("clause", ""))


def missing(code: str, **facts: object) -> Refusal:
    """Absent, or not for this actor to see: the two are told alike (DESIGN 4)."""
    return Refusal(RefusalKind.MISSING, code, **facts)


def invalid(code: str, **facts: object) -> Refusal:
    return Refusal(RefusalKind.INVALID, code, **facts)


def conflict(code: str, **facts: object) -> Refusal:
    return Refusal(RefusalKind.CONFLICT, code, **facts)


def forbidden(code: str, **facts: object) -> Refusal:
    return Refusal(RefusalKind.FORBIDDEN, code, **facts)
