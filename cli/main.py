"""The command line's root: each module of `cli` adds its commands, and is loaded when one of them is asked for."""

import importlib
import sys
from typing import Annotated

import typer

from cli.common import run, show_tracebacks
from cli.lifeline import hold_lifeline

# In the order of the help page.
COMMANDS = {
    "demo": ("demo",),
    "up": ("up",),
    "work": ("worker", "beat", "web", "work"),
    "ingest": ("push", "listen", "reconcile", "profiles"),
    "calls": ("calls", "call"),
    "similar": ("similar",),
    "users": ("users",),
    "tokens": ("tokens",),
    "handover": ("handover",),
    "reasons": ("reasons",),
    "analytics": ("trends", "export"),
    "report": ("report",),
    "costs": ("costs",),
    "evaluate": ("eval",),
    "learn": ("learn",),
    "finetune": ("finetune",),
    "privacy": ("erase", "purge"),
    "operate": ("status", "retry", "doctor", "db"),
}

app = typer.Typer(
    name="callwise",
    help="Open, self-hosted contact-centre analytics.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def root(debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False) -> None:
    """Open, self-hosted contact-centre analytics."""
    show_tracebacks(debug)


def main() -> None:
    """The entry point of the `callwise` script."""
    hold_lifeline()
    asked = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    homes = [module for module, commands in COMMANDS.items() if asked in commands]
    for module in homes or COMMANDS:
        importlib.import_module(f"cli.{module}").register(app)
    run(app)
