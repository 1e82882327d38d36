"""`calls`, `call`: reading calls at the terminal."""

from dataclasses import replace
from datetime import UTC, datetime
from getpass import getuser
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from calls.corrections import Changes
from calls.pipeline import Stage
from calls.words import clock, doubt_words, outcome_words, readable, stage_words
from cli.common import HomeOption, JsonFlag, emit, say, wire
from crm.access import OPERATOR
from crm.audit import Action, note
from crm.call_documents import call_document, page_document
from crm.call_lines import CallLine
from crm.calls import CallFilter, find_call, list_calls, namesakes, parse_moment
from crm.corrections import correct, revision_of
from crm.one_call import AnalysisRow, CallInFull, call_in_full
from crm.reviews import correct_reason
from crm.schema import require_current
from crm.swaps import stated_agent_channel
from crm.taxonomies import is_reason_of_any_version


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("calls")(calls)
    app.command("call")(call)


def calls(
    *,
    since: Annotated[str, typer.Option(help="From this date or time on.")] = "",
    until: Annotated[str, typer.Option(help="Up to this date (the whole day) or this time.")] = "",
    reason: Annotated[str, typer.Option(help="Code of a call reason.")] = "",
    agent: Annotated[str, typer.Option(help="Name of an agent.")] = "",
    queue: Annotated[str, typer.Option(help="Name of a queue.")] = "",
    customer: Annotated[str, typer.Option(help="Part of a customer's name or number.")] = "",
    stage: Annotated[Stage | None, typer.Option(help="Where the call stands.")] = None,
    text: Annotated[str, typer.Option(help="Words of the summary or the conversation.")] = "",
    samples: Annotated[bool, typer.Option("--samples", help="Generated sample history too.")] = False,
    limit: Annotated[int, typer.Option(help="Calls at once.", min=1, max=500)] = 50,
    after: Annotated[str, typer.Option(help="`next` of the page before.")] = "",
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List calls, newest first."""
    wired = wire(home)
    require_current(wired.database)
    zone = ZoneInfo(wired.settings.site.time_zone)
    wanted = CallFilter(
        since=parse_moment(since, zone),
        until=parse_moment(until, zone, is_until=True),
        reason=reason,
        agent=agent,
        queue=queue,
        customer=customer,
        stage=stage or "",
        text=text,
        with_samples=samples,
    )
    with wired.database.read() as connection:
        page = list_calls(connection, OPERATOR, wanted, limit=limit, after=after)
        if reason and not page.calls and not is_reason_of_any_version(connection, reason):
            say(f"No version of the reasons has the code {reason!r}: `callwise reasons show` lists those of now.")
    if as_json:
        emit(page_document(page))
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for name in ("id", "when", "customer", "about", "reason", "length", "state"):
        table.add_column(name, no_wrap=name in {"id", "when", "length"})
    for line in page.calls:
        table.add_row(*(escape(cell) for cell in _cells(line, zone)))
    Console().print(table)
    for count, what in (
        (sum(line.is_demo for line in page.calls), "heard or summarised by a demo engine"),
        (sum(line.is_sample for line in page.calls), "generated history"),
    ):
        if count:
            say(f"Of these {len(page.calls)} calls: {count} {what}")
    if page.next_key:
        say(f"There are more: --after {page.next_key}")


def call(
    reference: Annotated[
        str, typer.Argument(metavar="ID", help="Our id (8 digits suffice), telephony's id, or bucket/key.")
    ],
    *,
    swapped: Annotated[
        bool,
        typer.Option(
            "--swap-channels",
            help="Agent and customer are the other way round: rename the speakers, and have the call understood again"
            " (one more request to the language engine; speech is not paid for again). Twice is as before.",
        ),
    ] = False,
    reason: Annotated[
        str, typer.Option(help="Correct its reason to this code, or confirm it. No engine will change it any more.")
    ] = "",
    by: Annotated[str, typer.Option(help="Who says so. Empty: the user of this machine.")] = "",
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show one call in full, or correct who is who in it, or what it was about."""
    wired = wire(home)
    require_current(wired.database)
    person, now = replace(OPERATOR, name=by or getuser()), datetime.now(UTC)
    if reason:
        with wired.database.write() as connection:
            call_id = find_call(connection, reference)
            is_news = correct_reason(connection, call_id, reason, by=person.name, now=now)
            if is_news:
                note(connection, person, Action.CORRECT, call_id=call_id, detail="reason", now=now)
        say(f"The reason is {reason}, by a person's word." if is_news else "That was said before.")
    if swapped:
        with wired.database.write() as connection:
            call_id = find_call(connection, reference)
            channel = 1 - stated_agent_channel(connection, call_id)
            looked_at = revision_of(connection, call_id)
            correct(connection, person, call_id, looked_at, Changes(agent_channel=channel), now=now)
        say(
            f"The agent is on channel {channel} now. Where there was a summary, it is made anew: one more request to"
            " the language engine, in the order of the queue."
        )
    with wired.database.read() as connection:
        call_id = find_call(connection, reference)
        found = call_in_full(connection, OPERATOR, call_id)
        others = namesakes(connection, call_id) if reference == found.line.external_call_id else []
    if others:
        listed = ", ".join(f"{other} ({system})" for other, system in others)
        say(f"This is the newest call of that id; other telephony systems have given it, too: {listed}")
    if as_json:
        emit(call_document(found))
    else:
        _print_call(Console(), found, ZoneInfo(wired.settings.site.time_zone))


def _cells(line: CallLine, zone: ZoneInfo) -> tuple[str, ...]:
    return (
        str(line.id)[:8],
        f"{line.happened_at.astimezone(zone):%Y-%m-%d %H:%M}",
        line.customer_name or line.customer_number or "",
        line.headline or "",
        line.reason_label or "",
        clock(line.duration_s),
        stage_words(line.stage, line.skip_reason, line.failed_code),
    )


def _print_call(console: Console, found: CallInFull, zone: ZoneInfo) -> None:
    line, analysis, heard = found.line, found.analysis, found.transcript
    facts = Table(show_header=False, box=None, pad_edge=False)
    for name, value in (
        ("id", str(line.id)),
        ("external id", line.external_call_id),
        (
            "when",
            f"{line.happened_at.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}, {clock(line.duration_s)}".removesuffix(", "),
        ),
        ("customer", " ".join(part for part in (line.customer_name, line.customer_number) if part)),
        ("agent", " / ".join(part for part in (line.agent, line.team, line.queue) if part)),
        ("state", stage_words(line.stage, line.skip_reason, line.failed_code)),
        ("detail", found.failed_detail or ""),
        ("reason", _reason_words(line, analysis)),
        ("outcome", outcome_words(line.outcome)),
        ("engines", ", ".join(part for part in (heard and heard.engine, analysis and analysis.model) if part)),
    ):
        if value:
            facts.add_row(name, escape(value))
    console.print(facts)
    if line.is_demo:
        console.print("Heard or summarised by a demo engine: good for a look round, not for decisions.", style="yellow")
    if analysis:
        console.rule(escape(analysis.headline) or "Summary", align="left")
        if analysis.summary_kind == "excerpts":
            console.print("Verbatim excerpts:", style="dim")
        console.print(escape(analysis.summary))
        for step in analysis.next_steps:
            console.print(escape(f"- {step['text']}" + (f" ({step['owner']})" if step.get("owner") else "")))
        for item in analysis.skipped:
            console.print(escape(f"{readable(item['feature'])}: {doubt_words(item['code'])}"), style="dim")
    if heard:
        console.rule("Transcript", align="left")
        if heard.is_maybe_swapped:
            console.print(
                "Agent and customer may be swapped: what they say contradicts their channels. If so:"
                f" callwise call {line.id} --swap-channels",
                style="yellow",
            )
        turns = Table(show_header=False, box=None, pad_edge=False)
        for turn in heard.turns:
            turns.add_row(clock(turn.start_s), turn.speaker.value, escape(turn.text))
        console.print(turns)


def _reason_words(line: CallLine, analysis: AnalysisRow | None) -> str:
    if line.reason_label is None:
        return ""
    sure = "" if line.reason_confidence is None else f", confidence {line.reason_confidence:.0%}"
    said_by = analysis and analysis.reason_said_by
    return f"{line.reason_label} ({line.reason_code}{sure}{f', by the word of {said_by}' if said_by else ''})"
