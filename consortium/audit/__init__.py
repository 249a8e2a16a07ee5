"""What was done at this node, by whom: local, append-only, hash-chained."""

from consortium.audit.service import Event, Head, head, record, verify, viewed_by

__all__ = ["Event", "Head", "head", "record", "verify", "viewed_by"]
