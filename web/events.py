"""Events that stores send by themselves: `POST /events/objects`, for the sources of kind `http` in the settings."""

import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from math import ceil

import structlog
from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from calls.errors import TransientError
from crm.intake import KEPT_BODY, note_unreadable
from ingest.events import MAX_EVENT_BYTES, UnreadableEvent, read_event
from ingest.intake import take_messages
from runtime.listening import http_tokens
from web.bodies import first_bytes
from web.errors import error_response
from web.site import OurSite, Site

_log = structlog.get_logger()
router = APIRouter(prefix="/events", include_in_schema=False)

# A handshake holds a code and an address.
MAX_HANDSHAKE_BYTES = 64 << 10
READ_PAST_BYTES = 64 << 20
# When to send again where nobody knows how long the store or the database will be away.
RETRY_AFTER_S = 30
# A CloudEvents origin is a DNS name (HTTP 1.1 Web Hooks for Event Delivery, section 4.1.1).
_ORIGIN = re.compile(r"[A-Za-z0-9.:_\[\]-]{1,255}")


@router.options("/objects")
def allow_sender(request: Request, site: OurSite) -> Response:
    """Answer the handshake of CloudEvents' web hooks. It opens nothing: each event has to come with its token."""
    if not http_tokens(site.wiring.settings):
        return _not_configured(request)
    headers = {"Allow": "OPTIONS, POST"}
    origin = request.headers.get("webhook-request-origin", "")
    if _ORIGIN.fullmatch(origin):
        headers |= {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"}
    return Response(status_code=200, headers=headers)


@router.post("/objects")
async def take_events(request: Request, site: OurSite) -> Response:
    """Take one message in. 200 when what it announced is durable, 503 when it has to be sent again."""
    tokens = http_tokens(site.wiring.settings)
    if not tokens:
        return _not_configured(request)
    shown = request.headers.get("authorization", "")
    source = source_of(shown, tokens)
    # Event Grid asks for its code before it is told of any header: whoever gets the answer has sent the code himself.
    if source is None and (shown or request.headers.get("aeg-event-type") != "SubscriptionValidation"):
        return _refused(request, "wrong_token" if shown else "no_token")
    try:
        limit = MAX_EVENT_BYTES if source else MAX_HANDSHAKE_BYTES
        body, is_whole = await first_bytes(request, limit, read_past=READ_PAST_BYTES)
    except ClientDisconnect:
        return Response(status_code=400)
    if code := _handshake(body):
        return JSONResponse({"validationResponse": code})
    if source is None:
        return _refused(request, "no_token")
    try:
        if not is_whole:
            await run_in_threadpool(_note_too_large, site, source, body)
            return error_response(request, 413, "too_large", f"A message holds at most {MAX_EVENT_BYTES} bytes.")
        return JSONResponse({"new": await run_in_threadpool(take_messages, site.intake, source, [body])})
    except TransientError as error:
        _log.warning("event_sent_back", source=source, code=error.code, detail=error.detail)
        wait_s = ceil(error.retry_after_s or RETRY_AFTER_S)
        return error_response(request, 503, error.code, "Send it again later.", {"Retry-After": str(wait_s)})


def source_of(authorization: str, tokens: Mapping[str, str]) -> str | None:
    """The name of the source whose token the header shows; None when it is nobody's."""
    scheme, _, shown = authorization.partition(" ")
    if scheme.lower() != "bearer":
        return None
    found = None
    for source, token in tokens.items():
        # Every token is compared: how long that takes tells nothing about which of them is near.
        if hmac.compare_digest(shown.strip().encode(), token.encode()):
            found = source
    return found


def _handshake(body: bytes) -> str:
    if b"SubscriptionValidationEvent" not in body:
        return ""
    try:
        return read_event(body).handshake
    except UnreadableEvent:
        return ""


def _note_too_large(site: Site, source: str, body: bytes) -> None:
    # No character takes more than four bytes.
    text = body[: 4 * KEPT_BODY].decode("utf-8", "replace")
    with site.wiring.database.write() as connection:
        note_unreadable(connection, source=source, code="too_large", body=text, now=datetime.now(UTC))
    _log.warning("event_unreadable", source=source, code="too_large")


def _not_configured(request: Request) -> Response:
    return error_response(request, 404, "no_http_source", "The settings name no source of events of kind http.")


def _refused(request: Request, code: str) -> Response:
    _log.warning("event_sender_refused", code=code)
    if code == "no_token":
        return error_response(
            request, 401, code, "Send the source's token: Authorization: Bearer TOKEN.", {"WWW-Authenticate": "Bearer"}
        )
    return error_response(request, 403, code, "This is no source's token.")
