"""Signing in and out, and who may see a page or call the API."""

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

import structlog
from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from crm.users import User, find_user, is_password_of, user_by_id
from web.errors import FormRefused, NotSignedIn, TooManyAttempts
from web.sessions import COOKIE, Session
from web.site import OurSite, Site, site_of

_log = structlog.get_logger()
router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Visitor:
    """Who reads a page; `form_token` goes into its forms."""

    user: User
    form_token: str


def visitor_of(request: Request) -> Visitor:
    """The user of this request's session. Raises NotSignedIn."""
    site = site_of(request)
    session = site.sessions.read(request.cookies.get(COOKIE), site.clock())
    if session is None or session.user_id is None:
        raise NotSignedIn
    with site.wiring.database.read() as connection:
        user = user_by_id(connection, session.user_id)
    if user is None or not user.is_active or user.password_stamp != session.password_stamp:
        raise NotSignedIn
    return Visitor(user, site.sessions.form_token(session))


def api_caller(request: Request) -> User:
    """The user of this request's session, or of its Basic credentials. Raises NotSignedIn."""
    try:
        return visitor_of(request).user
    except NotSignedIn:
        name, password = _basic_credentials(request)
        user = check_password(site_of(request), request, name, password)
        if user is None:
            raise
        return user


def checked_form(request: Request, form_token: Annotated[str, Form()] = "") -> None:
    """Refuse a form that is not from one of our own pages of this session. Raises FormRefused."""
    site = site_of(request)
    session = site.sessions.read(request.cookies.get(COOKIE), site.clock())
    if session is None or not site.sessions.is_form_token(session, form_token):
        raise FormRefused("The form is too old or not from this site: go back, load the page again and repeat.")
    origin = request.headers.get("origin")
    if origin and urlsplit(origin).netloc != request.headers.get("host"):
        raise FormRefused("The form came from another site.")


PageVisitor = Annotated[Visitor, Depends(visitor_of)]
ApiCaller = Annotated[User, Depends(api_caller)]
CheckedForm = Depends(checked_form)


def check_password(site: Site, request: Request, name: str, password: str) -> User | None:
    """The user whose password this is, counted by the throttle; None when it is nobody's. Raises TooManyAttempts."""
    now = site.clock()
    address = request.client.host if request.client else ""
    keys = [f"{address} {name[:100]}"]
    wait_s = site.throttle.wait_s(keys, now)
    if wait_s > 0:
        raise TooManyAttempts(wait_s)
    with site.wiring.database.read() as connection:
        user = find_user(connection, name)
    if not is_password_of(user, password):
        site.throttle.note_failure(keys, now)
        _log.info("sign_in_failed", user_id=str(user.id) if user else None)
        return None
    site.throttle.forget(keys)
    return user


@router.get("/login")
def login_page(request: Request, site: OurSite, next: str = "") -> Response:
    """The sign-in form."""
    session = site.sessions.read(request.cookies.get(COOKIE), site.clock())
    if session is None or session.user_id is not None:
        session = site.sessions.start(site.clock())
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
    site.sessions.give(response, site.sessions.start(site.clock(), user))
    return response


@router.post("/logout", dependencies=[CheckedForm])
def logout(site: OurSite) -> Response:
    """Sign out."""
    response = RedirectResponse("/login", 303)
    site.sessions.end(response)
    return response


def own_path(wanted: str) -> str:
    """`wanted` when it is a path of this site, else the start page: nobody is sent elsewhere after signing in."""
    is_own = wanted.startswith("/") and wanted[1:2] not in {"/", "\\"} and wanted.isprintable() and " " not in wanted
    return wanted if is_own else "/calls"


def _login_form(
    request: Request, site: Site, session: Session, *, next_path: str, name: str = "", has_failed: bool = False
) -> Response:
    context = {
        "form_token": site.sessions.form_token(session),
        "next_path": next_path,
        "name": name,
        "has_failed": has_failed,
    }
    response = site.templates.TemplateResponse(request, "login.html", context, 401 if has_failed else 200)
    site.sessions.give(response, session)
    return response


def _basic_credentials(request: Request) -> tuple[str, str]:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        raise NotSignedIn
    try:
        name, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise NotSignedIn from None
    if not colon:
        raise NotSignedIn
    return name, password
