"""Alembic's environment: the connection, in its transaction, is the caller's."""

from typing import Any, Literal

from alembic import context

from consortium.kernel.database import Instant


def _render(kind: str, thing: Any, _context: Any) -> str | Literal[False]:
    # steps are history: they name what the column is, not a class that may change
    return "sa.BigInteger()" if kind == "type" and isinstance(thing, Instant) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=context.config.attributes["metadata"],
    include_object=context.config.attributes.get("include_object"),
    render_as_batch=True,
    render_item=_render,
    transactional_ddl=True,
)
context.run_migrations()
