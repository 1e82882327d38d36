"""docker-compose.yml, Dockerfile and the documents name only what exists."""

import importlib
import json
import re
import tomllib
from pathlib import Path

import pytest
import typer
import yaml
from typer.core import TyperGroup
from typer.main import get_command

from cli.main import COMMANDS
from runtime.settings import Settings
from runtime.settings_intake import EventSource

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# Read by deploy/prepare_bucket.py itself.
NO_SETTINGS = {"CALLWISE_STORE_TARGET"}


def variables() -> list[str]:
    return sorted({name for service in COMPOSE["services"].values() for name in service.get("environment", {})})


@pytest.mark.parametrize("variable", [name for name in variables() if name.startswith("CALLWISE_")])
def test_every_variable_in_compose_is_a_setting(variable):
    if variable in NO_SETTINGS:
        return
    part, _, name = variable.removeprefix("CALLWISE_").lower().partition("__")
    field = Settings.model_fields[part]
    assert not name or name in field.annotation.model_fields


def test_the_listener_of_compose_reads_the_events_that_its_store_publishes():
    environment = COMPOSE["services"]["listener"]["environment"]
    (event,) = json.loads(environment["CALLWISE_EVENTS"])
    source = EventSource.model_validate(event)
    store = COMPOSE["services"]["store"]["environment"]
    assert source.exchange == store["RUSTFS_NOTIFY_AMQP_EXCHANGE_CALLWISE"]
    assert source.routing_key == store["RUSTFS_NOTIFY_AMQP_ROUTING_KEY_CALLWISE"]


def test_every_image_is_pinned():
    images = [service["image"] for service in COMPOSE["services"].values()]
    bases = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    for image in [image for image in images + bases if not image.startswith("callwise:")]:
        _, _, tag = image.partition(":")
        assert re.search(r"\d+\.\d+", tag), image


def test_the_image_is_built_with_extras_that_exist():
    (extras,) = re.findall(r"^ARG EXTRAS=(\S+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(extras.split(",")) <= PROJECT["project"]["optional-dependencies"].keys()
    assert {"postgres", "whisper"} <= set(extras.split(","))


@pytest.mark.parametrize("service", [name for name, told in COMPOSE["services"].items() if "command" in told])
def test_every_service_runs_a_command_with_options_that_it_has(service):
    name, *arguments = COMPOSE["services"][service]["command"]
    (module,) = [module for module, commands in COMMANDS.items() if name in commands]
    app = typer.Typer()
    importlib.import_module(f"cli.{module}").register(app)
    asked = get_command(app).commands[name]
    # Parses, and runs nothing.
    context = asked.make_context(name, arguments)
    if isinstance(asked, TyperGroup):
        asked.resolve_command(context, arguments)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_image_is_built_with_every_package(package):
    assert f"COPY {package} {package}\n" in (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert f"!{package}\n" in (ROOT / ".dockerignore").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda page: page.name
)
def test_every_link_inside_the_documents_leads_to_a_file(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_every_file_that_the_readme_names_is_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in re.findall(r"`([a-z_]+/[a-z_/]*(?:\.py)?)`", text):
        assert (ROOT / name).exists(), name
