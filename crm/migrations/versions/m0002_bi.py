"""The star schema for analysts: in the schema `bi` on PostgreSQL, beside the other tables on SQLite."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from crm.tables import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# As they were when this version was made: a later change is a later migration.
_PARTS = """
    call_count handled_count skipped_count failed_count sample_count demo_count handle_time_call_count handle_time_ms
    acw_known_count acw_time_ms hold_known_count hold_time_ms timed_count talk_time_agent_ms talk_time_customer_ms
    talk_time_ms interruption_count non_talk_known_count non_talk_time_ms transfer_known_count transferred_count
    classified_count unclassified_count resolution_known_count resolved_count outcome_known_count escalated_count
    follow_up_count sentiment_known_count sentiment_tenths sentiment_shift_count sentiment_shift_tenths
    repeat_window_count repeated_count not_repeated_count sales_count sale_count cost_microusd unpriced_request_count
"""

Item = sa.Column[Any] | sa.Constraint


def upgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    schema = "bi" if is_postgresql else None
    if is_postgresql:
        op.execute("CREATE SCHEMA IF NOT EXISTS bi")
    _dimensions(schema)
    _fact(schema)
    _aggregates(schema)
    op.create_table(
        "refresh_state",
        _integer("id"),
        _text("time_zone"),
        sa.Column("refreshed_at_utc", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_refresh_state"),
        schema=schema,
    )


def _dimensions(schema: str | None) -> None:
    op.create_table(
        "dim_date",
        _integer("date_key"),
        sa.Column("date", sa.Date, nullable=False),
        *(_integer(name) for name in ("year", "quarter", "month")),
        *(_text(name) for name in ("month_key", "month_name")),
        *(_integer(name) for name in ("day_of_month", "weekday")),
        _text("weekday_name"),
        _flag("is_weekend"),
        *(_integer(name) for name in ("iso_year", "iso_week")),
        _text("iso_week_key"),
        sa.Column("week_starts_on", sa.Date, nullable=False),
        sa.PrimaryKeyConstraint("date_key", name="pk_dim_date"),
        sa.UniqueConstraint("date", name="uq_dim_date_date"),
        schema=schema,
    )
    op.create_table(
        "dim_reason",
        _integer("reason_key"),
        *(_text(name) for name in ("taxonomy_version", "code", "label", "definition")),
        _text("parent_code", nullable=True),
        _integer("position"),
        *(_flag(name) for name in ("is_sales", "is_current")),
        sa.PrimaryKeyConstraint("reason_key", name="pk_dim_reason"),
        sa.UniqueConstraint("taxonomy_version", "code", name="uq_dim_reason_taxonomy_version_code"),
        schema=schema,
    )
    _member(schema, "team", "team_id", _text("name"))
    _member(
        schema,
        "agent",
        "agent_id",
        _text("name"),
        _integer("team_key"),
        _flag("is_active"),
        _reference(schema, "dim_agent", "team"),
    )
    _member(schema, "queue", "queue_id", _text("name"))
    _member(schema, "customer", "contact_id")


def _member(schema: str | None, name: str, id_name: str, *items: Item) -> None:
    op.create_table(
        f"dim_{name}",
        _integer(f"{name}_key"),
        sa.Column(id_name, sa.Uuid),
        *items,
        sa.PrimaryKeyConstraint(f"{name}_key", name=f"pk_dim_{name}"),
        sa.UniqueConstraint(id_name, name=f"uq_dim_{name}_{id_name}"),
        schema=schema,
    )


def _fact(schema: str | None) -> None:
    dimensions = ("date", "reason", "queue", "agent", "team", "customer")
    op.create_table(
        "fact_call",
        sa.Column("call_key", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("call_id", sa.Uuid, nullable=False),
        _integer("date_key"),
        _integer("hour_of_day"),
        *(_integer(f"{name}_key") for name in dimensions[1:]),
        sa.Column("happened_at_utc", UtcDateTime, nullable=False),
        _text("stage"),
        *(
            _text(name, nullable=True)
            for name in ("skip_reason", "failed_step", "failed_code", "direction", "disposition", "outcome")
        ),
        _flag("is_resolved", nullable=True),
        *(_flag(name) for name in ("is_sample", "is_demo")),
        *(_text(name, nullable=True) for name in ("speech_engine", "language_model")),
        _flag("is_window_complete"),
        *_parts(),
        sa.Column("modified_at_utc", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("call_key", name="pk_fact_call"),
        sa.UniqueConstraint("call_id", name="uq_fact_call_call_id"),
        *(_reference(schema, "fact_call", name) for name in dimensions),
        schema=schema,
    )
    for index, columns in (
        ("date_key", ["date_key"]),
        ("happened_at_utc", ["happened_at_utc"]),
        ("customer_key", ["customer_key", "happened_at_utc"]),
        ("reason_key", ["reason_key", "date_key"]),
        ("agent_key", ["agent_key", "date_key"]),
    ):
        op.create_index(f"ix_fact_call_{index}", "fact_call", columns, schema=schema)


def _aggregates(schema: str | None) -> None:
    _aggregate(schema, "agg_day", ("date", "reason", "queue", "team"))
    _aggregate(schema, "agg_agent_day", ("date", "agent", "team"))
    _aggregate(schema, "agg_hour", ("date", "queue"), "hour_of_day")


def _aggregate(schema: str | None, name: str, dimensions: tuple[str, ...], *grain: str) -> None:
    keys = [f"{dimension}_key" for dimension in dimensions]
    # The primary key's order is the order in which the pages ask: first the days.
    columns = [keys[0], *grain, *keys[1:]]
    op.create_table(
        name,
        *(_integer(column) for column in columns),
        _flag("is_sample"),
        *_parts(),
        sa.Column("modified_at_utc", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint(*columns, "is_sample", name=f"pk_{name}"),
        *(_reference(schema, name, dimension) for dimension in dimensions),
        schema=schema,
    )


def _reference(schema: str | None, table: str, dimension: str) -> sa.ForeignKeyConstraint:
    key = f"{dimension}_key"
    target = f"{schema}.dim_{dimension}.{key}" if schema else f"dim_{dimension}.{key}"
    return sa.ForeignKeyConstraint([key], [target], name=f"fk_{table}_{key}_dim_{dimension}")


def _integer(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer, nullable=False, autoincrement=False)


def _text(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, nullable=nullable)


def _flag(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean, nullable=nullable)


def _parts() -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in _PARTS.split()]
