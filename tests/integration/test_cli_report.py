"""`report` as a command."""

import json
from pathlib import Path

import structlog
import typer
from typer.testing import CliRunner

from cli import report as commands
from tests.seeds import seed_call
from tests.web_client import make_hall


def test_the_command_writes_a_week_and_refuses_one_that_has_not_ended(tmp_path: Path):
    hall = make_hall(tmp_path / "home")
    with hall.wiring.database.write() as connection:
        for _ in range(3):
            seed_call(connection)
    app = typer.Typer()
    app.callback()(lambda: None)
    commands.register(app)
    asked = ["report", "--out", str(tmp_path / "out"), "--home", str(hall.wiring.settings.home_path)]
    told = CliRunner().invoke(app, [*asked, "--week", "2026-W12", "--json"])
    structlog.reset_defaults()
    assert told.exit_code == 0, told.output
    document = json.loads(told.stdout)
    assert document["measures"]["calls"]["value"] == 3
    assert document["reasons"] == [{"code": "delivery_status", "label": "Delivery status", "calls": 3}]
    assert "Delivery status" in Path(document["path"]).read_text(encoding="utf-8")
    assert CliRunner().invoke(app, [*asked, "--week", "2999-W12"]).exit_code == 2
