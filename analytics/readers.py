"""The role for BI tools: it reads the schema `bi` and nothing else."""

import re

import sqlalchemy as sa

from analytics.star import SCHEMA
from calls.errors import SettingsError
from crm.database import Database

# A role's name that needs no quotes; what somebody types is put into statements that take no parameters.
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
# Nobody waits for a query of this length, and the roll-ups should not either.
_STATEMENT_TIMEOUT = "10min"
_MIGHTY = sa.text(
    "SELECT 1 FROM pg_roles WHERE rolname = :name AND (rolsuper OR rolcreaterole OR rolname = current_user)"
)


def reader_statements(database: Database, name: str) -> tuple[str, ...]:
    """The statements that make the role, or bring it to this; a database administrator may run them as they are.

    The role may log in, but has no password: how it proves who it is, is the server's to say. Raises SettingsError for
    a name that would need quotes, and for SQLite, which has no roles.
    """
    if database.is_sqlite:
        raise SettingsError("SQLite has no roles: open a copy of the file, or the file itself with mode=ro")
    if not _NAME.fullmatch(name):
        raise SettingsError(f"{name!r} is no name for a role here: small letters, digits and _ are, up to 63 of them")
    held = '"' + str(database.url.database).replace('"', '""') + '"'
    return (
        f"DO $$ BEGIN CREATE ROLE {name} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
        f"ALTER ROLE {name} SET default_transaction_read_only = on",
        f"ALTER ROLE {name} SET statement_timeout = '{_STATEMENT_TIMEOUT}'",
        f"ALTER ROLE {name} SET search_path = {SCHEMA}",
        f"GRANT CONNECT ON DATABASE {held} TO {name}",
        f"GRANT USAGE ON SCHEMA {SCHEMA} TO {name}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO {name}",
        # Tables of later versions, made by whoever runs this.
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {SCHEMA} GRANT SELECT ON TABLES TO {name}",
    )


def make_reader(database: Database, name: str) -> None:
    """Make the role, or bring it to this. Raises SettingsError where it cannot be made, or may do more than read."""
    statements = reader_statements(database, name)
    try:
        with database.write() as connection:
            # Whose settings these become, could write no more.
            if connection.execute(_MIGHTY, {"name": name}).first():
                raise SettingsError(f"the role {name} is there and is no reader: give the reader a name of its own")
            for statement in statements:
                connection.exec_driver_sql(statement)
    except sa.exc.ProgrammingError as error:
        reason = str(error.orig).strip().split("\n", 1)[0]
        raise SettingsError(
            f"the role {name} cannot be made ({reason}): let an administrator of the database run the statements that"
            f" `callwise db bi-role {name} --print` shows"
        ) from error
