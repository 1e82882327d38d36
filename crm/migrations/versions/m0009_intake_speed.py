"""Intake's speed: on SQLite the checks of a call's words compare, and no longer build a list for every row."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_CHECKS = {
    "stage": "announced received transcribed understood done skipped failed",
    "skip_reason": "no_speech voicemail too_short absent recording_failed",
    "direction": "inbound outbound internal",
}


def upgrade() -> None:
    # PostgreSQL makes the list once, when it reads the constraint.
    if op.get_bind().dialect.name != "sqlite":
        return
    # SQLite cannot change a constraint: the table is made anew, and what refers to it keeps referring by name.
    with op.batch_alter_table("call") as table:
        for column, values in _CHECKS.items():
            compared = " OR ".join(f"{column} = '{value}'" for value in values.split())
            table.drop_constraint(f"ck_call_{column}", type_="check")
            table.create_check_constraint(f"ck_call_{column}", sa.text(compared))
