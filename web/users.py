"""The page of users and tokens, for whoever manages them."""

import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from crm.access import PERMISSIONS, Permission, Role
from crm.audit import Action, note
from crm.sign_ins import end_sessions_of
from crm.tokens import TokenError, create_token, list_tokens, revoke_token
from crm.users import (
    UserError,
    agent_named,
    change_user,
    create_user,
    list_users,
    names_of,
    set_password,
    teams_named,
    user_named,
)
from web.auth import CheckedForm, PageVisitor, Visitor, needs
from web.filters import Words
from web.site import OurSite, Site

router = APIRouter(include_in_schema=False, dependencies=[Depends(needs(Permission.MANAGE_USERS))])
Text = Annotated[Words, Form()]


@router.get("/users")
def users_page(request: Request, site: OurSite, visitor: PageVisitor) -> Response:
    """Who may sign in, what they may do, and what programs come with."""
    return _page(request, site, visitor)


@router.post("/users", dependencies=[CheckedForm])
def add_user(
    request: Request,
    site: OurSite,
    visitor: PageVisitor,
    *,
    name: Text,
    role: Text,
    agent: Text = "",
    teams: Annotated[list[Words] | None, Form()] = None,
) -> Response:
    """Make a user with a random password, which is shown this once."""
    password = secrets.token_urlsafe(12)

    def add(connection: sa.Connection) -> str:
        agent_id = agent_named(connection, agent) if agent else None
        team_ids = teams_named(connection, teams or ())
        made = create_user(connection, name, password, role, site.clock(), agent_id=agent_id, team_ids=team_ids)
        note(connection, visitor.viewer, Action.USER_ADDED, detail=f"{made.id} {made.role}", now=site.clock())
        return f"The password of {name}, shown this once:"

    return _done(request, site, visitor, add, secret=password)


@router.post("/users/{name:path}/role", dependencies=[CheckedForm])
def change_role(
    request: Request,
    site: OurSite,
    visitor: PageVisitor,
    *,
    name: Words,
    role: Text,
    agent: Text = "",
    teams: Annotated[list[Words] | None, Form()] = None,
) -> Response:
    """Change what somebody may do; it counts from the next request on."""

    def change(connection: sa.Connection) -> str:
        agent_id = agent_named(connection, agent) if agent else None
        changed = change_user(
            connection, name, role=role, agent_id=agent_id, team_ids=teams_named(connection, teams or ())
        )
        detail = f"{changed.id} role {changed.role}"
        note(connection, visitor.viewer, Action.USER_CHANGED, detail=detail, now=site.clock())
        return f"{name} is {changed.role} now."

    return _done(request, site, visitor, change)


@router.post("/users/{name:path}/password", dependencies=[CheckedForm])
def new_password(request: Request, site: OurSite, visitor: PageVisitor, name: Words) -> Response:
    """Give somebody another random password; all their sessions end."""
    password = secrets.token_urlsafe(12)

    def change(connection: sa.Connection) -> str:
        set_password(connection, name, password)
        detail = f"{user_named(connection, name).id} password"
        note(connection, visitor.viewer, Action.USER_CHANGED, detail=detail, now=site.clock())
        return f"The password of {name}, shown this once:"

    return _done(request, site, visitor, change, secret=password)


@router.post("/users/{name:path}/active", dependencies=[CheckedForm])
def change_active(
    request: Request, site: OurSite, visitor: PageVisitor, name: Words, is_active: Annotated[bool, Form()]
) -> Response:
    """Let somebody in no more, or again."""

    def change(connection: sa.Connection) -> str:
        changed = change_user(connection, name, is_active=is_active)
        detail = f"{changed.id} {'enabled' if is_active else 'disabled'}"
        note(connection, visitor.viewer, Action.USER_CHANGED, detail=detail, now=site.clock())
        return f"{name} {'may sign in again' if is_active else 'is let in no more'}."

    return _done(request, site, visitor, change)


@router.post("/users/{name:path}/sign-out", dependencies=[CheckedForm])
def sign_out_everywhere(request: Request, site: OurSite, visitor: PageVisitor, name: Words) -> Response:
    """End every session of somebody."""

    def end(connection: sa.Connection) -> str:
        user = user_named(connection, name)
        count = end_sessions_of(connection, user.id)
        note(connection, visitor.viewer, Action.SIGN_OUT, detail=f"{user.id} everywhere", now=site.clock())
        return f"{count} sessions of {name} have ended."

    return _done(request, site, visitor, end)


@router.post("/tokens", dependencies=[CheckedForm])
def add_token(
    request: Request,
    site: OurSite,
    visitor: PageVisitor,
    *,
    user: Text,
    name: Text,
    scopes: Annotated[list[Words] | None, Form()] = None,
    days: Annotated[int, Form(ge=1, le=366)] = 90,
) -> Response:
    """Make a token, which is shown this once."""
    shown: list[str] = []

    def add(connection: sa.Connection) -> str:
        owner = user_named(connection, user)
        lifetime = timedelta(days=days)
        made, text = create_token(connection, owner, name, scopes or (), lifetime=lifetime, now=site.clock())
        shown.append(text)
        note(connection, visitor.viewer, Action.TOKEN_MADE, detail=f"{made.id} of {owner.id}", now=site.clock())
        return f"The token {made.name} of {user}, shown this once:"

    return _done(request, site, visitor, add, secrets_made=shown)


@router.post("/tokens/{token_id}/revoke", dependencies=[CheckedForm])
def end_token(request: Request, site: OurSite, visitor: PageVisitor, token_id: UUID) -> Response:
    """A token opens nothing any more."""

    def end(connection: sa.Connection) -> str:
        ended = revoke_token(connection, token_id, site.clock())
        note(connection, visitor.viewer, Action.TOKEN_REVOKED, detail=str(ended.id), now=site.clock())
        return f"The token {ended.name} of {ended.user_name} opens nothing any more."

    return _done(request, site, visitor, end)


def _done(
    request: Request,
    site: Site,
    visitor: Visitor,
    change: Callable[[sa.Connection], str],
    *,
    secret: str = "",
    secrets_made: list[str] | None = None,
) -> Response:
    """The page after a change, with what came of it; what could not be done changed nothing."""
    try:
        with site.wiring.database.write() as connection:
            told = change(connection)
    except (UserError, TokenError) as error:
        return _page(request, site, visitor, refused=error.detail, status=400)
    return _page(request, site, visitor, told=told, secret=secrets_made[0] if secrets_made else secret)


def _page(request: Request, site: Site, visitor: Visitor, *, status: int = 200, **told: Any) -> Response:
    now = site.clock()
    with site.wiring.database.read() as connection:
        names, users = names_of(connection), list_users(connection)
        context = {
            "visitor": visitor,
            "now": now,
            "users": users,
            "team_names": {one.id: sorted(names.teams[team_id] for team_id in one.team_ids) for one in users},
            "paths": {one.id: f"/users/{quote(one.name, safe='')}" for one in users},
            "tokens": list_tokens(connection),
            "names": names,
            "agents": sorted(names.agents.values()),
            "teams": sorted(names.teams.values()),
        }
    context |= {
        "roles": [*Role],
        "permissions": [*Permission],
        "allowed": {role.value: sorted(PERMISSIONS[role]) for role in Role},
        "told": told.get("told", ""),
        "refused": told.get("refused", ""),
        "secret": told.get("secret", ""),
    }
    return site.templates.TemplateResponse(request, "users.html", context, status)
