"""What the API takes and gives about users, tokens and the audit log, for its OpenAPI document."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from crm.access import Permission, Role
from web.api_models import CALL_ID, MOMENT, Model, example

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


class User(Model):
    """Somebody who may sign in; `agent` and `teams` are names."""

    id: UUID
    name: str
    role: Role
    agent: str | None
    teams: list[str]
    is_active: bool
    signs_in_elsewhere: bool
    created_at: datetime


class Users(Model):
    """Everybody, by name."""

    users: list[User]


class NewUser(Model):
    """A user to be made; an agent's account belongs to one agent, a lead's to teams."""

    model_config = example({"name": "ben", "role": "lead", "password": "eleven quiet horses", "teams": ["North"]})

    name: Name
    role: Role
    password: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    agent: Name | None = None
    teams: list[Name] = Field([], max_length=100)


class UserChange(Model):
    """What is to be another; it counts from the next request on."""

    model_config = example({"is_active": False})

    role: Role | None = None
    agent: Name | None = None
    teams: list[Name] | None = Field(None, max_length=100)
    is_active: bool | None = None
    password: Annotated[str, StringConstraints(min_length=1, max_length=1000)] | None = None


_TOKEN = {
    "id": CALL_ID,
    "user": "ben",
    "name": "nightly export",
    "hint": "cwt_1a2b3c",
    "scopes": ["read_calls"],
    "created_at": MOMENT,
    "expires_at": MOMENT,
    "last_used_at": None,
    "is_valid": True,
}


class Token(Model):
    """A token as it is kept; `hint` are its first letters."""

    model_config = example(_TOKEN)

    id: UUID
    user: str
    name: str
    hint: str
    scopes: list[Permission]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    is_valid: bool


class MadeToken(Token):
    """The token and its text, which nobody can read again."""

    model_config = example(_TOKEN | {"token": "cwt_1a2b3c..."})

    token: str


class Tokens(Model):
    """Tokens, the newest first."""

    tokens: list[Token]


class NewToken(Model):
    """A token to be made: of whom (empty: of the caller), what it may do, and for how long."""

    model_config = example({"name": "nightly export", "scopes": ["read_calls", "export"], "days": 90})

    user: Name | None = None
    name: Name
    scopes: list[Permission] = Field(min_length=1, max_length=50)
    days: int = Field(ge=1, le=366)


class AuditEntry(Model):
    """One row of the audit log; `hash` is over the row and the hash before it."""

    seq: int
    at: datetime
    actor: str
    actor_id: UUID | None
    role: str | None
    action: str
    call_id: UUID | None
    detail: str
    hash: str


class Audit(Model):
    """Rows, the latest first; `next` is `before` of the page behind them, null on the last."""

    entries: list[AuditEntry]
    next: int | None


class AuditVerdict(Model):
    """Whether the log is whole: `broken_at` is the first row that does not follow from the one before it."""

    entries: int
    broken_at: int | None
    head: str
