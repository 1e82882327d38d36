"""Signing in elsewhere: to the OpenID Connect provider and back."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from fastapi import APIRouter, Request
from itsdangerous import BadData, URLSafeSerializer
from starlette.responses import RedirectResponse, Response

from crm.access import Role
from crm.outside_users import Outsider, admit
from crm.users import UserError
from engines.identity import Begun, IdentityProvider, SignInRefused
from runtime.settings_web import OidcSettings
from web.auth import let_in, own_path
from web.errors import error_response
from web.site import OurSite, Site

_log = structlog.get_logger()
router = APIRouter(include_in_schema=False)
COOKIE = "callwise_sign_in"
# How long somebody may take at the provider.
LIFETIME = timedelta(minutes=15)
_PATH = "/login/oidc"


@router.get(_PATH)
def go_to_provider(request: Request, site: OurSite, next: str = "") -> Response:
    """Send the browser to the provider."""
    provider = site.wiring.identity_provider
    if provider is None:
        return _not_configured(request)
    now = site.clock()
    url, begun = provider.begin(_redirect_uri(request, site), now)
    kept = {"b": [begun.state, begun.nonce, begun.verifier], "n": own_path(next), "e": (now + LIFETIME).timestamp()}
    response = RedirectResponse(url, 303)
    response.set_cookie(
        COOKIE,
        str(_serializer(site).dumps(kept)),
        max_age=int(LIFETIME.total_seconds()),
        path=_PATH,
        httponly=True,
        # The way back is a link from the provider's site: `strict` would leave the cookie at home.
        samesite="lax",
        secure=site.wiring.settings.web.secure_cookies,
    )
    return response


@router.get(f"{_PATH}/callback")
def come_back(request: Request, site: OurSite) -> Response:
    """Let in whom the provider sent, in the role that follows from what it says of them."""
    provider = site.wiring.identity_provider
    if provider is None:
        return _not_configured(request)
    now = site.clock()
    try:
        begun, next_path = _begun(request, site, now)
        claims = provider.finish(begun, dict(request.query_params), _redirect_uri(request, site), now)
    except SignInRefused as error:
        _log.info("sign_in_failed", code=error.code)
        return _refused(request, error.detail)
    who = outsider_of(claims, provider, site.wiring.settings.web.oidc)
    try:
        with site.wiring.database.write() as connection:
            user = admit(connection, who, now)
    except UserError as error:
        _log.info("sign_in_failed", code=error.code)
        return _refused(request, error.detail)
    if user is None:
        _log.info("sign_in_failed", code="no_role")
        return _refused(request, "You are known, but have no role here: who looks after the provider can give one.")
    response = RedirectResponse(next_path, 303)
    let_in(site, response, user)
    response.delete_cookie(COOKIE, path=_PATH, httponly=True, samesite="lax")
    return response


def outsider_of(claims: Mapping[str, Any], provider: IdentityProvider, chosen: OidcSettings) -> Outsider:
    """Whom these claims describe, by the settings' mapping."""
    groups = _values(claims.get(chosen.role_claim))
    roles = [Role(role) for value, role in chosen.roles.items() if value in groups]
    teams = _values(claims.get(chosen.team_claim))
    keys = _values(claims.get(chosen.agent_claim))
    if chosen.agent_claim == "email" and claims.get("email_verified") is not True:
        # Whoever can type any address at the provider must not see another agent's calls. One that says nothing of it
        # has not looked, either.
        keys = ()
    return Outsider(
        subject=f"{provider.issuer} {claims['sub']}",
        name=next(iter(_values(claims.get(chosen.name_claim)) or _values(claims.get("email"))), str(claims["sub"])),
        role=roles[0] if roles else None,
        agent_keys=keys,
        team_names=tuple(chosen.teams[one] for one in teams if one in chosen.teams) if chosen.teams else teams,
    )


def _values(claim: Any) -> tuple[str, ...]:
    found = claim if isinstance(claim, list) else [claim]
    return tuple(one for one in found if isinstance(one, str) and one)


def _begun(request: Request, site: Site, now: datetime) -> tuple[Begun, str]:
    try:
        kept = _serializer(site).loads(request.cookies.get(COOKIE, ""))
        if now.timestamp() < kept["e"]:
            return Begun(*kept["b"]), own_path(kept["n"])
    except (BadData, KeyError, TypeError):
        pass
    raise SignInRefused("The sign-in took too long, or began in another browser: begin again.")


def _serializer(site: Site) -> URLSafeSerializer:
    return site.sessions.serializer("callwise sign-in elsewhere")


def _redirect_uri(request: Request, site: Site) -> str:
    # The provider knows one address by heart; without a public one it is that of the request, whose host was checked.
    base = site.wiring.settings.web.public_url or str(request.base_url).rstrip("/")
    return f"{base}{_PATH}/callback"


def _not_configured(request: Request) -> Response:
    return error_response(request, 404, "no_provider", "The settings name no provider to sign in at.")


def _refused(request: Request, detail: str) -> Response:
    return error_response(request, 403, SignInRefused.code, detail)
