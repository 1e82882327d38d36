"""Themes by command, API and page: redacted, for those alone who may change the reasons, and a draft that loads."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
import typer
from typer.testing import CliRunner

from cli import reasons as commands
from tests.api_callers import caller
from tests.planted_themes import planted
from tests.seeds import NOW, seed_call
from tests.web_client import make_hall

CARD = "4111 1111 1111 1111"


@pytest.fixture(scope="module")
def hall(tmp_path_factory):
    """A centre with calls of two matters that no reason fits, some of which nobody named a reason for."""
    made = make_hall(tmp_path_factory.mktemp("themes") / "home")
    calls, _ = planted({"parking": 60, "allergy": 50})
    with made.wiring.database.write() as connection:
        for number, one in enumerate(calls):
            said = [(0, "customer", 3.0 * at, 3.0 * at + 2, text) for at, text in enumerate(one.customer)]
            said.append((0, "customer", 30.0, 34.0, f"My card number is {CARD}, is it about the parking permit?"))
            seed_call(
                connection,
                said=said,
                happened_at=NOW - timedelta(hours=5 * number),
                analysis={
                    "reason_code": "other" if number % 2 else None,
                    "headline": f"A question {CARD}",
                    "summary": "The customer asks.",
                },
            )
        for _ in range(20):
            seed_call(connection)
    yield made
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def admin(hall):
    return caller(hall)


def test_the_api_gives_themes_without_what_must_not_leave(hall, admin):
    answer = admin.get("/api/v1/reasons/themes")
    found = answer.json()
    assert answer.status_code == 200
    assert found["looked_at"] == 110
    assert len(found["themes"]) == 2
    assert sum(theme["calls"] for theme in found["themes"]) >= 100
    assert CARD not in answer.text
    assert "4111" not in answer.text
    none = admin.get("/api/v1/reasons/themes", params={"until": "2026-01-01"}).json()
    assert (none["looked_at"], none["themes"]) == (0, [])
    assert caller(hall, "analyst").get("/api/v1/reasons/themes").status_code == 403


def test_the_page_shows_them_and_drafts_one_into_the_file(hall, admin):
    hall.sign_in()
    assert "/reasons/themes" in hall.client.get("/reasons").text
    page = hall.client.get("/reasons/themes").text
    code = admin.get("/api/v1/reasons/themes").json()["themes"][0]["reason"]["code"]
    assert f"accept={code}" in page
    assert "4111" not in page
    assert f"code: {code}" in hall.client.get("/reasons/themes", params={"accept": code}).text
    assert hall.client.get("/reasons/themes", params={"accept": "no_such"}).status_code == 404


def test_the_command_writes_a_draft_that_load_reads(hall, tmp_path: Path):
    app = typer.Typer()
    commands.register(app)
    home = ["--home", str(hall.wiring.settings.home_path)]
    draft = tmp_path / "draft.yaml"
    told = CliRunner().invoke(app, ["reasons", "themes", "--draft", str(draft), "--json", *home])
    assert told.exit_code == 0, told.output
    codes = [theme["reason"]["code"] for theme in json.loads(told.stdout)["themes"]]
    assert CARD not in draft.read_text(encoding="utf-8")
    planned = CliRunner().invoke(app, ["reasons", "load", str(draft), "--dry-run", "--json", *home])
    assert sorted(json.loads(planned.stdout)["changes"]["added"]) == sorted(codes)
    # What somebody may have begun to reword stays.
    assert CliRunner().invoke(app, ["reasons", "themes", "--draft", str(draft), *home]).exit_code == 2
