"""The form of terms: its fields as a draft keeps them, and as the editor shows them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session
from starlette.datastructures import FormData

from consortium.contracts.drafting import NEW_SERVICE, DraftView
from consortium.contracts.model import Finding
from consortium.contracts.plain import Minutes
from consortium.contracts.plain import text as plain_text
from consortium.contracts.terms import KINDS, PURPOSES, SERVICES, TYPES, URGENCIES
from consortium.members import directory
from consortium.web.contract_views import Names, clauses_of
from consortium.web.reading import whole
from consortium.web.views import Clause, Option
from consortium.web.wording import lang, t, when

ANSWERS: Final = (30, 60, 120, 240, 480, 1440, 2880, 4320, 10080)
"""Times to answer that the form offers, in minutes."""
_ROW = re.compile(r"s(\d{1,3})\.(no|what|way|quota|routine|urgent|emergency)")
_ORDER: Final = ("emergency", "urgent", "routine")


@dataclass(frozen=True, slots=True)
class LineView:
    """One service of the form: what stands in its fields and what is wrong with them."""

    place: int
    no: str
    what: str
    way: str
    quota: str
    answers: Mapping[str, str]
    findings: Sequence[str]
    wrong: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Something to change, or to mind: a sentence and the field it is about."""

    anchor: str
    clause: str
    text: str


@dataclass(frozen=True, slots=True)
class EditView:
    """The editor."""

    draft: DraftView
    lines: Sequence[LineView]
    parties: Sequence[tuple[str, str]]
    services: Sequence[Option]
    ways: Sequence[Option]
    answers: Mapping[str, Sequence[Option]]
    types: Sequence[Option]
    purposes: Sequence[Option]
    problems: Sequence[Problem]
    doubts: Sequence[Problem]
    clauses: Sequence[Clause]
    saved: str
    others: int


def typed(fields: FormData) -> dict[str, Any]:
    """The form's fields as a draft keeps them."""
    rows: dict[int, dict[str, str]] = {}
    for name, value in fields.multi_items():
        if (found := _ROW.fullmatch(name)) and isinstance(value, str):
            rows.setdefault(int(found[1]), {})[found[2]] = value[:64]
    return {
        "title": _text(fields, "title"),
        "parties": _all(fields, "parties"),
        "services": [_service(rows[n]) for n in sorted(rows)],
        "types": _all(fields, "types"),
        "purposes": _all(fields, "purposes"),
        "from": _text(fields, "from"),
        "until": _text(fields, "until"),
        "notice": _text(fields, "notice"),
    }


def _service(row: Mapping[str, str]) -> dict[str, Any]:
    code, _, kind = row.get("what", "").partition(".")
    taker, _, provider = row.get("way", "").partition(">")
    number = row.get("no", "")
    return {
        "no": whole(number) or None,
        "code": code,
        "kind": kind,
        "taker": taker,
        "provider": provider,
        "quota": row.get("quota", ""),
        "urgencies": [name for name in URGENCIES if row.get(name)],
        "answers": {name: row[name] for name in URGENCIES if row.get(name)},
    }


def fresh(form: Mapping[str, Any]) -> dict[str, Any]:
    """A further line, between the same two as the last one."""
    last = form["services"][-1] if form["services"] else None
    taker, provider = ("", "") if last is None else (last["taker"], last["provider"])
    if last is None and len(form["parties"]) > 1:
        taker, provider = form["parties"][:2]
    return {**NEW_SERVICE, "taker": taker, "provider": provider}


def _text(fields: FormData, name: str) -> str:
    value = fields.get(name, "")
    return value[:200] if isinstance(value, str) else ""


def _all(fields: FormData, name: str) -> list[str]:
    return [value[:64] for value in fields.getlist(name) if isinstance(value, str)][:64]


# ---------------------------------------------------------------- the form as shown


def build(session: Session, draft: DraftView, *, tried: bool = False) -> EditView:
    """The editor, in the language being written. `tried`: mark fields that are missing."""
    form, name = draft.form, Names(session)
    problems = [_problem(draft, one, name) for one in draft.findings if one.blocks]
    if draft.field:
        problems = [_field_problem(draft.field)]
    clauses = () if draft.terms is None else clauses_of(draft.terms, draft.before, name)
    return EditView(
        draft=draft,
        lines=_lines(draft, name, tried=tried),
        parties=[(one, name(one)) for one in form["parties"]],
        services=_what_options(),
        ways=_way_options(session, form, name),
        answers={u: _answer_options(form, u) for u in _ORDER},
        types=[Option(one, t(f"contract.type.{one}")) for one in TYPES],
        purposes=[Option(one, t(f"contract.purpose.{one}")) for one in PURPOSES],
        problems=problems,
        doubts=[_problem(draft, one, name) for one in draft.findings if not one.blocks],
        clauses=clauses,
        saved=t("contract.form.draft_of", name=draft.author, when=when(draft.updated_at)),
        others=max(len(form["parties"]) - 1, 0),
    )


def _lines(draft: DraftView, name: Names, *, tried: bool) -> list[LineView]:
    shown = []
    for place, one in enumerate(draft.form["services"], 1):
        own = [
            f for f in draft.findings if f.clause[1:] == str(one["no"]) and f.clause[0] in "SQUA"
        ]
        prefix = f"services.{place}."
        wrong = draft.field.removeprefix(prefix) if draft.field.startswith(prefix) else ""
        shown.append(
            LineView(
                place=place,
                no=str(one["no"] or ""),
                what=f"{one['code']}.{one['kind']}" if one["code"] else "",
                way=f"{one['taker']}>{one['provider']}" if one["taker"] else "",
                quota=str(one["quota"]),
                answers={u: one["answers"].get(u, "") for u in _ORDER},
                findings=[_finding(f, name) for f in own if f.blocks],
                wrong=wrong.partition(".")[0] if tried else "",
            )
        )
    return shown


def _problem(draft: DraftView, finding: Finding, name: Names) -> Problem:
    anchors = {"T": "types", "P": "purposes", "D": "from", "B": "parties", "N": "notice"}
    anchor = anchors.get(finding.clause[0], "services")
    for place, one in enumerate(draft.form["services"], 1):
        if _is_of(finding, one):
            anchor = f"service-{place}"
    return Problem(anchor, finding.clause, _finding(finding, name))


def _is_of(finding: Finding, line: Mapping[str, Any]) -> bool:
    return finding.clause[0] in "SQUA" and finding.clause[1:] == str(line["no"])


def _finding(finding: Finding, name: Names) -> str:
    params = dict(finding.params)
    if "member" in params:
        params["member"] = name(params["member"])
    if "urgency" in params:
        params["urgency"] = t(f"contract.urgency.{params['urgency']}")
    return t(f"contract.lint.{finding.code}", **params)


def _field_problem(path: str) -> Problem:
    first, _, rest = path.partition(".")
    place, _, field = rest.partition(".")
    if first == "services" and place.isdigit():
        label = t(f"contract.field.{(field or 'code').partition('.')[0]}")
        return Problem(f"service-{place}", "", t("contract.field.fill_line", n=place, field=label))
    anchor = {"notice_days": "notice"}.get(first, first)
    return Problem(anchor, "", t("contract.field.fill", field=t(f"contract.field.{first}")))


def _what_options() -> list[Option]:
    return [
        Option(
            f"{code}.{kind}",
            t(f"contract.form.what_{kind}", service=t(f"contract.service.{code}")),
        )
        for kind in KINDS
        for code in SERVICES
    ]


def _way_options(session: Session, form: Mapping[str, Any], name: Names) -> list[Option]:
    """Who may ask whom: members that treat patients, both ways."""
    offices = {one.member for one in directory.members(session, kind="consortium")}
    treating = [one for one in form["parties"] if one not in offices]
    return [
        Option(
            f"{taker}>{provider}",
            t("contract.form.way_of", taker=name(taker), provider=name(provider)),
        )
        for taker in treating
        for provider in treating
        if taker != provider
    ]


def _answer_options(form: Mapping[str, Any], urgency: str) -> list[Option]:
    written_in = {str(one["answers"].get(urgency, "")) for one in form["services"]}
    own = {int(one) for one in written_in if one.isascii() and one.isdigit() and len(one) < 9}
    return [
        Option(str(minutes), plain_text(Minutes(minutes), lang(), str))
        for minutes in sorted({*ANSWERS, *own})
    ]
