"""Facts are found by a call's time and id, and a customer's by ten days at a time (docs/decisions/0042)."""

import sqlalchemy as sa
from alembic import op

from crm.tables import UtcDateTime

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_MOVED = "NEW.happened_at <> OLD.happened_at"


def upgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    schema = "bi" if is_postgresql else None
    op.create_table(
        "moved_call",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("call_id", sa.Uuid, nullable=False),
        sa.Column("was_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_moved_call"),
    )
    op.create_index("ix_moved_call_call_id", "moved_call", ["call_id"])
    _note_moves(is_postgresql)
    for name in ("customer_key", "happened_at_utc"):
        op.drop_index(f"ix_fact_call_{name}", "fact_call", schema=schema)
    if is_postgresql:
        op.drop_constraint("uq_fact_call_call_id", "fact_call", schema=schema)
        name = "uq_dim_customer_contact_id"
        op.execute(
            f"ALTER TABLE bi.dim_customer DROP CONSTRAINT {name},"
            f" ADD CONSTRAINT {name} UNIQUE (contact_id) INCLUDE (customer_key)"
        )
    else:
        with op.batch_alter_table("fact_call") as batch:
            batch.drop_constraint("uq_fact_call_call_id", type_="unique")
    at = ["happened_at_utc", "call_id"]
    op.create_index("ix_fact_call_happened_at_utc", "fact_call", at, unique=True, schema=schema)
    place = sa.text("(date_key / 10 * 4294967296 + customer_key)")
    op.create_index("ix_fact_call_customer", "fact_call", [place], schema=schema)


def _note_moves(is_postgresql: bool) -> None:
    new_id = "gen_random_uuid()" if is_postgresql else "lower(hex(randomblob(16)))"
    note = f"INSERT INTO moved_call (id, call_id, was_at) VALUES ({new_id}, OLD.id, OLD.happened_at);"  # noqa: S608 - names of ours
    run = op.get_bind().exec_driver_sql
    for name, event, when in (
        ("call_left", "UPDATE OF happened_at ON call", f"WHEN ({_MOVED})"),
        ("call_gone", "DELETE ON call", ""),
    ):
        if is_postgresql:
            run(
                f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {note} RETURN NULL; END $$;"
                f"CREATE TRIGGER {name} AFTER {event} FOR EACH ROW {when} EXECUTE FUNCTION {name}()"
            )
        else:
            run(f"CREATE TRIGGER {name} AFTER {event} {when} BEGIN {note} END")
