"""No body is read into memory that is larger than what is taken: counted before any route or guard sees it."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.errors import TooLarge, error_response

MAX_BODY_BYTES = 1 << 20
# A file of reasons has MAX_TEXT characters, of which a form makes up to three bytes each, in some scripts more.
_OF_REASONS = 6 << 20
_REASONS = frozenset({"/reasons", "/api/v1/reasons", "/api/v1/reasons/plan"})
_UPLOADS = frozenset({"/upload", "/api/v1/calls"})
# They read in bounded memory by themselves, and past it, so that the sender hears why (web/bodies.py).
_BOUNDED = ("/events/", "/webhooks/")


class BodyLimit:
    """ASGI middleware: 413 for a body of more bytes than the path takes, whether it says so before or is longer."""

    def __init__(self, app: ASGIApp, *, max_upload_bytes: int) -> None:
        self._app = app
        self._max_upload_bytes = max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and count what comes of its body."""
        limit = self._limit(scope["path"]) if scope["type"] == "http" else None
        if limit is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        text = f"A body holds at most {limit} bytes here."
        length = request.headers.get("content-length", "")
        if length.isascii() and length.isdigit() and int(length[:20]) > limit:
            await error_response(request, 413, TooLarge.code, text)(scope, receive, send)
            return
        read_bytes = 0

        async def counted() -> Message:
            nonlocal read_bytes
            message = await receive()
            read_bytes += len(message.get("body", b""))
            if read_bytes > limit:
                # Of the errors there are, the one that the framework hands on from where it reads a body.
                raise HTTPException(413, text)
            return message

        await self._app(scope, counted, send)

    def _limit(self, path: str) -> int | None:
        if path.startswith(_BOUNDED):
            return None
        if path in _UPLOADS:
            return self._max_upload_bytes
        return _OF_REASONS if path in _REASONS else MAX_BODY_BYTES
