"""`trends` and `export`: figures at the terminal, files for BI tools."""

from datetime import UTC, date, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from analytics.exports import KINDS, MANIFEST
from analytics.measures import BY_SLUG
from analytics.rollup import refresh
from analytics.selection import Filters, Over, since_from, until_after
from analytics.trends import By, Trend, local_today, row_document, trend
from analytics.zones import NoSuchZone
from cli.common import HomeOption, JsonFlag, emit, say, stop, wire
from crm.schema import require_current
from runtime.exporting import export_as_set, target_at
from runtime.logs import set_up_logs

# What a terminal has room for; --json has every measure.
_SHOWN = ("calls", "reason_share", "handle_time_s", "resolved_rate", "repeat_rate")
_SHARES = "share"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("trends")(trends)
    app.command("export")(export_files)


def trends(
    *,
    by: Annotated[By, typer.Option(help="Length of a period; weeks are ISO weeks.")] = By.WEEK,
    over: Annotated[Over | None, typer.Option(help="What the calls of a period are told apart by.")] = None,
    since: Annotated[str, typer.Option(help="First day, like 2026-03-02.")] = "",
    until: Annotated[str, typer.Option(help="Last day.")] = "",
    reason: Annotated[str, typer.Option(help="Only calls of this reason (its code).")] = "",
    queue: Annotated[str, typer.Option(help="Only calls of this queue.")] = "",
    agent: Annotated[str, typer.Option(help="Only calls of this agent.")] = "",
    team: Annotated[str, typer.Option(help="Only calls of this team.")] = "",
    zone: Annotated[str, typer.Option(help="IANA zone in which days are cut. Empty: the site's.")] = "",
    samples: Annotated[bool, typer.Option(help="Whether generated history counts.")] = True,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """The trend table: measures by period, over reasons, queues, agents or teams."""
    last = _day("--until", until)
    filters = Filters(
        since=since_from(_day("--since", since)),
        until=until_after(last),
        reason=reason,
        queue=queue,
        agent=agent,
        team=team,
        with_samples=samples,
        zone=zone,
    )
    wired = wire(home)
    require_current(wired.database)
    refresh(wired.database, wired.settings.site.named_zone)
    try:
        with wired.database.read() as connection:
            today = local_today(connection, datetime.now(UTC), zone)
            found = trend(connection, by=by, over=over, filters=filters, today=today)
    except NoSuchZone as error:
        stop(f"callwise trends: {error.detail}", code=2)
    if as_json:
        emit({"time_zone": found.time_zone, "rows": [row_document(row) for row in found.rows]})
    else:
        _show(found)


def export_files(
    kinds: Annotated[list[str], typer.Argument(help=f"What to write: {', '.join(KINDS)}; several at once are fine.")],
    out: Annotated[str, typer.Option(help="Folder or s3://bucket/prefix. Empty: exports.folder.")] = "",
    full: Annotated[bool, typer.Option("--full", help="Write every file again, changed or not.")] = False,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Write files for BI tools; a manifest with their checksums is written last."""
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        stop(f"callwise export: {', '.join(unknown)}: not among {', '.join(KINDS)}", code=2)
    wired = wire(home)
    require_current(wired.database)
    settings = wired.settings
    set_up_logs(settings.log_level)
    place = target_at(settings, out or settings.exports_place).place
    files = export_as_set(wired.database, settings, set(kinds), place, full=full)
    if as_json:
        emit(
            {
                "files": [
                    {
                        "path": file.place,
                        "kind": file.kind,
                        "rows": file.rows,
                        "bytes": file.bytes,
                        "sha256": file.sha256,
                        "is_new": file.is_new,
                    }
                    for file in files
                ],
                "manifest": f"{place}/{MANIFEST}",
            }
        )
        return
    table = Table("file", "rows", "bytes", "")
    for file in files:
        table.add_row(file.path, f"{file.rows:,}", f"{file.bytes:,}", "" if file.is_new else "as it was")
    Console().print(table)
    say(f"{len(files)} files in {place}, {sum(file.is_new for file in files)} of them new")


def _day(option: str, text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        stop(f"callwise trends: {option} {text!r} is no date; write it like 2026-03-14", code=2)


def _show(found: Trend) -> None:
    slugs = [slug for slug in _SHOWN if found.over is Over.REASON or slug != "reason_share"]
    table = Table(title=f"Trends ({found.time_zone})", box=None)
    for name in ["period", *([found.over.value] if found.over else [])]:
        table.add_column(name, no_wrap=True)
    for slug in slugs:
        table.add_column(BY_SLUG[slug].heading, justify="right", min_width=8)
    for row in found.rows:
        table.add_row(
            row.period if row.is_complete else f"{row.period} *",
            *([row.label] if found.over else []),
            *(_shown(slug, row.figures[slug].value) for slug in slugs if slug in row.figures),
        )
    Console().print(table)
    if any(not row.is_complete for row in found.rows):
        say("* not a complete period")
    sample_count = sum(row.parts["sample_count"] for row in found.rows)
    if sample_count:
        say(f"{sample_count} of these calls are generated history; --no-samples leaves them out")
    demo_count = sum(row.parts["demo_count"] for row in found.rows)
    if demo_count:
        say(f"{demo_count} of these calls: heard or summarised by a demo engine, good for a look round")


def _shown(slug: str, value: float | None) -> str:
    if value is None:
        return "-"
    if BY_SLUG[slug].unit == _SHARES:
        return f"{value:.1%}"
    return str(value) if isinstance(value, int) else f"{value:.1f}"
