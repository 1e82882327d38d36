"""The state of the work by the API: what stands where, what went wrong, what it costs; and the exports."""

from collections.abc import Iterable
from datetime import datetime, time, timedelta
from pathlib import PurePosixPath
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from starlette.responses import FileResponse, Response

from analytics.edition import folder_of, listed_file, listed_files
from crm import retries
from crm.access import EVERYBODYS, NotAllowed, Permission, Viewer
from crm.audit import Action, note
from crm.call_documents import moment
from crm.operations import (
    FailureGroup,
    Spending,
    WaitingGroup,
    failure_groups,
    spending,
    unreadable_events,
    waiting_groups,
)
from crm.status import beats
from crm.status import status as read_status
from web.api_models import StatusOfWork
from web.api_models_work import Exports, Operations, RetryWish
from web.api_models_writes import Retried
from web.api_route import BEARS_KEY, ApiRoute, answer
from web.auth import ApiViewer, api_viewer, needs
from web.problems import answers
from web.site import OurSite

router = APIRouter(prefix="/api/v1", dependencies=[Depends(api_viewer)], route_class=ApiRoute)
_EVENT_COUNT = 20


@router.get(
    "/status",
    tags=["operations"],
    dependencies=[Depends(needs(Permission.OPERATE))],
    responses=answers(StatusOfWork, 304),
)
def status(site: OurSite) -> Response:
    """What stands where: calls by stage and cause."""
    with site.wiring.database.read() as connection:
        return answer(read_status(connection, site.clock()))


@router.get(
    "/operations",
    tags=["operations"],
    dependencies=[Depends(needs(Permission.OPERATE))],
    responses=answers(Operations, 304),
)
def operations(site: OurSite) -> Response:
    """What went wrong and why, what waits, who is at work, and what today and this month cost."""
    now = site.clock()
    midnight = datetime.combine(now.astimezone(site.zone).date(), time(), site.zone)
    tomorrow = midnight + timedelta(days=1)
    with site.wiring.database.read() as connection:
        document = {
            "failures": _groups(failure_groups(connection)),
            "waiting": _groups(waiting_groups(connection)),
            "processes": [
                {
                    "name": one.name,
                    "kind": one.kind,
                    "state": one.state,
                    "started_at": moment(one.started_at),
                    "beat_at": moment(one.beat_at),
                }
                for one in beats(connection, now - timedelta(days=1))
            ],
            "unreadable_events": [
                {"received_at": moment(one.received_at), "source": one.source, "code": one.code}
                for one in unreadable_events(connection, limit=_EVENT_COUNT)
            ],
            "today": _spent(spending(connection, midnight, tomorrow)),
            "month": _spent(spending(connection, midnight.replace(day=1), tomorrow)),
        }
    return answer(document)


@router.post(
    "/operations/retry",
    tags=["operations"],
    dependencies=[Depends(needs(Permission.OPERATE)), BEARS_KEY],
    responses=answers(Retried),
)
def retry_failed(site: OurSite, viewer: ApiViewer, wish: RetryWish) -> Response:
    """Give every failed call another attempt, or those of one cause."""
    with site.wiring.database.write() as connection:
        retried = retries.retry(connection, now=site.clock(), code=wish.code or None)
        if retried:
            detail = f"{retried} calls, {wish.code or 'every cause'}"
            note(connection, viewer, Action.RETRY, detail=detail, now=site.clock())
    return answer({"retried": retried})


@router.get(
    "/exports", tags=["exports"], dependencies=[Depends(needs(Permission.EXPORT))], responses=answers(Exports, 304)
)
def exports(site: OurSite, viewer: ApiViewer) -> Response:
    """The files that `callwise export` wrote last and that the caller may have."""
    found = listed_files(folder_of(site.wiring.settings.exports_place))
    return answer({"files": [entry for entry in found if _may_have(viewer, entry)]})


@router.get(
    "/exports/{path:path}",
    tags=["exports"],
    dependencies=[Depends(needs(Permission.EXPORT))],
    response_class=Response,
    responses=answers(None, 404) | {200: {"content": {"*/*": {}}, "description": "The file."}},
)
def export_file(
    site: OurSite, viewer: ApiViewer, path: Annotated[str, Path(max_length=500, pattern=r"^[^\x00]*$")]
) -> Response:
    """One file of the exports; who has it is written down."""
    found, entry = listed_file(folder_of(site.wiring.settings.exports_place), path)
    if not _may_have(viewer, entry):
        raise NotAllowed(f"{viewer.name} may not have this export: it tells of calls or customers that are not theirs")
    with site.wiring.database.write() as connection:
        note(connection, viewer, Action.EXPORT, detail=path, now=site.clock())
    return FileResponse(found, filename=PurePosixPath(path).name)


def _may_have(viewer: Viewer, entry: dict[str, Any]) -> bool:
    """An export tells of all calls; one with personal data is for those who may read it."""
    return viewer.role in EVERYBODYS and (not entry["personal_data"] or viewer.may(Permission.READ_UNREDACTED))


def _groups(found: Iterable[FailureGroup | WaitingGroup]) -> list[dict[str, Any]]:
    return [
        {
            "step": one.step,
            "code": one.code,
            "detail": one.detail,
            "call_count": one.call_count,
            "next_at": moment(one.next_at) if isinstance(one, WaitingGroup) else None,
        }
        for one in found
    ]


def _spent(found: Spending) -> dict[str, int]:
    return {
        "request_count": found.request_count,
        "unpriced_count": found.unpriced_count,
        "cost_microusd": found.cost_microusd,
    }
