"""Whatever is signed and well formed gets a verdict, in whatever order it comes, and folds."""

from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from consortium.exchange.facts import FactRule, check
from consortium.exchange.header import Header
from consortium.exchange.judgement import evaluate, fold, subjects_of
from consortium.exchange.kinds import ExchangeKind
from consortium.kernel.errors import Refusal
from consortium.kernel.ids import new_id
from consortium.kernel.time import to_ms
from tests.consortium.referrals.every_kind import (
    PROVIDER,
    REGISTRY,
    TAKER,
    header,
    of_cases,
    wide_contract,
)
from tests.consortium.referrals.factory import CASE, CONTRACT, HOUR, NOW, START, Fold, session

UNFORESEEN = "exchange.unjudged"
LARGE = 2**53 - 1
_SESSION = "0193a1b2-0000-7000-8000-00000000c0{:02}"
CLINIC, CONSULT = _SESSION.format(1), _SESSION.format(2)
STARTS = [to_ms(START) - 20 * 60_000, to_ms(START)]
IN_CASE = [
    *of_cases(),
    *(REGISTRY.kinds[name] for name in ("case.message/1", "case.read/1", "body.refuse/1")),
]
BESIDE = [REGISTRY.kinds[name] for name in ("session.cancel/1", "session.publish/1")]
USUAL: dict[str, list[Any]] = {
    "slot": [f"slot:{CLINIC}/1", f"slot:{CLINIC}/2", f"slot:{CONSULT}/1", f"slot:{CONSULT}/2"],
    "start": STARTS,
    "date": [to_ms(NOW + timedelta(days=5))],
    "session": [CLINIC, CONSULT],
    "provider": [PROVIDER],
    "service": ["cardiology"],
    "urgency": ["urgent"],
    "consent": ["explicit"],
    "types": [["Condition"]],
    "count": [1],
    "months": [12],
    "minutes": [20],
    "starts": [STARTS],
}
"""Facts that fit the world below, so that some sequences go far."""
ODD: dict[str, list[Any]] = {
    "code": ["x", "slot:", "slot:/1", "slot:s/0", "case:x", f"case:{CASE}", "a/b=c", "9" * 200],
    "int": [0, -1, 1, LARGE, -LARGE],
    "tree": [None, {}, [], [[1]], [LARGE], [-LARGE], [True], STARTS[::-1], STARTS * 30],
    "bool": [True, False],
}


@st.composite
def facts_of(draw: st.DrawFn, kind: ExchangeKind) -> dict[str, Any]:
    """Facts that fit a kind's rules, mostly such as pages would send."""
    made = {}
    odd = draw(st.integers(0, 3)) == 0
    for name, rule in kind.rules.items():
        if rule.optional and draw(st.booleans()):
            continue
        made[name] = draw(_one(name, rule, odd=odd))
    return made


def _one(name: str, rule: FactRule, *, odd: bool) -> st.SearchStrategy[Any]:
    choices = sorted(rule.choices)
    if name in USUAL and not odd:
        return st.sampled_from(USUAL[name])
    if rule.shape == "codes":
        return st.lists(st.sampled_from(choices or ODD["code"]), max_size=3)
    if rule.shape == "code" and choices:
        return st.sampled_from(choices)
    return st.sampled_from(ODD[rule.shape] + USUAL.get(name, []))


class World:
    """Shared state of one case, two sessions and a contract, moved as the hub moves it."""

    def __init__(self) -> None:
        starts = {"starts": STARTS}
        self.shared = Fold(
            {
                f"contract:{CONTRACT}": wide_contract(),
                f"session:{CLINIC}": session(**starts),
                f"session:{CONSULT}": session(kind="teleconsult", **starts),
            },
            registry=REGISTRY,
        )
        self.time = NOW

    def send(self, kind: ExchangeKind, header: Header, facts: dict[str, Any]) -> None:
        """Judge and fold one exchange; whatever comes is a verdict."""
        shared, time = self.shared, self.time
        assert check(facts, kind.rules) is None
        try:
            names = subjects_of(REGISTRY, kind, header, facts, time)
        except Refusal as refusal:
            self.settled(refusal)
            return
        verdict = evaluate(REGISTRY, kind, header, facts, shared, time)
        judged = kind.judge(shared, header, facts, time)
        self.settled(verdict)
        self.settled(judged)
        if isinstance(verdict, Refusal):
            return
        real = [shared.link(name)[0] if ">" in name else name for name in names]
        known = [
            name for name in dict.fromkeys(real) if name.partition(":")[0] in REGISTRY.families
        ]
        moved = fold(REGISTRY, kind, header, facts, time, verdict.split(), known, shared)
        for name, value in moved.items():
            REGISTRY.audience(name, value)
        shared.values.update(moved)

    @staticmethod
    def settled(verdict: str | Refusal) -> None:
        """Every rule foresaw what it was given."""
        assert isinstance(verdict, str | Refusal)
        assert getattr(verdict, "code", "") != UNFORESEEN


def _header(
    data: st.DataObject, kind: ExchangeKind, facts: dict[str, Any], shared: Fold, time: datetime
) -> Header:
    draw = data.draw
    sender = draw(st.sampled_from([TAKER, PROVIDER, TAKER, PROVIDER, "yunling"]))
    other = PROVIDER if sender == TAKER else TAKER
    to = draw(st.sampled_from([(other,), (other,), (other,), (sender,), (TAKER, PROVIDER)]))
    if kind.to_everyone:
        to = draw(st.sampled_from([("all",), (other,)]))
    new = new_id(time)
    if "of" in kind.rules and draw(st.booleans()):
        last = (shared.values.get(f"case:{CASE}") or {}).get("last") or {}
        facts["of"] = last.get("id", "x")
    if kind.name == "session.publish/1" and draw(st.booleans()):
        facts["session"] = new
    return Header(
        id=new, kind=kind.name, sender=sender, to=to, node="n1", lane=kind.lane(facts), seq=1,
        prev="x", facts="f", body="b", at="2026-11-24T02:12Z",
        contract=draw(st.sampled_from([CONTRACT, CONTRACT, CONTRACT, "", "ct-9"])),
        case=draw(st.sampled_from([CASE, CASE, CASE, CASE, ""])),
        purpose=draw(st.sampled_from(["TREAT", "TREAT", "TREAT", "HRESCH", ""])),
    )  # fmt: skip


def test_a_usual_walk_goes_far_in_this_world() -> None:
    """The world below the property is one in which cases live, not one that refuses all."""
    world = World()
    walk = [("request", TAKER), ("accept", PROVIDER), ("arrive", PROVIDER), ("report", PROVIDER)]
    for name, sender in walk:
        kind = REGISTRY.kinds[f"referral.{name}/1"]
        facts = {one: USUAL[one][0] for one in kind.rules if one in USUAL and one != "date"}
        facts |= {"filled": 8} if "filled" in kind.rules else {}
        to = (PROVIDER if sender == TAKER else TAKER,)
        world.send(kind, header(kind, facts, sender=sender, to=to), facts)
    assert world.shared.case["state"] == "reported"


@given(st.data())
def test_every_exchange_gets_a_verdict_over_whatever_others_have_made(data: st.DataObject) -> None:
    world = World()
    kinds = st.sampled_from([*IN_CASE, *IN_CASE, *BESIDE])
    for _ in range(data.draw(st.integers(1, 25))):
        kind = data.draw(kinds)
        facts = data.draw(facts_of(kind))
        world.send(kind, _header(data, kind, facts, world.shared, world.time), facts)
        world.time += data.draw(st.sampled_from([HOUR / 60, HOUR, 30 * HOUR]))
