"""The words of calls, and of customers, as they are searched.

`call_text` holds one row a call that has a transcript or an analysis; triggers of migration 0012 keep it in the
transaction of whatever changes them. What each database makes of it stands beside the metadata: on SQLite the FTS5
table `call_words`, on PostgreSQL the column `words` (tsvector) with a GIN index.
"""

import sqlalchemy as sa

from crm.tables import metadata

# `number` is the time of the call in milliseconds with so many bits behind it, which tell calls of one moment apart.
NUMBER_BITS = 20
# Below this an engine's reason needs a person's look (the rule stands in migration 0012).
UNSURE_BELOW = 0.5

call_text = sa.Table(
    "call_text",
    metadata,
    # In the order of time, so that the newest calls with a word are read first: FTS5 keeps its rows by this.
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("call_id", sa.Uuid, sa.ForeignKey("call.id", ondelete="CASCADE"), nullable=False, unique=True),
    # Headline, summary and next steps of the current analysis, a line each.
    sa.Column("about", sa.Text, nullable=False),
    # What was said by the current transcript, an utterance a line.
    sa.Column("said", sa.Text, nullable=False),
)

# What only one of the databases has, and the metadata cannot say.
BESIDE_THE_METADATA = frozenset(
    {
        *(f"{table}{part}" for table in ("call_words", "contact_words") for part in ("", "_data", "_idx", "_config")),
        "contact_text",
        "words",
        "ix_call_text_words",
        "ix_call_unfiled_name_trigrams",
        "ix_contact_name_trigrams",
        "ix_contact_phone_trigrams",
    }
)
