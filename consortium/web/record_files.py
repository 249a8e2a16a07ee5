"""Files of records as pages list them: opened by whoever may read the record, or still to come."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from consortium.exchange import blobs
from consortium.records.library import Record
from consortium.web.views import Attachment
from consortium.web.wording import t


def files_of(session: Session, records: Sequence[Record]) -> list[Attachment]:
    """The files that records name, each once, in the language being written."""
    named = {
        blobs.digest_of(one): (record, one)
        for record in reversed(records)
        for one in blobs.attachments_of(record.resource)
    }
    coming = blobs.coming(session, named)
    return [
        Attachment(
            id=digest,
            name=str(one.get("title", "")) or t("records.file.unnamed"),
            size_bytes=blobs.size_of(one),
            href="" if digest in coming else f"/records/{record.id}/files/{digest}",
            state=t("records.file.coming") if digest in coming else "",
        )
        for digest, (record, one) in reversed(named.items())
    ]
