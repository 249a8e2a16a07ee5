"""Journey 1: a contract drafted, proposed, sealed by three; suspended, resumed by two persons."""

from collections.abc import Mapping
from typing import Any

from consortium.cli.check_http import CheckError, Upload, Value
from consortium.cli.check_nodes import Nodes, eventually
from consortium.cli.check_page import Page
from consortium.cli.demo_people import HUB, LEAD
from consortium.exchange import state

SERVICE = "cardiology"
QUOTA = 20
_SEAL_NAME = "consortium-seal.json"


def make(nodes: Nodes, *, clinic: str, head: str) -> str:
    """Draft, propose and seal a clinic's contract through the pages; gives its id.

    Args:
        nodes: the running nodes.
        clinic: the member that is to have it.
        head: the sign-in name of its head.
    """
    contract = _draft(nodes, clinic)
    for name in (head, "lin", "gaoyuan"):
        _seal(nodes, name, contract)
    in_force = _state(nodes, contract, "in_force", seen_by=head)
    if in_force["version"] != 1 or set(in_force["versions"]["1"]["signed"]) != {clinic, LEAD, HUB}:
        raise CheckError(f"contract {contract} is not signed by its three parties: {in_force}")
    return contract


def _draft(nodes: Nodes, clinic: str) -> str:
    admin = nodes.browser("gaoyuan")
    page = admin.send(admin.get("/contracts/new"), "/contracts/new", {"clinic": clinic})
    page = admin.send(page, "/contracts/drafts/*", press="do=add")
    page = admin.send(page, "/contracts/drafts/*", _terms(clinic), press="do=propose")
    if not page.linked("/contracts") or "/drafts/" in page.path:
        raise CheckError(f"the draft was not proposed: {page.text[-500:]}")
    return page.path.partition("?")[0].rpartition("/")[2]


def _terms(clinic: str) -> Mapping[str, Value]:
    """Two services: referrals and teleconsultations, each with its quota and times to answer."""
    way = f"{clinic}>{LEAD}"
    answers = {"routine": "1440", "urgent": "240", "emergency": "30"}
    typed: dict[str, Value] = {}
    for place, kind in enumerate(("referral", "teleconsult"), start=1):
        typed |= {f"s{place}.what": f"{SERVICE}.{kind}", f"s{place}.way": way}
        typed |= {f"s{place}.quota": str(QUOTA)}
        typed |= {f"s{place}.{urgency}": minutes for urgency, minutes in answers.items()}
    return typed


def _seal(nodes: Nodes, name: str, contract: str) -> None:
    """A head reads the contract as it lies at the own node and puts the seal to it."""
    browser = nodes.browser(name)
    path = f"/contracts/{contract}/sign"
    eventually(f"{name} may sign", lambda: browser.raw(path).is_success)
    browser.send(browser.get(path), path, _opened(nodes, browser.get(path), name))


def _opened(nodes: Nodes, page: Page, name: str) -> dict[str, Value]:
    """What opens a seal: its passphrase, and its file where it does not lie at the node."""
    member = nodes.member_of(name)
    typed: dict[str, Value] = {"passphrase": nodes.seal_of(member)}
    if any(one.get("seal") for one in page.forms):
        typed["seal"] = Upload(_SEAL_NAME, nodes.consortium_seal(), "application/json")
    return typed


def hold(nodes: Nodes, contract: str, action: str, *, seen_by: str) -> None:
    """Suspend or resume: the admin asks under the seal, the hospital's head confirms.

    Args:
        nodes: the running nodes.
        contract: which.
        action: `suspend` or `resume`.
        seen_by: who must see it at the own node before this is done.
    """
    admin, head = nodes.browser("gaoyuan"), nodes.browser("lin")
    path = f"/contracts/{contract}/hold/{action}"
    page = admin.get(path)
    reason = next(one.offered("reason")[0] for one in page.forms if one.get("reason"))
    typed = {"reason": reason, **_opened(nodes, page, "gaoyuan")}
    admin.send(page, path, typed)
    confirm = f"/contracts/{contract}/confirm"
    if admin.raw(confirm).is_success:
        raise CheckError("one person can suspend a contract alone")
    eventually("the second person is asked", lambda: head.raw(confirm).is_success)
    head.send(head.get(confirm), confirm)
    wanted = {"suspend": "suspended", "resume": "in_force"}[action]
    _state(nodes, contract, wanted, seen_by=seen_by)


def _state(nodes: Nodes, contract: str, wanted: str, *, seen_by: str) -> dict[str, Any]:
    """Wait until the node of a person has folded a contract into a state; gives its value."""
    found: dict[str, Any] = {}

    def holds() -> bool:
        with nodes.books.read(nodes.folder_of(seen_by)) as session:
            found.clear()
            found.update(state.read(session, f"contract:{contract}") or {})
        suspended = bool(found.get("suspended"))
        return bool(found.get("version")) and suspended == (wanted == "suspended")

    eventually(f"contract {contract} is {wanted} at {seen_by}'s node", holds)
    return found
