"""How requests end that cannot be answered: a page for people, problem+json (RFC 9457) for the API."""

from math import ceil
from typing import Any
from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from analytics.edition import NoSuchExport
from analytics.proposals import NoSuchTheme
from calls.corrections import WrongCorrection
from calls.errors import CallwiseError, ObjectGone, TransientError
from crm.access import NotAllowed
from crm.calls import NoSuchCall, WrongQuery
from crm.corrections import Conflict
from crm.kept_answers import KeyReused, StillWorking
from crm.reviews import NotUnderstood, UnknownReason
from crm.swaps import NoChannels
from crm.taxonomies import NoSuchVersion
from web.security import SECURE_HEADERS
from web.site import site_of

_log = structlog.get_logger()


class NotSignedIn(CallwiseError):
    """The request needs a user: a page sends people to the sign-in, the API answers 401."""

    code = "not_signed_in"


class FormRefused(CallwiseError):
    """A form came without this session's token, or from another site."""

    code = "form_refused"


class TooManyAttempts(CallwiseError):
    """Too many failed sign-ins for this name from this address; the next is allowed in `wait_s` seconds."""

    code = "too_many_attempts"

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"Too many failed attempts. Try again in {ceil(wait_s / 60)} minutes.")
        self.wait_s = wait_s


class TooManyRequests(TooManyAttempts):
    """This caller has asked too much of the API; the next request is allowed in `wait_s` seconds."""

    code = "too_many_requests"

    def __init__(self, wait_s: float) -> None:
        CallwiseError.__init__(self, "Too many requests: wait as long as Retry-After says.")
        self.wait_s = wait_s


class WrongRequest(CallwiseError):
    """A header or a part of a request that cannot be read; the text names it."""

    code = "wrong_request"


class NothingLookedAt(CallwiseError):
    """A correction that does not say which revision of the call it is about."""

    code = "nothing_looked_at"


class WrongRevision(CallwiseError):
    """If-Match names no revision of a call, or another one than the body."""

    code = "wrong_revision"


class CannotBeDone(CallwiseError):
    """What was asked for is understood and cannot be done as it is; the code says why."""

    code = "cannot_be_done"


class NotThere(CallwiseError):
    """There is no such thing, or it is not the caller's; the code says what."""

    code = "not_there"


class TooLarge(CallwiseError):
    """The body is longer than what is taken; the text says how much that is."""

    code = "too_large"


_TITLES = {
    400: "That cannot be read",
    401: "Please sign in",
    403: "Refused",
    404: "Not found",
    405: "Not possible here",
    409: "Changed meanwhile",
    413: "Too large",
    416: "Outside of the recording",
    422: "That cannot be read",
    429: "Too many requests",
    500: "Something went wrong",
    503: "Not available at the moment",
}


# The one page among the paths for programs.
REFERENCE = "/api/reference"


def add_error_handlers(app: FastAPI) -> None:
    """Answer our errors, the framework's and unknown ones in the form that the caller reads."""
    app.exception_handler(CallwiseError)(_on_callwise_error)
    app.exception_handler(HTTPException)(_on_http_error)
    app.exception_handler(RequestValidationError)(_on_invalid_request)
    app.exception_handler(Exception)(_on_unknown_error)


def is_api(request: Request) -> bool:
    """True for programs' paths, which get problem+json."""
    path: str = request.scope["path"]
    return path != REFERENCE and path.startswith(("/api/", "/events/", "/webhooks/", "/healthz", "/metrics"))


def error_response(
    request: Request,
    status: int,
    code: str,
    detail: str = "",
    headers: dict[str, str] | None = None,
    *,
    more: dict[str, Any] | None = None,
) -> Response:
    """The error as a page or as problem+json; `detail` is one sentence, `more` further members of the document."""
    title = _TITLES.get(status, "That did not work")
    if is_api(request):
        document = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}
        return JSONResponse(document | (more or {}), status, headers, media_type="application/problem+json")
    context = {"title": title, "detail": detail, "status": status}
    return site_of(request).templates.TemplateResponse(request, "error.html", context, status, headers)


def _on_callwise_error(request: Request, error: CallwiseError) -> Response:
    if isinstance(error, NotSignedIn):
        return _to_sign_in(request)
    if isinstance(error, TooManyAttempts):
        return error_response(request, 429, error.code, error.detail, {"Retry-After": str(ceil(error.wait_s))})
    if isinstance(error, Conflict):
        more = {"revision": error.revision, "by": error.by}
        return error_response(request, 409, error.code, error.detail, more=more)
    kinds: tuple[tuple[type[CallwiseError], int], ...] = (
        (NoSuchCall, 404),
        (NotUnderstood, 409),
        (StillWorking, 409),
        (KeyReused, 422),
        (CannotBeDone, 422),
        (NotThere, 404),
        (NoSuchExport, 404),
        (NoSuchVersion, 404),
        (NoSuchTheme, 404),
        (WrongRequest, 400),
        (WrongRevision, 412),
        (NothingLookedAt, 428),
        (TooLarge, 413),
        (UnknownReason, 422),
        (WrongCorrection, 422),
        (ObjectGone, 404),
        (WrongQuery, 400),
        (NoChannels, 400),
        (FormRefused, 403),
        (NotAllowed, 403),
        (TransientError, 503),
    )
    status = next((status for kind, status in kinds if isinstance(error, kind)), 500)
    if status >= 500:
        _log.warning("request_failed", code=error.code, path=request.scope["path"])
    return error_response(request, status, error.code, error.detail)


def _to_sign_in(request: Request) -> Response:
    if is_api(request):
        # Without a challenge for browsers: theirs would be a dialogue of the browser's own in the middle of a page.
        from_browser = "sec-fetch-mode" in request.headers
        headers = {} if from_browser else {"WWW-Authenticate": 'Basic realm="Callwise", charset="UTF-8"'}
        return error_response(
            request, 401, NotSignedIn.code, "Sign in, or send a token: Authorization: Bearer TOKEN.", headers
        )
    path = request.scope["path"]
    if request.method == "GET" and path != "/":
        query = request.scope["query_string"].decode("latin-1")
        wanted = path + (f"?{query}" if query else "")
        return RedirectResponse(f"/login?next={quote(wanted, safe='')}", 303)
    return RedirectResponse("/login", 303)


def _on_http_error(request: Request, error: HTTPException) -> Response:
    headers = dict(error.headers) if error.headers else None
    code = TooLarge.code if error.status_code == 413 else "http_error"
    return error_response(request, error.status_code, code, str(error.detail), headers)


def _on_invalid_request(request: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    if first["loc"][0] == "path" and not is_api(request):
        return error_response(request, 404, NotThere.code, "There is no such page.")
    place = ".".join(str(part) for part in first["loc"])
    return error_response(request, 422, "invalid_request", f"{place}: {first['msg']}")


def _on_unknown_error(request: Request, error: Exception) -> Response:
    _log.error("request_failed", code="unexpected_error", kind=type(error).__name__, path=request.scope["path"])
    response = error_response(request, 500, "unexpected_error", "The log says more.")
    # This answer is made outside of the middleware that dresses all the others.
    response.headers.update(SECURE_HEADERS)
    return response
