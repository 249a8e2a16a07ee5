"""Journey 2: a referral written with the link cut, and its whole way there and back."""

import struct
import zlib

from consortium.cli import check_page, demo_check
from consortium.cli.check_http import Browser, CheckError, Upload, Value
from consortium.cli.check_nodes import Nodes, eventually
from consortium.cli.check_page import Page
from consortium.cli.demo_patients import Sketch, number_of
from consortium.cli.demo_people import LEAD
from consortium.exchange import state

SERVICE = "cardiology"
_FORM = "/referrals/new"


# ---------------------------------------------------------------- patients


def register(browser: Browser, one: Sketch) -> str:
    """Look for a patient, register them, note what is known; gives the id."""
    found = browser.get(f"/patients?q={one.name}")
    if [href for href in found.linked("/patients/*") if not check_page.fits(href, "/patients/new")]:
        raise CheckError(f"a patient is known before being registered: {found.text[:300]}")
    typed: dict[str, Value] = {"name": one.name, "number": number_of(one)}
    page = browser.send(browser.get("/patients/new"), "/patients/new", typed)
    path = page.path.partition("?")[0]
    if not check_page.fits(path, "/patients/*") or one.name not in page.text:
        raise CheckError(f"the patient was not registered: {page.text[-300:]}")
    known: dict[str, Value] = {"diagnosis": one.diagnosis, "medication": one.medication}
    known |= dict(zip(("systolic", "diastolic", "pulse"), one.vitals, strict=True))
    browser.send(page, f"{path}/note", {**known, "no_allergy": "1"})
    return path.rpartition("/")[2]


# ---------------------------------------------------------------- writing and sending


def fill(browser: Browser, patient: str, one: Sketch, *, urgency: str = "routine") -> Page:
    """The form of a patient with what only the doctor can say, a file attached; not yet sent."""
    page = browser.get(f"{_FORM}?about={patient}")
    form = page.form(_FORM)
    held = {name: field.value for name in ("diagnosis", "systolic", "pulse")
            if form is not None and (field := form.get(name)) is not None}  # fmt: skip
    if held != {"diagnosis": one.diagnosis, "systolic": one.vitals[0], "pulse": one.vitals[2]}:
        raise CheckError(f"the form is not prefilled from the record: {held}")
    typed: dict[str, Value] = {
        "target": f"{LEAD}/{SERVICE}",
        "urgency": urgency,
        "question": demo_check.QUESTION,
        "history": demo_check.HISTORY,
        "consent": "explicit",
        "files": Upload("ecg.png", picture(), "image/png"),
    }
    return browser.send(page, _FORM, typed, press="do=attach")


def send(browser: Browser, page: Page) -> str:
    """Sign and send a filled form; gives the case."""
    sent = browser.send(page, _FORM, press="do=send")
    path = sent.path.partition("?")[0]
    if not check_page.fits(path, "/referrals/*") or path == _FORM:
        raise CheckError(f"the referral was not sent: {sent.text[-500:]}")
    return path.rpartition("/")[2]


def refused(browser: Browser, page: Page, *, code: str, clause: str) -> Page:
    """Try to send a filled form that the contract does not allow; gives the form again.

    Raises:
        CheckError: it was not refused, or not with this clause, or what was typed is gone.
    """
    again = browser.send(page, _FORM, press="do=send", status=403)
    if code not in again.text or f"{clause}" not in again.text:
        raise CheckError(f"not refused with {code}, clause {clause}: {again.text[-700:]}")
    form = again.form(_FORM)
    question = form.get("question") if form is not None else None
    if question is None or question.value != demo_check.QUESTION:
        raise CheckError("what was typed is gone after a refusal")
    return again


def picture() -> bytes:
    """A small image, different each time as photographs are."""
    import secrets

    def chunk(name: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)

    side = 8
    rows = b"".join(b"\0" + secrets.token_bytes(side) for _ in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


# ---------------------------------------------------------------- acts


def act(nodes: Nodes, name: str, case: str, action: str, **typed: Value) -> Page:
    """A person opens a case, the row of an act, and does it."""
    browser = nodes.browser(name)
    path = f"/referrals/{case}"
    page = browser.get(f"{path}?act={action}")
    return browser.send(page, f"{path}/{action}", typed)


def arrives(nodes: Nodes, name: str, case: str) -> None:
    """Wait until a case can be opened at a person's node."""
    browser = nodes.browser(name)
    eventually(f"{name} sees case {case}", lambda: browser.raw(f"/referrals/{case}").is_success)


def reaches(nodes: Nodes, name: str, case: str, *wanted: str) -> dict[str, object]:
    """Wait until a person's node has folded a case into a state; gives its value."""
    found: dict[str, object] = {}

    def holds() -> bool:
        with nodes.books.read(nodes.folder_of(name)) as session:
            found.clear()
            found.update(state.read(session, f"case:{case}") or {})
        folder, member = nodes.folder_of(name), nodes.member_of(name)
        # at the hub admission folds before the hospital's own node has applied
        return found.get("state") in wanted and nodes.books.caught_up(folder, member)

    eventually(f"case {case} is {'/'.join(wanted)} at {name}'s node", holds)
    return found


def report(nodes: Nodes, case: str) -> None:
    """The specialist writes and signs the report."""
    browser = nodes.browser("gu")
    path = f"/referrals/{case}/report"
    typed: dict[str, Value] = {
        "diagnosis": demo_check.DIAGNOSIS,
        "findings": demo_check.FINDINGS,
        "advice": demo_check.ADVICE,
    }
    browser.send(browser.get(path), path, typed)
