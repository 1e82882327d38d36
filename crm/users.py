"""Who may sign in: names, password hashes (argon2id) and roles."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from uuid import UUID, uuid4

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from calls.errors import CallwiseError
from crm.database import insert
from crm.tables import app_user

MIN_PASSWORD_LENGTH = 10
MAX_PASSWORD_LENGTH = 1000
ROLES = ("admin",)
_hasher = PasswordHasher()


class UserError(CallwiseError):
    """A user cannot be made or changed (`name_taken`, `wrong_name`, `weak_password`, `wrong_role`, `no_such_user`)."""


@dataclass(frozen=True)
class User:
    """One person who may sign in. `password_stamp` changes with the password, so that a session can tell."""

    id: UUID
    name: str
    role: str
    created_at: datetime
    is_active: bool
    password_hash: str

    @property
    def password_stamp(self) -> str:
        """A short fingerprint of the password's hash, of no use for finding the password."""
        return sha256(self.password_hash.encode()).hexdigest()[:16]


def create_user(connection: sa.Connection, name: str, password: str, role: str, now: datetime) -> User:
    """Make a user. Raises UserError for a name that is taken or odd, a short password, an unknown role."""
    if not name.strip() or name != name.strip() or len(name) > 100 or not name.isprintable():
        raise UserError("a name is 1 to 100 printable characters, without blanks around it", code="wrong_name")
    if role not in ROLES:
        raise UserError(f"{role!r} is no role; roles are {', '.join(ROLES)}", code="wrong_role")
    made = User(uuid4(), name, role, now, is_active=True, password_hash=_hash(password))
    added = connection.execute(
        insert(connection, app_user)
        .values(id=made.id, name=name, password_hash=made.password_hash, role=role, created_at=now, is_active=True)
        .on_conflict_do_nothing(index_elements=["name"])
        .returning(app_user.c.id)
    ).one_or_none()
    if added is None:
        raise UserError(f"there is a user named {name!r} already", code="name_taken")
    return made


def set_password(connection: sa.Connection, name: str, password: str) -> None:
    """Change a password; every session of that user ends. Raises UserError."""
    changed = connection.execute(
        sa.update(app_user).where(app_user.c.name == name).values(password_hash=_hash(password))
    )
    if not changed.rowcount:
        raise UserError(f"there is no user named {name!r}", code="no_such_user")


def find_user(connection: sa.Connection, name: str) -> User | None:
    """The user of that name."""
    if "\0" in name:
        # PostgreSQL refuses to be asked.
        return None
    row = connection.execute(sa.select(app_user).where(app_user.c.name == name)).one_or_none()
    return User(**row._mapping) if row else None


def user_by_id(connection: sa.Connection, user_id: UUID) -> User | None:
    """The user of that id."""
    row = connection.execute(sa.select(app_user).where(app_user.c.id == user_id)).one_or_none()
    return User(**row._mapping) if row else None


def has_users(connection: sa.Connection) -> bool:
    """True when somebody could sign in."""
    return bool(connection.execute(sa.select(sa.exists().where(app_user.c.is_active))).scalar_one())


def list_users(connection: sa.Connection) -> list[User]:
    """Every user, by name."""
    return [User(**row._mapping) for row in connection.execute(sa.select(app_user).order_by(app_user.c.name))]


def is_password_of(user: User | None, password: str) -> bool:
    """Whether `password` opens the account; it takes equally long where there is no such user."""
    if len(password) > MAX_PASSWORD_LENGTH:
        return False
    try:
        matches = _hasher.verify(user.password_hash if user else _nobodys_hash(), password)
    except (VerificationError, InvalidHashError):
        return False
    return matches and user is not None and user.is_active


def _hash(password: str) -> str:
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        raise UserError(f"a password has at least {MIN_PASSWORD_LENGTH} characters", code="weak_password")
    return _hasher.hash(password)


@cache
def _nobodys_hash() -> str:
    return _hasher.hash("no one has this password")
