"""Nothing goes by itself on a consent whose picture is not there, or does not open."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.exchange import blobs
from consortium.exchange.sealing import new_identity
from consortium.records import fhir, model, service
from tests.consortium.records.asking import ask, at, house, kept, need, person, refuse, release
from tests.consortium.teleconsult.stage import PNG
from tests.consortium.teleconsult.world import Clinics, clinics

__all__ = ["clinics"]
JPEG = b"\xff\xd8\xff\xe0" + b"x" * 20 + b"\xff\xd9"
PDF = b"%PDF-1.7\n" + b"x" * 40 + b"\n%%EOF\n"


def test_a_consent_without_its_picture_is_sent_back_and_nothing_goes(
    clinics: Clinics, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = person(clinics, "han"), person(clinics, "lu")
    house(clinics, there)
    # a clinic's program that does not ask for one
    monkeypatch.setattr(service, "_check", lambda *_, **__: None)
    case = ask(clinics, here, picture=b"")
    clinics.settle()
    assert kept(clinics, here) == []
    asked = at(clinics, "han", case)
    assert (asked.state, asked.code) == ("sent_back", "record.consent_missing")
    assert need(clinics, "han", case) == "record.need.sent_back"


@pytest.mark.parametrize("picture", [PNG[:-13], b"a picture", JPEG[:-2], PDF[:-7], b"MZ" + PNG])
def test_a_picture_that_does_not_open_is_for_a_person(clinics: Clinics, picture: bytes) -> None:
    here, there = person(clinics, "han"), person(clinics, "lu")
    house(clinics, there)
    case = ask(clinics, here, picture=picture)
    for _ in range(2):
        clinics.settle()
    assert kept(clinics, here) == []
    held = at(clinics, "desk", case)
    assert (held.state, held.why) == ("requested", "unreadable")
    assert need(clinics, "desk", case) == "record.need.decide"
    refuse(clinics, case, "consent")
    clinics.settle()
    assert at(clinics, "han", case).reason == "consent"


def test_a_file_that_the_secret_in_the_body_does_not_open_is_for_a_person(
    clinics: Clinics, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = person(clinics, "han"), person(clinics, "lu")
    house(clinics, there)
    real = fhir.request

    def other_secret(act: Any, told: Any, **more: Any) -> bytes:
        secret, _ = new_identity()
        changed = [
            {**one, "valueString": secret} if one["url"] == blobs.IDENTITY_URL else one
            for one in told.image["extension"]
        ]
        told.image["extension"] = changed
        return real(act, told, **more)

    monkeypatch.setattr(fhir, "request", other_secret)
    case = ask(clinics, here)
    for _ in range(2):
        clinics.settle()
    assert kept(clinics, here) == []
    assert at(clinics, "desk", case).why == "unreadable"
    release(clinics, case, there)
    clinics.settle()
    assert len(kept(clinics, here)) == 2


@pytest.mark.parametrize("whole", [PNG, JPEG, PDF, JPEG + b"\0" * 16])
def test_what_is_whole_opens_and_what_is_cut_does_not(whole: bytes) -> None:
    assert model.opens(whole)
    assert not any(model.opens(whole.rstrip(b"\0\n")[:n]) for n in range(len(whole) - 16))


@given(st.integers(8, len(PNG) - 1), st.integers(1, 255))
def test_a_bit_that_fell_over_is_seen(place: int, flip: int) -> None:
    raw = bytearray(PNG)
    raw[place] ^= flip
    assert not model.opens(bytes(raw))


@given(st.binary(max_size=200))
def test_anything_may_be_looked_at(raw: bytes) -> None:
    assert not model.opens(raw)
    assert not model.opens(PNG[:8] + raw)
