"""The tables of who may do what: what belongs to an account, open sessions, API tokens, and the audit log."""

import sqlalchemy as sa

from crm.tables import JSON, UtcDateTime, metadata

app_user_team = sa.Table(
    "app_user_team",
    metadata,
    # The teams that a lead leads.
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("app_user.id"), primary_key=True),
    sa.Column("team_id", sa.Uuid, sa.ForeignKey("team.id"), primary_key=True),
)

web_session = sa.Table(
    "web_session",
    metadata,
    # SHA-256 of what the cookie holds: who reads the table can sign in as nobody.
    sa.Column("key_hash", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("app_user.id"), nullable=False, index=True),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False, index=True),
)

sign_in_failure = sa.Table(
    "sign_in_failure",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    # SHA-256 of what the failure counts for: people type passwords in place of their names.
    sa.Column("key_hash", sa.Text, nullable=False),
    sa.Column("failed_at", UtcDateTime, nullable=False, index=True),
    sa.Index("ix_sign_in_failure_key_hash_failed_at", "key_hash", "failed_at"),
)

api_token = sa.Table(
    "api_token",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("app_user.id"), nullable=False, index=True),
    sa.Column("name", sa.Text, nullable=False),
    # SHA-256 of the token, which is shown once and kept nowhere; `hint` are its first letters, to tell it from others.
    sa.Column("token_hash", sa.Text, nullable=False, unique=True),
    sa.Column("hint", sa.Text, nullable=False),
    sa.Column("scopes", JSON, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False),
    sa.Column("last_used_at", UtcDateTime),
    sa.Column("revoked_at", UtcDateTime),
)

audit_entry = sa.Table(
    "audit_entry",
    metadata,
    # 1, 2, 3 ... without a hole. Triggers refuse to change or delete a row (migration 0010).
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", UtcDateTime, nullable=False, index=True),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("actor_id", sa.Uuid),
    sa.Column("role", sa.Text),
    sa.Column("action", sa.Text, nullable=False),
    # Without a foreign key: what was done with a call outlives the call.
    sa.Column("call_id", sa.Uuid, index=True),
    sa.Column("detail", sa.Text, nullable=False),
    # SHA-256 over this row and the hash of the row before.
    sa.Column("hash", sa.Text, nullable=False),
)
