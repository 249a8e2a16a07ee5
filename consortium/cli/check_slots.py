"""Journey 3, slots: a week is published, one is booked, two clinics race for the same one."""

import threading
from collections.abc import Sequence

from consortium.cli import check_page, demo_check
from consortium.cli.check_http import Browser, CheckError
from consortium.cli.check_nodes import Nodes, eventually
from consortium.cli.check_page import Page
from consortium.cli.check_referral import SERVICE
from consortium.exchange import census, state
from consortium.words import say

_FORM = "/bookings/new"
_MINUTES = 30
_OFFERED = 3


def publish(nodes: Nodes, *, kind: str, places: range) -> None:
    """The specialist publishes times of the coming week.

    Args:
        nodes: the running nodes.
        kind: `teleconsult` or `clinic`.
        places: which of the times that the week offers.
    """
    browser = nodes.browser("gu")
    page = browser.get(f"/slots?service={SERVICE}&kind={kind}&minutes={_MINUTES}")
    form = page.form("/slots")
    offered = form.offered("start") if form is not None else []
    wanted = [offered[place] for place in places]
    before = _sessions(nodes)
    browser.send(page, "/slots", {"start": wanted})
    eventually(f"{len(wanted)} times are on the ledger", lambda: _sessions(nodes) > before)


def _sessions(nodes: Nodes) -> int:
    with nodes.books.read(nodes.books.hub) as session:
        return len(state.scan(session, "session:"))


def form(browser: Browser, patient: str) -> tuple[Page, list[str]]:
    """The booking form of a patient and the free times in it, as the hub knows them now."""
    pages: list[Page] = []

    def offers() -> bool:
        pages[:] = [browser.get(f"{_FORM}?about={patient}&service={SERVICE}")]
        return bool(_offers(pages[0]))

    eventually("free times are offered", offers)
    return pages[0], _offers(pages[0])


def _offers(page: Page) -> list[str]:
    found = page.form(_FORM)
    return list(dict.fromkeys(found.offered("slot"))) if found is not None else []


def book(browser: Browser, page: Page, slot: str) -> str:
    """Choose a time, say what is asked, sign; gives the case."""
    typed = {"slot": slot, "question": demo_check.QUESTION, "consent": "explicit"}
    sent = browser.send(page, _FORM, typed)
    path = sent.path.partition("?")[0]
    if not check_page.fits(path, "/bookings/*") or path == _FORM:
        raise CheckError(f"the booking was not sent: {sent.text[-500:]}")
    return path.rpartition("/")[2]


def race(nodes: Nodes, names: Sequence[str], patients: Sequence[str]) -> str:
    """Two clinics book the same time at once; gives the case that got it.

    Raises:
        CheckError: not exactly one got it, or the other is not told and offered the next three.
    """
    forms = [
        form(nodes.browser(name), patient) for name, patient in zip(names, patients, strict=True)
    ]
    slot = next(one for one in forms[0][1] if one in forms[1][1])
    cases: dict[str, str] = {}
    line = threading.Barrier(len(names))

    def run(name: str, page: Page) -> None:
        line.wait()
        cases[name] = book(nodes.browser(name), page, slot)

    threads = [
        threading.Thread(target=run, args=(name, page))
        for name, (page, _) in zip(names, forms, strict=True)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    if set(cases) != set(names):
        raise CheckError("a booking of the race was not even signed")
    won = _judged(nodes, list(cases.values()))
    loser = next(name for name, case in cases.items() if case != won)
    patient = patients[list(names).index(loser)]
    _told_and_offered(nodes.browser(loser), cases[loser], patient)
    return won


def _judged(nodes: Nodes, cases: Sequence[str]) -> str:
    """Wait for both leaves: one admitted, one refused because the time is taken."""
    found: dict[str, census.Entered] = {}

    def both() -> bool:
        with nodes.books.read(nodes.books.hub) as session:
            found.update({one.case: one for one in census.entries(session) if one.case in cases})
        return len(found) == len(cases)

    eventually("both bookings are on the ledger", both)
    won = [one.case for one in found.values() if one.ok]
    codes = [one.code for one in found.values() if not one.ok]
    if len(won) != 1 or codes != ["slot.taken"]:
        raise CheckError(f"the race ended with {len(won)} bookings and refusals {codes}")
    return won[0]


def _told_and_offered(browser: Browser, case: str, patient: str) -> None:
    told = say("booking.state.refused", "zh")
    path = f"/bookings/{case}"
    eventually("the loser is told", lambda: told in browser.get(path).text)
    page = browser.get(path)
    again = [href for href in page.linked(_FORM) if patient in href]
    if not again:
        raise CheckError(f"{path} leads to no other time: {page.text[-300:]}")
    offered = browser.get(again[0])
    if say("bookings.form.taken", "zh") not in offered.text or len(_offers(offered)) < _OFFERED:
        raise CheckError(f"the loser is not offered the next three: {offered.text[-500:]}")
