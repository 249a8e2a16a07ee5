"""The demo's consortium: its policy names the clinics, receipts say so, the doors stand open."""

import re
from hashlib import sha256
from pathlib import Path

import pytest

from chain import note
from consortium.cli import evidence, policy
from consortium.kernel.errors import Refusal
from consortium.ledger import cosignatures, policies, receipts
from consortium.wiring import POLICY_FILE
from tests.support.real_world import World


def witnessed(world: World) -> None:
    """Time passes, so that both clinics are asked and their lines come back."""
    for _ in range(3):
        world.clock.pass_s(cosignatures.PERIOD.total_seconds())
        world.settle()


def test_the_demo_s_receipts_are_witnessed(common_world: World, tmp_path: Path) -> None:
    world = common_world
    witnessed(world)
    hub = world.client("hub")
    shown = hub.get("/ledger/checkpoint")
    assert shown.status_code == 200
    clinic = world.nodes["shiqiao"]
    with clinic.database.read() as session:
        rules = policies.in_force(session, clinic.policy)
    assert rules != clinic.policy
    assert policies.quorum_met(rules, shown.content)
    assert 2 <= len(note.parse(shown.content).signatures) <= 16
    # a person sees who witnessed, and the file that the page gives holds the lines
    browser = world.browser("han")
    page = browser.get("/outbox").text
    links = re.findall(r'href="(/receipts/[A-Za-z0-9-]+)"', page)
    assert links
    texts = [browser.get(link).text for link in links[-3:]]
    assert any("云岭乡卫生院" in text and "家联署" in text for text in texts)
    hub_page = world.browser("gaoyuan").get("/ledger").text
    assert all(name in hub_page for name in ("石桥镇卫生院", "云岭乡卫生院"))
    data = browser.get(f"{links[-1]}/file").content
    checked = receipts.check(data, rules)
    assert checked.quorum
    # the same from a file, at the command line of another member
    file = tmp_path / "receipt.tlog-proof"
    file.write_bytes(data)
    other = world.nodes["yunling"].settings
    assert evidence.compare(other, file) == evidence.FITS
    assert evidence.export(other, tmp_path / "evidence") == 0


def test_a_workstation_hears_gossip_and_cosigns_what_is_brought(common_world: World) -> None:
    world = common_world
    newest = world.client("hub").get("/ledger/checkpoint").content
    clinic = world.client("shiqiao")
    answer = clinic.post("/ledger/gossip", content=newest)
    assert answer.status_code == 200
    assert note.parse(answer.content).text
    assert clinic.post("/ledger/gossip", content=b"x").status_code == 403
    assert clinic.post("/ledger/gossip", content=b"x" * 70_000).status_code == 413
    view = world.nodes["shiqiao"].witnessing.seen(world.clock.now())
    assert view is not None
    body = f"old {view.size}\n\n".encode() + view.note
    cosigned = clinic.post("/ledger/add-checkpoint", content=body)
    assert (cosigned.status_code, cosigned.text[:1]) == (200, "\N{EM DASH}")
    origin = view.origin.encode()
    path = f"/ledger/{sha256(origin).hexdigest()}/checkpoint"
    shown = clinic.get(path)
    assert shown.text.startswith(f"{view.origin}\n{view.size}\n")
    assert shown.text.endswith(cosigned.text)
    assert note.parse(shown.content).signatures[0].name == view.origin
    assert world.client("hub").get(path).status_code == 404
    assert clinic.get(f"/ledger/{sha256(b'x').hexdigest()}/checkpoint").status_code == 404
    late = clinic.post("/ledger/add-checkpoint", content=b"old 0\n\n" + view.note)
    assert (late.status_code, late.text) == (409, f"{view.size}\n")
    assert late.headers["content-type"].startswith("text/x.tlog.size")
    assert world.client("hub").post("/ledger/add-checkpoint", content=body).status_code == 404


def test_evidence_reaches_the_head_and_leaves_as_files(own_world: World, tmp_path: Path) -> None:
    world = own_world
    node, hub = world.nodes["shiqiao"], world.nodes["hub"].hub
    assert hub is not None
    forged = note.sign("qingyuan.example/ledger\n3\n" + "A" * 43 + "=\n", [hub.log])
    file = tmp_path / "from-a-stick"
    file.write_bytes(forged)
    assert evidence.compare(node.settings, file) == evidence.FITS  # not decided alone
    assert world.client("hub").post("/ledger/gossip", content=forged).status_code == 200
    for _ in range(2):
        node.sync(world.clock.now())
    assert evidence.compare(world.nodes["hub"].settings, file) == evidence.DIFFERS
    assert evidence.export(node.settings, tmp_path / "out") == 1
    (place,) = (tmp_path / "out").iterdir()
    assert (place / "offered").read_bytes() == forged
    assert (place / "policy").exists()
    node.notice(world.clock.now())
    assert "互相矛盾" in world.browser("chen").get("/").text
    with pytest.raises(Refusal):
        evidence.compare(node.settings, Path(__file__))


def test_the_policy_command_shows_and_puts(
    own_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from consortium.cli.demo_people import HUB, place
    from consortium.cli.demo_world import SEAL_FILE

    world = own_world
    hub = world.nodes["hub"]
    policy.show(hub.settings)
    shown = capsys.readouterr().out
    assert "# witness shiqiao " in shown
    both = shown.replace("group members any", "group members all")
    file = tmp_path / "policy"
    file.write_text(both)
    monkeypatch.setattr(policy, "ask_seal", lambda: place(HUB).seal_passphrase)
    policy.put(hub.settings, file, seal=world.home / SEAL_FILE)
    world.settle()
    yunling = world.nodes["yunling"]
    with yunling.database.read() as session:
        rules = policies.in_force(session, (yunling.settings.home / POLICY_FILE).read_bytes())
    assert policies.read_policy(rules).groups["members"].least == 2
    with pytest.raises(Refusal) as caught:
        policy.put(yunling.settings, file, seal=world.home / SEAL_FILE)
    assert caught.value.code == "rights.not_here"
