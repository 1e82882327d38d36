"""What alembic finds different between a database and the code's tables."""

import warnings
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from analytics.star import UNCHECKED
from analytics.star import metadata as star_metadata
from crm.database import Database
from crm.search_tables import BESIDE_THE_METADATA
from crm.tables import metadata as crm_metadata


def differences(database: Database) -> list[Any]:
    """The steps that would make the database what the code says; none when it is."""
    schema = None if database.is_sqlite else star_metadata.schema
    referred = schema or sa.BLANK_SCHEMA
    wanted = sa.MetaData(naming_convention=crm_metadata.naming_convention)
    for table in crm_metadata.sorted_tables:
        table.to_metadata(wanted)
    for table in star_metadata.sorted_tables:
        copied = table.to_metadata(wanted, schema=schema, referred_schema_fn=lambda *_: referred)
        if schema and table in UNCHECKED:
            copied.constraints -= copied.foreign_key_constraints
    if database.is_sqlite:
        # Migration 0025.
        for name in ("call", "recording", "job"):
            for constraint in wanted.tables[name].foreign_key_constraints:
                constraint.deferrable, constraint.initially = True, "DEFERRED"
    # An engine without the schema map: alembic has to see the names as they are.
    engine = sa.create_engine(database.url)
    try:
        with engine.connect() as connection, warnings.catch_warnings():
            # Of SQLite's indexes by an expression it sees none; that one serves is tested with what asks it.
            warnings.filterwarnings("ignore", message=".*expression-based index")
            context = MigrationContext.configure(
                connection,
                opts={
                    "include_schemas": not database.is_sqlite,
                    "compare_type": True,
                    "include_object": lambda _object, name, *_: name not in BESIDE_THE_METADATA,
                },
            )
            return list(compare_metadata(context, wanted))
    finally:
        engine.dispose()
