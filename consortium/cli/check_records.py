"""Journey 3, records: asked for, released by the node itself and by a person, refused."""

from consortium.cli import check_page, demo_check
from consortium.cli.check_http import Browser, CheckError, Upload, Value
from consortium.cli.check_nodes import Nodes, eventually
from consortium.cli.check_referral import picture, reaches
from consortium.cli.check_thread import fhir_count
from consortium.cli.demo_patients import Sketch, number_of
from consortium.cli.demo_people import LEAD
from consortium.words import say

TYPE, OTHER_TYPE = "DiagnosticReport", "Observation"
_FORM = "/records/new"


def somebody(browser: Browser, one: Sketch, *, name: str = "", number: bool = True) -> str:
    """Register a patient by name and number, or by name, sex and birth; gives the id."""
    typed: dict[str, Value] = {"name": name or one.name}
    if number:
        typed["number"] = number_of(one)
    else:
        typed |= {"sex": one.sex, "birth": one.birth, "no_number_reason": _reason(browser)}
    page = browser.send(browser.get("/patients/new"), "/patients/new", typed)
    path = page.path.partition("?")[0]
    if not check_page.fits(path, "/patients/*") or path == "/patients/new":
        raise CheckError(f"the patient was not registered: {page.text[-400:]}")
    return path.rpartition("/")[2]


def _reason(browser: Browser) -> str:
    form = browser.get("/patients/new").form("/patients/new")
    return form.offered("no_number_reason")[0] if form is not None else ""


def ask(browser: Browser, patient: str) -> str:
    """Ask the hospital for a patient's reports, with a picture of the consent; gives the case."""
    typed: dict[str, Value] = {
        "to": LEAD,
        "types": [TYPE],
        "question": demo_check.QUESTION,
        "basis": "explicit",
        "picture": Upload("consent.png", picture(), "image/png"),
    }
    sent = browser.send(browser.get(f"{_FORM}?about={patient}"), _FORM, typed)
    path = sent.path.partition("?")[0]
    if not check_page.fits(path, "/records/requests/*"):
        raise CheckError(f"the record was not asked for: {sent.text[-500:]}")
    return path.rpartition("/")[2]


def released_by_itself(nodes: Nodes, name: str, one: Sketch) -> str:
    """Number and name fit one patient and the consent covers it: the node answers alone."""
    browser = nodes.browser(name)
    patient = somebody(browser, one)
    case = ask(browser, patient)
    reaches(nodes, name, case, "released")
    _decided(browser, case, "auto")
    eventually("the report is in the record", lambda: fhir_count(browser, TYPE, patient) > 0)
    if fhir_count(browser, OTHER_TYPE, patient):
        raise CheckError(f"more left the hospital than the {TYPE} that was asked for")
    page = browser.get(f"/patients/{patient}")
    if demo_check.DIAGNOSIS not in page.text and not page.linked("/records/*"):
        raise CheckError(f"the record is not on the patient's page: {page.text[-500:]}")
    return case


def released_by_person(nodes: Nodes, name: str, one: Sketch) -> str:
    """Name and birth date alone: a person compares and releases."""
    browser = nodes.browser(name)
    case = ask(browser, somebody(browser, one, number=False))
    path = f"/records/requests/{case}"
    specialist = nodes.browser("gu")
    _waits(nodes, name, case)
    page = specialist.get(path)
    form = page.form(f"{path}/release")
    if form is None:
        raise CheckError(f"{path} names nobody who could be meant: {page.text[-500:]}")
    specialist.send(page, f"{path}/release", {"patient": form.offered("patient")[0]})
    reaches(nodes, name, case, "released")
    _decided(browser, case, "person")
    return case


def refused_by_person(nodes: Nodes, name: str, one: Sketch) -> str:
    """The number of one and the name of another: never by itself; a person refuses."""
    browser = nodes.browser(name)
    case = ask(browser, somebody(browser, one, name=demo_check.OTHER_NAME))
    path = f"/records/requests/{case}"
    specialist = nodes.browser("gu")
    _waits(nodes, name, case)
    typed = {"reason": "identity_conflict", "text": demo_check.NOTE}
    specialist.send(specialist.get(path), f"{path}/refuse", typed)
    reaches(nodes, name, case, "refused")
    return case


def _waits(nodes: Nodes, name: str, case: str) -> None:
    """The request is on the hospital's worklist, and was not answered by its node."""
    specialist = nodes.browser("gu")
    path = f"/records/requests/{case}"
    eventually("a person is asked", lambda: path in specialist.get("/?topic=record").html)
    reaches(nodes, name, case, "requested")


def _decided(browser: Browser, case: str, by: str) -> None:
    """The page of the request says who decided: the node by itself, or a person."""
    path = f"/records/requests/{case}"
    told = say(f"record.by.{by}", "zh")
    eventually(f"{path} says who released", lambda: told in browser.get(path).text)
