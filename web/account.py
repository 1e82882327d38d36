"""One's own account: the password, sessions, and the tokens that one's programs come with."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from crm.access import PERMISSIONS
from crm.audit import Action, note
from crm.sign_ins import end_sessions_of
from crm.tokens import TokenError, create_token, list_tokens, revoke_token
from crm.users import UserError, names_of, set_password
from web.auth import CheckedForm, PageVisitor, Visitor, check_password, page_visitor
from web.filters import Words
from web.site import OurSite, Site

# Everybody who is signed in has an account: no permission is asked for.
router = APIRouter(prefix="/account", include_in_schema=False, dependencies=[Depends(page_visitor)])
Text = Annotated[Words, Form()]


@router.get("")
def account_page(request: Request, site: OurSite, visitor: PageVisitor) -> Response:
    """Who one is here, what one may do, and one's tokens."""
    return _page(request, site, visitor)


@router.post("/password", dependencies=[CheckedForm])
def change_password(
    request: Request,
    site: OurSite,
    visitor: PageVisitor,
    old: Annotated[str, Form(max_length=1000)] = "",
    new: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Another password for whoever knows the old one; every session ends, this one as well."""
    if check_password(site, request, visitor.user.name, old) is None:
        return _page(request, site, visitor, refused="That is not the old password.", status=400)
    try:
        with site.wiring.database.write() as connection:
            set_password(connection, visitor.user.name, new)
            detail = f"{visitor.user.id} password"
            note(connection, visitor.viewer, Action.USER_CHANGED, detail=detail, now=site.clock())
    except UserError as error:
        return _page(request, site, visitor, refused=error.detail, status=400)
    return RedirectResponse("/login", 303)


@router.post("/sign-out", dependencies=[CheckedForm])
def sign_out_everywhere(site: OurSite, visitor: PageVisitor) -> Response:
    """End every session of one's own, on every machine."""
    with site.wiring.database.write() as connection:
        end_sessions_of(connection, visitor.user.id)
        note(connection, visitor.viewer, Action.SIGN_OUT, detail=f"{visitor.user.id} everywhere", now=site.clock())
    response = RedirectResponse("/login", 303)
    site.sessions.end(response)
    return response


@router.post("/tokens", dependencies=[CheckedForm])
def add_token(
    request: Request,
    site: OurSite,
    visitor: PageVisitor,
    *,
    name: Text,
    scopes: Annotated[list[Words] | None, Form()] = None,
    days: Annotated[int, Form(ge=1, le=366)] = 90,
) -> Response:
    """Make a token of one's own, which is shown this once."""
    now = site.clock()
    try:
        with site.wiring.database.write() as connection:
            lifetime = timedelta(days=days)
            made, text = create_token(connection, visitor.user, name, scopes or (), lifetime=lifetime, now=now)
            note(connection, visitor.viewer, Action.TOKEN_MADE, detail=str(made.id), now=now)
    except TokenError as error:
        return _page(request, site, visitor, refused=error.detail, status=400)
    return _page(request, site, visitor, told=f"The token {made.name}, shown this once:", secret=text)


@router.post("/tokens/{token_id}/revoke", dependencies=[CheckedForm])
def end_token(request: Request, site: OurSite, visitor: PageVisitor, token_id: UUID) -> Response:
    """A token of one's own opens nothing any more."""
    now = site.clock()
    try:
        with site.wiring.database.write() as connection:
            ended = revoke_token(connection, token_id, now, user_id=visitor.user.id)
            note(connection, visitor.viewer, Action.TOKEN_REVOKED, detail=str(ended.id), now=now)
    except TokenError as error:
        return _page(request, site, visitor, refused=error.detail, status=404)
    return _page(request, site, visitor, told=f"The token {ended.name} opens nothing any more.")


def _page(
    request: Request,
    site: Site,
    visitor: Visitor,
    *,
    told: str = "",
    refused: str = "",
    secret: str = "",
    status: int = 200,
) -> Response:
    user = visitor.user
    with site.wiring.database.read() as connection:
        names = names_of(connection)
        tokens = list_tokens(connection, user.id)
    context = {
        "visitor": visitor,
        "now": site.clock(),
        "tokens": tokens,
        "agent": names.agents.get(user.agent_id) if user.agent_id else None,
        "teams": sorted(names.teams[team_id] for team_id in user.team_ids),
        "permissions": sorted(PERMISSIONS[user.role]),
        "told": told,
        "refused": refused,
        "secret": secret,
    }
    return site.templates.TemplateResponse(request, "account.html", context, status)
