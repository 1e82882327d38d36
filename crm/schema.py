"""The database's version: bring it up to the code's, or say how far behind it is."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

import crm.access_tables
import crm.alert_tables
import crm.batch_tables
import crm.handover_tables
import crm.kept_answers
import crm.pacing
import crm.privacy_tables
import crm.reason_tables
import crm.search_tables
import crm.touched_tables
import crm.vector_tables  # noqa: F401 - their tables belong to the schema, whoever asks for them
from calls.errors import SetupBroken
from crm.database import Database


class DatabaseBehind(SetupBroken):
    """The database is not at the code's version: work waits until `callwise db upgrade` has run."""

    code = "database_behind"


def upgrade(database: Database, to: str = "head") -> None:
    """Run every migration up to version `to` that the database has not seen; running it again does nothing."""
    config = _config()
    with database.alter() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, to)


def versions(database: Database) -> tuple[str | None, str | None]:
    """The database's version and the code's; the first is None for an empty database."""
    with database.read() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    return found, ScriptDirectory.from_config(_config()).get_current_head()


def require_current(database: Database) -> None:
    """Raise DatabaseBehind, with the fix, unless the database is at the code's version."""
    found, wanted = versions(database)
    if found != wanted:
        raise DatabaseBehind(
            f"the database is at version {found or 'none'}, this code needs {wanted}: run `callwise db upgrade`"
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
