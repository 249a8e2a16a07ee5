"""One memory of compiled statements for all databases of a test process.

SQLAlchemy keeps compiled statements per engine and dialect. A process of the product has one
engine; a test process has thousands, and would compile every statement anew for each of them.
"""

from sqlalchemy import Engine
from sqlalchemy.util import LRUCache

from consortium.kernel import database

_STATEMENTS_MAX = 5_000


def share_compiled() -> None:
    """Let engines that are made from now on use the dialect and statements of the first one."""
    make = database._engine
    firsts: dict[str, Engine] = {}

    def engine(url: str, *, pool_size: int) -> Engine:
        made = make(url, pool_size=pool_size)
        first = firsts.setdefault(made.dialect.name, made)
        if first is made:
            made._compiled_cache = LRUCache(_STATEMENTS_MAX)
        elif first.dialect.default_schema_name is not None:  # known once it has connected
            made.dialect, made._compiled_cache = first.dialect, first._compiled_cache
        return made

    database._engine = engine
