"""The holder's side by machine: answering alone where nothing is in doubt."""

from collections.abc import Sequence
from datetime import datetime

import orjson
from sqlalchemy.orm import Session

from consortium.exchange import blobs
from consortium.exchange.kinds import Files, Opened
from consortium.exchange.outbox import Post
from consortium.kernel.errors import Refusal
from consortium.kernel.ids import new_id
from consortium.records import answering, applying, model, store
from consortium.records.model import Basis, Why
from consortium.records.tables import RequestTable


def arrived(session: Session, row: RequestTable, opened: Opened) -> None:
    """Note of a request that has just arrived what it waits for: a picture, or a person.

    What rests on a consent is answered by the node alone, but only with its picture here.
    """
    _, why = _decided(session, row, time=opened.time)
    row.why = (why or Why.PICTURE).value
    kept = store.consent(session, row.case_id, member=row.member)
    digest = blobs.digest_of(orjson.loads(kept.image)) if kept is not None and kept.image else ""
    if digest:
        blobs.want(session, digest, exchange=row.exchange, now=opened.now)


def waits(session: Session, member: str) -> Sequence[str]:
    """Cases that the node answers by itself when the consent's picture is here."""
    return store.waiting(session, member=member, state=applying.REQUESTED, why=Why.PICTURE)


def go_on(
    session: Session, member: str, case: str, *, files: Files, post: Post, now: datetime
) -> None:
    """Answer one of them if the picture is here and opens; one that does not is for a person."""
    row = store.find_request(session, case, member=member)
    kept = store.consent(session, case, member=member)
    if row is None or kept is None or row.state != applying.REQUESTED or row.why != Why.PICTURE:
        return
    try:
        picture = files(orjson.loads(kept.image))
    except Refusal:
        picture = b""
    if picture is None:
        return
    if model.opens(picture):
        _alone(session, row, post=post, now=now)
    else:
        row.why = Why.UNREADABLE.value
    session.flush()
    applying.show(session, row, now=now)


def _decided(session: Session, row: RequestTable, *, time: datetime) -> tuple[str, Why | None]:
    """Whose record may go by itself at a time, or why a person must decide."""
    consent = answering.consent_of(session, row)
    asked = answering.scope_asked(row)
    covered = consent is not None and model.covers(
        consent, asked, party=row.other, purpose=row.purpose, time=time
    )
    held = [(one.id, answering.identity_of(one)) for one in answering.candidates(session, row)]
    basis = consent.basis if consent else Basis.STATUTORY
    return model.decide(answering.identity_asked(row), held, covered=covered, basis=basis)


def _alone(session: Session, row: RequestTable, *, post: Post, now: datetime) -> None:
    # the picture may have come long after the request: what counts is that it goes now
    patient, why = _decided(session, row, time=now)
    row.why = "" if why is None else why.value
    if why is not None:
        return
    try:
        with session.begin_nested():
            answering.let_go(
                session,
                row,
                patient=patient,
                scope=answering.scope_asked(row),
                post=post,
                exchange=new_id(now),
                now=now,
            )
    except Refusal as refusal:
        much = refusal.code == "record.too_many"
        row.why = (Why.TOO_MANY if much else Why.NOT_SENT).value
