"""The marks of what the roll-ups have to look at again: single calls, beside the whole days of `touched_day`."""

import sqlalchemy as sa

from crm.tables import metadata

touched_call = sa.Table(
    "touched_call",
    metadata,
    # One row per change, as in touched_day; a call that is gone keeps its mark until the roll-ups have followed.
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("call_id", sa.Uuid, nullable=False),
)
