"""`consortium fhir export`: every resource that this node sent or received, one file each.

For others' validators and for whoever leaves. It is audited, for it is a copy of records.
"""

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.orm import Session

from consortium import audit, wiring
from consortium.exchange import census, timeline
from consortium.exchange.identity import Identities
from consortium.fhir.message import Message
from consortium.kernel.database import Database
from consortium.kernel.errors import conflict
from consortium.kernel.system import write_durably
from consortium.members.keys import KeyFolder
from consortium.settings import Settings

_BUNDLE = "Bundle"


def export(settings: Settings, folder: Path) -> tuple[int, int]:
    """Write `TYPE/ID.json` for each resource, and each body whole under `Bundle/`.

    The bytes are those that were signed. Gives how many bodies and how many resources.

    Raises:
        Refusal: `cli.folder` when the folder is not empty.
    """
    if folder.exists() and any(folder.iterdir()):
        raise conflict("cli.folder")
    database = Database(settings.database_url)
    identities = wiring.local_identities(settings, KeyFolder(settings.home))
    bodies, resources = 0, set[str]()
    try:
        with database.read() as session:
            for member in sorted(identities.members):
                for message in _messages(session, identities, member):
                    bodies += 1
                    resources |= _write(folder, message)
        _note(database, identities, bodies)
    finally:
        database.close()
    return bodies, len(resources)


def _messages(session: Session, identities: Identities, member: str) -> Iterator[Message]:
    registry = wiring.registry()
    now = wiring.SystemClock().now()
    for one in census.taken(session, member):
        if one.ok:
            message = timeline.message(
                session, registry, identities, member=member, exchange_id=one.exchange, now=now
            )
            if message is not None:
                yield message


def _write(folder: Path, message: Message) -> set[str]:
    """A body and what is in it; a resource that came again as it was is one file."""
    write_durably(folder / _BUNDLE / f"{message.exchange_id}.json", message.raw)
    written = set()
    for number, resource in enumerate(message.resources):
        raw = message.bytes_of(number)
        name = f"{resource['resourceType']}/{resource['id']}"
        file = folder / f"{name}.json"
        if file.exists() and file.read_bytes() != raw:
            # another version of it: named after the exchange that brought it
            name = f"{name}.{message.exchange_id}"
            file = folder / f"{name}.json"
        write_durably(file, raw)
        written.add(name)
    return written


def _note(database: Database, identities: Identities, bodies: int) -> None:
    now = wiring.SystemClock().now()
    with database.write() as session:
        for member in sorted(identities.members):
            audit.record(
                session,
                actor="cli",
                action="fhir.export",
                subject=f"member:{member}",
                member=member,
                now=now,
                bodies=bodies,
            )
