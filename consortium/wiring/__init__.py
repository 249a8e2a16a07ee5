"""Fits the parts of one node together: the only room that sees adapters."""

from consortium.wiring.building import POLICY_FILE, build, local_identities
from consortium.wiring.links import HttpLink, InProcessLink, SystemClock
from consortium.wiring.node import Hub, Node
from consortium.wiring.rooms import queries, registry
from consortium.wiring.starting import (
    begin_recovery,
    recover,
    recovery_of,
    refuse_behind_guard,
    start_checks,
)

__all__ = [
    "POLICY_FILE",
    "HttpLink",
    "Hub",
    "InProcessLink",
    "Node",
    "SystemClock",
    "begin_recovery",
    "build",
    "local_identities",
    "queries",
    "recover",
    "recovery_of",
    "refuse_behind_guard",
    "registry",
    "start_checks",
]
