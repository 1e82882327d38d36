"""`eval speech`: how well the configured engine hears recordings of which is known what was said."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.common import HomeOption, JsonFlag, emit, say, wire
from cli.evaluation_data import read_data
from cli.speech_evaluation import hear, summarise
from engines.audio import decode
from engines.speech import SpeechHints

evaluations = typer.Typer(help="How well the engines do, on recordings of your own.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(evaluations, name="eval")


@evaluations.callback()
def root() -> None:
    """How well the engines do, on recordings of your own."""


@evaluations.command("speech")
def speech(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A folder with calls.jsonl and audio.")],
    *,
    engine: Annotated[str, typer.Option(help="Speech engine instead of speech.engine.")] = "",
    model: Annotated[str, typer.Option(help="The engine's model instead of speech.model.")] = "",
    limit: Annotated[int, typer.Option(help="Only the first so many calls; 0: all.", min=0)] = 0,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Word and character errors, words over silence, right speakers and speed. No database; APIs are paid as ever."""
    spoken = read_data(data)
    wired = wire(home, **_engine(engine, model))
    given = wired.settings.speech
    used = wired.speech
    used.check()
    hints = SpeechHints(language=given.language or None, vocabulary=given.vocabulary)
    outcomes = []
    for number, one in enumerate(spoken[: limit or None], start=1):
        say(f"{number}/{min(limit or len(spoken), len(spoken))} {one.id}")
        outcomes.append(
            hear(one, used, hints, default_agent_channel=wired.settings.telephony.agent_channel, decode=decode)
        )
    document = {"data": str(data), "engine": used.name, "is_demo": used.is_demo, **summarise(outcomes)}
    if as_json:
        emit(document)
    else:
        _print(document)


def _engine(engine: str, model: str) -> dict[str, Any]:
    chosen = {name: value for name, value in (("engine", engine), ("model", model)) if value}
    return {"speech": chosen} if chosen else {}


def _print(document: dict[str, Any]) -> None:
    console = Console()
    table = Table(title=escape(f"{document['engine']} on {document['data']}"))
    for name in ("channel", "calls", "words", "word errors", "subst.", "left out", "put in", "character errors"):
        table.add_column(name, justify="left" if name == "channel" else "right")
    for row in document["channels"]:
        table.add_row(
            row["channel"],
            str(row["call_count"]),
            str(row["word_count"]),
            _percent(row["word_error_rate"]),
            *(str(row[f"{kind}_count"]) for kind in ("substitution", "deletion", "insertion")),
            _percent(row["character_error_rate"]),
        )
    console.print(table)
    roles, silence, speed, paid = (document[name] for name in ("roles", "over_silence", "real_time_factor", "paid"))
    lines = [
        f"calls {document['call_count']}, without a reference {document['without_reference_count']}, not decodable"
        f" {len(document['failed'])}; {document['audio_s']} s of sound",
        f"right speaker: {_percent(roles['accuracy'])} of {roles['named_word_count']} words that were heard right and"
        f" given to a side ({roles['matched_word_count']} heard right); maps of the channels that what was heard"
        f" contradicts: {roles['doubted_call_count']}",
    ]
    if silence["word_count"] is not None:
        lines.append(f"words over silence: {silence['word_count']} in {silence['silence_s']} s without speech")
    if speed:
        lines.append(f"real-time factor: {speed['value']:.3f} ({1 / speed['value']:.1f} times as fast as it was said)")
    if paid["request_count"]:
        lines.append(f"paid requests: {paid['request_count']}, {paid['audio_s']} s; they are not in the ledger")
    lines.append(f"compared: {document['normalisation']}")
    for line in lines:
        console.print(line, highlight=False, markup=False)
    if document["is_demo"]:
        console.print("A demo engine: good for a look round, not for decisions.", style="yellow")


def _percent(rate: dict[str, float] | None) -> str:
    if rate is None:
        return "-"
    return f"{rate['value']:.1%} ({rate['low']:.1%} to {rate['high']:.1%})"
