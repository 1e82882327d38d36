"""People who sign in elsewhere: the account here follows what the provider says of them at each sign-in."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from crm.access import Role
from crm.sign_ins import end_sessions_of
from crm.tables import agent, app_user, team
from crm.tokens import revoke_tokens_of
from crm.users import User, UserError, change_user, create_user, is_name_taken, user_by_subject


@dataclass(frozen=True)
class Outsider:
    """Who came: `subject` is issuer and subject, by which the account is found again; names may change.

    `role` is None for somebody to whom the provider gives none. `agent_keys` are an agent's e-mail address or name.
    """

    subject: str
    name: str
    role: Role | None
    agent_keys: tuple[str, ...] = ()
    team_names: tuple[str, ...] = ()


def admit(connection: sa.Connection, who: Outsider, now: datetime) -> User | None:
    """The account of whoever came, made or changed to what the provider says now; None when there is none to let in.

    An account of one's own is never taken over by its name. Somebody who has lost every role loses sessions and tokens.
    """
    known = user_by_subject(connection, who.subject)
    if who.role is None or (known is not None and not known.is_active):
        if known is not None:
            end_sessions_of(connection, known.id)
            revoke_tokens_of(connection, known.id, now)
        return None
    agent_id = _agent(connection, who.agent_keys) if who.role is Role.AGENT else None
    team_ids = _teams(connection, who.team_names) if who.role is Role.LEAD else frozenset()
    if known is None:
        name = _free_name(connection, who)
        return create_user(
            connection, name, None, who.role, now, agent_id=agent_id, team_ids=team_ids, oidc_subject=who.subject
        )
    # Whom the provider no longer names as this agent sees no more of the agent's calls.
    connection.execute(sa.update(app_user).where(app_user.c.id == known.id).values(agent_id=agent_id))
    return change_user(connection, known.name, role=who.role, agent_id=agent_id, team_ids=team_ids)


def _free_name(connection: sa.Connection, who: Outsider) -> str:
    name = "".join(letter for letter in who.name if letter.isprintable()).strip()[:80]
    if not name.strip("."):
        name = "unnamed"
    for candidate in (name, f"{name} ({who.subject[-12:]})"):
        if not is_name_taken(connection, candidate):
            return candidate
    raise UserError(f"there is a user named {name!r} already", code="name_taken")


def _agent(connection: sa.Connection, keys: tuple[str, ...]) -> UUID | None:
    wanted = [key.lower() for key in keys if key]
    names = (sa.func.lower(agent.c.email), sa.func.lower(agent.c.display_name))
    found = connection.execute(sa.select(agent.c.id).where(sa.or_(*(name.in_(wanted) for name in names)))).scalars()
    ids = set(found)
    # Two agents of one name: nobody can say which of them came.
    return ids.pop() if len(ids) == 1 else None


def _teams(connection: sa.Connection, names: tuple[str, ...]) -> frozenset[UUID]:
    return frozenset(connection.execute(sa.select(team.c.id).where(team.c.name.in_(names))).scalars())
