"""What a command loads before it does anything: people wait for it, and so do the hundreds that the tests start."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from cli.main import COMMANDS
from crm.database import Database

HEAVY = {"alembic", "av", "boto3", "celery", "fastapi", "numpy", "openai", "pandas", "pyarrow", "scipy", "sklearn"}


def loaded_by(*arguments: str, home: Path) -> set[str]:
    """The packages that a Python process with these arguments has loaded when it ends well."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CALLWISE_")}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        env=kept | {"CALLWISE_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(re.findall(r"^import time:.*\|\s+(\w+)", done.stderr, re.MULTILINE))


@pytest.mark.parametrize("module", COMMANDS)
def test_the_help_page_says_of_each_command_what_the_command_says_of_itself(module: str) -> None:
    app = typer.Typer()
    app.callback()(lambda: None)
    importlib.import_module(f"cli.{module}").register(app)
    commands = get_command(app).commands  # type: ignore[attr-defined]
    assert {name: " ".join(command.help.split()) for name, command in commands.items()} == COMMANDS[module]


def test_the_help_page_shows_every_command_and_loads_none(tmp_path: Path) -> None:
    loaded = loaded_by("-m", "cli", "--help", home=tmp_path)
    assert "typer" in loaded
    assert not loaded & (HEAVY | {"pydantic", "sqlalchemy", "structlog"})
    shown = subprocess.run([sys.executable, "-m", "cli", "--help"], capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^│ ([a-z]+) ", shown, re.MULTILINE) == [
        name for commands in COMMANDS.values() for name in commands
    ]


def test_the_status_needs_tables_and_settings_alone(database: Database, tmp_path: Path) -> None:
    loaded = loaded_by("-m", "cli", "status", "--json", home=tmp_path)
    assert "sqlalchemy" in loaded
    assert not loaded & (HEAVY | {"rich", "structlog"})


@pytest.mark.parametrize(
    ("code", "needed"),
    [
        ("from web.app import create_app", {"fastapi", "numpy", "pyarrow"}),
        ("import cli.ingest; from workers.app import bell", {"celery"}),
        ("import workers.run, workers.tasks, engines.language_offline", {"celery", "numpy", "scipy"}),
    ],
)
def test_what_runs_for_long_loads_no_engine_before_it_is_asked_for(code: str, needed: set[str], tmp_path: Path) -> None:
    assert loaded_by("-c", code, home=tmp_path) & HEAVY <= needed
