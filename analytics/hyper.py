"""A Tableau extract: every table with its keys in one `.hyper` file. Needs the extra `tableau`.

Hyper reads the Parquet that is written for it beside, so that memory stays bounded.
Source: Tableau Hyper API, "Read external data".
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from analytics.export_parquet import write_parquet
from analytics.export_pieces import Context, Entry, Piece
from calls.errors import SettingsError

EXTRACT = "callwise.hyper"


def pieces(_context: Context) -> Iterator[Piece]:
    """The extract."""
    yield Piece(EXTRACT, "hyper", "", write_extract)


def write_extract(context: Context, path: Path, _done: Mapping[str, Entry]) -> int:
    """Write the extract; returns the rows of all tables. Raises SettingsError where the library is missing."""
    try:
        import tableauhyperapi as hyper
    except ImportError:
        raise SettingsError("export hyper needs Tableau's library: pip install 'callwise[tableau]'") from None
    rows = 0
    with (
        TemporaryDirectory(dir=path.parent, prefix=".hyper-") as logs,
        hyper.HyperProcess(hyper.Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters={"log_dir": logs}) as process,
        hyper.Connection(process.endpoint, path, hyper.CreateMode.CREATE_AND_REPLACE) as connection,
    ):
        connection.catalog.create_schema("bi")
        for table in context.tables:
            parquet = path.with_name(f".{table.name}.parquet")
            try:
                rows += write_parquet(context.connection, table, parquet)
                _take_in(connection, hyper, table.name, parquet)
            finally:
                parquet.unlink(missing_ok=True)
    return rows


def _take_in(connection: Any, hyper: Any, table: str, parquet: Path) -> None:
    name = hyper.TableName("bi", table)
    source = f"external({hyper.escape_string_literal(str(parquet))}, FORMAT => 'parquet')"
    connection.execute_command(f"CREATE TABLE {name} AS (SELECT * FROM {source})")  # noqa: S608 - both are escaped
