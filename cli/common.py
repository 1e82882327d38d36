"""What every command shares: settings, wiring, where text goes, how errors end."""

import json
import sys
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from calls.errors import CallwiseError

if TYPE_CHECKING:
    from runtime.wiring import Wiring

JsonFlag = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
HomeOption = Annotated[Path | None, typer.Option("--home", help="Folder for everything that Callwise keeps.")]

# What somebody typed cannot be understood; everything else went wrong while the command ran.
USAGE_CODES = ("wrong_query",)

_debug = False


def show_tracebacks(debug: bool) -> None:
    """Whether errors show where they come from."""
    global _debug  # noqa: PLW0603 - one flag of one process, set by --debug before any command runs
    _debug = debug


def wire(home: Path | None = None, **overrides: Any) -> "Wiring":
    """The composition for this command; `overrides` win over every other source of settings."""
    # The help page and what is mistyped need neither settings nor tables.
    from runtime.settings import read_settings
    from runtime.wiring import Wiring

    if home is not None:
        overrides["home"] = home
    return Wiring(read_settings(**overrides))


def emit(document: Any) -> None:
    """The command's result as one JSON document on stdout."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n")


def say(text: str) -> None:
    """A message for the person at the terminal, on stderr."""
    typer.echo(text, err=True)


def stop(text: str, code: int = 1) -> NoReturn:
    """End the command with one line on stderr."""
    say(text)
    raise typer.Exit(code)


def run(app: typer.Typer) -> None:
    """Run the command line; errors become one line and exit code 1, or 2 for a mistyped argument (`--debug` shows where
    they come from). Of an error that nobody foresaw only the kind is told: its text may hold anything.
    """
    try:
        app()
    except CallwiseError as error:
        if _debug:
            raise
        say(f"callwise: {error}")
        sys.exit(2 if error.code in USAGE_CODES else 1)
    except Exception as error:
        if _debug:
            raise
        say(f"callwise: {_unforeseen(error)}")
        sys.exit(1)


def _unforeseen(error: Exception) -> str:
    """One line on an error that is not ours: the file that it is about, or where it comes from."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"file_error: {error.filename}: {error.strerror}; mend it, or name another place (--home, CALLWISE_HOME)"
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in extract_tb(error.__traceback__)]
    return (
        f"unexpected_error: {type(error).__name__} at {places[-1]}; `callwise --debug ...` shows all, please report it"
    )
