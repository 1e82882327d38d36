"""Signing in and out, and who may see a page or call the API."""

import base64
import binascii
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

import structlog
from fastapi import APIRouter, Depends, Form, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from crm.access import Permission, Viewer
from crm.audit import Action, note
from crm.sign_ins import end_session, open_session, user_of_session
from crm.tokens import needs_use_noted, note_use, viewer_of_token
from crm.users import User, find_user, is_password_of
from web.errors import FormRefused, NotSignedIn, TooManyAttempts, TooManyRequests, is_api
from web.sessions import COOKIE, LIFETIME, Session
from web.site import OurSite, Site, site_of

_log = structlog.get_logger()
router = APIRouter(include_in_schema=False)
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Visitor:
    """Who reads a page; `form_token` goes into its forms."""

    user: User
    viewer: Viewer
    form_token: str
    session: Session

    def may(self, permission: str) -> bool:
        """Whether this is allowed, by the permission's name: for templates."""
        return self.viewer.may(Permission(permission))


def visitor_of(request: Request) -> Visitor:
    """The user of this request's session. Raises NotSignedIn."""
    known: Visitor | None = getattr(request.state, "visitor", None)
    if known is not None:
        return known
    site = site_of(request)
    session = site.sessions.read(request.cookies.get(COOKIE), site.clock())
    if session is None or not session.is_signed_in:
        raise NotSignedIn
    with site.wiring.database.glance() as connection:
        user = user_of_session(connection, session.key_hash, site.clock())
    if user is None:
        raise NotSignedIn
    visitor = Visitor(user, user.viewer(), site.sessions.form_token(session), session)
    request.state.visitor = visitor
    return visitor


async def page_visitor(request: Request) -> Visitor:
    """`visitor_of` as a dependency. Raises NotSignedIn."""
    known: Visitor | None = getattr(request.state, "visitor", None)
    return known if known is not None else await run_in_threadpool(visitor_of, request)


def find_api_viewer(request: Request) -> Viewer:
    """Who calls the API: by a token or name and password where the request has them, else by its session.

    Raises NotSignedIn; FormRefused where another site made the browser of somebody signed in send it.
    """
    known: Viewer | None = getattr(request.state, "viewer", None)
    if known is None:
        known = request.state.viewer = _api_viewer(request)
        count_request(site_of(request), known)
    return known


def token_in(request: Request) -> str | None:
    """The API token that the request comes with; None for one that names its caller in another way."""
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    return shown.strip() if scheme.lower() == "bearer" else None


def count_request(site: Site, viewer: Viewer) -> None:
    """One request to the API by this caller. Raises TooManyRequests."""
    wait_s = site.rates.take(str(viewer.user_id or viewer.name), site.clock().timestamp())
    if wait_s:
        raise TooManyRequests(wait_s)


async def api_viewer(request: Request) -> Viewer:
    """`find_api_viewer` as a dependency: only the first that asks for it needs a thread. Raises as that does."""
    known: Viewer | None = getattr(request.state, "viewer", None)
    return known if known is not None else await run_in_threadpool(find_api_viewer, request)


def viewer_of(request: Request) -> Viewer:
    """Who sent this request, for a page or the API. Raises NotSignedIn."""
    return find_api_viewer(request) if is_api(request) else visitor_of(request).viewer


class Needs:
    """A route's guard: refuses whoever lacks one of `permissions`. Raises NotSignedIn, NotAllowed."""

    def __init__(self, permissions: tuple[Permission, ...]) -> None:
        self.permissions = permissions

    async def __call__(self, request: Request) -> Viewer:
        """Let pass, or raise."""
        viewer = await api_viewer(request) if is_api(request) else (await page_visitor(request)).viewer
        viewer.require(*self.permissions)
        return viewer


def needs(*permissions: Permission) -> Callable[[Request], Awaitable[Viewer]]:
    """The guard of a route, for `Depends(needs(Permission.CORRECT))`; without a permission, being signed in does."""
    return Needs(permissions)


def checked_form(request: Request, form_token: Annotated[str, Form()] = "") -> None:
    """Refuse a form that is not from one of our own pages of this session. Raises FormRefused."""
    site = site_of(request)
    session = site.sessions.read(request.cookies.get(COOKIE), site.clock())
    if session is None or not site.sessions.is_form_token(session, form_token):
        raise FormRefused("The form is too old or not from this site: go back, load the page again and repeat.")
    _refuse_other_sites(request)


PageVisitor = Annotated[Visitor, Depends(page_visitor)]
ApiViewer = Annotated[Viewer, Depends(api_viewer)]
CheckedForm = Depends(checked_form)


def check_password(
    site: Site, request: Request, name: str, password: str, *, may_be_proven: bool = False
) -> User | None:
    """The user whose password this is, counted by the throttle; None when it is nobody's. With `may_be_proven` one that
    was right a moment ago need not be checked again. Raises TooManyAttempts.
    """
    if not site.wiring.settings.web.passwords:
        return None
    now = site.clock()
    address = request.client.host if request.client else ""
    here = f"{address} {name[:100]}"
    # Few for one name from one address; more for an address that tries many names, or a name tried from many addresses:
    # an office shares an address, and nobody should lock somebody else out with a handful of attempts.
    limits = {here: 5, f"name {name[:100]}": 100}
    if _is_public(address):
        # Everybody comes from a proxy's private address.
        limits[f"address {address}"] = 50
    wait_s = site.throttle.wait_s(limits, now)
    if wait_s > 0:
        raise TooManyAttempts(wait_s)
    with site.wiring.database.read() as connection:
        user = find_user(connection, name)
    is_right = site.proven.is_password_of(user, password, now) if may_be_proven else is_password_of(user, password)
    if not is_right:
        site.throttle.note_failure(limits, now)
        _log.info("sign_in_failed", user_id=str(user.id) if user else None)
        return None
    site.throttle.forget([here])
    return user


def let_in(site: Site, response: Response, user: User) -> None:
    """Begin a session of this user and send it to the browser."""
    now = site.clock()
    session = site.sessions.start(now, is_signed_in=True)
    with site.wiring.database.write() as connection:
        open_session(connection, user.id, session.key_hash, now=now, expires_at=now + LIFETIME)
        note(connection, user.viewer(), Action.SIGN_IN, now=now)
    site.sessions.give(response, session)


@router.get("/login")
def login_page(request: Request, site: OurSite, next: str = "") -> Response:
    """The sign-in form; who is signed in stays so by looking at it."""
    session = site.sessions.read(request.cookies.get(COOKIE), site.clock()) or site.sessions.start(site.clock())
    return _login_form(request, site, session, next_path=next)


@router.post("/login", dependencies=[CheckedForm])
def login(
    request: Request,
    site: OurSite,
    name: Annotated[str, Form(max_length=100)] = "",
    password: Annotated[str, Form(max_length=1000)] = "",
    next: Annotated[str, Form()] = "",
) -> Response:
    """Sign in, and go to the page that was wanted."""
    user = check_password(site, request, name, password)
    if user is None:
        session = site.sessions.start(site.clock())
        return _login_form(request, site, session, next_path=next, name=name, has_failed=True)
    response = RedirectResponse(own_path(next), 303)
    let_in(site, response, user)
    return response


@router.post("/logout", dependencies=[CheckedForm])
def logout(request: Request, site: OurSite) -> Response:
    """Sign out."""
    session = site.sessions.read(request.cookies.get(COOKIE), site.clock())
    if session is not None and session.is_signed_in:
        with site.wiring.database.write() as connection:
            end_session(connection, session.key_hash)
    response = RedirectResponse("/login", 303)
    site.sessions.end(response)
    return response


def own_path(wanted: str) -> str:
    """`wanted` when it is a path of this site, else the start page: nobody is sent elsewhere after signing in."""
    is_own = wanted.startswith("/") and wanted[1:2] not in {"/", "\\"} and wanted.isprintable() and " " not in wanted
    return wanted if is_own else "/calls"


def _api_viewer(request: Request) -> Viewer:
    token = token_in(request)
    if token is not None:
        return _viewer_of_token(site_of(request), token)
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    if scheme:
        name, password = _basic_credentials(scheme, shown)
        # Sent with each request, where a form is sent once.
        user = check_password(site_of(request), request, name, password, may_be_proven=True)
        if user is None:
            raise NotSignedIn
        return user.viewer()
    visitor = visitor_of(request)
    if request.method not in _READING:
        _refuse_other_sites(request)
    return visitor.viewer


def _viewer_of_token(site: Site, text: str) -> Viewer:
    now = site.clock()
    with site.wiring.database.glance() as connection:
        found = viewer_of_token(connection, text, now)
    if found is None:
        raise NotSignedIn
    viewer, token = found
    if needs_use_noted(token, now):
        with site.wiring.database.write() as connection:
            note_use(connection, token.id, now)
    return viewer


def _is_public(address: str) -> bool:
    try:
        return ip_address(address).is_global
    except ValueError:
        return False


def _refuse_other_sites(request: Request) -> None:
    origin = request.headers.get("origin")
    # A browser says where a request comes from in one of the two; programs say neither.
    is_ours = request.headers.get("sec-fetch-site", "none") in {"same-origin", "none"}
    if not is_ours or (origin and urlsplit(origin).netloc != request.headers.get("host")):
        raise FormRefused("The form came from another site.")


def _login_form(
    request: Request, site: Site, session: Session, *, next_path: str, name: str = "", has_failed: bool = False
) -> Response:
    settings = site.wiring.settings.web
    context = {
        "form_token": site.sessions.form_token(session),
        "next_path": next_path,
        "name": name,
        "has_failed": has_failed,
        "has_passwords": settings.passwords,
        "elsewhere": settings.oidc.label if settings.oidc.is_configured else "",
    }
    response = site.templates.TemplateResponse(request, "login.html", context, 401 if has_failed else 200)
    site.sessions.give(response, session)
    return response


def _basic_credentials(scheme: str, encoded: str) -> tuple[str, str]:
    if scheme.lower() != "basic":
        raise NotSignedIn
    try:
        name, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise NotSignedIn from None
    if not colon:
        raise NotSignedIn
    return name, password
