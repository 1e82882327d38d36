"""Calls by the API: lists, one call in full, what is corrected of it, and recordings that are sent."""

from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import Response

from calls.corrections import WrongCorrection
from crm import corrections, retries
from crm.access import Permission, Viewer
from crm.audit import Action, note
from crm.call_documents import call_document, moment, page_document, reason_document
from crm.calls import MAX_PAGE, list_calls, see_call
from crm.one_call import beyond_shown, call_in_full
from crm.revisions import Revision, revisions_of
from web.api_models import Call, CallList
from web.api_models_writes import Approved, Corrected, Correction, LookedAt, Received, Retried, Revisions
from web.api_route import BEARS_KEY, ApiRoute, ReadOfOne, answer, revision_in
from web.audit import note_read
from web.auth import ApiViewer, api_viewer, needs
from web.errors import NothingLookedAt, WrongRequest, WrongRevision
from web.filters import After, WantedCalls
from web.problems import answers
from web.site import OurSite, Site
from web.token_reads import Read
from web.uploads import require_bounded, take_file

router = APIRouter(prefix="/api/v1", tags=["calls"], dependencies=[Depends(api_viewer)], route_class=ApiRoute)
IfMatch = Annotated[str | None, Header(description="The ETag of the call as it was looked at.", max_length=200)]
_FORM = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "string", "format": "binary", "description": "A recording, or a conversation."}},
}


@router.get("/calls", dependencies=[Depends(needs(Permission.READ_CALLS))], responses=answers(CallList, 304, 400))
def calls(
    site: OurSite,
    viewer: ApiViewer,
    wanted: WantedCalls,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="Calls at once.")] = 50,
    after: After = "",
) -> Response:
    """Calls, newest first; `next` is the key of the page behind this one, null on the last."""
    with site.wiring.database.read() as connection:
        page = list_calls(connection, viewer, wanted.wanted, limit=limit, after=after, find=site.wiring.redaction)
    return answer(page_document(page))


@router.post(
    "/calls",
    status_code=201,
    dependencies=[Depends(needs(Permission.UPLOAD))],
    responses=answers(Received, 400, 413, status=201),
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}},
)
async def send_recording(request: Request, site: OurSite, viewer: ApiViewer) -> Response:
    """Send a recording, or a conversation as text; its name may tell who called whom and when, as those of telephony.

    The same file under the same name is one call, sent as often as one likes: this needs no idempotency key.
    """
    require_bounded(request, site.wiring.settings.web.max_upload_mb << 20)
    try:
        async with request.form(max_files=1, max_fields=5) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile) or not file.filename:
                raise WrongRequest("the form has no `file` with a name")
            taken = await run_in_threadpool(take_file, site, viewer, file)
    except HTTPException as error:
        # Starlette's word for a form that cannot be parsed.
        raise WrongRequest(str(error.detail)) from None
    document = {
        "call_id": str(taken.call_id) if taken.call_id else None,
        "is_new": taken.is_new,
        "why_not": taken.why_not,
        "key": taken.key,
    }
    return answer(document, 201)


class ReadOfCall(ReadOfOne):
    """The route of one call in full."""

    @staticmethod
    def read(connection: sa.Connection, site: Site, viewer: Viewer, wanted: UUID) -> Read:
        """The call, and that its transcript is read where it has one."""
        found = call_in_full(connection, viewer, wanted, site.wiring.redaction, word_by_word=False)
        response = answer(call_document(found), revision=found.revision)
        return Read(response, Action.READ_TRANSCRIPT if found.transcript else None)


def call(site: OurSite, viewer: ApiViewer, call_id: UUID) -> Response:
    """One call in full."""
    with site.wiring.database.glance() as connection:
        read = ReadOfCall.read(connection, site, viewer, call_id)
    if read.action:
        note_read(site, viewer, read.action, call_id)
    return read.response


router.add_api_route(
    "/calls/{call_id}",
    call,
    dependencies=[Depends(needs(Permission.READ_CALLS))],
    responses=answers(Call, 304, 404),
    route_class_override=ReadOfCall,
)


@router.patch(
    "/calls/{call_id}",
    dependencies=[Depends(needs(Permission.CORRECT)), BEARS_KEY],
    responses=answers(Corrected, 400, 404, 409, 412, 428),
)
def correct(
    site: OurSite,
    viewer: ApiViewer,
    call_id: UUID,
    given: Correction,
    if_match: IfMatch = None,
) -> Response:
    """Correct a call: reason, outcome, headline, summary, next steps, speakers, customer.

    Each change is noted with who, when, before and after, and no engine changes it again. Whoever comes second is told
    by 409: read the call again. What a redacted reading showed and was sent back stays as it is.
    """
    changes = given.changes()
    with site.wiring.database.write() as connection:
        shown = call_in_full(connection, viewer, call_id, site.wiring.redaction)
        revision = _looked_at(given.revision, if_match)
        if not changes.fields:
            raise WrongCorrection("nothing is said: name at least one field")
        news = beyond_shown(changes, shown)
        after = corrections.correct(connection, viewer, call_id, revision, news, now=site.clock())
    return answer({"id": str(call_id), "revision": after}, revision=after)


@router.post(
    "/calls/{call_id}/confirmation",
    dependencies=[Depends(needs(Permission.CORRECT)), BEARS_KEY],
    responses=answers(Corrected, 400, 404, 409, 412, 428),
)
def confirm(
    site: OurSite,
    viewer: ApiViewer,
    call_id: UUID,
    given: LookedAt,
    if_match: IfMatch = None,
) -> Response:
    """The call's reason is right as it is: it leaves the review queue, and teaches as a correction does."""
    with site.wiring.database.write() as connection:
        see_call(connection, viewer, call_id)
        revision = _looked_at(given.revision, if_match)
        after = corrections.confirm(connection, viewer, call_id, revision, now=site.clock())
    return answer({"id": str(call_id), "revision": after}, revision=after)


@router.post(
    "/calls/{call_id}/approval",
    dependencies=[Depends(needs(Permission.HAND_OVER)), BEARS_KEY],
    responses=answers(Approved, 400, 404, 409, 412, 428),
)
def approve(
    site: OurSite,
    viewer: ApiViewer,
    call_id: UUID,
    given: LookedAt,
    if_match: IfMatch = None,
) -> Response:
    """Let the call's summary go to a CRM as it is now; a corrected one has to be approved again."""
    with site.wiring.database.write() as connection:
        see_call(connection, viewer, call_id)
        revision = _looked_at(given.revision, if_match)
        said = corrections.approve(connection, viewer, call_id, revision, now=site.clock())
    return answer({"id": str(call_id), "by": said.by, "at": moment(said.at)})


@router.post(
    "/calls/{call_id}/retry",
    dependencies=[Depends(needs(Permission.OPERATE)), BEARS_KEY],
    responses=answers(Retried, 404),
)
def retry(site: OurSite, viewer: ApiViewer, call_id: UUID) -> Response:
    """Give a failed call another attempt; of a call that has not failed, nothing happens."""
    with site.wiring.database.write() as connection:
        see_call(connection, viewer, call_id)
        retried = retries.retry(connection, now=site.clock(), call_ids=[call_id])
        if retried:
            note(connection, viewer, Action.RETRY, call_id=call_id, now=site.clock())
    return answer({"retried": retried})


@router.get(
    "/calls/{call_id}/revisions",
    dependencies=[Depends(needs(Permission.READ_CALLS))],
    responses=answers(Revisions, 304, 404),
)
def revisions(site: OurSite, viewer: ApiViewer, call_id: UUID) -> Response:
    """Every analysis of the call: what the engines said stays, whatever was corrected."""
    with site.wiring.database.read() as connection:
        found = revisions_of(connection, viewer, call_id, site.wiring.redaction)
    return answer({"id": str(call_id), "revisions": [_revision(one) for one in found]})


def _looked_at(revision: int | None, if_match: str | None) -> int:
    """The revision that was looked at, as the body or If-Match names it."""
    named = None if if_match is None else revision_in(if_match)
    if if_match is not None and (named is None or revision not in {None, named}):
        raise WrongRevision("If-Match is no ETag of a call, or another revision than the body's")
    found = named if revision is None else revision
    if found is None:
        raise NothingLookedAt("say which revision was looked at: `revision`, or If-Match with the call's ETag")
    return found


def _revision(found: Revision) -> dict[str, Any]:
    return {
        "revision": found.revision,
        "is_current": found.is_current,
        "created_at": moment(found.created_at),
        "headline": found.headline,
        "summary": found.summary,
        "reason": reason_document(found.reason_code, found.reason_label, found.reason_confidence),
        "outcome": found.outcome,
        "next_steps": [dict(step) for step in found.next_steps],
        "model": found.model,
        "taxonomy_version": found.taxonomy_version,
    }
