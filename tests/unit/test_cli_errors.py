"""How a command ends that cannot do its work: one line that names the place, and no traceback without `--debug`."""

import json
import os
import socket
from pathlib import Path

import pytest
import typer

from calls.errors import SettingsError
from cli.common import run, show_tracebacks
from cli.operate import doctor
from cli.up import free_port


def ending(capsys: pytest.CaptureFixture[str], command: object) -> str:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(command)  # type: ignore[type-var]
    with pytest.raises(SystemExit) as ended:
        run(app)
    assert ended.value.code == 1
    return capsys.readouterr().err


@pytest.fixture(autouse=True)
def no_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["callwise"])


def test_a_home_that_is_a_file_is_named_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "home"
    home.write_text("a file")

    def command() -> None:
        (home / "objects").mkdir()

    told = ending(capsys, command)
    assert told.startswith(f"callwise: file_error: {home}/objects: ")
    assert told.count("\n") == 1


def test_an_error_that_nobody_foresaw_tells_where_it_comes_from_and_nothing_of_its_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def command() -> None:
        json.loads("what the customer said")

    told = ending(capsys, command)
    assert "JSONDecodeError at decoder.py:" in told
    assert "customer" not in told
    assert told.count("\n") == 1


def test_debug_shows_all(capsys: pytest.CaptureFixture[str]) -> None:
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def command() -> None:
        json.loads("x")

    show_tracebacks(True)
    try:
        with pytest.raises(json.JSONDecodeError):
            run(app)
    finally:
        show_tracebacks(False)


def test_the_doctor_says_of_a_wrong_setting_what_is_wrong_as_a_check(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLWISE_SPEECH__ENGINE", "nobody")
    with pytest.raises(typer.Exit) as ended:
        doctor(as_json=True)
    assert ended.value.exit_code == 1
    (check,) = json.loads(capsys.readouterr().out)["checks"]
    assert (check["name"], check["status"]) == ("settings", "wrong")
    assert "CALLWISE_SPEECH__ENGINE" in check["detail"]
    assert check["fix"]


def test_the_doctor_says_which_source_of_a_setting_won_and_that_the_database_comes_first(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CALLWISE_")]:
        monkeypatch.delenv(name)
    (tmp_path / "callwise.toml").write_text('home = "."\n[telephony]\nregion = "GB"\ntime_zone = "Europe/London"\n')
    (tmp_path / ".env").write_text("CALLWISE_TELEPHONY__REGION=DE\nCALLWISE_LANGUAGE__API_KEY=sk-secret\n")
    monkeypatch.setenv("CALLWISE_LANGUAGE__ENGINE", "offline")
    with pytest.raises(typer.Exit):
        doctor(as_json=True)
    printed = capsys.readouterr().out
    checks = {check["name"]: check for check in json.loads(printed)["checks"]}
    assert checks["settings"]["detail"] == (
        "environment: language.engine; .env: language.api_key, telephony.region;"
        " callwise.toml: home, telephony.time_zone"
    )
    assert "sk-secret" not in printed
    assert checks["processes"]["fix"].startswith("mend the database first")


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_a_port_that_is_taken_is_a_wrong_setting(host: str, family: socket.AddressFamily) -> None:
    with socket.socket(family) as taken:
        try:
            taken.bind((host, 0))
        except OSError:
            pytest.skip("this machine has no such address")
        taken.listen()
        with pytest.raises(SettingsError, match="--port"):
            free_port(host, taken.getsockname()[1])
    assert free_port(host, 0) > 0
