"""Opening bodies: unseal, compare with the commitment, read as a FHIR message."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy.orm import Session

from consortium.exchange import blobs, state
from consortium.exchange.commitment import commit_body, open_body, unb64
from consortium.exchange.header import EVERYONE, Header
from consortium.exchange.identity import Identity
from consortium.exchange.kinds import ExchangeKind, Opened
from consortium.exchange.sealing import unseal
from consortium.fhir import message as messages
from consortium.fhir import signature
from consortium.fhir.message import Message
from consortium.kernel.errors import forbidden, invalid


def open_message(
    kind: ExchangeKind, header: Header, body: bytes, identity: Identity, *, now: datetime
) -> Message:
    """The body of an exchange as a checked FHIR message.

    Raises:
        Refusal: `exchange.sealed_to_others`, `exchange.body` when it does not open the commitment
            or names other parties than the header, `exchange.parts` when it names other files
            than the header commits to, or what the FHIR gate says.
    """
    plain = unseal(body, identity.unseal) if kind.sealed else body
    salt, bundle = open_body(plain)
    if commit_body(bundle, salt) != header.body:
        raise invalid("exchange.body")
    message = messages.read(bundle, now=now)
    to = () if header.to == (EVERYONE,) else header.to
    event = kind.name.partition("/")[0]
    if (
        message.event.partition("/")[0] != event
        or message.exchange_id != header.id
        or message.source != header.sender
        or message.destinations != to
    ):
        raise invalid("exchange.body")
    blobs.check_parts(message, header)
    return message


def check_person(
    session: Session, opened: Opened, *, signers: Collection[str] = ()
) -> signature.Signed | None:
    """A clinical act bears the signature of a person's key of the sender, valid at its index.

    `signers` are the roles of which the key must hold one, any where none is named. None where
    the body is not here.

    Raises:
        Refusal: `signature.*`; the recipient answers with it (PROTOCOL 2, *person*).
    """
    if opened.message is None:
        return None
    roles: list[str] = []

    def key_of(kid: str) -> signature.KeyInfo | None:
        record = state.read(session, f"key:{kid}")
        if record is None or record["use"] != "person":
            return None
        if record["member"] != opened.header.sender or opened.index < record["from"]:
            return None
        until = record.get("until")
        if until is not None and opened.index >= until:
            return None
        roles.extend(record.get("roles", ()))
        return signature.KeyInfo(
            key_id=kid,
            member=record["member"],
            person=str(record.get("holder", "")),
            alg=record["alg"],
            public=unb64(record["public"]),
        )

    signed = signature.verify(opened.message, key_of=key_of)
    if signers and not set(signers).intersection(roles):
        raise forbidden("signature.role", key=signed.key.key_id)
    return signed
