"""The three journeys, one after another, and the three places where a process is killed."""

import time

from consortium.cli import check_contract, check_records, check_referral, check_slots, demo_check
from consortium.cli.check_http import CheckError
from consortium.cli.check_nodes import HUB_FOLDER, Nodes, eventually
from consortium.cli.check_thread import one_timeline
from consortium.cli.demo_people import SHIQIAO, YUNLING
from consortium.words import say

SENDER, HUB, RECIPIENT = "sender.committed", "hub.committed", "recipient.applying"
"""The names of the three places."""
_ACCEPT = "referral.accept/1"
_QUIET_S = 2.5
_STREAM_S = 20.0


def contract(nodes: Nodes) -> None:
    """Journey 1: refused before, sealed by three, passes after; suspended, resumed."""
    doctor = nodes.browser("bai")
    patient = check_referral.register(doctor, demo_check.BEFORE)
    page = check_referral.fill(doctor, patient, demo_check.BEFORE)
    page = check_referral.refused(doctor, page, code="contract.none", clause="S")
    made = check_contract.make(nodes, clinic=YUNLING, head="tang")
    case = check_referral.send(doctor, page)
    check_referral.arrives(nodes, "gu", case)
    check_contract.hold(nodes, made, "suspend", seen_by="bai")
    other = check_referral.register(doctor, demo_check.SUSPENDED)
    page = check_referral.fill(doctor, other, demo_check.SUSPENDED)
    check_referral.refused(doctor, page, code="contract.suspended", clause="N1")
    _goes_on(nodes, case)
    check_contract.hold(nodes, made, "resume", seen_by="bai")


def _goes_on(nodes: Nodes, case: str) -> None:
    """An open case under a suspended contract: returned, sent again, declined."""
    check_referral.act(nodes, "gu", case, "return", missing=["labs"], note=demo_check.NOTE)
    check_referral.reaches(nodes, "bai", case, "returned")
    doctor, path = nodes.browser("bai"), f"/referrals/{case}/resend"
    page = doctor.get(path)
    if say("referral.missing.labs", "zh") not in page.text:
        raise CheckError(f"the form does not say what is missing: {page.text[:500]}")
    doctor.send(page, path, {"history": demo_check.NOTE}, press="do=send")
    check_referral.reaches(nodes, "gu", case, "requested")
    check_referral.act(nodes, "gu", case, "decline", reason="manage_locally")
    check_referral.reaches(nodes, "bai", case, "declined")
    one_timeline(nodes, f"/referrals/{case}", "bai", "gu")


def referral(nodes: Nodes) -> list[str]:
    """Journey 2: written with the link cut, the whole way to a closed case; gives the kills."""
    check_contract.make(nodes, clinic=SHIQIAO, head="chen")
    check_slots.publish(nodes, kind="clinic", places=range(4))
    case = _saved_here(nodes)
    _kill_sender(nodes, case)
    _arrives_by_itself(nodes, case)
    _kill_recipient(nodes, case)
    check_referral.act(nodes, "song", case, "arrive")
    check_referral.reaches(nodes, "gu", case, "arrived")
    check_referral.report(nodes, case)
    check_referral.reaches(nodes, "han", case, "reported")
    check_referral.act(nodes, "han", case, "acknowledge", reason="adopted")
    check_referral.reaches(nodes, "gu", case, "closed")
    check_referral.reaches(nodes, "han", case, "closed")
    one_timeline(nodes, f"/referrals/{case}", "han", "gu")
    _kill_hub(nodes)
    return [SENDER, RECIPIENT, HUB]


def _saved_here(nodes: Nodes) -> str:
    """Sent while the link is cut: the page says so, and not a byte leaves."""
    doctor, cable = nodes.browser("han"), nodes.cables[SHIQIAO]
    patient = check_referral.register(doctor, demo_check.WHOLE_WAY)
    page = check_referral.fill(doctor, patient, demo_check.WHOLE_WAY)
    cable.cut()
    carried = cable.carried_bytes
    case = check_referral.send(doctor, page)
    _says_saved(nodes, case)
    time.sleep(_QUIET_S)
    _says_saved(nodes, case)
    if cable.carried_bytes != carried:
        raise CheckError(f"{cable.carried_bytes - carried} bytes went through a link that is cut")
    return case


def _says_saved(nodes: Nodes, case: str) -> None:
    page = nodes.browser("han").get(f"/referrals/{case}")
    if say("referral.state.queued", "zh") not in page.text:
        raise CheckError(f"the page does not say that it is saved here: {page.text[-500:]}")


def _kill_sender(nodes: Nodes, case: str) -> None:
    """Committed and not pushed: after the restart it is still saved here."""
    nodes.kill(SHIQIAO)
    nodes.start(SHIQIAO, crash_at=f"inbox.apply:{_ACCEPT}")
    _says_saved(nodes, case)


def _arrives_by_itself(nodes: Nodes, case: str) -> None:
    """The link comes back: the specialist's open worklist shows it, nothing being asked for."""
    specialist = nodes.browser("gu")
    watch = specialist.watch("/events?page=todo&part=worklist", f"/referrals/{case}")
    nodes.cables[SHIQIAO].restore()
    if not watch.seen(within_s=_STREAM_S):
        raise CheckError("the specialist's worklist did not show the referral by itself")
    check_referral.reaches(nodes, "han", case, "requested")


def _kill_recipient(nodes: Nodes, case: str) -> None:
    """Accepted with a slot; the clinic's node is killed inside apply, and takes it once."""
    page = nodes.browser("gu").get(f"/referrals/{case}?act=accept")
    form = page.form("/referrals/*/accept")
    slots = [one for one in form.offered("when") if one != "date"] if form is not None else []
    if not slots:
        raise CheckError(f"no slot is offered to accept with: {page.text[-500:]}")
    check_referral.act(nodes, "gu", case, "accept", when=slots[0])
    nodes.ended_by_itself(SHIQIAO)
    nodes.start(SHIQIAO)
    check_referral.reaches(nodes, "han", case, "booked")


def _kill_hub(nodes: Nodes) -> None:
    """The hub has entered it, its answer is lost, and the hub is killed: entered once."""
    doctor, cable = nodes.browser("bai"), nodes.cables[YUNLING]
    patient = check_referral.register(doctor, demo_check.UNANSWERED)
    page = check_referral.fill(doctor, patient, demo_check.UNANSWERED, urgency="urgent")
    cable.cut()
    case = check_referral.send(doctor, page)
    (exchange,) = doctor.get(f"/referrals/{case}").linked("/receipts/*")
    cable.swallow("/sync/push")
    eventually(
        "the hub has entered what it could not answer",
        lambda: nodes.books.on_ledger(exchange.rpartition("/")[2]) and cable.swallowed_bytes > 0,
    )
    nodes.kill(HUB_FOLDER)
    cable.restore()
    nodes.start(HUB_FOLDER)
    check_referral.reaches(nodes, "bai", case, "requested")
    check_referral.act(nodes, "bai", case, "cancel", reason="improved")
    check_referral.reaches(nodes, "gu", case, "cancelled")


def slots_and_records(nodes: Nodes) -> None:
    """Journey 3: times published and booked, a race, records released and refused."""
    check_slots.publish(nodes, kind="teleconsult", places=range(4, 12))
    doctor = nodes.browser("han")
    patient = check_referral.register(doctor, demo_check.CONSULTED)
    page, offered = check_slots.form(doctor, patient)
    case = check_slots.book(doctor, page, offered[0])
    check_referral.reaches(nodes, "gu", case, "booked")
    check_referral.reaches(nodes, "han", case, "booked")
    names = ("han", "bai")
    racing = [
        check_referral.register(nodes.browser(name), one)
        for name, one in zip(names, demo_check.RACING, strict=True)
    ]
    check_slots.race(nodes, names, racing)
    check_records.released_by_itself(nodes, "bai", demo_check.WHOLE_WAY)
    check_records.refused_by_person(nodes, "han", demo_check.BEFORE)
    check_records.released_by_person(nodes, "han", demo_check.UNANSWERED)
