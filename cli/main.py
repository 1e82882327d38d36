"""The command line's root: each module of `cli` adds its commands."""

import importlib
from typing import Annotated

import typer

from cli.common import run, show_tracebacks

app = typer.Typer(
    name="callwise",
    help="Open, self-hosted contact-centre analytics.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

for _module in ("demo", "up", "work", "ingest", "calls", "analytics", "operate"):
    importlib.import_module(f"cli.{_module}").register(app)


@app.callback()
def root(debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False) -> None:
    """Open, self-hosted contact-centre analytics."""
    show_tracebacks(debug)


def main() -> None:
    """The entry point of the `callwise` script."""
    run(app)
