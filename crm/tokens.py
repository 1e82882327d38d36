"""API tokens: random, shown once, kept as a hash; with scopes that are never more than the role has, and an end."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID, uuid4

import sqlalchemy as sa

from calls.errors import CallwiseError
from crm.access import PERMISSIONS, Permission, Viewer
from crm.access_tables import api_token
from crm.tables import app_user
from crm.users import User, select_users, users_of

# Secret scanners know a leaked token by a fixed beginning.
PREFIX = "cwt_"
MAX_LIFETIME = timedelta(days=366)
_KEPT = ("id", "user_id", "name", "hint", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at")
# `last_used_at` is written at most this often: a read must not cost a write.
_USE_NOTED_EVERY = timedelta(minutes=5)
_KNOWN = {permission.value: permission for permission in Permission}
# Sent with every request by token: put together once.
_BY_HASH = (
    select_users()
    .add_columns(*(api_token.c[name].label(f"token_{name}") for name in _KEPT))
    .join(api_token, api_token.c.user_id == app_user.c.id)
    .where(api_token.c.token_hash == sa.bindparam("hash"), app_user.c.is_active)
)


class TokenError(CallwiseError):
    """A token cannot be made or revoked (`wrong_scope`, `wrong_lifetime`, `wrong_name`, `no_such_token`)."""


@dataclass(frozen=True)
class Token:
    """One API token as it is kept; `hint` are its first letters."""

    id: UUID
    user_id: UUID
    user_name: str
    name: str
    hint: str
    scopes: frozenset[Permission]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None

    def is_valid(self, now: datetime) -> bool:
        """Whether it opens anything."""
        return self.revoked_at is None and now < self.expires_at


def create_token(
    connection: sa.Connection, user: User, name: str, scopes: Iterable[str], *, lifetime: timedelta, now: datetime
) -> tuple[Token, str]:
    """A token of this user and its text, which nobody can read again. Raises TokenError."""
    if not name.strip() or len(name) > 100 or not name.isprintable():
        raise TokenError("a token's name is 1 to 100 printable characters", code="wrong_name")
    if not timedelta() < lifetime <= MAX_LIFETIME:
        raise TokenError(f"a token lives 1 to {MAX_LIFETIME.days} days", code="wrong_lifetime")
    text = PREFIX + secrets.token_urlsafe(32)
    made = Token(
        id=uuid4(),
        user_id=user.id,
        user_name=user.name,
        name=name.strip(),
        hint=text[:10],
        scopes=_scopes(scopes, user),
        created_at=now,
        expires_at=now + lifetime,
        last_used_at=None,
        revoked_at=None,
    )
    connection.execute(
        sa.insert(api_token).values(
            id=made.id,
            user_id=user.id,
            name=made.name,
            token_hash=_hash(text),
            hint=made.hint,
            scopes=sorted(made.scopes),
            created_at=now,
            expires_at=made.expires_at,
        )
    )
    return made, text


def viewer_of_token(connection: sa.Connection, text: str, now: datetime) -> tuple[Viewer, Token] | None:
    """Who comes with this token and what it may do; None for one that is unknown, over or revoked, or whose user is
    let in no more. A role that has shrunk shrinks its tokens.
    """
    if not text.startswith(PREFIX):
        return None
    rows = connection.execute(_BY_HASH, {"hash": _hash(text)}).all()
    if not rows:
        return None
    (user,) = users_of(rows)
    kept = {name: getattr(rows[0], f"token_{name}") for name in _KEPT}
    token = Token(**kept | {"user_name": user.name, "scopes": _known(kept["scopes"])})
    return (user.viewer(token.scopes), token) if token.is_valid(now) else None


def needs_use_noted(token: Token, now: datetime) -> bool:
    """Whether it is time to write down that the token is used."""
    return token.last_used_at is None or now - token.last_used_at >= _USE_NOTED_EVERY


def note_use(connection: sa.Connection, token_id: UUID, now: datetime) -> None:
    """The token was used now."""
    connection.execute(sa.update(api_token).where(api_token.c.id == token_id).values(last_used_at=now))


def list_tokens(connection: sa.Connection, user_id: UUID | None = None) -> list[Token]:
    """Every token, or those of one user, newest first."""
    wanted = _select_tokens().order_by(api_token.c.created_at.desc(), api_token.c.id)
    if user_id is not None:
        wanted = wanted.where(api_token.c.user_id == user_id)
    return [_token(row) for row in connection.execute(wanted)]


def revoke_token(connection: sa.Connection, token_id: UUID, now: datetime, *, user_id: UUID | None = None) -> Token:
    """The token opens nothing any more; `user_id` restricts it to a user's own. Twice is as once. Raises TokenError."""
    token = _one(connection, token_id)
    if token is None or user_id not in {None, token.user_id}:
        raise TokenError(f"there is no token {token_id}", code="no_such_token")
    connection.execute(
        sa.update(api_token).where(api_token.c.id == token_id, api_token.c.revoked_at.is_(None)).values(revoked_at=now)
    )
    return replace(token, revoked_at=token.revoked_at or now)


def revoke_tokens_of(connection: sa.Connection, user_id: UUID, now: datetime) -> int:
    """None of a user's tokens opens anything any more; returns how many did."""
    still = sa.update(api_token).where(api_token.c.user_id == user_id, api_token.c.revoked_at.is_(None))
    return connection.execute(still.values(revoked_at=now)).rowcount


def _scopes(wanted: Iterable[str], user: User) -> frozenset[Permission]:
    asked = set(wanted)
    known = {permission.value for permission in Permission}
    if not asked or asked - known:
        raise TokenError(f"scopes are at least one of {', '.join(sorted(known))}", code="wrong_scope")
    scopes = frozenset(Permission(scope) for scope in asked)
    beyond = sorted(scopes - PERMISSIONS[user.role])
    if beyond:
        raise TokenError(f"{user.name} ({user.role}) may not do this: {', '.join(beyond)}", code="wrong_scope")
    return scopes


def _one(connection: sa.Connection, token_id: UUID) -> Token | None:
    row = connection.execute(_select_tokens().where(api_token.c.id == token_id)).one_or_none()
    return _token(row) if row else None


def _select_tokens() -> sa.Select[tuple[object, ...]]:
    return sa.select(*(api_token.c[name] for name in _KEPT), app_user.c.name.label("user_name")).join(
        app_user, app_user.c.id == api_token.c.user_id
    )


def _token(row: sa.Row[tuple[object, ...]]) -> Token:
    return Token(**dict(row._mapping) | {"scopes": _known(row.scopes)})


def _known(scopes: Iterable[str]) -> frozenset[Permission]:
    # One that this version does not know any more allows nothing.
    return frozenset(_KNOWN[scope] for scope in scopes if scope in _KNOWN)


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()
