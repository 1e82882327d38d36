"""Users, tokens and rows of the audit log as JSON documents with stable keys: the command line's and the API's."""

from datetime import UTC, datetime
from typing import Any

from crm.audit import AuditEntry
from crm.tokens import Token
from crm.users import Names, User


def user_document(user: User, names: Names) -> dict[str, Any]:
    """One user, without anything secret; `agent` and `teams` are names."""
    return {
        "id": str(user.id),
        "name": user.name,
        "role": user.role.value,
        "agent": names.agents.get(user.agent_id) if user.agent_id else None,
        "teams": sorted(names.teams[team_id] for team_id in user.team_ids),
        "is_active": user.is_active,
        "signs_in_elsewhere": user.oidc_subject is not None,
        "created_at": _moment(user.created_at),
    }


def token_document(token: Token, now: datetime) -> dict[str, Any]:
    """One token as it is kept: its text stands nowhere."""
    return {
        "id": str(token.id),
        "user": token.user_name,
        "name": token.name,
        "hint": token.hint,
        "scopes": sorted(scope.value for scope in token.scopes),
        "created_at": _moment(token.created_at),
        "expires_at": _moment(token.expires_at),
        "last_used_at": _moment(token.last_used_at) if token.last_used_at else None,
        "is_valid": token.is_valid(now),
    }


def audit_document(entry: AuditEntry) -> dict[str, Any]:
    """One row of the audit log."""
    return {
        "seq": entry.seq,
        "at": _moment(entry.at),
        "actor": entry.actor,
        "actor_id": str(entry.actor_id) if entry.actor_id else None,
        "role": entry.role,
        "action": entry.action,
        "call_id": str(entry.call_id) if entry.call_id else None,
        "detail": entry.detail,
        "hash": entry.hash,
    }


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
