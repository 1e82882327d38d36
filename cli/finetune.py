"""`finetune`: a model taught with reviewed calls, at OpenAI or Azure OpenAI; its name can then be set as a tier."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from calls.analysis import Analysis, Evidence
from calls.prompts import build_prompt, estimate_tokens
from calls.reasons import Taxonomy
from calls.redaction import redact_turns
from calls.transcript import Speaker, Turn, take_turns
from calls.tuning_examples import example_line, with_quotes, worth_teaching
from cli.common import HomeOption, JsonFlag, emit, say, stop, wire
from crm.taxonomies import current_taxonomy
from crm.tuning import ReviewedAnalysis, reviewed_analyses
from runtime.wiring import Wiring

if TYPE_CHECKING:
    from engines.finetuning import FineTuning, TuningJob

finetunings = typer.Typer(help="A model of your own, taught with the calls that people reviewed.", no_args_is_help=True)

_QUOTE_WORDS = 25
_PROVIDERS = ("openai", "azure")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(finetunings, name="finetune")


@dataclass(frozen=True)
class Examples:
    """The lines of the two files; `left_out` reviewed calls have nothing to teach."""

    training: list[str]
    validation: list[str]
    left_out: int

    def document(self) -> dict[str, Any]:
        """How many there are, and about how many tokens one pass over the training file bills."""
        return {
            "training_count": len(self.training),
            "validation_count": len(self.validation),
            "left_out_count": self.left_out,
            "training_tokens": sum(estimate_tokens(line) for line in self.training),
        }


@finetunings.command("export")
def export(
    *,
    out: Annotated[Path, typer.Option(help="Folder for training.jsonl and validation.jsonl.")],
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Write the files that `start` would send: redacted calls, each with the answer that people left."""
    examples = _examples(wire(home))
    out.mkdir(parents=True, exist_ok=True)
    for name, lines in (("training.jsonl", examples.training), ("validation.jsonl", examples.validation)):
        (out / name).write_bytes(_file(lines))
    _show({"folder": str(out), **examples.document()}, as_json)


@finetunings.command("start")
def start(
    *,
    model: Annotated[str, typer.Option(help="The model to teach; else that of the first deployment.")] = "",
    suffix: Annotated[str, typer.Option(help="Becomes a part of the tuned model's name.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before sending and paying.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")] = False,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Send the files and start a job, once for the same files. The vendor bills the training."""
    from engines.finetuning import MIN_EXAMPLES

    wired = wire(home)
    api, configured = _api(wired)
    taught = model or configured
    examples = _examples(wired)
    document = {"base_model": taught, **examples.document()}
    if len(examples.training) < MIN_EXAMPLES:
        stop(
            f"callwise: {len(examples.training)} reviewed calls can teach, {MIN_EXAMPLES} are the least; review more"
            " with `callwise call ID --reason CODE`"
        )
    if dry_run:
        _show({**document, "is_started": False}, as_json)
        return
    if not yes:
        question = (
            f"Send {len(examples.training)} + {len(examples.validation)} redacted calls to teach {taught}, about"
            f" {document['training_tokens']} tokens a pass, at the vendor's price?"
        )
        typer.confirm(question, abort=True, err=True)
    job = api.start(taught, _file(examples.training), _file(examples.validation), suffix=suffix)
    _show({**document, "is_started": True, "job": _job(job)}, as_json)


@finetunings.command("status")
def status(
    job_id: Annotated[str, typer.Argument(metavar="[JOB]", help="One job; else all that Callwise started.")] = "",
    *,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """How the jobs stand, and each tuned model's name, to be set as CALLWISE_LANGUAGE__MODEL or as a deployment's."""
    api, _ = _api(wire(home))
    jobs = [api.look(job_id)] if job_id else api.jobs()
    if as_json:
        emit({"jobs": [_job(job) for job in jobs]})
        return
    if not jobs:
        say("no fine-tuning job was started")
    for job in jobs:
        end = f": {job.model}" if job.model else (f": {job.error_code}" if job.error_code else "")
        typer.echo(f"{job.id} {job.base_model} {job.status}{end}")


def _examples(wired: Wiring) -> Examples:
    from engines.reason_trials import is_held_out

    training: list[str] = []
    validation: list[str] = []
    left_out = 0
    with wired.database.read() as connection:
        taxonomy = current_taxonomy(connection)
        if taxonomy is None:
            return Examples([], [], 0)
        # Without the examples of reviewed calls: they would give the answers away.
        taxonomy = replace(taxonomy, reviewed_calls=())
        for reviewed in reviewed_analyses(connection):
            line = _line(wired, reviewed, taxonomy)
            if line is None:
                left_out += 1
            else:
                (validation if is_held_out(reviewed.call_id) else training).append(line)
    return Examples(training, validation, left_out)


def _line(wired: Wiring, reviewed: ReviewedAnalysis, taxonomy: Taxonomy) -> str | None:
    turns = redact_turns(take_turns(reviewed.utterances), wired.redaction)
    quoted = with_quotes(_with_reason_quote(reviewed.analysis, turns, taxonomy), turns)
    analysis = worth_teaching(quoted, turns, taxonomy, wired.redaction)
    if analysis is None:
        return None
    prompt = build_prompt(
        turns,
        taxonomy,
        direction=reviewed.direction,
        started_at=reviewed.started_at,
        language=reviewed.language,
        summary_language=wired.settings.language.summary_language,
    )
    return example_line(prompt, analysis, taxonomy)


def _with_reason_quote(analysis: Analysis, turns: list[Turn], taxonomy: Taxonomy) -> Analysis:
    """A corrected reason has no quote of a model's: the customer's turn that is most like it takes its place."""
    from engines.offline_reasons import ReasonMatcher

    if any(item.field == "reason" for item in analysis.evidence) or taxonomy.reason(analysis.reason_code or "") is None:
        return analysis
    said = [turn for turn in turns if turn.speaker is not Speaker.AGENT]
    closest = ReasonMatcher(taxonomy).closest(analysis.reason_code or "", [turn.text for turn in said])
    if closest is None:
        return analysis
    quote = " ".join(said[closest].text.split()[:_QUOTE_WORDS])
    return replace(analysis, evidence=(*analysis.evidence, Evidence("reason", said[closest].index, quote)))


def _api(wired: Wiring) -> "tuple[FineTuning, str]":
    """The account of the first deployment that can be tuned at, and its model."""
    from engines.finetuning import FineTuning
    from runtime.choice import choose_language
    from runtime.deployments import api_key_of, listed

    provider = choose_language(wired.settings).name
    usable = (
        [one for one in listed(wired.settings, provider) if one.provider in _PROVIDERS] if provider != "offline" else []
    )
    if not usable:
        stop("callwise: fine-tuning needs OpenAI or Azure OpenAI: set CALLWISE_LANGUAGE__ENGINE=openai or azure")
    first = usable[0]
    api = FineTuning(
        first.provider,
        api_key=api_key_of(first),
        base_url=first.base_url,
        api_version=first.api_version,
    )
    return api, first.model


def _file(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _job(job: "TuningJob") -> dict[str, Any]:
    return {
        "id": job.id,
        "status": job.status,
        "base_model": job.base_model,
        "model": job.model or None,
        "trained_tokens": job.trained_tokens,
        "error_code": job.error_code or None,
    }


def _show(document: dict[str, Any], as_json: bool) -> None:
    if as_json:
        emit(document)
        return
    say(
        f"{document['training_count']} calls to learn from, {document['validation_count']} to validate with,"
        f" {document['left_out_count']} reviewed ones left out; about {document['training_tokens']} tokens a pass"
    )
    if document.get("job"):
        typer.echo(f"{document['job']['id']} {document['job']['status']}")
