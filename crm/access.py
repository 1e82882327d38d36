"""Who may do what, and whose calls they see: every query about calls for a person goes through `visible_calls`.

Deny by default: a role has the permissions that stand here, and a row is shown only where a rule lets it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa

from calls.errors import CallwiseError
from crm.tables import agent, call


class Role(StrEnum):
    """What somebody does with calls."""

    AGENT = "agent"
    LEAD = "lead"
    ANALYST = "analyst"
    REVIEWER = "reviewer"
    ADMIN = "admin"


class Permission(StrEnum):
    """One kind of thing to do; an API token's scopes are taken from these, too."""

    # Lists, headlines, summaries and transcripts of the calls that one may see, with what must not leave redacted.
    READ_CALLS = "read_calls"
    # The same as it was said: card numbers, addresses, whole phone numbers; and the sound under them.
    READ_UNREDACTED = "read_unredacted"
    HEAR_CALLS = "hear_calls"
    # Reason, outcome, summary, next steps, speakers, customer.
    CORRECT = "correct"
    # That a summary may go to a CRM, and that it goes.
    HAND_OVER = "hand_over"
    ASK = "ask"
    SEE_TRENDS = "see_trends"
    EXPORT = "export"
    UPLOAD = "upload"
    # Operations page, retry, status.
    OPERATE = "operate"
    EDIT_REASONS = "edit_reasons"
    MANAGE_USERS = "manage_users"
    READ_AUDIT = "read_audit"
    ERASE = "erase"


_READ = {Permission.READ_CALLS, Permission.ASK, Permission.SEE_TRENDS}
_WORK = _READ | {Permission.HEAR_CALLS, Permission.CORRECT, Permission.HAND_OVER}
PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.AGENT: frozenset(_WORK),
    Role.LEAD: frozenset(_WORK | {Permission.READ_UNREDACTED, Permission.EXPORT, Permission.UPLOAD}),
    Role.ANALYST: frozenset(_READ | {Permission.EXPORT}),
    Role.REVIEWER: frozenset(_WORK | {Permission.READ_UNREDACTED, Permission.EDIT_REASONS}),
    Role.ADMIN: frozenset(Permission),
}


# Whose calls these roles see: everybody's.
EVERYBODYS = frozenset({Role.ADMIN, Role.REVIEWER, Role.ANALYST})


class NotAllowed(CallwiseError):
    """Whoever asks may not do that; the text names what is missing."""

    code = "not_allowed"


@dataclass(frozen=True)
class Viewer:
    """Whose eyes and hands these are. `name` is written to reviews and the audit log; `agent_id` is the agent that an
    agent's account belongs to, `team_ids` the teams that a lead leads; `scopes` are those of a token, None: all that
    the role has. `role` is None for somebody whose role is not known: nothing is allowed.
    """

    name: str
    role: Role | None
    user_id: UUID | None = None
    agent_id: UUID | None = None
    team_ids: frozenset[UUID] = frozenset()
    scopes: frozenset[Permission] | None = None

    def may(self, permission: Permission) -> bool:
        """Whether this is allowed at all; which calls it is allowed for says `visible_calls`."""
        if self.role is None or permission not in PERMISSIONS[self.role]:
            return False
        return self.scopes is None or permission in self.scopes

    def require(self, *permissions: Permission) -> None:
        """Raises NotAllowed unless all of these are allowed."""
        missing = [one for one in permissions if not self.may(one)]
        if missing:
            role = self.role or "nobody"
            raise NotAllowed(f"{self.name} ({role}) may not do this: {', '.join(missing)} is missing")


# The operator at the command line of the machine, who could read the database itself.
OPERATOR = Viewer("operator", Role.ADMIN)


def visible_agents(viewer: Viewer) -> sa.ColumnElement[bool]:
    """The condition on `agent` that leaves those whose calls this viewer may see."""
    if not viewer.may(Permission.READ_CALLS):
        return sa.false()
    if viewer.role in EVERYBODYS:
        return sa.true()
    if viewer.role is Role.LEAD and viewer.team_ids:
        return agent.c.team_id.in_(viewer.team_ids)
    if viewer.role is Role.AGENT and viewer.agent_id is not None:
        return agent.c.id == viewer.agent_id
    return sa.false()


def own_agent(viewer: Viewer) -> UUID | None:
    """The agent whose calls are all that this viewer may see: what `visible_agents` would leave; None for others."""
    return viewer.agent_id if viewer.role is Role.AGENT and viewer.may(Permission.READ_CALLS) else None


def visible_calls(viewer: Viewer, of: sa.FromClause = call) -> sa.ColumnElement[bool]:
    """The condition on `call`, or on `of`, another name of it, that leaves the calls that this viewer may see: the only
    place that says so.
    """
    if not viewer.may(Permission.READ_CALLS):
        return sa.false()
    if viewer.role in EVERYBODYS:
        return sa.true()
    if viewer.role is Role.LEAD and viewer.team_ids:
        return of.c.agent_id.in_(sa.select(agent.c.id).where(visible_agents(viewer)))
    if viewer.role is Role.AGENT and viewer.agent_id is not None:
        return of.c.agent_id == viewer.agent_id
    return sa.false()
