"""Sign-in, one-time links, administration, the person key behind the password."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from consortium.audit import service as audit
from consortium.kernel import box
from consortium.kernel.actor import Actor, Role
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.kernel.ids import UserId
from consortium.members import accounts, passwords, people, statements, store
from consortium.members.keyring import Keyring
from consortium.members.tries import Tries
from tests.consortium.members.keys_made import CHARTER, NOW
from tests.consortium.members.seeded import PASSWORD, doctor_of, fill, head_of

OTHER = "another long password"


@pytest.fixture
def keyring() -> Keyring:
    return Keyring()


@pytest.fixture
def head(database: Database, tmp_path: Path, keyring: Keyring) -> Actor:
    fill(database, tmp_path)
    return head_of(database, keyring)


def sign_in(
    database: Database, keyring: Keyring, name: str, password: str, *, late: timedelta = timedelta()
) -> Actor | str:
    try:
        with database.write() as session:
            return accounts.sign_in(session, name, password, keyring=keyring, now=NOW + late)
    except Refusal as refusal:
        return refusal.code


def confirm(database: Database, actor: Actor) -> Actor:
    """As when the ledger's entry with this person's key has come."""
    with database.write() as session:
        row = store.account(session, actor.user)
        assert row is not None
        assert row.key_id is not None
        roles = sorted(store.roles(row.roles))
        store.confirm_key(session, key_id=row.key_id, roles=roles, index=7)
    with database.read() as session:
        found = accounts.find(session, actor.user)
        assert found is not None
        return found.actor


def test_the_first_account_comes_from_a_link_that_works_once(
    database: Database, head: Actor, keyring: Keyring
) -> None:
    assert head.roles == {Role.HEAD, Role.MEMBER_ADMIN}
    assert head.member == "shiqiao"
    with database.write() as session:
        link = people.first_link(session, member="shiqiao", roles=head.roles, now=NOW)
        assert accounts.link_info(session, link.token, now=NOW).login == ""
    for token, late in ((link.token, timedelta(hours=24)), ("nothing", timedelta())):
        with database.write() as session, pytest.raises(Refusal, match=r"members\.link"):
            accounts.use_link(
                session, token, password=OTHER, keyring=keyring, now=NOW + late, login="x", name="x"
            )
    for name, code in (("zhang", ""), ("zhang2", "members.link")):
        with database.write() as session:
            try:
                accounts.use_link(
                    session, link.token, password=OTHER, keyring=keyring, now=NOW, login=name,
                    name="张",
                )  # fmt: skip
                found = ""
            except Refusal as refusal:
                found = refusal.code
        assert found == code


def test_a_login_is_one_name_whatever_its_case_and_width(
    database: Database, head: Actor, keyring: Keyring
) -> None:
    assert isinstance(sign_in(database, keyring, " ＷＡＮＧ ", PASSWORD), Actor)
    with database.write() as session, pytest.raises(Refusal, match=r"members\.login_taken"):
        people.create(
            session, actor=head, login="Wang", name="王", roles=frozenset({Role.HEAD}), now=NOW
        )


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("short", "members.password_short"),
        ("x" * 129, "members.password_long"),
        ("Wang-is-here-1", "members.password_name"),
        ("aaaaaaaaaaaab", "members.password_repeats"),
    ],
)
def test_weak_passwords_are_refused(password: str, code: str) -> None:
    with pytest.raises(Refusal) as caught:
        passwords.check_strength(password, login="wang")
    assert caught.value.code == code


def test_five_wrong_tries_pause_a_name_that_exists_or_not(
    database: Database, head: Actor, keyring: Keyring
) -> None:
    for name in ("wang", "nobody"):
        for _ in range(5):
            assert sign_in(database, keyring, name, "wrong password") == "members.sign_in_wrong"
        assert sign_in(database, keyring, name, PASSWORD) == "members.throttled"
        early = sign_in(database, keyring, name, PASSWORD, late=timedelta(minutes=14, seconds=59))
        assert early == "members.throttled"
    late = sign_in(database, keyring, "wang", PASSWORD, late=timedelta(minutes=15))
    assert isinstance(late, Actor)
    for _ in range(4):
        sign_in(database, keyring, "wang", "wrong password", late=timedelta(minutes=16))
    good = sign_in(database, keyring, "wang", PASSWORD, late=timedelta(minutes=16))
    assert isinstance(good, Actor)


def test_a_page_goes_on_in_the_transaction_in_which_a_try_was_refused(
    database: Database, head: Actor, keyring: Keyring
) -> None:
    for _ in range(5):
        with database.write() as session:
            with pytest.raises(Refusal, match="sign_in_wrong"):
                accounts.sign_in(session, "wang", "wrong", keyring=keyring, now=NOW)
            assert accounts.find(session, head.user) is not None
    assert sign_in(database, keyring, "wang", PASSWORD) == "members.throttled"


def test_wrong_tries_do_not_pile_up_in_the_database(database: Database, keyring: Keyring) -> None:
    for number in range(3):
        sign_in(database, keyring, f"nobody{number}", "wrong", late=timedelta(days=2 * number))
    with database.read() as session:
        assert store.attempt(session, "nobody0") is None
        assert store.attempt(session, "nobody2") is not None


def test_the_person_key_acts_only_after_the_ledger_has_it(
    database: Database, head: Actor, keyring: Keyring
) -> None:
    doctor = doctor_of(database, keyring, head)
    with pytest.raises(Refusal, match=r"members\.key_unconfirmed"):
        keyring.signer(doctor)
    doctor = confirm(database, doctor)
    signature = keyring.signer(doctor).sign(b"report")
    public = statements.b64(keyring.signer(doctor).public)
    assert statements.verifies(public, b"report", statements.b64(signature))
    keyring.drop(doctor.user)
    with pytest.raises(Refusal, match=r"members\.key_locked"):
        keyring.signer(doctor)
    again = sign_in(database, keyring, "li", PASSWORD)
    assert isinstance(again, Actor)
    assert again.key == doctor.key
    assert keyring.signer(again).public == statements.unb64(public, 32)


def test_the_key_lies_under_its_own_password_only(
    database: Database, head: Actor, keyring: Keyring
) -> None:
    doctor = doctor_of(database, keyring, head)
    with database.read() as session:
        row, other = store.account(session, doctor.user), store.account(session, head.user)
        assert row is not None
        assert other is not None
        assert row.key_box is not None
        statement = statements.proof(
            charter=CHARTER, member="shiqiao", use="person", public=row.key_public, holder=row.user
        )
        assert statements.verifies(row.key_public, statement, row.key_proof)
        assert row.key_box != other.key_box


def test_another_password_keeps_the_key(database: Database, head: Actor, keyring: Keyring) -> None:
    doctor = confirm(database, doctor_of(database, keyring, head))
    with database.write() as session:
        accounts.change_password(
            session, actor=doctor, old=PASSWORD, new=OTHER, keyring=keyring,
            now=NOW + timedelta(hours=1),
        )  # fmt: skip
    keyring.drop(doctor.user)
    assert sign_in(database, keyring, "li", PASSWORD) == "members.sign_in_wrong"
    again = sign_in(database, keyring, "li", OTHER)
    assert isinstance(again, Actor)
    assert again.key == doctor.key
    keyring.signer(again)
    with database.read() as session:
        found = accounts.find(session, doctor.user)
        assert found is not None
        assert found.changed_at == NOW + timedelta(hours=1)
    with database.write() as session, pytest.raises(Refusal, match="sign_in_wrong"):
        accounts.change_password(
            session, actor=doctor, old="not it at all", new=OTHER, keyring=keyring, now=NOW
        )


def test_a_reset_ends_password_and_key_at_once(
    database: Database, head: Actor, keyring: Keyring
) -> None:
    doctor = confirm(database, doctor_of(database, keyring, head))
    with database.write() as session:
        link = people.reset(session, actor=head, user=doctor.user, keyring=keyring, now=NOW)
    assert not keyring.holds(doctor.user)
    assert sign_in(database, keyring, "li", PASSWORD) == "members.sign_in_wrong"
    with database.read() as session:
        found = accounts.find(session, doctor.user)
        assert found is not None
        assert not found.open
        assert [one.key_id for one in store.to_end(session, member="shiqiao", limit=9)] == [
            doctor.key
        ]
    with database.write() as session:
        info = accounts.link_info(session, link.token, now=NOW)
        assert (info.login, info.name) == ("li", "李医生")
        fresh = accounts.use_link(session, link.token, password=OTHER, keyring=keyring, now=NOW)
    assert fresh.key == ""
    with database.read() as session:
        found = accounts.find(session, doctor.user)
        assert found is not None
        assert found.key == "waiting"
        assert found.key_id != doctor.key


def test_whoever_sits_at_the_machine_can_reset_and_it_is_audited(
    database: Database, head: Actor, keyring: Keyring
) -> None:
    with database.write() as session:
        people.reset_on_machine(session, "WANG", keyring=keyring, now=NOW)
    with database.write() as session, pytest.raises(Refusal, match="no_such_person"):
        people.reset_on_machine(session, "nobody", keyring=keyring, now=NOW)
    with database.read() as session:
        assert audit.verify(session) is None
        last = audit.head(session)
        assert last is not None
        assert last.seq >= 2


def test_other_roles_need_another_key(database: Database, head: Actor, keyring: Keyring) -> None:
    doctor = confirm(database, doctor_of(database, keyring, head))
    roles = frozenset({Role.TOWNSHIP_DOCTOR, Role.CONSULT_DESK})
    with database.write() as session:
        people.set_roles(session, actor=head, user=doctor.user, roles=roles, now=NOW)
    again = sign_in(database, keyring, "li", PASSWORD)
    assert isinstance(again, Actor)
    assert again.roles == roles
    assert again.key == ""
    again = confirm(database, again)
    assert again.key != doctor.key
    keyring.signer(again)


def test_locked_people_are_out_and_somebody_can_always_unlock(
    database: Database, head: Actor, keyring: Keyring
) -> None:
    doctor = doctor_of(database, keyring, head)
    with database.write() as session:
        people.lock(session, actor=head, user=doctor.user, keyring=keyring, now=NOW)
    assert sign_in(database, keyring, "li", PASSWORD) == "members.locked"
    assert not keyring.holds(doctor.user)
    with database.write() as session:
        people.unlock(session, actor=head, user=doctor.user, now=NOW)
    assert isinstance(sign_in(database, keyring, "li", PASSWORD), Actor)
    with database.write() as session, pytest.raises(Refusal, match="last_admin"):
        people.lock(session, actor=head, user=head.user, keyring=keyring, now=NOW)
    with database.write() as session, pytest.raises(Refusal, match="last_admin"):
        people.set_roles(session, actor=head, user=head.user, roles=frozenset({Role.HEAD}), now=NOW)


@pytest.mark.parametrize("act", ["create", "lock", "unlock", "reset", "roles", "list"])
def test_who_is_no_admin_sees_nothing_of_it(
    database: Database, head: Actor, keyring: Keyring, act: str
) -> None:
    doctor = doctor_of(database, keyring, head)
    foreign = Actor(UserId("u"), "x", head.member.__class__("yunling"), head.roles)
    doctors = frozenset({Role.TOWNSHIP_DOCTOR})

    def run(actor: Actor) -> None:
        with database.write() as session:
            match act:
                case "create":
                    people.create(
                        session, actor=actor, login="new", name="新", roles=doctors, now=NOW
                    )
                case "lock":
                    people.lock(session, actor=actor, user=head.user, keyring=keyring, now=NOW)
                case "unlock":
                    people.unlock(session, actor=actor, user=head.user, now=NOW)
                case "reset":
                    people.reset(session, actor=actor, user=head.user, keyring=keyring, now=NOW)
                case "roles":
                    people.set_roles(session, actor=actor, user=head.user, roles=doctors, now=NOW)
                case _:
                    people.listing(session, actor=actor)

    with pytest.raises(Refusal) as caught:
        run(doctor)
    assert caught.value.code == "rights.not_here"
    if act not in ("create", "list"):
        with pytest.raises(Refusal) as caught:
            run(foreign)
        assert caught.value.code == "members.no_such_person"


def test_people_have_only_roles_that_their_member_can_give(database: Database, head: Actor) -> None:
    for roles in (frozenset[Role](), frozenset({Role.CONSORTIUM_ADMIN})):
        with database.write() as session, pytest.raises(Refusal, match=r"members\.roles"):
            people.create(session, actor=head, login="new", name="新", roles=roles, now=NOW)


def test_people_are_listed_page_by_page(database: Database, head: Actor, keyring: Keyring) -> None:
    for number in range(4):
        with database.write() as session:
            people.create(
                session, actor=head, login=f"doc{number}", name="医", now=NOW,
                roles=frozenset({Role.TOWNSHIP_DOCTOR}),
            )  # fmt: skip
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        with database.read() as session:
            page = people.listing(session, actor=head, after=after, limit=2)
        seen += [one.login for one in page.rows]
        after = page.after
    assert seen == ["doc0", "doc1", "doc2", "doc3", "wang"]


def test_preferences_are_kept(database: Database, head: Actor) -> None:
    with database.write() as session:
        accounts.prefer(session, actor=head, language="en", theme="dark", large_text=True)
    with database.read() as session:
        found = accounts.find(session, head.user)
        assert found is not None
        assert (found.language, found.theme, found.large_text) == ("en", "dark", True)
    with database.write() as session, pytest.raises(Refusal, match="preference"):
        accounts.prefer(session, actor=head, language="fr")


def test_no_password_is_stretched_while_the_database_is_held(
    database: Database, head: Actor, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[bool] = []
    inside = threading.local()
    write, fits, unlock = Database.write, passwords.fits, box.unlock

    @contextmanager
    def watched(self: Database) -> Iterator[Session]:
        with write(self) as session:
            inside.writing = True
            try:
                yield session
            finally:
                inside.writing = False

    def noted(slow: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **more: Any) -> Any:
            held.append(getattr(inside, "writing", False))
            return slow(*args, **more)

        return run

    confirm(database, head)
    monkeypatch.setattr(Database, "write", watched)
    monkeypatch.setattr(passwords, "fits", noted(fits))
    monkeypatch.setattr(box, "unlock", noted(unlock))
    tries = Tries()

    def enter(name: str, password: str) -> Actor:
        return accounts.sign_in_apart(
            database, name, password, keyring=keyring, now=NOW, tries=tries, address="10.0.0.7"
        )

    with database.read() as session:
        found = accounts.find(session, head.user)
    assert found is not None
    assert enter(found.login, PASSWORD).user == head.user
    for name in (found.login, "nobody"):
        with pytest.raises(Refusal, match=r"members\.sign_in_wrong"):
            enter(name, "not this one")
    assert held == [False] * 4
