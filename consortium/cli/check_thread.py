"""The timeline of a case as both sides see it, and each of its receipts."""

import httpx2

from consortium.cli.check_http import Browser, CheckError
from consortium.cli.check_nodes import Nodes, eventually
from consortium.kernel.errors import Refusal
from consortium.ledger import receipts
from consortium.wiring import POLICY_FILE
from consortium.words import say

_LANG = "zh"
_FHIR = "/fhir/R4"


def one_timeline(nodes: Nodes, path: str, *sides: str) -> int:
    """Each side shows the same exchanges of a case, and each receipt holds; gives how many.

    Args:
        nodes: the running nodes.
        path: the page of the case, the same at each side.
        sides: sign-in names of somebody at each side.
    """
    seen = {name: _exchanges(nodes.browser(name), path) for name in sides}
    if len(set(map(frozenset, seen.values()))) != 1:
        counts = {name: len(found) for name, found in seen.items()}
        raise CheckError(f"{path} is not one timeline on both sides: {counts}")
    for name, found in seen.items():
        for exchange in found:
            receipt_holds(nodes, name, exchange)
    return len(seen[sides[0]])


def _exchanges(browser: Browser, path: str) -> list[str]:
    return [href.rpartition("/")[2] for href in browser.get(path).linked("/receipts/*")]


def receipt_holds(nodes: Nodes, name: str, exchange: str) -> None:
    """A person opens a receipt: the page says it holds, and so does its file by itself."""
    browser = nodes.browser(name)
    path = f"/receipts/{exchange}"
    files: list[bytes] = []

    def arrived() -> bool:
        answer = browser.raw(f"{path}/file")
        files[:] = [answer.content]
        return answer.is_success

    eventually(f"{name} has receipt {exchange}", arrived)
    page = browser.get(path)
    if f"{say('receipt.seal_1', _LANG)} {say('receipt.seal_2', _LANG)}" not in page.text:
        raise CheckError(f"{path} carries no seal at {name}'s node: {page.text[:300]}")
    policy = (nodes.home / nodes.folder_of(name) / POLICY_FILE).read_bytes()
    try:
        receipts.check(files[0], policy)
    except Refusal as refusal:
        raise CheckError(f"the file of {path} does not hold: {refusal.facts}") from refusal


def fhir_count(browser: Browser, kind: str, patient: str) -> int:
    """How many resources of a type the FHIR door finds of a patient."""
    answer = browser.raw(f"{_FHIR}/{kind}?patient={patient}", accept="application/fhir+json")
    bundle = _bundle(answer, kind)
    found = [one["resource"]["resourceType"] for one in bundle.get("entry", ())]
    if set(found) - {kind}:
        raise CheckError(f"a search for {kind} found {set(found)}")
    return len(found)


def _bundle(answer: httpx2.Response, kind: str) -> dict[str, list[dict[str, dict[str, str]]]]:
    if not answer.is_success or "application/fhir+json" not in answer.headers["content-type"]:
        raise CheckError(f"the FHIR door answers {answer.status_code} for {kind}")
    bundle: dict[str, list[dict[str, dict[str, str]]]] = answer.json()
    return bundle
