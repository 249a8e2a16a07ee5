"""Operation: is it alive, may it serve, how is it doing."""

from collections.abc import Iterator

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from consortium.api.node import ApiNode
from consortium.exchange import alarms, restored, timeline
from consortium.kernel.time import to_ms
from consortium.ledger import journal, publisher

router = APIRouter(include_in_schema=False)
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/healthz")
def alive() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz")
def ready(request: Request) -> Response:
    """200 when the database can be read and every local node may sign, 503 with codes otherwise."""
    node: ApiNode = request.app.state.node
    with node.database.read() as session:
        why = sorted(
            {
                reason
                for identity in node.identities.by_member.values()
                if (reason := restored.reason(session, identity.node))
            }
        )
    return Response(",".join(why) or "ok", status_code=503 if why else 200, media_type="text/plain")


class _Collector:
    """Figures of one node, read when asked for; no label ever names a person."""

    def __init__(self, node: ApiNode) -> None:
        self._node = node

    def collect(self) -> Iterator[Metric]:
        node = self._node
        members = sorted(node.identities.members)
        with node.database.read() as session:
            waiting = timeline.waiting_count(session, members=members)
            kept = sum(len(timeline.alarms(session, member=one)) for one in members)
            standing = alarms.counts(session)
            size = journal.size(session) if node.keeps_ledger else 0
            newest = publisher.latest(session) if node.keeps_ledger else None
        yield _gauge("consortium_outbox_waiting", "Exchanges not answered yet", waiting)
        yield _gauge("consortium_inbox_alarms", "Entries kept and not applied", kept)
        told = GaugeMetricFamily("consortium_alarms", "Alarms that stand", labels=["code"])
        for code, count in standing.items():
            told.add_metric([code], count)
        yield told
        online = GaugeMetricFamily("consortium_link_up", "Link to the hub", labels=["member"])
        synced = GaugeMetricFamily(
            "consortium_last_sync_seconds", "Time of the last sync", labels=["member"]
        )
        for member in members:
            state = node.link_state(member)
            online.add_metric([member], float(state.online))
            if state.last_sync is not None:
                synced.add_metric([member], to_ms(state.last_sync) / 1000)
        yield online
        yield synced
        if node.keeps_ledger:
            yield _gauge("consortium_ledger_size", "Leaves on the ledger", size)
            yield _gauge(
                "consortium_checkpoint_size",
                "Leaves covered by a checkpoint",
                newest.size if newest is not None else 0,
            )


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=float(value))


@router.get("/metrics")
def metrics(request: Request) -> Response:
    """Figures in the Prometheus text format."""
    registry = CollectorRegistry()
    registry.register(_Collector(request.app.state.node))
    return Response(generate_latest(registry), media_type=_TEXT)
