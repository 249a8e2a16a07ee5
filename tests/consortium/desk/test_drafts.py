"""Drafts keep what was typed and the one exchange id of a form."""

from typing import Any

import pytest

from consortium.desk import drafts
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from tests.consortium.desk.factory import HOUR, NOW, actor

HAN = actor()
FORM = "referral.new/p1"


def test_a_form_keeps_its_exchange_id_from_the_first_showing(database: Database) -> None:
    with database.write() as session:
        first = drafts.begin(session, actor=HAN, form=FORM, now=NOW, seed={"a": "1"})
        assert (first.fields, first.saved_at) == ({"a": "1"}, None)
    with database.write() as session:
        again = drafts.begin(session, actor=HAN, form=FORM, now=NOW + HOUR, seed={"a": "2"})
        saved = drafts.save(session, actor=HAN, form=FORM, fields={"a": "3"}, now=NOW + HOUR)
    assert first.exchange == again.exchange == saved.exchange
    assert again.fields == {"a": "1"}
    assert (saved.fields, saved.saved_at, saved.revision) == ({"a": "3"}, NOW + HOUR, 1)


def test_a_draft_survives_in_the_database_file(database: Database) -> None:
    with database.write() as session:
        drafts.save(session, actor=HAN, form=FORM, fields={"question": "胸闷"}, now=NOW)
    database.close()
    with database.read() as session:
        found = drafts.read(session, actor=HAN, form=FORM)
    assert found is not None
    assert found.fields == {"question": "胸闷"}


def test_saving_the_same_twice_counts_one_revision(database: Database) -> None:
    with database.write() as session:
        drafts.save(session, actor=HAN, form=FORM, fields={"a": "1"}, now=NOW)
        saved = drafts.save(session, actor=HAN, form=FORM, fields={"a": "1"}, now=NOW + HOUR)
    assert saved.revision == 1
    assert saved.saved_at == NOW + HOUR


def test_a_draft_is_its_authors_and_discarding_ends_it(database: Database) -> None:
    tan = actor("u-tan")
    with database.write() as session:
        drafts.save(session, actor=HAN, form=FORM, fields={"a": "1"}, now=NOW)
        assert drafts.read(session, actor=tan, form=FORM) is None
        drafts.discard(session, actor=tan, form=FORM)
        assert drafts.read(session, actor=HAN, form=FORM) is not None
        drafts.discard(session, actor=HAN, form=FORM)
        assert drafts.read(session, actor=HAN, form=FORM) is None


def test_saved_drafts_are_listed_last_saved_first_with_their_owner(database: Database) -> None:
    tan, away = actor("u-tan"), actor("u-x", "yunling")
    with database.write() as session:
        drafts.begin(session, actor=HAN, form="referral.new/p0", now=NOW)
        drafts.save(session, actor=HAN, form="referral.new/p1", fields={}, now=NOW)
        drafts.save(session, actor=HAN, form="booking.new/p1", fields={}, now=NOW + HOUR)
        drafts.save(session, actor=tan, form="referral.new/p2", fields={}, now=NOW + 2 * HOUR)
        drafts.save(session, actor=away, form="referral.new/p3", fields={}, now=NOW)
        mine = drafts.of(session, actor=HAN)
        assert [one.form for one in mine] == ["booking.new/p1", "referral.new/p1"]
        everyone = drafts.of(session, actor=HAN, member=True, prefix="referral.")
        assert [(one.form, one.owner) for one in everyone] == [
            ("referral.new/p2", "u-tan"),
            ("referral.new/p1", "u-han"),
        ]


def test_too_much_text_is_refused_and_the_saved_draft_stays(database: Database) -> None:
    with database.write() as session:
        drafts.save(session, actor=HAN, form=FORM, fields={"a": "1"}, now=NOW)
        with pytest.raises(Refusal, match=r"desk\.draft_large"):
            drafts.save(session, actor=HAN, form=FORM, fields={"a": "长" * 40_000}, now=NOW)
        found = drafts.read(session, actor=HAN, form=FORM)
    assert found is not None
    assert found.fields == {"a": "1"}


def test_a_refused_form_comes_back_with_reason_and_a_new_exchange_id(database: Database) -> None:
    with database.write() as session:
        first = drafts.begin(session, actor=HAN, form=FORM, now=NOW)
        drafts.discard(session, actor=HAN, form=FORM)
        for _twice in range(2):
            drafts.give_back(
                session,
                user="u-han",
                member="shiqiao",
                form=FORM,
                fields={"a": "1"},
                code="contract.quota",
                clause="Q1",
                now=NOW,
            )
        found = drafts.read(session, actor=HAN, form=FORM)
    assert found is not None
    assert (found.fields, found.code, found.clause) == ({"a": "1"}, "contract.quota", "Q1")
    assert found.exchange != first.exchange


def test_a_refused_form_takes_the_place_of_one_that_was_only_opened(database: Database) -> None:
    refused: dict[str, Any] = {
        "user": "u-han",
        "member": "shiqiao",
        "form": FORM,
        "clause": "",
        "now": NOW,
    }
    with database.write() as session:
        opened = drafts.begin(session, actor=HAN, form=FORM, now=NOW, seed={"a": "seed"})
        drafts.give_back(session, **refused, fields={"a": "1"}, code="x.y")
        back = drafts.read(session, actor=HAN, form=FORM)
        # what was typed and saved is kept
        drafts.save(session, actor=HAN, form=FORM, fields={"a": "2"}, now=NOW)
        drafts.give_back(session, **refused, fields={"a": "3"}, code="x.y")
        kept = drafts.read(session, actor=HAN, form=FORM)
    assert back is not None
    assert kept is not None
    assert (back.fields, back.code, back.exchange != opened.exchange) == ({"a": "1"}, "x.y", True)
    assert kept.fields == {"a": "2"}
