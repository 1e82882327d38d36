"""The command line's root: each module of `cli` adds its commands, and is loaded when one of them is asked for."""

import importlib
import sys
from typing import Annotated

import typer

from cli.common import run, show_tracebacks
from cli.lifeline import hold_lifeline

# Each module's commands and their lines of the help page, in its order: it is shown without loading any of them.
COMMANDS = {
    "demo": {
        "demo": "Push the bundled recordings as telephony would, show what comes out, and serve the pages until"
        " Ctrl-C.",
    },
    "up": {
        "up": "Run listener, worker and web together; Ctrl-C drains and stops.",
    },
    "work": {
        "worker": "Serve the queues until Ctrl-C; work in progress is finished first.",
        "beat": "The production clock: rings for the sweep and the roll-ups.",
        "web": "Serve the pages and the API until Ctrl-C.",
        "work": "Take in what has arrived and do all the work in this process.",
    },
    "ingest": {
        "push": "Put recordings into the configured object store, the way telephony would.",
        "listen": "Take in what the configured sources announce, until Ctrl-C.",
        "reconcile": "Compare the bucket with the database; exit code 1 when a recording is no call and was not"
        " taken in.",
        "profiles": "What telephony profiles read.",
    },
    "calls": {
        "calls": "List calls, newest first.",
        "call": "Show one call in full, or correct who is who in it, or what it was about.",
    },
    "similar": {
        "similar": "Calls that are about the same as this one, the nearest first.",
    },
    "users": {
        "users": "Who may sign in to the pages, and what they may do.",
    },
    "tokens": {
        "tokens": "What programs call the API with.",
    },
    "handover": {
        "handover": "Hand calls over to Salesforce, HubSpot and webhooks.",
    },
    "reasons": {
        "reasons": "The call reasons: load, show, and classify the past under them.",
    },
    "analytics": {
        "trends": "The trend table: measures by period, over reasons, queues, agents or teams.",
        "export": "Write files for BI tools; a manifest with their checksums is written last.",
    },
    "report": {
        "report": "Write the report of a week: reasons, what moved, and the measures with their intervals; to be"
        " read or printed.",
    },
    "costs": {
        "costs": "What was paid for speech and language models, from the ledger.",
    },
    "evaluate": {
        "eval": "How well the engines do, on calls of your own.",
    },
    "learn": {
        "learn": "Train a classifier of reasons on reviewed calls, and use it if it is better than what serves now.",
    },
    "finetune": {
        "finetune": "A model of your own, taught with the calls that people reviewed.",
    },
    "privacy": {
        "erase": "Erase a person or a call: rows, transcript, search, audio. The figures keep counting the call; nobody"
        " can say any more whose it was, or what was said, and it cannot come in again.",
        "purge": "Erase every call that is older, and the customers who have no other.",
    },
    "operate": {
        "status": "What stands where.",
        "retry": "Give failed calls another attempt at the step where they failed.",
        "doctor": "Check everything that can be wrong, each with its fix.",
        "db": "The database's version.",
    },
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
    for module, commands in COMMANDS.items():
        if asked in commands:
            importlib.import_module(f"cli.{module}").register(app)
            break
    else:
        list_commands()
    run(app)


def list_commands() -> None:
    """Add every command by name and line alone: what is needed to say what there is."""
    for commands in COMMANDS.values():
        for name, line in commands.items():
            app.command(name, help=line)(_not_loaded)


def _not_loaded() -> None:
    """Stands for a command that nobody asked for."""
