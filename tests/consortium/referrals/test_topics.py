"""An exchange of one room moves no case of another, whatever its state."""

import pytest

from consortium.exchange.judgement import evaluate
from consortium.exchange.kinds import ExchangeKind
from consortium.kernel.errors import Refusal
from tests.consortium.referrals.every_kind import (
    PROVIDER,
    REGISTRY,
    TAKER,
    cases,
    facts_of,
    header,
    of_cases,
    topic_of,
    wide_contract,
)
from tests.consortium.referrals.factory import CASE, CONTRACT, NOW, SLOT, Fold, session


def test_kinds_of_three_topics_are_looked_at() -> None:
    assert {topic_of(kind) for kind in of_cases()} == {"referral", "booking", "record"}
    assert {topic for topic, _ in cases()} == {"referral", "booking", "record"}


@pytest.mark.parametrize("kind", of_cases(), ids=lambda kind: kind.name)
def test_a_case_of_another_topic_is_refused(kind: ExchangeKind) -> None:
    room = topic_of(kind)
    for topic, value in cases():
        if topic == room:
            continue
        shared = Fold(
            {
                f"case:{CASE}": value,
                f"contract:{CONTRACT}": wide_contract(),
                "session:s1": session(),
                "session:s9": session(kind="teleconsult"),
            }
        )
        for sender, to in ((TAKER, PROVIDER), (PROVIDER, TAKER)):
            for urgency in ("urgent", "emergency"):
                facts = facts_of(kind, slot=SLOT, urgency=urgency, consent="explicit")
                facts = {name: one for name, one in facts.items() if name != "date"}
                head = header(kind, facts, sender=sender, to=(to,))
                judged = kind.judge(shared, head, facts, NOW)
                assert isinstance(judged, Refusal), (topic, value["state"])
                if not kind.opens_case:
                    assert judged.code == f"{room}.unknown"
                assert isinstance(evaluate(REGISTRY, kind, head, facts, shared, NOW), Refusal)
