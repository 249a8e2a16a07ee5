"""Attachments as bodies of tests name them."""

from typing import Any

from sqlalchemy.orm import Session

from consortium.exchange import blobs
from consortium.exchange.commitment import Part
from consortium.exchange.tables import BlobRow


def attached(part: Part) -> dict[str, Any]:
    """A FHIR Attachment that names a sealed file, whether there is one or not."""
    return {
        "extension": [
            {"url": blobs.IDENTITY_URL, "valueString": "AGE-SECRET-KEY-1TEST"},
            {"url": blobs.SEALED_SHA256_URL, "valueString": part.sha256},
            {"url": blobs.SEALED_SIZE_URL, "valueInteger": part.size},
        ],
        "contentType": "image/png",
        "title": "x.png",
    }


def document(name: str, attachment: dict[str, Any]) -> dict[str, Any]:
    """The document that holds an attachment."""
    return {
        "resourceType": "DocumentReference",
        "id": name,
        "status": "current",
        "content": [{"attachment": attachment}],
    }


def documents(session: Session, digests: tuple[str, ...]) -> list[dict[str, Any]]:
    """A document for each sealed file; one that is not known here has a size all the same."""
    return [
        document(
            f"d{number}",
            blobs.attachment(session, digest)
            if session.get(BlobRow, digest) is not None
            else attached(Part(1, digest)),
        )
        for number, digest in enumerate(digests)
    ]
