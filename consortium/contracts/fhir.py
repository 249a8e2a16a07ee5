"""The face of a contract in FHIR: a Contract resource (hl7.org/fhir/R4/contract.html).

It travels beside the terms, so that any FHIR reader can show the contract; the machine reads the
terms, and whoever receives both checks that they name the same parties, version and period.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from consortium.contracts import plain
from consortium.contracts.terms import Terms, day_text, from_tree
from consortium.fhir import systems
from consortium.kernel.errors import Refusal, invalid

if TYPE_CHECKING:
    from consortium.exchange.facts import Facts
    from consortium.fhir.message import Message


def resource(
    *,
    contract: str,
    version: int,
    title: str,
    terms: Terms,
    names: plain.Names,
    now: datetime,
    lang: str = "zh",
) -> dict[str, Any]:
    """The Contract of a proposal: one term a clause, in plain words."""
    out: dict[str, Any] = {
        "resourceType": "Contract",
        "id": contract,
        "language": "zh-CN" if lang == "zh" else "en",
        "identifier": [{"system": systems.CASE, "value": contract}],
        "version": str(version),
        "status": "offered",
        "issued": now.isoformat(timespec="seconds"),
    }
    if period := _period(terms):
        out["applies"] = period
    return {
        **out,
        "subject": [{"reference": f"Organization/{one}"} for one in terms.parties],
        "title": title,
        "term": [
            {
                "identifier": {"value": clause.number},
                "offer": {"text": plain.sentence(clause, lang, names)},
                "text": clause.code,
            }
            for clause in plain.clauses(terms)
        ],
    }


def disagrees(message: "Message", facts: "Facts") -> Refusal | None:
    """Whether the Contract in a body names what the facts name; the first element that does not."""
    found = message.one("Contract")
    terms = from_tree(facts["parties"], facts["terms"])
    clauses = [clause.number for clause in plain.clauses(terms)]
    expected: Mapping[str, tuple[Any, Any]] = {
        "identifier": (
            [one.get("value") for one in found.get("identifier", ())],
            [facts["contract"]],
        ),
        "version": (found.get("version"), str(facts["version"])),
        "subject": (
            [one.get("reference") for one in found.get("subject", ())],
            [f"Organization/{one}" for one in terms.parties],
        ),
        "applies": (found.get("applies"), _period(terms) or None),
        "term": (
            [one.get("identifier", {}).get("value") for one in found.get("term", ())],
            clauses,
        ),
    }
    for element, (here, there) in expected.items():
        if here != there:
            return invalid("contract.body", field=f"Contract.{element}")
    return None


def _period(terms: Terms) -> dict[str, str]:
    days = {"start": day_text(terms.start_ms), "end": day_text(terms.end_ms, last=True)}
    return {name: day for name, day in days.items() if day}
