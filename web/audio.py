"""A call's sound, in the pieces that a player asks for (HTTP Range, RFC 9110 section 14), and its outline."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response, StreamingResponse

from calls.errors import ObjectGone
from calls.recording import PEAKS, own_key
from crm.access import OPERATOR, Permission
from crm.audit import Action
from crm.calls import see_call
from crm.one_call import RecordingRow, call_in_full, recording_of
from crm.redacted import is_redacted
from engines.objects import ObjectStore
from runtime.silencing import NotSilenced, silenced_key
from web.api_route import is_known
from web.audit import note_read
from web.auth import ApiViewer, needs
from web.errors import error_response
from web.site import OurSite

router = APIRouter(prefix="/api/v1", tags=["calls"])
CHUNK_BYTES = 256 * 1024
MAX_PEAKS_BYTES = 256 * 1024

_MEDIA_TYPES = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "mp4": "audio/mp4",
    "webm": "audio/webm",
    "amr": "audio/amr",
    "au": "audio/basic",
}


@dataclass(frozen=True)
class Piece:
    """Bytes `start` to `end` (both included) of an object."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """How many bytes."""
        return self.end - self.start + 1


class RangeOutside(ValueError):
    """The range lies wholly outside of the object."""


@router.head("/calls/{call_id}/audio", include_in_schema=False, dependencies=[Depends(needs(Permission.HEAR_CALLS))])
@router.get(
    "/calls/{call_id}/audio",
    dependencies=[Depends(needs(Permission.HEAR_CALLS))],
    response_class=Response,
    responses={
        200: {"content": {"audio/*": {}}, "description": "The whole recording."},
        206: {"content": {"audio/*": {}}, "description": "The range that was asked for."},
        409: {"description": "What this caller must not hear is not known, so that nothing can be silenced."},
        416: {"description": "The range lies outside of the recording."},
    },
)
def audio(request: Request, site: OurSite, viewer: ApiViewer, call_id: UUID) -> Response:
    """The recording of a call: the copy made for browsers where there is one, else the original.

    Whoever may not read everything hears a copy that is silent where redaction marks the transcript.
    """
    with site.wiring.database.read() as connection:
        see_call(connection, viewer, call_id)
        held = recording_of(connection, call_id)
        heard = call_in_full(connection, OPERATOR, call_id).transcript if is_redacted(viewer) else None
    if held is None or not held.has_sound:
        raise ObjectGone("The call has no recording.")
    key, media_type = _playable(held)
    if is_redacted(viewer):
        try:
            silenced = silenced_key(site.wiring, held, heard)
        except NotSilenced as error:
            return error_response(request, 409, error.code, error.detail)
        if silenced:
            key, media_type = silenced, "audio/mpeg"
    note_read(site, viewer, Action.HEAR_AUDIO, call_id)
    store = site.wiring.objects
    known = store.head(key)
    size_bytes = known.ref.size_bytes or 0
    etag = f'"{known.ref.etag}"'
    headers = {"Accept-Ranges": "bytes", "ETag": etag, "Cache-Control": "private, no-cache"}
    if is_known(request, etag):
        return Response(status_code=304, headers=headers)
    wanted = request.headers.get("range", "")
    if request.headers.get("if-range", etag) != etag:
        wanted = ""
    try:
        piece = read_range(wanted, size_bytes)
    except RangeOutside:
        outside = {"Content-Range": f"bytes */{size_bytes}"}
        return error_response(request, 416, "range_outside", f"The recording has {size_bytes} bytes.", outside)
    sent = piece or Piece(0, size_bytes - 1)
    headers["Content-Length"] = str(sent.length)
    if piece:
        headers["Content-Range"] = f"bytes {piece.start}-{piece.end}/{size_bytes}"
    status = 206 if piece else 200
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=media_type)
    return StreamingResponse(_chunks(store, key, sent), status, headers, media_type)


@router.get(
    "/calls/{call_id}/peaks",
    dependencies=[Depends(needs(Permission.HEAR_CALLS))],
    response_class=Response,
    responses={
        200: {"content": {"application/json": {}}, "description": "Lowest and highest samples, channel by channel."},
        204: {"description": "No outline was kept of this recording."},
    },
)
def peaks(site: OurSite, viewer: ApiViewer, call_id: UUID) -> Response:
    """The outline of a call's sound, as it was written beside the playback copy."""
    with site.wiring.database.read() as connection:
        see_call(connection, viewer, call_id)
        held = recording_of(connection, call_id)
    if held is None:
        raise ObjectGone("The call has no recording.")
    try:
        found = site.wiring.objects.read_range(own_key(PEAKS, held.id), 0, MAX_PEAKS_BYTES)
    except ObjectGone:
        # Every recording of an earlier version has none, and a browser would report each as an error.
        return Response(status_code=204)
    return Response(found, media_type="application/json")


def read_range(header: str, size_bytes: int) -> Piece | None:
    """The one range that a Range header asks for; None when it asks for none, for several, or in a way unknown.

    Raises RangeOutside when nothing of it is there.
    """
    unit, _, ranges = header.partition("=")
    first, dash, last = ranges.strip().partition("-")
    if unit.strip().lower() != "bytes" or not dash or not _are_digits(first, last) or not (first or last):
        return None
    if not first:
        start, end = max(0, size_bytes - int(last)), size_bytes - 1
        if int(last) == 0:
            raise RangeOutside
    else:
        start, end = int(first), min(int(last) if last else size_bytes - 1, size_bytes - 1)
        if last and int(last) < int(first):
            return None
    if start >= size_bytes:
        raise RangeOutside
    return Piece(start, end)


def _are_digits(*texts: str) -> bool:
    return all(text == "" or (text.isascii() and text.isdigit() and len(text) < 20) for text in texts)


def _playable(held: RecordingRow) -> tuple[str, str]:
    if held.playback_key:
        return held.playback_key, "audio/mpeg"
    return held.object_key, _MEDIA_TYPES.get(held.container or "", "application/octet-stream")


def _chunks(store: ObjectStore, key: str, piece: Piece) -> Iterator[bytes]:
    at = piece.start
    while at <= piece.end:
        block = store.read_range(key, at, min(CHUNK_BYTES, piece.end + 1 - at))
        if not block:
            return
        at += len(block)
        yield block
