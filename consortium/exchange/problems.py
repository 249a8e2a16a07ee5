"""Answers of a desk to other nodes: JSON, or a problem detail with the stable code."""

from collections.abc import Mapping
from typing import Any

import orjson

from consortium.kernel.errors import Refusal, RefusalKind
from consortium.ports import Reply

_STATUS = {
    RefusalKind.INVALID: 400,
    RefusalKind.FORBIDDEN: 403,
    RefusalKind.MISSING: 404,
    RefusalKind.CONFLICT: 409,
    RefusalKind.THROTTLED: 429,
    RefusalKind.UNAVAILABLE: 503,
    RefusalKind.TOO_LARGE: 413,
    RefusalKind.UNSUPPORTED: 415,
    RefusalKind.SIGN_IN: 401,
}
_CODES = {"blob.damaged": 422, "fhir.control": 422}
"""Well-formed, and yet not to be kept."""


def answered(value: Mapping[str, Any]) -> Reply:
    """A good answer in JSON."""
    return Reply(200, orjson.dumps(value), {"content-type": "application/json"})


def refused(refusal: Refusal) -> Reply:
    """A problem detail (RFC 9457) with the stable code; words are the asking node's business."""
    status = _CODES.get(refusal.code, _STATUS[refusal.kind])
    body = {"type": f"urn:sharing-chain:{refusal.code}", "status": status, "code": refusal.code}
    return Reply(status, orjson.dumps(body), {"content-type": "application/problem+json"})
