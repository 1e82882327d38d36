"""The web process: pages, API and health, behind the same doors."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from runtime.wiring import Wiring
from web import (
    account,
    api,
    api_ask,
    api_handover,
    api_search,
    api_similar,
    ask,
    audio,
    auth,
    erasing,
    events,
    health,
    oidc,
    pages,
    pages_audit,
    pages_call,
    pages_customer,
    pages_erasing,
    pages_handover,
    pages_operations,
    pages_reasons,
    pages_review,
    pages_upload,
    search,
    similar,
    trends,
    twilio,
    users,
)
from web.api_reference import describe
from web.body_limit import BodyLimit
from web.errors import add_error_handlers
from web.rendering import STATIC, make_templates
from web.security import SecureHeaders
from web.sessions import Sessions, web_secret
from web.site import Site
from web.throttle import LoginThrottle
from web.together import Together
from web.token_reads import read_all

# In the order in which they are looked through: what programs ask for all day stands first.
_PARTS = (
    api,
    auth,
    oidc,
    account,
    users,
    pages_audit,
    health,
    audio,
    api_handover,
    api_search,
    api_similar,
    api_ask,
    search,
    similar,
    ask,
    trends,
    pages,
    pages_call,
    pages_customer,
    pages_erasing,
    pages_handover,
    pages_operations,
    pages_reasons,
    pages_review,
    pages_upload,
    erasing,
    events,
    twilio,
)

# A health check asks from beside the process, whatever names the pages have; no page of another site has these names.
_THIS_MACHINE = ("127.0.0.1", "localhost", "[::1]")


def create_app(
    wiring: Wiring, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC), host: str | None = None
) -> FastAPI:
    """The ASGI application over these parts; `host` is the address it listens on where that is not `web.host`."""
    settings = wiring.settings
    app = FastAPI(
        title="Callwise",
        description="Calls, trends and the state of the work.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    app.state.site = Site(
        wiring=wiring,
        clock=clock,
        sessions=Sessions(
            web_secret(settings.web.secret.get_secret_value(), settings.home_path), secure=settings.web.secure_cookies
        ),
        throttle=LoginThrottle(wiring.database),
        templates=make_templates(settings.site.name, ZoneInfo(settings.site.time_zone), clock),
    )
    app.state.reading = Together(partial(read_all, app.state.site))
    app.state.site.templates.env.globals["finds_similar"] = settings.similar.is_on
    allowed_hosts = [*settings.web.allowed_hosts, *_THIS_MACHINE, host or settings.web.host]
    if settings.web.public_url:
        allowed_hosts.append(urlsplit(settings.web.public_url).hostname or "")
    app.add_middleware(BodyLimit, max_upload_bytes=settings.web.max_upload_mb << 20)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=allowed_hosts, www_redirect=False)
    app.add_middleware(SecureHeaders, https_only=settings.web.secure_cookies)
    add_error_handlers(app)
    # Of our own files alone: a page that is compressed would tell its form's token to whoever can measure its length.
    files = GZipMiddleware(_CachedFiles(directory=STATIC), minimum_size=1000, compresslevel=6)
    app.mount("/static", files, name="static")
    for part in _PARTS:
        # include_router would build every route anew, which the first requests of each process would wait for.
        app.router.routes.extend(part.router.routes)
    app.add_api_route("/", _start_page, include_in_schema=False)
    describe(app)
    return app


def _start_page() -> Response:
    return RedirectResponse("/calls", 303)


class _CachedFiles(StaticFiles):
    """Our own scripts and styles; their addresses change with their content."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response
