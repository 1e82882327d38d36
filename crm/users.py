"""Who may sign in: names, password hashes (argon2id), roles, and the agent or the teams that an account belongs to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from uuid import UUID, uuid4

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from calls.errors import CallwiseError
from crm.access import Permission, Role, Viewer
from crm.access_tables import app_user_team, web_session
from crm.database import insert
from crm.tables import agent, app_user, team

MIN_PASSWORD_LENGTH = 10
MAX_PASSWORD_LENGTH = 1000
ROLES = tuple(role.value for role in Role)
_hasher = PasswordHasher()
_COLUMNS = ("id", "name", "role", "created_at", "is_active", "password_hash", "agent_id", "oidc_subject")


@dataclass(frozen=True)
class Names:
    """Of every agent and team, by id."""

    agents: Mapping[UUID, str]
    teams: Mapping[UUID, str]


class UserError(CallwiseError):
    """A user cannot be made or changed (`name_taken`, `wrong_name`, `weak_password`, `wrong_role`, `no_such_user`,
    `no_such_agent`, `no_such_team`, `last_admin`).
    """


@dataclass(frozen=True)
class User:
    """One person who may sign in. `agent_id` is whose calls an agent's account sees, `team_ids` the teams of a lead;
    `oidc_subject` is issuer and subject of somebody who signs in elsewhere, and has no password here.
    """

    id: UUID
    name: str
    role: Role
    created_at: datetime
    is_active: bool
    password_hash: str
    agent_id: UUID | None = None
    oidc_subject: str | None = None
    team_ids: frozenset[UUID] = frozenset()

    def viewer(self, scopes: frozenset[Permission] | None = None) -> Viewer:
        """This person as the queries know her; `scopes` are those of the token that she came with."""
        return Viewer(self.name, self.role, self.id, self.agent_id, self.team_ids, scopes)


def create_user(
    connection: sa.Connection,
    name: str,
    password: str | None,
    role: str,
    now: datetime,
    *,
    agent_id: UUID | None = None,
    team_ids: Iterable[UUID] = (),
    oidc_subject: str | None = None,
) -> User:
    """Make a user; without a password it is one who signs in elsewhere.

    Raises UserError for a name that is taken or odd, a short password, an unknown role.
    """
    if not name.strip() or name != name.strip() or len(name) > 100 or not name.isprintable():
        raise UserError("a name is 1 to 100 printable characters, without blanks around it", code="wrong_name")
    if not name.strip("."):
        # In an address a browser takes these for another folder: nobody could be let in no more there.
        raise UserError("a name is more than dots", code="wrong_name")
    taken = UserError(f"there is a user named {name!r} already", code="name_taken")
    if is_name_taken(connection, name):
        raise taken
    made = User(
        id=uuid4(),
        name=name,
        role=read_role(role),
        created_at=now,
        is_active=True,
        password_hash="" if password is None else _hash(password),
        agent_id=agent_id,
        oidc_subject=oidc_subject,
        team_ids=frozenset(team_ids),
    )
    added = connection.execute(
        insert(connection, app_user)
        .values({column: getattr(made, column) for column in _COLUMNS})
        .on_conflict_do_nothing()
        .returning(app_user.c.id)
    ).one_or_none()
    if added is None:
        # Somebody else has just taken it.
        raise taken
    _set_teams(connection, made.id, made.team_ids)
    return made


def is_name_taken(connection: sa.Connection, name: str) -> bool:
    """Whether somebody has this name, upper and lower case alike: nobody tells `Maria` from `maria` in a log."""
    same = sa.func.lower(app_user.c.name) == sa.func.lower(name)
    return connection.execute(sa.select(app_user.c.id).where(same).limit(1)).one_or_none() is not None


def set_password(connection: sa.Connection, name: str, password: str) -> None:
    """Change a password; every session of that user ends. Raises UserError."""
    user = user_named(connection, name)
    connection.execute(sa.update(app_user).where(app_user.c.id == user.id).values(password_hash=_hash(password)))
    connection.execute(sa.delete(web_session).where(web_session.c.user_id == user.id))


def change_user(
    connection: sa.Connection,
    name: str,
    *,
    role: str | None = None,
    agent_id: UUID | None = None,
    team_ids: Iterable[UUID] | None = None,
    is_active: bool | None = None,
) -> User:
    """Change what is given; it counts from the next request on. `agent_id` and `team_ids` go with the role: another
    role drops those that it has no use for. A user who is let in no more loses every session.

    Raises UserError, also when nobody would be left who may manage users.
    """
    user = user_named(connection, name)
    wanted = replace(
        user,
        role=user.role if role is None else read_role(role),
        is_active=user.is_active if is_active is None else is_active,
        agent_id=agent_id or user.agent_id,
        team_ids=user.team_ids if team_ids is None else frozenset(team_ids),
    )
    if wanted.role is not Role.AGENT:
        wanted = replace(wanted, agent_id=None)
    if wanted.role is not Role.LEAD:
        wanted = replace(wanted, team_ids=frozenset())
    _keep_an_admin(connection, user, wanted)
    connection.execute(
        sa.update(app_user)
        .where(app_user.c.id == user.id)
        .values(role=wanted.role.value, is_active=wanted.is_active, agent_id=wanted.agent_id)
    )
    _set_teams(connection, user.id, wanted.team_ids)
    if not wanted.is_active:
        connection.execute(sa.delete(web_session).where(web_session.c.user_id == user.id))
    return wanted


def find_user(connection: sa.Connection, name: str) -> User | None:
    """The user of that name."""
    # PostgreSQL refuses to be asked for a NUL.
    return None if "\0" in name else _one(connection, app_user.c.name == name)


def user_named(connection: sa.Connection, name: str) -> User:
    """The user of that name. Raises UserError."""
    found = find_user(connection, name)
    if found is None:
        raise UserError(f"there is no user named {name!r}", code="no_such_user")
    return found


def user_by_subject(connection: sa.Connection, oidc_subject: str) -> User | None:
    """The user who signs in elsewhere under this issuer and subject."""
    return _one(connection, app_user.c.oidc_subject == oidc_subject)


def has_users(connection: sa.Connection) -> bool:
    """True when somebody could sign in."""
    return bool(connection.execute(sa.select(sa.exists().where(app_user.c.is_active))).scalar_one())


def list_users(connection: sa.Connection) -> list[User]:
    """Every user, by name."""
    return users_of(connection.execute(select_users().order_by(app_user.c.name)))


def agent_named(connection: sa.Connection, name: str) -> UUID:
    """The agent of that name. Raises UserError."""
    found: UUID | None = connection.execute(
        sa.select(agent.c.id).where(agent.c.display_name == name)
    ).scalar_one_or_none()
    if found is None:
        raise UserError(f"there is no agent named {name!r}", code="no_such_agent")
    return found


def teams_named(connection: sa.Connection, names: Iterable[str]) -> frozenset[UUID]:
    """The teams of these names. Raises UserError for one that is not there."""
    wanted = set(names)
    rows = connection.execute(sa.select(team.c.id, team.c.name).where(team.c.name.in_(wanted))).all()
    missing = wanted - {row.name for row in rows}
    if missing:
        raise UserError(f"there is no team named {min(missing)!r}", code="no_such_team")
    return frozenset(row.id for row in rows)


def names_of(connection: sa.Connection) -> Names:
    """The agents and teams that accounts can belong to."""
    agents, teams = sa.select(agent.c.id, agent.c.display_name), sa.select(team.c.id, team.c.name)
    return Names(
        {row.id: row.display_name for row in connection.execute(agents)},
        {row.id: row.name for row in connection.execute(teams)},
    )


def put_in_team(connection: sa.Connection, name: str, agent_ids: Iterable[UUID]) -> None:
    """Put agents into the team of that name, which is made where there is none."""
    if not name.strip() or len(name) > 200:
        raise UserError("a team's name is 1 to 200 characters", code="wrong_name")
    connection.execute(
        insert(connection, team).values(id=uuid4(), name=name).on_conflict_do_nothing(index_elements=["name"])
    )
    (team_id,) = teams_named(connection, [name])
    connection.execute(sa.update(agent).where(agent.c.id.in_(list(agent_ids))).values(team_id=team_id))


def is_password_of(user: User | None, password: str) -> bool:
    """Whether `password` opens the account; it takes equally long where there is no such user, or none with one."""
    if len(password) > MAX_PASSWORD_LENGTH:
        return False
    try:
        matches = _hasher.verify((user and user.password_hash) or _nobodys_hash(), password)
    except (VerificationError, InvalidHashError):
        return False
    return matches and user is not None and user.is_active and bool(user.password_hash)


def read_role(role: str) -> Role:
    """The role of that name. Raises UserError."""
    try:
        return Role(role)
    except ValueError:
        raise UserError(f"{role!r} is no role; roles are {', '.join(ROLES)}", code="wrong_role") from None


def select_users() -> sa.Select[tuple[object, ...]]:
    """The query whose rows `users_of` reads: one for each team of each user, the user's rows side by side."""
    return sa.select(*(app_user.c[name] for name in _COLUMNS), app_user_team.c.team_id).outerjoin_from(
        app_user, app_user_team, app_user_team.c.user_id == app_user.c.id
    )


def users_of(rows: Iterable[sa.Row[tuple[object, ...]]]) -> list[User]:
    """The users of these rows, in their order."""
    found: dict[UUID, User] = {}
    for row in rows:
        facts = {name: getattr(row, name) for name in _COLUMNS}
        user = found.get(row.id) or User(**facts | {"role": Role(row.role)})
        found[row.id] = replace(user, team_ids=user.team_ids | {row.team_id}) if row.team_id else user
    return list(found.values())


def _one(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> User | None:
    return next(iter(users_of(connection.execute(select_users().where(condition)))), None)


def _set_teams(connection: sa.Connection, user_id: UUID, team_ids: frozenset[UUID]) -> None:
    connection.execute(sa.delete(app_user_team).where(app_user_team.c.user_id == user_id))
    if team_ids:
        rows = [{"user_id": user_id, "team_id": team_id} for team_id in sorted(team_ids)]
        connection.execute(sa.insert(app_user_team), rows)


def _keep_an_admin(connection: sa.Connection, before: User, wanted: User) -> None:
    was, is_one = (one.role is Role.ADMIN and one.is_active for one in (before, wanted))
    if not was or is_one:
        return
    # Locked: of two changes at once, the second must see what the first left.
    admins = sa.select(app_user.c.id).where(app_user.c.role == Role.ADMIN.value, app_user.c.is_active)
    if connection.execute(admins.with_for_update()).scalars().all() == [before.id]:
        raise UserError(f"{before.name!r} is the last one who may manage users", code="last_admin")


def _hash(password: str) -> str:
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        raise UserError(f"a password has at least {MIN_PASSWORD_LENGTH} characters", code="weak_password")
    return _hasher.hash(password)


@cache
def _nobodys_hash() -> str:
    return _hasher.hash("no one has this password")
