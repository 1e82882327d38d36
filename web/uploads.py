"""Files that come with a form: counted before they are read, kept beside until they are in the object store."""

from pathlib import Path
from tempfile import NamedTemporaryFile

from fastapi import Request
from starlette.datastructures import UploadFile

from crm.access import Viewer
from crm.audit import note
from ingest.uploads import Uploaded, take_upload
from web.errors import TooLarge, WrongRequest
from web.site import Site

_COPIED_AT_ONCE = 1 << 20
_UPLOADED = "upload"


def require_bounded(request: Request, limit_bytes: int) -> None:
    """Refuse a form that is too large or does not say how large it is, before any of it is read.

    Raises TooLarge or WrongRequest.
    """
    length = request.headers.get("content-length", "")
    if not (length.isascii() and length.isdigit()):
        raise WrongRequest("The form does not say how long it is.")
    if int(length) > limit_bytes:
        raise TooLarge(f"Files of at most {limit_bytes >> 20} MB are taken at once.")


def take_file(site: Site, viewer: Viewer, given: UploadFile) -> Uploaded:
    """Let the file become a call, and write down who sent it. Raises TransientError."""
    with NamedTemporaryFile(prefix="callwise-upload-") as kept:
        while chunk := given.file.read(_COPIED_AT_ONCE):
            kept.write(chunk)
        kept.flush()
        uploaded = take_upload(site.intake, given.filename or "", Path(kept.name))
    with site.wiring.database.write() as connection:
        note(connection, viewer, _UPLOADED, call_id=uploaded.call_id, now=site.clock())
    return uploaded
