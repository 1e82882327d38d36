"""Upload: recordings and conversations that somebody has as files, by drag and drop or by a form."""

from pathlib import Path
from tempfile import NamedTemporaryFile

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException
from starlette.responses import Response

from crm.access import Permission
from crm.audit import note
from ingest.uploads import Uploaded, take_upload
from web.auth import PageVisitor, Visitor, checked_form, needs
from web.errors import TooLarge, WrongRequest
from web.site import OurSite, Site

router = APIRouter(include_in_schema=False, dependencies=[Depends(needs(Permission.UPLOAD))])
MAX_FILES = 50
_COPIED_AT_ONCE = 1 << 20
_UPLOADED = "upload"
_WHY_NOT = {
    "sidecar": "kept: it tells of a call, and is none itself",
    "conversation_without_call": "kept: it tells of a call, and is none itself",
    "not_audio": "no recording: its name ends like that of another kind of file",
    "folder_marker": "empty",
}


@router.get("/upload")
def upload_page(request: Request, site: OurSite, visitor: PageVisitor) -> Response:
    """Where files are dropped."""
    return _page(request, site, visitor, [])


@router.post("/upload")
async def upload_files(request: Request, site: OurSite, visitor: PageVisitor) -> Response:
    """Take the files of the form; each becomes a call, or it is said why not."""
    limit = site.wiring.settings.web.max_upload_mb << 20
    length = request.headers.get("content-length", "")
    if not length.isdigit():
        raise WrongRequest("The form does not say how long it is.")
    if int(length) > limit:
        raise TooLarge(f"Files of at most {limit >> 20} MB are taken at once.")
    try:
        async with request.form(max_files=MAX_FILES, max_fields=5) as form:
            checked_form(request, str(form.get("form_token", "")))
            taken = await run_in_threadpool(_take, site, visitor, form)
    except MultiPartException as error:
        raise WrongRequest(error.message) from None
    return _page(request, site, visitor, taken)


def _take(site: Site, visitor: Visitor, form: FormData) -> list[tuple[str, Uploaded]]:
    taken = []
    for given in form.getlist("file"):
        if not isinstance(given, UploadFile) or not given.filename:
            continue
        with NamedTemporaryFile(prefix="callwise-upload-") as kept:
            while chunk := given.file.read(_COPIED_AT_ONCE):
                kept.write(chunk)
            kept.flush()
            uploaded = take_upload(site.intake, given.filename, Path(kept.name))
        with site.wiring.database.write() as connection:
            note(connection, visitor.viewer, _UPLOADED, call_id=uploaded.call_id, now=site.clock())
        taken.append((given.filename, uploaded))
    return taken


def _page(request: Request, site: Site, visitor: Visitor, taken: list[tuple[str, Uploaded]]) -> Response:
    context = {
        "visitor": visitor,
        "taken": taken,
        "why_not": _WHY_NOT,
        "max_mb": site.wiring.settings.web.max_upload_mb,
        "max_files": MAX_FILES,
    }
    return site.templates.TemplateResponse(request, "upload.html", context)
