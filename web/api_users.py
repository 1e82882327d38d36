"""Users, tokens and the audit log by the API."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from crm.access import PERMISSIONS, NotAllowed, Permission, Viewer
from crm.audit import Action, entries, note, verify
from crm.tokens import TokenError, create_token, list_tokens, revoke_token
from crm.user_documents import audit_document, token_document, user_document
from crm.users import User as KnownUser
from crm.users import (
    UserError,
    agent_named,
    change_user,
    create_user,
    find_user,
    list_users,
    names_of,
    set_password,
    teams_named,
    user_named,
)
from web.api_models_people import (
    Audit,
    AuditVerdict,
    MadeToken,
    Name,
    NewToken,
    NewUser,
    Token,
    Tokens,
    User,
    UserChange,
    Users,
)
from web.api_route import BEARS_KEY, ApiRoute, answer
from web.auth import ApiViewer, api_viewer, needs
from web.errors import CannotBeDone, NotThere
from web.filters import Words
from web.problems import answers
from web.site import OurSite

router = APIRouter(prefix="/api/v1", dependencies=[Depends(api_viewer)], route_class=ApiRoute)
_ADMIN = Depends(needs(Permission.MANAGE_USERS))
_AUDITOR = Depends(needs(Permission.READ_AUDIT))


@router.get("/users", tags=["users"], dependencies=[_ADMIN], responses=answers(Users, 304))
def users(site: OurSite) -> Response:
    """Everybody who may sign in, by name."""
    with site.wiring.database.read() as connection:
        names = names_of(connection)
        found = [user_document(user, names) for user in list_users(connection)]
    return answer({"users": found})


@router.post(
    "/users", tags=["users"], status_code=201, dependencies=[_ADMIN, BEARS_KEY], responses=answers(User, status=201)
)
def add_user(site: OurSite, viewer: ApiViewer, given: NewUser) -> Response:
    """Make a user. A token makes none, for whoever knows a password signs in: it would outlive the token's days."""
    _require_person(viewer)
    now = site.clock()
    with site.wiring.database.write() as connection:
        try:
            made = create_user(
                connection,
                given.name,
                given.password,
                given.role.value,
                now,
                agent_id=agent_named(connection, given.agent) if given.agent else None,
                team_ids=teams_named(connection, given.teams),
            )
        except UserError as error:
            raise CannotBeDone(error.detail, code=error.code) from None
        note(connection, viewer, Action.USER_ADDED, detail=f"{made.id} {made.role}", now=now)
        document = user_document(made, names_of(connection))
    return answer(document, 201)


@router.patch("/users/{name:path}", tags=["users"], dependencies=[_ADMIN, BEARS_KEY], responses=answers(User, 404))
def alter_user(site: OurSite, viewer: ApiViewer, name: Name, given: UserChange) -> Response:
    """Change a user's role, agent, teams or password, or let them in no more; it counts from the next request on.

    A token gives no passwords, and no role that may do more than its scopes.
    """
    if given.password is not None:
        _require_person(viewer)
    if given.role is not None and viewer.scopes is not None and not PERMISSIONS[given.role] <= viewer.scopes:
        raise NotAllowed(f"the role {given.role.value} reaches further than this token's scopes")
    now = site.clock()
    with site.wiring.database.write() as connection:
        try:
            changed = change_user(
                connection,
                name,
                role=given.role.value if given.role else None,
                agent_id=agent_named(connection, given.agent) if given.agent else None,
                team_ids=None if given.teams is None else teams_named(connection, given.teams),
                is_active=given.is_active,
            )
            if given.password is not None:
                set_password(connection, name, given.password)
        except UserError as error:
            kind = NotThere if error.code == "no_such_user" else CannotBeDone
            raise kind(error.detail, code=error.code) from None
        what = ", ".join(sorted(given.model_fields_set))
        note(connection, viewer, Action.USER_CHANGED, detail=f"{changed.id} {what}", now=now)
        document = user_document(user_named(connection, name), names_of(connection))
    return answer(document)


@router.get("/tokens", tags=["tokens"], dependencies=[_ADMIN], responses=answers(Tokens, 304, 404))
def tokens(site: OurSite, user: Annotated[Words, Query(description="Of one user, by name.")] = "") -> Response:
    """Every token, newest first; their texts stand nowhere."""
    with site.wiring.database.read() as connection:
        found = list_tokens(connection, _user(connection, user).id if user else None)
    return answer({"tokens": [token_document(one, site.clock()) for one in found]})


@router.post(
    "/tokens",
    tags=["tokens"],
    status_code=201,
    dependencies=[_ADMIN],
    responses=answers(MadeToken, 404, status=201),
)
def make_token(request: Request, site: OurSite, viewer: ApiViewer, given: NewToken) -> Response:
    """Make a token, whose text is told this once. It bears no idempotency key: nothing keeps the text.

    A token makes no other tokens: it would outlive itself, and reach further than its scopes.
    """
    if viewer.scopes is not None:
        raise NotAllowed("a token makes no tokens: sign in, or send name and password")
    if "idempotency-key" in request.headers:
        raise CannotBeDone("a token's text is kept nowhere, so this cannot be answered twice", code="no_key_here")
    now = site.clock()
    with site.wiring.database.write() as connection:
        user = _user(connection, given.user or viewer.name)
        try:
            scopes = [scope.value for scope in given.scopes]
            made, text = create_token(
                connection, user, given.name, scopes, lifetime=timedelta(days=given.days), now=now
            )
        except TokenError as error:
            raise CannotBeDone(error.detail, code=error.code) from None
        note(connection, viewer, Action.TOKEN_MADE, detail=str(made.id), now=now)
    response = answer(token_document(made, now) | {"token": text}, 201)
    response.headers["Cache-Control"] = "no-store"
    del response.headers["ETag"]
    return response


@router.delete("/tokens/{token_id}", tags=["tokens"], dependencies=[_ADMIN, BEARS_KEY], responses=answers(Token, 404))
def end_token(site: OurSite, viewer: ApiViewer, token_id: UUID) -> Response:
    """The token opens nothing any more. Twice is as once."""
    now = site.clock()
    with site.wiring.database.write() as connection:
        try:
            ended = revoke_token(connection, token_id, now)
        except TokenError as error:
            raise NotThere(error.detail, code=error.code) from None
        note(connection, viewer, Action.TOKEN_REVOKED, detail=str(token_id), now=now)
    return answer(token_document(ended, now))


def _require_person(viewer: Viewer) -> None:
    if viewer.scopes is not None:
        raise NotAllowed("a token gives no passwords: sign in, or send name and password")


def _user(connection: sa.Connection, name: str) -> KnownUser:
    found = find_user(connection, name)
    if found is None:
        raise NotThere(f"there is no user named {name!r}", code="no_such_user")
    return found


@router.get("/audit", tags=["audit"], dependencies=[_AUDITOR], responses=answers(Audit, 304))
def audit(
    *,
    site: OurSite,
    call_id: Annotated[UUID | None, Query(description="Of one call.")] = None,
    actor: Annotated[Words, Query(description="Of one user, by name.")] = "",
    action: Annotated[Words, Query(description="What was done.")] = "",
    before: Annotated[int | None, Query(ge=0, le=2**53, description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="Entries at once.")] = 100,
) -> Response:
    """Who read and changed what, the latest first."""
    with site.wiring.database.read() as connection:
        found = entries(connection, call_id=call_id, actor=actor, action=action, before=before, limit=limit + 1)
    page = found[:limit]
    following = page[-1].seq if len(found) > limit else None
    return answer({"entries": [audit_document(one) for one in page], "next": following})


@router.get("/audit/verdict", tags=["audit"], dependencies=[_AUDITOR], responses=answers(AuditVerdict, 304))
def audit_verdict(site: OurSite) -> Response:
    """Whether the log is whole, by its chain of hashes."""
    with site.wiring.database.read() as connection:
        found = verify(connection)
    return answer({"entries": found.entry_count, "broken_at": found.broken_at, "head": found.head})
