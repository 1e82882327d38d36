"""`eval`: how well engines hear recordings, find reasons and summarise, where the right answer is known."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.common import HomeOption, JsonFlag, emit, say, stop, wire
from cli.dialogue_data import NAMES, Dialogue, read_dialogues, taxonomy_for
from cli.evaluation_data import read_data
from cli.evaluation_tables import percent, print_reasons, print_summaries
from cli.speech_evaluation import hear, summarise
from engines.audio import decode
from engines.speech import SpeechHints

evaluations = typer.Typer(help="How well the engines do, on calls of your own.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(evaluations, name="eval")


@evaluations.callback()
def root() -> None:
    """How well the engines do, on calls of your own."""


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


@evaluations.command("reasons")
def reasons(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A folder with dialogues.jsonl or calls.jsonl.")],
    *,
    taxonomy_file: Annotated[
        Path | None, typer.Option("--reasons", metavar="FILE", help="Taxonomy of the labels; else DATA/reasons.yaml.")
    ] = None,
    engine: Annotated[str, typer.Option(help="Language engine instead of language.engine.")] = "",
    model: Annotated[str, typer.Option(help="The engine's model instead of language.model.")] = "",
    labels: Annotated[
        int, typer.Option(help="Let the offline engine learn from so many calls of one half; the other half is judged.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Which halves and labels are drawn.")] = 0,
    limit: Annotated[int, typer.Option(help="Only the first so many conversations; 0: all.", min=0)] = 0,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Accuracy, macro-F1, confusion, and what confidence is worth. No database; APIs are paid as ever."""
    from cli import language_evaluation as evaluation
    from engines.language_offline import OfflineLanguage

    wired = wire(home, **_engine(engine, model, part="language"))
    labelled = [one for one in read_dialogues(data, wired.redaction) if one.reason_code][: limit or None]
    if not labelled:
        stop(f"callwise: {data}: no conversation has a reason")
    codes = [one.reason_code or "" for one in labelled]
    taxonomy, whence = taxonomy_for(codes, data, taxonomy_file, wired.taxonomy_from_file())
    if whence == NAMES:
        say("nothing says what the labels mean but their names, which is little: give --reasons FILE")
    tried, used = labelled, wired.language
    if labels:
        taught, tried = evaluation.halves(labelled, seed)
        try:
            learned = evaluation.learn(taught[:labels], taxonomy)
        except ValueError as error:
            stop(f"callwise: --labels: {error}")
        used = OfflineLanguage(lambda _taxonomy: learned)
    used.check()
    bill = evaluation.Bill()
    answered = evaluation.ask(tried, used, taxonomy, bill, _progress(len(tried)))
    document = {
        "data": str(data),
        "engine": used.name,
        "is_demo": used.is_demo,
        "taxonomy": whence,
        "label_count": min(labels, len(taught)) if labels else 0,
        **evaluation.judge_reasons(answered, taxonomy),
        "cost": bill.document(),
    }
    if as_json:
        emit(document)
    else:
        print_reasons(document)


@evaluations.command("summary")
def summary(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A folder with dialogues.jsonl or calls.jsonl.")],
    *,
    engine: Annotated[str, typer.Option(help="Language engine instead of language.engine.")] = "",
    model: Annotated[str, typer.Option(help="The engine's model instead of language.model.")] = "",
    limit: Annotated[int, typer.Option(help="Only the first so many conversations; 0: all.", min=0)] = 0,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """ROUGE against summaries by people, and how the quotes stand. No database; APIs are paid as ever."""
    from cli import language_evaluation as evaluation

    wired = wire(home, **_engine(engine, model, part="language"))
    dialogues: list[Dialogue] = read_dialogues(data, wired.redaction)[: limit or None]
    used = wired.language
    used.check()
    bill = evaluation.Bill()
    answered = evaluation.ask(dialogues, used, wired.taxonomy_from_file(), bill, _progress(len(dialogues)))
    document = {
        "data": str(data),
        "engine": used.name,
        "is_demo": used.is_demo,
        **evaluation.judge_summaries(answered),
        "cost": bill.document(),
    }
    if as_json:
        emit(document)
    else:
        print_summaries(document)


def _progress(count: int) -> Callable[[int], None]:
    """Tells of every hundredth conversation, and of the last."""

    def tell(number: int) -> None:
        if number % 100 == 0 or number == count:
            say(f"{number}/{count}")

    return tell


def _engine(engine: str, model: str, part: str = "speech") -> dict[str, Any]:
    chosen = {name: value for name, value in (("engine", engine), ("model", model)) if value}
    return {part: chosen} if chosen else {}


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
            percent(row["word_error_rate"]),
            *(str(row[f"{kind}_count"]) for kind in ("substitution", "deletion", "insertion")),
            percent(row["character_error_rate"]),
        )
    console.print(table)
    roles, silence, speed, paid = (document[name] for name in ("roles", "over_silence", "real_time_factor", "paid"))
    lines = [
        f"calls {document['call_count']}, without a reference {document['without_reference_count']}, not decodable"
        f" {len(document['failed'])}; {document['audio_s']} s of sound",
        f"right speaker: {percent(roles['accuracy'])} of {roles['named_word_count']} words that were heard right and"
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
