"""A contract as its page draws it (picture 06): clauses, life, signatures, use, effects."""

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from typing import Final

from markupsafe import Markup, escape
from sqlalchemy.orm import Session

from consortium import words
from consortium.contracts import plain
from consortium.contracts.local import officer
from consortium.contracts.model import PROPOSE, SIGN, WITHDRAW, Action, State
from consortium.contracts.service import Act as Done
from consortium.contracts.service import Hold, Review
from consortium.contracts.terms import Terms, day_text
from consortium.kernel.actor import Actor, Role
from consortium.kernel.time import from_ms
from consortium.web.names import member_name
from consortium.web.views import (
    Act,
    Banner,
    Clause,
    Knot,
    Signature,
    Step,
    Tone,
    Usage,
)
from consortium.web.wording import lang, local, number, t, when

LOOK: Final[Mapping[State, tuple[str, Tone]]] = {
    State.DRAFT: ("pencil-line", ""),
    State.PROPOSED: ("pen-line", "amber"),
    State.SIGNED_BY_SOME: ("pen-line", "amber"),
    State.AGREED: ("calendar-clock", "blue"),
    State.IN_FORCE: ("circle-check", "green"),
    State.SUSPENDED: ("circle-pause", "red"),
    State.ENDING: ("calendar-x", "amber"),
    State.WITHDRAWN: ("undo-2", ""),
    State.TERMINATED: ("circle-stop", ""),
    State.EXPIRED: ("calendar-x", ""),
}
"""Icon and colour of each state; its words are `contract.state.STATE`."""
_KNOTS: Final = frozenset({State.PROPOSED, State.SIGNED_BY_SOME})
_RUNNING: Final = frozenset({State.IN_FORCE, State.SUSPENDED, State.ENDING})


@dataclass(frozen=True, slots=True)
class ContractView:
    """Everything that the page draws; sentences are said."""

    id: str
    title: str
    number: str
    version: int
    state: str
    icon: str
    tone: Tone
    steps: Sequence[Step]
    clauses: Sequence[Clause]
    changes: int
    only: bool
    signatures: Sequence[Signature]
    digest: str
    usage: Sequence[Usage]
    usage_note: str
    effects: Sequence[str]
    knots: Sequence[Knot]
    banners: Sequence[Banner]
    can: frozenset[str]
    own: bool
    """Whether the actor's member proposed it."""


def short(text: str) -> str:
    """The ends of a long id, enough to compare by eye."""
    return f"{text[:4]}…{text[-4:]}"


def build(
    session: Session, *, actor: Actor, seen: Review, now: datetime, only: bool = False
) -> ContractView:
    """The page of a contract, in the language being written. `only`: changed clauses alone."""
    name = Names(session)
    icon, tone = LOOK[seen.state]
    lines = [line for line in seen.lines if not only or line.change != "same"]
    running = seen.state in _RUNNING
    return ContractView(
        id=seen.contract,
        title=seen.title,
        number=_number(seen),
        version=seen.version,
        state=t(f"contract.state.{seen.state}"),
        icon=icon,
        tone=tone,
        steps=_steps(seen, name),
        clauses=[clause_of(line, name, compared=bool(seen.previous)) for line in lines],
        changes=sum(line.change != "same" for line in seen.lines) if seen.previous else 0,
        only=only and bool(seen.previous),
        signatures=_signatures(session, actor, seen, name),
        digest=t("contract.page.digest", digest=short(seen.digest)),
        usage=_usage(seen, name, now) if running else (),
        usage_note=_usage_note(now),
        effects=signing_effects(seen, actor) if "sign" in seen.can else (),
        knots=_knots(seen, name),
        banners=_banners(seen, name),
        can=seen.can,
        own=seen.proposer == actor.member,
    )


def clause_of(line: plain.Line, name: plain.Names, *, compared: bool = False) -> Clause:
    """One clause; with `compared`, what differs from the version before is marked in it."""
    shown = line.new or line.old
    assert shown is not None  # noqa: S101 - a line has at least one side
    if not compared or line.change == "same":
        return Clause(
            shown.number,
            plain.sentence(shown, lang(), name),
            shown.code,
            plain.rule(shown, lang(), name),
        )
    return Clause(
        shown.number,
        _marked(line, name),
        shown.code,
        plain.rule(shown, lang(), name),
        note=t(f"contract.change.{line.change}"),
        changed=True,
        marked=True,
    )


def clauses_of(terms: Terms, before: Terms | None, name: plain.Names) -> list[Clause]:
    """Every clause of terms that are being written."""
    lines = plain.diff(before, terms)
    return [clause_of(line, name, compared=before is not None) for line in lines]


def signing_effects(seen: Review, actor: Actor) -> list[str]:
    """What the actor's seal would bring about."""
    left = [m for m, act in seen.signatures.items() if act is None and m != actor.member]
    said = [t("contract.effect.more", n=len(left)) if left else t("contract.effect.last")]
    if day := day_text(seen.terms.start_ms):
        said.append(t("contract.effect.from", day=day))
    said += [t("contract.effect.judged"), t("contract.effect.emergency")]
    if seen.previous:
        said.append(t("contract.effect.before", n=seen.previous))
    return said


def hold_effects(seen: Review, action: Action, *, open_cases: int) -> list[str]:
    """What suspending, resuming or terminating would bring about."""
    if action is Action.RESUME:
        return [t("contract.effect.resume_new")]
    if action is Action.SUSPEND:
        first = t("contract.effect.suspend_new")
    elif seen.state is State.IN_FORCE:
        first = t("contract.effect.terminate_notice", days=seen.terms.notice_days)
    else:
        first = t("contract.effect.terminate_now")
    return [
        first,
        t("contract.effect.suspend_open", n=open_cases),
        t("contract.effect.suspend_slots"),
        t("contract.effect.emergency"),
    ]


class Names:
    """Names of members in the language being written, each looked up once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[str, str] = {}

    def __call__(self, member: str) -> str:
        if member not in self._known:
            self._known[member] = member_name(self._session, member)
        return self._known[member]

    def listed(self, members: Sequence[str]) -> str:
        return t("contract.join").join(self(member) for member in members)


def _marked(line: plain.Line, name: plain.Names) -> Markup:
    old, new = line.old, line.new
    if old is None or new is None:
        only = new or old
        text = escape(plain.sentence(only, lang(), name)) if only else Markup()
        tag = "ins" if old is None else "del"
        return Markup("<{tag}>{text}</{tag}>").format(tag=Markup(tag), text=text)  # noqa: S704
    if not line.parts:
        pair = (plain.sentence(one, lang(), name) for one in (old, new))
        return Markup("<del>{}</del> <ins>{}</ins>").format(*pair)
    said = {n: plain.text(value, lang(), name) for n, value in new.params.items()}
    marks = {n: f"\x02{n}\x03" for n in line.parts}
    whole = str(escape(words.say(new.key, lang(), **{**said, **marks})))
    for part, mark in marks.items():
        whole = whole.replace(mark, str(_both(old.params[part], new.params[part], name)))
    return Markup(whole)  # noqa: S704 - every piece was escaped above


def _both(old: object, new: object, name: plain.Names) -> Markup:
    """Two values of a parameter; of lists only the items that differ are marked."""
    before, after = ([plain.text(one, lang(), name) for one in _items(v)] for v in (old, new))
    pieces: list[Markup] = []
    for tag, i, j, k, m in SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes():
        if tag == "equal":
            pieces += map(escape, before[i:j])
            continue
        changed = [Markup("<del>{}</del>").format(one) for one in before[i:j]]
        changed += [Markup("<ins>{}</ins>").format(one) for one in after[k:m]]
        pieces += [Markup(" ").join(changed)] if tag == "replace" else changed
    return escape(t("contract.join")).join(pieces)


def _items(value: object) -> Sequence[object]:
    return value.items if isinstance(value, plain.Listed) else (value,)


def _number(seen: Review) -> str:
    tail = seen.contract[-6:].upper()
    if seen.previous:
        return t("contract.page.revised", id=tail, previous=seen.previous, version=seen.version)
    return t("contract.page.number", id=tail, version=seen.version)


def _steps(seen: Review, name: Names) -> list[Step]:
    proposal = next((a for a in seen.acts if a.kind == PROPOSE and a.version == seen.version), None)
    signed = [act for act in seen.signatures.values() if act is not None]
    missing = [member for member, act in seen.signatures.items() if act is None]
    steps = [Step(t("contract.step.proposed"), _entry(proposal), "on")]
    if signed:
        last = max(signed, key=lambda act: act.index)
        done = t("contract.step.signed", n=len(signed), all=len(seen.parties))
        steps.append(Step(done, f"{name(last.sender)} {_entry(last)}", "on"))
    if missing and seen.state in _KNOTS:
        steps.append(Step(t("contract.step.awaiting", parties=name.listed(missing)), state="now"))
    steps.append(_force_step(seen))
    if seen.state in {State.SUSPENDED, State.WITHDRAWN, State.ENDING, State.TERMINATED}:
        last_act = seen.acts[-1] if seen.acts else None
        steps.append(Step(t(f"contract.state.{seen.state}"), _entry(last_act), "now"))
    elif seen.state is State.EXPIRED:
        day = day_text(seen.terms.end_ms, last=True) or ""
        steps.append(Step(t("contract.state.expired"), day, "now"))
    return steps


def _force_step(seen: Review) -> Step:
    day = day_text(seen.terms.start_ms)
    if seen.in_force_at is None:
        note = t("contract.step.planned", day=day) if day else t("contract.step.at_last")
        return Step(t("contract.step.in_force"), note)
    waits = seen.state is State.AGREED and day
    note = t("contract.step.planned", day=day) if waits else ""
    entry = next((a for a in seen.acts if a.index == seen.in_force_at), None)
    return Step(t("contract.step.in_force"), note or _entry(entry), "now" if waits else "on")


def _entry(act: Done | None) -> str:
    if act is None:
        return ""
    return t("contract.step.entry", when=when(act.at), n=number(act.index))


def _signatures(session: Session, actor: Actor, seen: Review, name: Names) -> list[Signature]:
    shown = []
    for member, act in seen.signatures.items():
        if act is not None:
            shown.append(Signature(name(member), act.person, act.at, act.index))
            continue
        if member == actor.member and SIGN in seen.on_the_way:
            shown.append(Signature(name(member), t("contract.page.on_the_way")))
            continue
        office = officer(session, member) is Role.CONSORTIUM_ADMIN
        who = "contract.page.awaiting_office" if office else "contract.page.awaiting_head"
        shown.append(Signature(name(member), t(who)))
    return shown


def _usage(seen: Review, name: Names, now: datetime) -> list[Usage]:
    pace = _pace(now)
    return [
        Usage(
            label=t(
                f"contract.page.use_{use.service.kind}",
                service=t(f"contract.service.{use.service.code}"),
                taker=name(use.service.taker),
            ),
            used=use.used,
            limit=use.service.quota_month,
            pace=pace,
        )
        for use in seen.usage
    ]


def _pace(now: datetime) -> int:
    today = local(now)
    return round(100 * today.day / monthrange(today.year, today.month)[1])


def _usage_note(now: datetime) -> str:
    return t("contract.page.usage_day", day=local(now).day, percent=_pace(now))


def _knots(seen: Review, name: Names) -> list[Knot]:
    shown = []
    for act in reversed(seen.acts):
        who = f"{name(act.sender)} {act.person}"
        if act.second:
            both = t("contract.page.two_persons", first=act.person, second=act.second)
            who = f"{name(act.sender)} {both}"
        lines = []
        if act.reason:
            lines.append(t("contract.page.reason_is", reason=t(f"contract.reason.{act.reason}")))
        shown.append(
            Knot(
                title=t(f"kind.{act.kind.partition('/')[0]}"),
                state="on",
                at=act.at,
                who=who,
                lines=lines,
                exchange=act.exchange,
                index=act.index,
            )
        )
    return shown


def _banners(seen: Review, name: Names) -> list[Banner]:
    shown = []
    if seen.suspended is not None and seen.state is State.SUSPENDED:
        since = when(from_ms(seen.suspended["since"]))
        shown.append(
            Banner(
                "red",
                "circle-pause",
                t("contract.banner.suspended", when=since),
                t(
                    "contract.banner.suspended_text",
                    party=name(seen.suspended["by"]),
                    reason=t(f"contract.reason.{seen.suspended['reason']}"),
                ),
            )
        )
    if seen.state is State.ENDING and seen.ends is not None:
        lead = t("contract.banner.ending", when=when(seen.ends))
        shown.append(Banner("amber", "calendar-x", lead, t("contract.banner.ending_text")))
    if seen.state is State.WITHDRAWN:
        shown.append(_withdrawn(seen, name))
    if seen.hold is not None:
        shown.append(_hold_banner(seen, seen.hold))
    newest = max(seen.versions)
    if seen.version < newest:
        act = Act(t("contract.banner.new"), f"/contracts/{seen.contract}")
        lead = t("contract.banner.old", version=seen.version, newest=newest)
        shown.append(Banner("blue", "history", lead, act=act))
    return shown


def _withdrawn(seen: Review, name: Names) -> Banner:
    act = next((a for a in reversed(seen.acts) if a.kind == WITHDRAW), None)
    text = ""
    if act is not None:
        reason = t(f"contract.reason.{act.reason}")
        text = t("contract.banner.withdrawn_text", party=name(act.sender), reason=reason)
    return Banner("", "undo-2", t("contract.banner.withdrawn"), text)


def _hold_banner(seen: Review, hold: Hold) -> Banner:
    if hold.sent:
        return Banner("blue", "send", t("contract.banner.hold_sent"))
    verb = t(f"contract.verb.{hold.action}")
    act = None
    if "confirm" in seen.can:
        act = Act(t("contract.page.confirm"), f"/contracts/{seen.contract}/confirm")
    return Banner(
        "amber",
        "hourglass",
        t("contract.banner.hold", person=hold.person, action=verb),
        t(
            "contract.banner.hold_text",
            when=when(hold.asked_at),
            reason=t(f"contract.reason.{hold.reason}"),
        ),
        act,
    )
