"""Twilio's recording status callback: `POST /webhooks/twilio`, open to whoever signs with the account's token."""

import structlog
from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from ingest.events import UnreadableEvent
from ingest.intake import keep_unreadable
from ingest.kept_recordings import take_news
from ingest.twilio import SOURCE_SYSTEM, Sent, is_from_twilio, read_news
from web.bodies import first_bytes
from web.errors import error_response
from web.site import OurSite, Site

_log = structlog.get_logger()
router = APIRouter(prefix="/webhooks", include_in_schema=False)

# A callback holds a dozen short parameters.
MAX_BODY_BYTES = 64 << 10
READ_PAST_BYTES = 1 << 20


@router.post("/twilio")
async def take_callback(request: Request, site: OurSite) -> Response:
    """Take one callback in. 204 when what it says is durable or known already, 503 when it has to be sent again."""
    settings = site.wiring.settings
    if not settings.telephony.twilio.is_configured:
        return error_response(request, 404, "not_configured", "The settings name no Twilio account.")
    if not settings.web.public_url:
        _log.error("webhook_not_checked", source=SOURCE_SYSTEM, code="missing_public_url")
        return error_response(request, 503, "missing_public_url", "Nobody can tell whether Twilio sent this.")
    try:
        body, is_whole = await first_bytes(request, MAX_BODY_BYTES, read_past=READ_PAST_BYTES)
    except ClientDisconnect:
        return Response(status_code=400)
    if not is_whole:
        return _refused(request, 413, "too_large", f"A callback holds at most {MAX_BODY_BYTES} bytes.")
    return await run_in_threadpool(_answer, request, site, _sent(request, body))


def _answer(request: Request, site: Site, sent: Sent) -> Response:
    account = site.wiring.settings.telephony.twilio
    url = _public_url(request, site) + (f"?{sent.query}" if sent.query else "")
    if not is_from_twilio(sent, auth_token=account.auth_token.get_secret_value(), url=url):
        code = "wrong_signature" if sent.signature else "not_signed"
        return _refused(request, 403, code, "Twilio did not send this.")
    try:
        news = read_news(sent, account.account_sid)
    except UnreadableEvent as error:
        keep_unreadable(site.wiring.database, SOURCE_SYSTEM, error.code, sent.body)
        return error_response(request, 400, error.code, error.detail)
    if news is not None:
        take_news(site.intake, news, now=site.clock())
    return Response(status_code=204)


def _public_url(request: Request, site: Site) -> str:
    # What this process was asked for may be a proxy's doing; the path is our own.
    path: str = request.scope["path"]
    return site.wiring.settings.web.public_url + path


def _sent(request: Request, body: bytes) -> Sent:
    return Sent(
        query=request.scope["query_string"].decode("latin-1"),
        content_type=request.headers.get("content-type", ""),
        signature=request.headers.get("x-twilio-signature", ""),
        body=body,
    )


def _refused(request: Request, status: int, code: str, detail: str) -> Response:
    # Nothing of what it says: anybody may have written it.
    _log.warning("webhook_refused", source=SOURCE_SYSTEM, code=code)
    return error_response(request, status, code, detail)
