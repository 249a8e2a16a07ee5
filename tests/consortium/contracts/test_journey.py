"""Journey 1 over a real hub and workstations: draft, sign, refused and passed, suspend."""

import functools
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from consortium.contracts import drafting, service, signing
from consortium.contracts.model import Action, State
from consortium.contracts.notices import Notices, Waiting
from consortium.contracts.signing import Means, Passphrase
from consortium.exchange.timeline import one
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.kernel.ids import new_id
from tests.consortium.contracts.world import CLINIC, OTHER, WORD, ContractWorld
from tests.consortium.exchange.checks import folds_agree
from tests.consortium.exchange.world import HUB, LEAD


class Desk(Notices):
    """Who is told to act next, as the worklist would show it."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Waiting] = {}

    def put(self, session: Session, waiting: Waiting, *, now: datetime) -> None:
        self.rows[waiting.member, waiting.contract] = waiting

    def close(self, session: Session, *, member: str, contract: str, now: datetime) -> None:
        self.rows.pop((member, contract), None)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def world(tmp_path: Path, new_database: Callable[[], Database], desk: Desk) -> ContractWorld:
    return ContractWorld(tmp_path, new_database, desk)


def _review(world: ContractWorld, who: str, contract: str) -> service.Review:
    actor = world.actor(who)
    with world.databases[actor.member].read() as session:
        return service.review(session, actor=actor, contract=contract, now=world.now)


def _refused(call: Callable[[], object]) -> str:
    with pytest.raises(Refusal) as caught:
        call()
    return caught.value.code


def test_from_draft_to_in_force_and_what_each_party_sees(world: ContractWorld, desk: Desk) -> None:
    contract = world.write_terms()
    assert world.value(contract) is None
    world.propose(contract)
    assert {member for member, _ in desk.rows} == {CLINIC, LEAD, HUB}
    assert {row.params["title"] for row in desk.rows.values()} == {"协作协议"}
    for who, state, waiting in (
        ("head", State.SIGNED_BY_SOME, {LEAD, HUB}),
        ("lead-head", State.SIGNED_BY_SOME, {HUB}),
        ("admin", State.IN_FORCE, set()),
    ):
        assert "sign" in _review(world, who, contract).can
        world.sign(who, contract)
        seen = _review(world, who, contract)
        assert (seen.state, "sign" in seen.can) == (state, False)
        assert {member for member, _ in desk.rows} == waiting
    for who in ("head", "lead-head", "admin"):
        seen = _review(world, who, contract)
        assert {m: act.person for m, act in seen.signatures.items() if act} == {
            CLINIC: "沈砚秋",
            LEAD: "方致远",
            HUB: "秦可立",
        }
        last = seen.signatures[HUB]
        assert last is not None
        assert seen.in_force_at == last.index
    assert world.value(contract) == world.value(contract, CLINIC)
    assert world.value(contract, OTHER) is None
    folds_agree(world)


def test_before_it_a_request_is_refused_by_its_clause_and_after_it_the_same_passes(
    world: ContractWorld,
) -> None:
    assert world.ask("").code == "contract.none"
    contract = world.write_terms()
    world.propose(contract)
    before = world.ask(contract)
    assert (before.state, before.code, before.clause) == ("refused", "contract.not_in_force", "D1")
    for who in ("head", "lead-head", "admin"):
        world.sign(who, contract)
    after = world.ask(contract)
    assert (after.state, after.words) == ("delivered", ("v1",))
    folds_agree(world)


def test_quota_is_counted_and_given_back_and_an_emergency_goes_over_it(
    world: ContractWorld,
) -> None:
    contract = world.agree()
    first = world.ask(contract, case="k1")
    assert world.ask(contract, case="k2").words == ("v1",)
    full = world.ask(contract, case="k3")
    assert (full.code, full.clause) == ("contract.quota", "Q1")
    assert world.ask(contract, case="k4", urgency="emergency").words == ("v1", "over_quota")
    for member, who in ((CLINIC, "head"), (HUB, "admin")):
        assert [
            (use.used, use.service.quota_month) for use in _review(world, who, contract).usage
        ] == [(3, 2)], member
    world.end_case(contract, "k1")
    world.end_case(contract, "k4")
    assert world.ask(contract, case="k5").words == ("v1",)
    assert first.index is not None
    folds_agree(world)


def _ask_to(
    world: ContractWorld, who: str, contract: str, action: Action, desk: Desk | None = None
) -> None:
    actor = world.actor(who)
    upload = world.seal_files[HUB].text.encode() if actor.member == HUB else None
    with world.databases[actor.member].write() as session:
        signing.ask(
            session, actor=actor, contract=contract, action=action, reason="safety",
            means=Means(
                world.keyring, world.seals[actor.member], world.members[actor.member].post,
                desk or Notices(),
            ),
            passphrase=Passphrase(WORD, upload), now=world.now,
        )  # fmt: skip


def _confirm(world: ContractWorld, who: str, contract: str) -> str:
    actor = world.actor(who)
    with world.databases[actor.member].write() as session:
        queued = signing.confirm(
            session, actor=actor, keyring=world.keyring, post=world.members[actor.member].post,
            contract=contract, now=world.now,
        )  # fmt: skip
    world.settle()
    return queued.id


def test_suspending_takes_two_persons_stops_new_cases_and_leaves_open_ones(
    world: ContractWorld, desk: Desk
) -> None:
    contract = world.agree()
    world.ask(contract, case="k1")
    _ask_to(world, "admin", contract, Action.SUSPEND)
    assert _review(world, "admin", contract).hold is not None
    assert _refused(lambda: _confirm(world, "admin", contract)) == "contract.same_person"
    assert (
        _refused(lambda: _ask_to(world, "admin", contract, Action.SUSPEND))
        == "contract.hold_waiting"
    )
    assert "confirm" in _review(world, "lead-head", contract).can
    assert world.ask(contract, case="k2").words == ("v1",)
    sent = _confirm(world, "lead-head", contract)
    with world.hub_database.read() as session:
        assert one(session, member=HUB, exchange_id=sent).state == "delivered"
    seen = _review(world, "head", contract)
    assert (seen.state, seen.hold) == (State.SUSPENDED, None)
    stopped = world.ask(contract, case="k3")
    assert (stopped.code, stopped.clause) == ("contract.suspended", "N1")
    assert world.ask(contract, case="k4", urgency="emergency").words == ("uncovered",)
    assert world.end_case(contract, "k1").words == ("v1",)
    folds_agree(world)

    for who in ("head", "lead-head"):
        assert "resume" not in _review(world, who, contract).can
        assert (
            _refused(functools.partial(_ask_to, world, who, contract, Action.RESUME))
            == "contract.not_suspender"
        )
    _ask_to(world, "admin", contract, Action.RESUME, desk)
    assert {member for member, _ in desk.rows} == {LEAD, HUB}
    _confirm(world, "lead-head", contract)
    assert desk.rows == {}
    assert _review(world, "head", contract).state == State.IN_FORCE
    assert world.ask(contract, case="k5").words == ("v1",)
    folds_agree(world)


def test_a_clinic_suspends_with_two_persons_of_its_own(world: ContractWorld) -> None:
    contract = world.agree()
    _ask_to(world, "head", contract, Action.SUSPEND)
    assert _refused(lambda: _confirm(world, "doctor", contract)) == "rights.not_here"
    _confirm(world, "clerk", contract)
    assert _review(world, "lead-head", contract).state == State.SUSPENDED
    act = _review(world, "lead-head", contract).acts[-1]
    assert (act.person, act.second, act.reason) == ("沈砚秋", "何一凡", "safety")


def test_terminating_leaves_it_in_force_until_the_notice_ends(world: ContractWorld) -> None:
    contract = world.agree(notice="7")
    _ask_to(world, "admin", contract, Action.TERMINATE)
    _confirm(world, "lead-head", contract)
    assert _review(world, "head", contract).state == State.ENDING
    assert world.ask(contract).words == ("v1",)
    world.clock.advance(days=8)
    assert _review(world, "head", contract).state == State.TERMINATED
    assert world.ask(contract).code == "contract.not_in_force"


def test_what_was_asked_stands_on_the_worklists_here_and_can_be_dropped(
    world: ContractWorld, desk: Desk
) -> None:
    contract = world.agree()
    _ask_to(world, "admin", contract, Action.SUSPEND, desk)
    assert {member for member, _ in desk.rows} == {LEAD, HUB}
    assert {row.need for row in desk.rows.values()} == {"contract.need.confirm_suspend"}
    with world.hub_database.write() as session:
        signing.drop(
            session, actor=world.actor("lead-head"), post=world.members[LEAD].post, notices=desk,
            contract=contract, now=world.now,
        )  # fmt: skip
    assert desk.rows == {}
    assert _refused(lambda: _confirm(world, "lead-head", contract)) == "contract.hold_gone"
    assert "suspend" in _review(world, "admin", contract).can


def test_a_returned_proposal_comes_again_and_shows_what_changed(world: ContractWorld) -> None:
    contract = world.write_terms()
    world.propose(contract)
    world.sign("lead-head", contract)
    head = world.actor("head")
    with world.databases[CLINIC].write() as session:
        signing.withdraw(
            session, actor=head, post=world.members[CLINIC].post, contract=contract, version=1,
            reason="terms", exchange=new_id(world.now), now=world.now,
        )  # fmt: skip
    world.settle()
    admin = world.actor("admin")
    assert _review(world, "admin", contract).can == {"revise"}
    with world.hub_database.write() as session:
        drafting.revise(session, actor=admin, contract=contract, now=world.now)
        form = dict(drafting.show(session, actor=admin, contract=contract).form)
        form["services"][0]["quota"] = "40"
        drafting.save(session, actor=admin, contract=contract, form=form, now=world.now)
    world.propose(contract)
    seen = _review(world, "head", contract)
    assert (seen.version, seen.previous, seen.state) == (2, 1, State.PROPOSED)
    changed = {line.number: line.parts for line in seen.lines if line.change != "same"}
    assert changed == {"Q1": ("quota",)}
    assert _refused(lambda: world.sign("head", contract, version=1)) == "contract.version"
    for who in ("head", "lead-head", "admin"):
        world.sign(who, contract, version=2)
    assert world.ask(contract).words == ("v2",)
    folds_agree(world)


def test_a_second_press_signs_once_and_a_wrong_passphrase_signs_nothing(
    world: ContractWorld,
) -> None:
    contract = world.write_terms()
    world.propose(contract)
    assert (
        _refused(lambda: world.sign("head", contract, word="wrong wrong wrong"))
        == "members.seal_wrong"
    )
    head, exchange = world.actor("head"), new_id(world.now)
    for other in (False, False, True):
        with world.databases[CLINIC].write() as session:

            def press(session: Session = session, other: bool = other) -> object:
                return signing.sign(
                    session, actor=head, post=world.members[CLINIC].post,
                    seals=world.seals[CLINIC], contract=contract, version=1,
                    passphrase=Passphrase(WORD),
                    exchange=new_id(world.now) if other else exchange, now=world.now,
                )  # fmt: skip

            if other:
                assert _refused(press) == "contract.signed"
            else:
                press()
    assert _review(world, "head", contract).on_the_way == {"contract.sign/1"}
    world.settle()
    assert _refused(lambda: world.sign("head", contract)) == "contract.signed"
    value = world.value(contract)
    assert value is not None
    assert list(value["versions"]["1"]["signed"]) == [CLINIC]


def test_only_a_party_sees_it_and_only_its_officer_signs(world: ContractWorld) -> None:
    contract = world.write_terms()
    assert _refused(lambda: _review(world, "head", contract)) == "contract.missing"
    world.propose(contract)
    assert _refused(lambda: _review(world, "other-head", contract)) == "contract.missing"
    assert _review(world, "doctor", contract).can == frozenset()
    assert _refused(lambda: world.sign("doctor", contract)) == "rights.not_here"
    assert _refused(lambda: world.sign("lead-doctor", contract)) == "rights.not_here"
    with world.hub_database.read() as session:
        lead = world.actor("lead-head")
        assert drafting.listing(session, actor=lead) == []
        show = lambda: drafting.show(session, actor=lead, contract=contract)  # noqa: E731
        assert _refused(show) == "rights.not_here"


def test_the_list_says_where_each_stands_and_which_wait_for_me(world: ContractWorld) -> None:
    first = world.agree()
    world.clock.advance(minutes=5)
    second = world.write_terms(until="2026-12-31")
    world.propose(second)
    rows = {}
    for who in ("head", "admin", "doctor"):
        actor = world.actor(who)
        with world.databases[actor.member].read() as session:
            rows[who] = service.listing(session, actor=actor, now=world.now).rows
            one_by_one: list[service.Row] = []
            after = ""
            while True:
                page = service.listing(session, actor=actor, now=world.now, after=after, limit=1)
                one_by_one += page.rows
                if page.after is None:
                    break
                after = page.after
            assert one_by_one == rows[who]
    seen = [(row.contract, row.state, row.mine) for row in rows["head"]]
    assert seen == [(second, State.PROPOSED, True), (first, State.IN_FORCE, False)]
    assert [row.mine for row in rows["doctor"]] == [False, False]
    assert rows["admin"][0].end is not None


def test_covering_tells_what_is_left_and_how_soon_an_answer_comes(world: ContractWorld) -> None:
    contract = world.agree()
    world.ask(contract)
    with world.databases[CLINIC].read() as session:
        (found,) = service.covering(
            session, taker=CLINIC, now=world.now, service="cardiology", provider=LEAD
        )
        nothing = service.covering(session, taker=CLINIC, now=world.now, kind="teleconsult")
    assert (found.contract, found.version, found.clause) == (contract, 1, "S1")
    assert (found.used, found.quota, found.left) == (1, 2, 1)
    assert (found.answer_min("urgent"), found.service.urgencies[0]) == (240, "routine")
    assert nothing == []
    with world.databases[OTHER].read() as session:
        assert service.covering(session, taker=OTHER, now=world.now) == []
    with world.hub_database.read() as session:
        assert service.open_cases(session, contract=contract) == 1


def test_a_refused_proposal_opens_its_draft_again(world: ContractWorld) -> None:
    contract = world.write_terms()
    admin = world.actor("admin")
    with world.hub_database.write() as session:
        form = dict(drafting.show(session, actor=admin, contract=contract).form)
        drafting.save(
            session, actor=admin, contract=contract,
            form={**form, "parties": [*form["parties"], "nobody"]}, now=world.now,
        )  # fmt: skip
        propose = lambda: drafting.propose(  # noqa: E731
            session, actor=admin, post=world.members[HUB].post, contract=contract, now=world.now
        )
        assert _refused(propose) in {"contract.party_unknown", "exchange.no_key"}
