"""Upload: recordings and conversations that somebody has as files, by drag and drop or by a form."""

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException
from starlette.responses import Response

from crm.access import Permission
from crm.calls import seen_among
from ingest.uploads import Uploaded
from web.auth import PageVisitor, Visitor, checked_form, needs
from web.errors import WrongRequest
from web.site import OurSite, Site
from web.uploads import require_bounded, take_file

router = APIRouter(include_in_schema=False, dependencies=[Depends(needs(Permission.UPLOAD))])
MAX_FILES = 50
_WHY_NOT = {
    "sidecar": "kept: it tells of a call, and is none itself",
    "beside_recording": "kept: it belongs to a recording that is there",
    "not_audio": "no recording: its name ends like that of another kind of file",
    "folder_marker": "empty",
    "too_large": "kept, and too large to be read",
}


@router.get("/upload")
def upload_page(request: Request, site: OurSite, visitor: PageVisitor) -> Response:
    """Where files are dropped."""
    return _page(request, site, visitor, [])


@router.post("/upload")
async def upload_files(request: Request, site: OurSite, visitor: PageVisitor) -> Response:
    """Take the files of the form; each becomes a call, or it is said why not."""
    require_bounded(request, site.wiring.settings.web.max_upload_mb << 20)
    try:
        async with request.form(max_files=MAX_FILES, max_fields=5) as form:
            checked_form(request, str(form.get("form_token", "")))
            taken = await run_in_threadpool(_take, site, visitor, form)
    except MultiPartException as error:
        raise WrongRequest(error.message) from None
    return _page(request, site, visitor, taken)


def _take(site: Site, visitor: Visitor, form: FormData) -> list[tuple[str, Uploaded]]:
    files = [given for given in form.getlist("file") if isinstance(given, UploadFile) and given.filename]
    return [(given.filename or "", take_file(site, visitor.viewer, given)) for given in files]


def _page(request: Request, site: Site, visitor: Visitor, taken: list[tuple[str, Uploaded]]) -> Response:
    ids = [one.call_id for _, one in taken if one.call_id]
    with site.wiring.database.read() as connection:
        seen = seen_among(connection, visitor.viewer, ids) if ids else set()
    context = {
        "visitor": visitor,
        "taken": taken,
        "seen": seen,
        "why_not": _WHY_NOT,
        "max_mb": site.wiring.settings.web.max_upload_mb,
        "max_files": MAX_FILES,
    }
    return site.templates.TemplateResponse(request, "upload.html", context)
