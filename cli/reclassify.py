"""`reasons reclassify` and `reasons runs`: stored calls asked about anew, priced before and compared after."""

import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from calls.errors import SettingsError
from calls.forecast import Basis, Forecast, Tokens, bound_of_one, forecast
from calls.pipeline import RECLASSIFY
from calls.prices import price_on
from calls.prompts import estimate_tokens, system_prompt
from calls.reasons import Taxonomy
from cli.common import HomeOption, JsonFlag, emit, say, wire
from crm import reclassify as classifying
from crm.calls import parse_moment
from crm.reclassify import NoTaxonomy, Wanted, queue_calls
from crm.reclassify_runs import find_run, latest_runs, observed, plan, read_run, run_document
from crm.schema import require_current
from crm.taxonomies import current_taxonomy, known_successors
from runtime.choice import choose_language
from runtime.deployments import TIERS, listed, price_of
from runtime.logs import set_up_logs
from runtime.wiring import Wiring


def reclassify(
    *,
    since: Annotated[str, typer.Option(help="Calls from this date or time on.")] = "",
    until: Annotated[str, typer.Option(help="Calls up to this date (the whole day) or this time.")] = "",
    only: Annotated[str, typer.Option(help="Only calls with this reason (its code, then or now).")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count and price it, and ask nobody.")] = False,
    stopped: Annotated[
        bool, typer.Option("--stop", help="Ask about no more calls; the same wish goes on later.")
    ] = False,
    wait: Annotated[bool, typer.Option(help="Stay until every call is answered, working here as well.")] = True,
    timeout: Annotated[float | None, typer.Option(help="Stay no longer than this many seconds.")] = None,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Ask about stored calls anew under the current reasons: from their transcripts, behind all other work.

    Each call stays as it was until its answer is there. Reasons that people gave are kept. Run it again to go on with
    what was stopped or failed. Ends with 1 where calls failed, or still wait for money, a setting or their time.
    """
    wired = wire(home)
    require_current(wired.database)
    zone = ZoneInfo(wired.settings.site.time_zone)
    wanted = Wanted(parse_moment(since, zone), parse_moment(until, zone, is_until=True), only)
    now = datetime.now(UTC)
    if stopped:
        with wired.database.write() as connection:
            count = classifying.stop(connection, now=now)
        if as_json:
            emit({"stopped": count})
        else:
            say(f"{count} calls are left as they are.")
        return
    with wired.database.read() as connection:
        current = current_taxonomy(connection)
        if current is None:
            raise NoTaxonomy("no reasons are stored yet: run `callwise reasons load FILE` or `callwise db upgrade`")
        document = plan_document(wired, connection, current, wanted, now)
    if not as_json:
        _tell_plan(document)
    if dry_run:
        if as_json:
            emit(document)
        return
    queued = queue_calls(wired.database, wanted, now=now)
    if wait and queued.ask_count:
        _work(wired, timeout)
    with wired.database.read() as connection:
        run = read_run(connection, queued.run_id)
        found = run_document(connection, run)
    found |= {"queued": queued.ask_count, "carried_over": queued.carried_count, "forecast": document["forecast"]}
    if as_json:
        emit(found)
    else:
        _print_run(found)
    if found["failed"] or (wait and found["waiting"]):
        raise typer.Exit(1)


def runs(
    run: Annotated[str, typer.Argument(help="Id of a run, or its first digits. Empty: all of them.")] = "",
    *,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """What re-classifications there were; with an id, its table of before and after."""
    wired = wire(home)
    require_current(wired.database)
    with wired.database.read() as connection:
        ids = [find_run(connection, run)] if run else latest_runs(connection)
        documents = [run_document(connection, read_run(connection, one)) for one in ids]
    if as_json:
        emit(documents[0] if run else {"runs": documents})
    elif run:
        _print_run(documents[0])
    else:
        table = Table("run", "when", "version", "calls", "answered", "changed", "waiting", "state")
        for one in documents:
            counts = (str(one[name]) for name in ("calls", "answered", "changed", "waiting"))
            table.add_row(one["id"][:8], one["started_at"][:16], escape(one["taxonomy_version"]), *counts, one["state"])
        Console().print(table)


def plan_document(
    wired: Wiring, connection: sa.Connection, current: Taxonomy, wanted: Wanted, now: datetime
) -> dict[str, Any]:
    """What a run of this wish would do and cost."""
    found, took = plan(connection, current, wanted), observed(connection, current, wanted)
    following = known_successors(connection)
    settings = wired.settings
    models = _models(wired)
    expected = forecast(
        found.ask_count,
        models=models,
        price_of=lambda model: price_on(price_of(settings, model), now.date()),
        observed={model: Tokens(*tokens) for model, tokens in took.tokens_by_model.items()},
        observed_count=took.asked_count,
        upper_bound=bound_of_one(
            estimate_tokens(system_prompt(current)), took.text_bytes, settings.language.max_output_tokens
        ),
        is_batch=settings.language.batch,
    )
    return {
        "taxonomy_version": current.version,
        "calls": found.ask_count + found.reviewed_count,
        "ask": found.ask_count,
        "reviewed": found.reviewed_count,
        "reasons": [
            {
                "code": code,
                "calls": count,
                "goes_on_as": code if code in current.codes else following.get(code or ""),
            }
            for code, count in sorted(found.call_count_by_reason.items(), key=lambda pair: (-pair[1], pair[0] or ""))
        ],
        "forecast": _forecast_document(
            expected, models, observed_count=took.asked_count, batch=settings.language.batch
        ),
    }


def _models(wired: Wiring) -> list[str]:
    """The models that are asked, the first tier's first; none where nobody is paid."""
    try:
        choice = choose_language(wired.settings)
    except SettingsError:
        return []
    if choice.is_demo:
        return []
    deployments = listed(wired.settings, choice.name)
    return list(dict.fromkeys(one.model for tier in TIERS for one in deployments if one.tier == tier))


def _forecast_document(expected: Forecast, models: list[str], *, observed_count: int, batch: bool) -> dict[str, Any]:
    return {
        "basis": expected.basis.value,
        "observed_requests": observed_count,
        "models": models,
        "input_tokens": expected.tokens.input,
        "cached_tokens": expected.tokens.cached,
        "output_tokens": expected.tokens.output,
        "is_batch": batch,
        "cost_microusd": expected.cost_microusd,
        "unpriced_models": list(expected.unpriced_models),
    }


def _work(wired: Wiring, timeout_s: float | None) -> None:
    from workers.app import make_parts
    from workers.reclassifying import work_off
    from workers.sweep import roll_up, tend_batches

    set_up_logs(wired.settings.log_level)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        idle = work_off(
            replace(make_parts(wired, ring=None), queues=(RECLASSIFY.queue,)),
            does_it=wired.settings.is_embedded,
            tend_batches=lambda: tend_batches(wired, gather_s=0.0),
            poll_s=wired.settings.language.batch_poll_s,
            timeout_s=timeout_s,
        )
    except KeyboardInterrupt:
        say("The rest is left to the workers; `callwise reasons reclassify --stop` ends it.")
        raise typer.Exit(130) from None
    roll_up(wired)
    if idle.unfinished_count:
        say(f"{idle.unfinished_count} calls still wait; `callwise reasons runs` shows when they are answered.")


def _tell_plan(document: dict[str, Any]) -> None:
    expected = document["forecast"]
    say(
        f"{document['ask']} calls are to be asked about under version {document['taxonomy_version']};"
        f" {document['reviewed']} more keep the reason that people gave."
    )
    lost = [row for row in document["reasons"] if row["goes_on_as"] is None]
    if lost:
        named = ", ".join(f"{row['code'] or 'no reason'} ({row['calls']})" for row in lost)
        say(f"Reasons that are gone and that none replaces: {named}")
    if expected["basis"] == Basis.FREE.value:
        say("Nobody is paid for it.")
        return
    cost = "an unknown price (no price is set for " + ", ".join(expected["unpriced_models"]) + ")"
    if expected["cost_microusd"] is not None:
        cost = f"{expected['cost_microusd'] / 1e6:.2f} dollars"
    tokens = (
        f"{expected['input_tokens']} tokens in ({expected['cached_tokens']} cached), {expected['output_tokens']} out"
    )
    basis = "by what they took before" if expected["basis"] == Basis.OBSERVED.value else "at most"
    say(f"{', '.join(expected['models'])}{', in batches' if expected['is_batch'] else ''}: {tokens}, {cost}, {basis}.")


def _print_run(found: dict[str, Any]) -> None:
    console = Console()
    table = Table(
        "reason", "before", "after", "change", title=f"Run {found['id'][:8]}: {found['answered']} calls answered"
    )
    for row in found["reasons"]:
        name = row["code"] or "no reason"
        goes_on = f" -> {row['replaced_by']}" if row["replaced_by"] else ""
        table.add_row(
            escape(name + goes_on), str(row["before"]), str(row["after"]), f"{row['after'] - row['before']:+}"
        )
    console.print(table)
    for move in found["moves"][:20]:
        console.print(
            escape(f"{move['before'] or 'no reason'} -> {move['after'] or 'no reason'}: {move['calls']}"),
            highlight=False,
        )
    if stays := found["kept_by_person"]:
        say(f"{stays} calls keep the reason that people gave: none of now is its counterpart.")
    for code, count in found["failed"].items():
        say(f"{count} calls failed ({code}) and are as they were; run it again for another attempt.")
    for name, what in (("waiting", "still wait for their answer"), ("left", "are left as they were")):
        if found[name]:
            say(f"{found[name]} calls {what}.")
