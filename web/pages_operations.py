"""The operations page: what stands where, what went wrong, who is at work, and what it costs."""

from datetime import datetime, time, timedelta
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from crm import retries
from crm.access import Permission
from crm.audit import Action, note
from crm.operations import failed_calls, failure_groups, queued_groups, spending, unreadable_events, waiting_groups
from crm.status import beats
from crm.status import status as read_status
from web.auth import CheckedForm, PageVisitor, needs
from web.filters import Words
from web.health import ALIVE_WITHIN
from web.pages_handover import operations_part
from web.site import OurSite, Site

router = APIRouter(include_in_schema=False, dependencies=[Depends(needs(Permission.OPERATE))])


@router.get("/operations")
def operations_page(
    request: Request, site: OurSite, visitor: PageVisitor, retried: Annotated[int | None, Query(ge=0)] = None
) -> Response:
    """What stands where, what went wrong, who is at work, and what today costs."""
    now = site.clock()
    midnight = datetime.combine(now.astimezone(site.zone).date(), time(), site.zone)
    with site.wiring.database.read() as connection:
        context = {
            "visitor": visitor,
            "now": now,
            "retried": retried,
            "status": read_status(connection, now),
            "failures": failure_groups(connection),
            "failed_calls": failed_calls(connection),
            "waiting": waiting_groups(connection),
            "queued": queued_groups(connection),
            "budgets": site.wiring.budgets.document(connection, now),
            "events": unreadable_events(connection, limit=10),
            "sources": _sources(site),
            "processes": beats(connection, now - timedelta(days=1)),
            "handover": operations_part(connection),
            "alive_since": now - ALIVE_WITHIN,
            "today": spending(connection, midnight, midnight + timedelta(days=1)),
            "month": spending(connection, midnight.replace(day=1), midnight + timedelta(days=1)),
        }
    return site.templates.TemplateResponse(request, "operations.html", context)


@router.post("/operations/retry", dependencies=[CheckedForm])
def retry_failed(site: OurSite, visitor: PageVisitor, code: Annotated[Words, Form()] = "") -> Response:
    """Give every failed call another attempt, or those of one cause."""
    with site.wiring.database.write() as connection:
        retried = retries.retry(connection, now=site.clock(), code=code or None)
        if retried:
            detail = f"{retried} calls, {code or 'every cause'}"
            note(connection, visitor.viewer, Action.RETRY, detail=detail, now=site.clock())
    return RedirectResponse(f"/operations?retried={retried}", 303)


def _sources(site: Site) -> list[tuple[str, str]]:
    """Where recordings are announced, as the settings name it: the kind, and its address without what is secret."""
    settings = site.wiring.settings
    at = {"folder": str(settings.objects_folder), "http": "/events/objects"}
    found = [(str(one.kind), at.get(one.kind) or one.queue or _host_of(one.url)) for one in settings.events]
    if settings.telephony.twilio.is_configured:
        found.append(("twilio", "/webhooks/twilio"))
    return found


def _host_of(url: str) -> str:
    return urlsplit(url).hostname or ""
