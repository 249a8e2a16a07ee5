"""A report bears a doctor's own signature: what only a node signed is refused by the recipient."""

import pytest

from consortium.exchange import state, timeline
from consortium.referrals import answering
from consortium.referrals.content import ReportText
from tests.consortium.referrals.world import HOUR, Consortium, consortium

__all__ = ["consortium"]
TEXT = ReportText("冠心病", "造影示前降支狭窄 50%。", "继续阿司匹林。")


@pytest.mark.parametrize("by", ["node", "stranger", "doctor of the clinic"])
def test_a_report_signed_by_no_doctor_of_the_hospital_goes_back(
    consortium: Consortium, by: str
) -> None:
    signers = {
        "node": consortium.identities["lead"].signer,
        "stranger": consortium.key("tan"),
        "doctor of the clinic": consortium.key("han"),
    }
    case = consortium.refer(consortium.patient())
    consortium.settle()
    with consortium.writing("lu") as session:
        date = consortium.clock.now() + 20 * HOUR
        answering.accept(
            session, case, consortium.doing("lu"), signer=consortium.key("lu"), date=date
        )
    consortium.settle()
    with consortium.writing("desk") as session:
        answering.arrive(session, case, consortium.doing("desk"))
    consortium.settle()
    doing = consortium.doing("lu")
    with consortium.writing("lu") as session:
        answering.report(session, case, doing, text=TEXT, signer=signers[by])
    consortium.settle()
    with consortium.reading("han") as session:
        alarms = timeline.alarms(session, member="shiqiao")
        value = state.read(session, f"case:{case}")
    assert [(one.id, one.alarm) for one in alarms] == [(doing.exchange, "signature.key")]
    assert value is not None
    assert (value["state"], value["turn"]) == ("arrived", "lead")
    assert value["body_refused"]["of"] == doing.exchange
    with consortium.reading("lu") as session:
        told = timeline.of_case(session, member="lead", case=case)
    assert told[0].kind == "body.refuse/1"
