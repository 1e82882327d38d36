"""The database's version: bring it up to the code's, or say how far behind it is."""

from pathlib import Path

import sqlalchemy as sa

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

_MIGRATIONS = Path(__file__).parent / "migrations"


class DatabaseBehind(SetupBroken):
    """The database is not at the code's version: work waits until `callwise db upgrade` has run."""

    code = "database_behind"


def upgrade(database: Database, to: str = "head") -> None:
    """Run every migration up to version `to` that the database has not seen; running it again does nothing."""
    # It takes as long to load as a whole command takes, and only this one needs it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with database.alter() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, to)


def versions(database: Database) -> tuple[str | None, str | None]:
    """The database's version and the code's; the first is None for an empty database."""
    with database.read() as connection:
        found = None
        if sa.inspect(connection).has_table("alembic_version"):
            found = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    # Migrations are a line, and each is numbered in the name of its file: m0007_reasons.py.
    return found, max(path.name[1:5] for path in (_MIGRATIONS / "versions").glob("m[0-9]*.py"))


def require_current(database: Database) -> None:
    """Raise DatabaseBehind, with the fix, unless the database is at the code's version."""
    found, wanted = versions(database)
    if found is None:
        where = database.url.render_as_string(hide_password=True)
        raise DatabaseBehind(f"nothing of Callwise is in {where} yet: run `callwise db upgrade`")
    if found != wanted:
        raise DatabaseBehind(f"the database is at version {found}, this code needs {wanted}: run `callwise db upgrade`")
