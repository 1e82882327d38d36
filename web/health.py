"""Whether this process serves, for load balancers and Prometheus."""

from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_address

import sqlalchemy as sa
from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.responses import JSONResponse, Response

from crm.access import Permission
from crm.status import beats, status
from web.auth import find_api_viewer
from web.site import OurSite, Site

router = APIRouter(include_in_schema=False)
ALIVE_WITHIN = timedelta(minutes=1)


@router.get("/healthz")
def healthz(site: OurSite) -> Response:
    """200 while the database answers, 503 otherwise."""
    with site.wiring.database.read() as connection:
        connection.execute(sa.select(1))
    return JSONResponse({"status": "ok"})


@router.get("/metrics")
def metrics(request: Request, site: OurSite) -> Response:
    """What stands where, in Prometheus' text format; for this machine, or for a user."""
    if not _is_local(request):
        find_api_viewer(request).require(Permission.OPERATE)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_StatusCollector(site))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def _is_local(request: Request) -> bool:
    # A proxy on this machine makes everybody look local: what it passes on is for users only.
    if "forwarded" in request.headers or "x-forwarded-for" in request.headers:
        return False
    try:
        return request.client is not None and ip_address(request.client.host).is_loopback
    except ValueError:
        return False


class _StatusCollector(Collector):
    """Reads the state of the work at each scrape."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def collect(self) -> Iterator[Metric]:
        """The figures of this moment."""
        now = self._site.clock()
        with self._site.wiring.database.read() as connection:
            standing = status(connection, now)
            alive = beats(connection, now - ALIVE_WITHIN)
        calls = GaugeMetricFamily("callwise_calls", "Calls by stage and cause.", labels=["stage", "code"])
        for stage in ("announced", "received", "transcribed", "understood", "done"):
            calls.add_metric([stage, ""], standing[stage])
        for stage in ("skipped", "failed"):
            for code, count in standing[stage].items():
                calls.add_metric([stage, code], count)
        yield calls
        yield GaugeMetricFamily(
            "callwise_oldest_waiting_seconds",
            "Age of the unfinished call that waits longest.",
            value=standing["oldest_waiting_s"] or 0.0,
        )
        yield GaugeMetricFamily(
            "callwise_unreadable_events", "Storage events that nobody can read.", value=standing["unreadable_events"]
        )
        processes = GaugeMetricFamily("callwise_processes", "Processes with a recent sign of life.", labels=["kind"])
        for kind in sorted({beat.kind for beat in alive}):
            processes.add_metric([kind], sum(beat.kind == kind for beat in alive))
        yield processes
