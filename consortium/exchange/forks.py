"""The hub's answer to a node that signed two histories (PROTOCOL 2, "Fork")."""

from datetime import datetime

from consortium.exchange import jws
from consortium.exchange.outbox import Draft, Post
from consortium.exchange.own_kinds import HUB_MEMBER
from consortium.fhir import message as messages
from consortium.kernel.database import Database
from consortium.kernel.errors import Refusal
from consortium.kernel.ids import new_id


def suspend(database: Database, post: Post, first: bytes, second: bytes, *, now: datetime) -> None:
    """Have the hub's node end that node's key, with both JWS as evidence."""
    exchange = new_id(now)
    facts = {
        "node": jws.parse(first).header.node,
        "first": jws.digest_text(first),
        "second": jws.digest_text(second),
    }
    evidence = {"first": first.decode(), "second": second.decode()}
    body = messages.build(
        "node.suspend",
        source=HUB_MEMBER,
        destinations=(),
        resources=[messages.parameters(**facts), messages.json_part("evidence", evidence)],
        exchange_id=exchange,
        now=now,
    )
    draft = Draft(id=exchange, kind="node.suspend/1", sender=HUB_MEMBER, to=("all",), body=body)
    with database.write() as session:
        try:
            post.send(session, draft, now=now)
        except Refusal:
            return  # ended already, or the hub may not sign yet; whoever forked pushes it again
