"""The role for BI tools, as psql sees it: it reads `bi`, and nothing else, and writes nowhere."""

import os
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from analytics.measures import BY_SLUG
from analytics.readers import make_reader, reader_statements
from analytics.rollup import refresh
from calls.errors import SettingsError
from cli import operate
from crm.database import Database
from tests.calls_made_up import NOON, add_call, prepare
from tests.servers.process import find_program

ROLE = "callwise_bi"
PSQL = find_program("psql", "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")


@pytest.fixture
def centre(postgres_database: Database) -> Database:
    """Three calls, rolled up."""
    with postgres_database.write() as connection:
        prepare(connection)
        for number in range(3):
            add_call(connection, number, NOON + timedelta(hours=number), duration_s=60.0)
    refresh(postgres_database, "UTC", NOON + timedelta(days=9))
    return postgres_database


def ask(database: Database, statement: str) -> subprocess.CompletedProcess[str]:
    """What psql says to the role."""
    url = database.url
    if PSQL is None:
        pytest.skip("psql is not installed")
    target = ["-h", str(url.host), "-p", str(url.port), "-U", ROLE, "-d", str(url.database)]
    return subprocess.run(
        [PSQL, "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", *target, "-c", statement],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PGCONNECT_TIMEOUT": "20"},
    )


def test_the_role_reads_measures_in_bi(centre: Database) -> None:
    make_reader(centre, ROLE)
    make_reader(centre, ROLE)
    measure = BY_SLUG["handle_time_s"].sql()
    answer = ask(centre, f"SELECT sum(call_count), {measure} FROM fact_call")
    assert (answer.stderr, answer.stdout) == ("", "3|60\n")


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("SELECT count(*) FROM public.call", "permission denied for table call"),
        ("SELECT count(*) FROM public.contact", "permission denied for table contact"),
        ("DELETE FROM bi.fact_call", "permission denied for table fact_call"),
        ("SET default_transaction_read_only = off; DELETE FROM bi.fact_call", "permission denied for table fact_call"),
        ("CREATE TABLE bi.mine (n int)", "permission denied for schema bi"),
        ("CREATE TABLE public.mine (n int)", "read-only transaction"),
    ],
)
def test_the_role_may_do_nothing_else(centre: Database, statement: str, refusal: str) -> None:
    make_reader(centre, ROLE)
    answer = ask(centre, statement)
    assert answer.returncode != 0
    assert refusal in answer.stderr or "read-only transaction" in answer.stderr


def test_the_command_makes_the_role_or_shows_how(
    centre: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = typer.Typer()
    operate.register(app)
    monkeypatch.setenv("CALLWISE_DATABASE__URL", centre.url.render_as_string(hide_password=False))
    arguments = ["db", "bi-role", ROLE, "--home", str(tmp_path)]
    shown = CliRunner().invoke(app, [*arguments, "--print"])
    assert shown.stdout == "".join(f"{statement};\n" for statement in reader_statements(centre, ROLE))
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert ask(centre, "SELECT count(*) FROM fact_call").stdout == "3\n"


def test_no_mighty_role_becomes_a_reader(centre: Database) -> None:
    with pytest.raises(SettingsError, match="no reader"):
        make_reader(centre, str(centre.url.username))


@pytest.mark.parametrize("name", ["", "a b", 'x"; DROP TABLE call; --', "Ärger", "1st", "a" * 64])
def test_a_name_that_needs_quotes_is_refused(centre: Database, name: str) -> None:
    with pytest.raises(SettingsError, match="no name for a role"):
        reader_statements(centre, name)


def test_sqlite_has_no_roles(database: Database) -> None:
    with pytest.raises(SettingsError, match="mode=ro"):
        make_reader(database, ROLE)
