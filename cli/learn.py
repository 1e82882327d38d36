"""`learn`: a classifier of reasons from labelled calls, put to use when it does better than the one that serves."""

from typing import Annotated, Any

import sqlalchemy as sa
import typer

from calls.reasons import Taxonomy
from calls.redaction import redact_turns
from calls.transcript import take_turns
from cli.common import HomeOption, JsonFlag, emit, say, stop, wire
from cli.evaluation_tables import percent
from crm.labels import Label, labels_by_models, labels_by_people, note_taught
from crm.results import current_transcript
from crm.taxonomies import current_taxonomy
from runtime.wiring import Wiring


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("learn")(learn)


def learn(
    *,
    people_only: Annotated[
        bool, typer.Option(help="Learn from corrections and confirmations by people alone.")
    ] = False,
    sure_from: Annotated[
        float, typer.Option(help="What a language model said teaches from this confidence on.", min=0, max=1)
    ] = 0.9,
    limit: Annotated[int, typer.Option(help="At most so many calls that a model labelled, the latest.", min=0)] = 2000,
    forget: Annotated[bool, typer.Option(help="Take the classifier out of use.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Train and try, but change nothing.")] = False,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Train a classifier of reasons on reviewed calls, and use it if it is better than what serves now."""
    wired = wire(home)
    with wired.database.read() as connection:
        taxonomy = current_taxonomy(connection)
    if taxonomy is None:
        stop("callwise: there are no reasons yet; load some with `callwise reasons load FILE`")
    if forget:
        if not dry_run:
            wired.learned.forget(taxonomy.version)
            with wired.database.write() as writing:
                note_taught(writing, taxonomy.version, [])
        document: dict[str, Any] = {"taxonomy_version": taxonomy.version, "is_in_use": False}
        say("no classifier is in use" if not dry_run else "the classifier would be taken out of use")
    else:
        with wired.database.read() as connection:
            labels = labels_by_people(connection)
            if not people_only:
                known = [label.call_id for label in labels]
                labels += labels_by_models(connection, taxonomy, sure_from=sure_from, limit=limit, without=known)
            document = _learn(wired, connection, taxonomy, labels, keep=not dry_run)
        _tell(document)
    if as_json:
        emit(document)
    if not forget and not document["is_better"]:
        raise typer.Exit(1)


def _learn(
    wired: Wiring, connection: sa.Connection, taxonomy: Taxonomy, labels: list[Label], *, keep: bool
) -> dict[str, Any]:
    from calls.reason_scores import score
    from engines.offline_reasons import ReasonMatcher
    from engines.reason_trials import MIN_TRIED, is_held_out, try_both
    from engines.trained_reasons import MIN_LABELS, train

    taught = [label for label in labels if not is_held_out(label.call_id)]
    held_out = [label for label in labels if is_held_out(label.call_id)]
    by_people = [label for label in held_out if label.source == "person"]
    # People's word is the better measure, where there is enough of it.
    tried = by_people if len(by_people) >= MIN_TRIED else held_out
    if len(taught) < MIN_LABELS or len(tried) < MIN_TRIED or len({label.reason_code for label in taught}) < 2:
        stop(
            f"callwise: too few labelled calls: {len(taught)} to learn from and {len(tried)} to be tried on, of"
            f" {MIN_LABELS} of two reasons and {MIN_TRIED} at least; review some with `callwise call ID --reason CODE`"
        )
    candidate = train([_labelled(wired, connection, label) for label in taught], taxonomy)
    in_use = wired.learned(taxonomy)
    trial = try_both(
        candidate, in_use or ReasonMatcher(taxonomy), [_labelled(wired, connection, label) for label in tried]
    )
    if keep and trial.is_better:
        with wired.database.write() as writing:
            note_taught(writing, taxonomy.version, [label.call_id for label in taught])
        wired.learned.keep(candidate)
    return {
        "taxonomy_version": taxonomy.version,
        "version": candidate.version,
        "taught": _counts(taught),
        "tried": _counts(tried),
        "candidate": score(trial.candidate),
        "serving": {"version": in_use.version if in_use else "untrained", **score(trial.serving)},
        "is_better": trial.is_better,
        "is_in_use": keep and trial.is_better,
    }


def _labelled(wired: Wiring, connection: sa.Connection, label: Label) -> Any:
    from engines.trained_reasons import LabelledCall, said_in

    # Redacted as it is before any engine sees it: what is learned from never holds more.
    turns = redact_turns(take_turns(current_transcript(connection, label.call_id).utterances), wired.redaction)
    return LabelledCall(said_in(turns), label.reason_code)


def _counts(labels: list[Label]) -> dict[str, int]:
    people = sum(label.source == "person" for label in labels)
    return {"people": people, "models": len(labels) - people}


def _tell(document: dict[str, Any]) -> None:
    taught, tried = document["taught"], document["tried"]
    say(
        f"learned from {taught['people']} calls labelled by people and {taught['models']} by models;"
        f" tried on {tried['people']} and {tried['models']} others"
    )
    for name, which in (("new", "candidate"), (f"serving ({document['serving']['version']})", "serving")):
        found = document[which]
        say(
            f"{name}: right {percent(found['accuracy'])}; sure of {found['sure']['share']:.1%} of the calls, there"
            f" right {percent(found['sure']['accuracy'])}"
        )
    if not document["is_better"]:
        say("refused: it is no better than what serves now")
    else:
        say(
            "in use; workers take it over within a minute"
            if document["is_in_use"]
            else "better; a dry run keeps nothing"
        )
