"""The star schema: every reason of a call, sums by period, more parts of measures; calls are marked one by one."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from crm.tables import UtcDateTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

# As they were when this version was made, in order.
_PARTS = """
    call_count handled_count skipped_count failed_count sample_count demo_count handle_time_call_count handle_time_ms
    acw_known_count acw_time_ms hold_known_count hold_time_ms timed_count talk_time_agent_ms talk_time_customer_ms
    talk_time_ms interruption_count interruption_time_known_count interruption_time_ms conversation_known_count
    conversation_ms conversation_talk_agent_ms monologue_known_count longest_monologue_agent_ms
    longest_monologue_customer_ms non_talk_known_count non_talk_time_ms transfer_known_count transferred_count
    classified_count unclassified_count resolution_known_count resolved_count outcome_known_count escalated_count
    follow_up_count sentiment_known_count sentiment_tenths sentiment_end_count sentiment_end_tenths
    sentiment_shift_count sentiment_shift_tenths repeat_window_count repeated_count not_repeated_count sales_count
    sale_count reason_reviewed_count reason_agreed_count outcome_reviewed_count outcome_agreed_count cost_microusd
    unpriced_request_count
"""
_NEW_PARTS = """
    interruption_time_known_count interruption_time_ms conversation_known_count conversation_ms
    conversation_talk_agent_ms monologue_known_count longest_monologue_agent_ms longest_monologue_customer_ms
    sentiment_end_count sentiment_end_tenths reason_reviewed_count reason_agreed_count outcome_reviewed_count
    outcome_agreed_count
"""

_NEW_OF_DATES = "week_starts_on_key month_starts_on_key fiscal_year fiscal_quarter"


def upgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    schema = "bi" if is_postgresql else None
    op.create_table(
        "touched_call",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("call_id", sa.Uuid, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_touched_call"),
    )
    _add(schema, "dim_date", *(_integer(name, default="0") for name in _NEW_OF_DATES.split()))
    _add(schema, "refresh_state", _integer("fiscal_starts_in", default="1"))
    _add(schema, "fact_call", sa.Column("taxonomy_version", sa.Text))
    for table in ("fact_call", "agg_day", "agg_agent_day", "agg_hour"):
        _add(schema, table, *(_part(name, default="0") for name in _NEW_PARTS.split()))
    op.create_table(
        "fact_call_reason",
        sa.Column("call_key", sa.BigInteger, nullable=False, autoincrement=False),
        *(_integer(name) for name in ("reason_key", "date_key", "rank")),
        sa.Column("is_sample", sa.Boolean, nullable=False),
        sa.Column("modified_at_utc", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("call_key", "reason_key", name="pk_fact_call_reason"),
        *(
            _reference(schema, "fact_call_reason", name, target)
            for name, target in (("call_key", "fact_call"), ("reason_key", "dim_reason"), ("date_key", "dim_date"))
        ),
        schema=schema,
    )
    op.create_index("ix_fact_call_reason_reason_key", "fact_call_reason", ["reason_key", "date_key"], schema=schema)
    op.create_table(
        "agg_period",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("period", "dimension")),
        *(_integer(name) for name in ("starts_on_key", "member_key")),
        sa.Column("is_sample", sa.Boolean, nullable=False),
        *(_part(name) for name in _PARTS.split()),
        sa.Column("modified_at_utc", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint(
            "period", "dimension", "starts_on_key", "member_key", "is_sample", name="pk_agg_period"
        ),
        sa.ForeignKeyConstraint(
            ["starts_on_key"],
            [f"{schema}.dim_date.date_key" if schema else "dim_date.date_key"],
            name="fk_agg_period_starts_on_key_dim_date",
        ),
        schema=schema,
    )
    # The new columns are filled by a full recompute: the roll-ups begin again, and every key stays what it is.
    op.execute("DELETE FROM bi.refresh_state" if is_postgresql else "DELETE FROM refresh_state")


def _add(schema: str | None, table: str, *columns: sa.Column[Any]) -> None:
    for column in columns:
        op.add_column(table, column, schema=schema)
        if schema and column.server_default is not None:
            # SQLite cannot take a default away, and has one that nothing relies on.
            op.alter_column(table, column.name, server_default=None, schema=schema)


def _integer(name: str, default: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer, nullable=False, autoincrement=False, server_default=default)


def _part(name: str, default: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default=default)


def _reference(schema: str | None, table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    referred = f"{schema}.{target}" if schema else target
    return sa.ForeignKeyConstraint([column], [f"{referred}.{column}"], name=f"fk_{table}_{column}_{target}")
