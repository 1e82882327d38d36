"""`costs`: what was paid, by day, reason, model, purpose or call."""

from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table

from calls.money import midnight
from cli.common import HomeOption, JsonFlag, emit, say, stop, wire
from crm.money import Cost, costs
from crm.schema import require_current

NO_KEY = "(none)"


class By(StrEnum):
    """What costs are told apart by."""

    DAY = "day"
    REASON = "reason"
    MODEL = "model"
    PURPOSE = "purpose"
    CALL = "call"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("costs")(show_costs)


def show_costs(
    *,
    by: Annotated[By, typer.Option(help="What costs are told apart by.")] = By.DAY,
    since: Annotated[str, typer.Option(help="First day, like 2026-03-02. Empty: all there is.")] = "",
    until: Annotated[str, typer.Option(help="Last day.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many rows, the dearest first (days: all).")] = 100,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """What was paid for speech and language models, from the ledger."""
    first, last = _day("--since", since), _day("--until", until)
    wired = wire(home)
    require_current(wired.database)
    zone = ZoneInfo(wired.settings.site.time_zone)
    begins = midnight(first, zone) if first else None
    ends = midnight(last + timedelta(days=1), zone) if last else None
    now = datetime.now(UTC)
    with wired.database.read() as connection:
        rows = costs(connection, by.value, zone=zone, since=begins, until=ends, limit=limit)
        [total] = costs(connection, None, zone=zone, since=begins, until=ends)
        budgets = wired.budgets.document(connection, now)
    if as_json:
        emit(
            {
                "by": by.value,
                "time_zone": wired.settings.site.time_zone,
                "rows": [_document(row, by.value) for row in rows],
                "total": _document(total, None),
                "today": budgets,
            }
        )
        return
    _show(by.value, rows, total)
    for service, today in budgets.items():
        if today["budget_microusd"] is not None:
            spent, bound = _dollars(today["spent_microusd"]), _dollars(today["budget_microusd"])
            say(f"Today {spent} of {bound} dollars are spent on {service}; {today['parked']} calls wait for more.")


def _document(row: Cost, by: str | None) -> dict[str, Any]:
    document = asdict(row)
    key = document.pop("key")
    return document if by is None else {by: key} | document


def _show(by: str, rows: list[Cost], total: Cost) -> None:
    table = Table(title="Paid requests, their tokens, minutes of audio", box=None)
    table.add_column(by, no_wrap=True)
    for name in ("dollars", "paid", "batched", "calls", "in", "cached", "out", "minutes"):
        table.add_column(name, justify="right")
    for row in [*rows, total]:
        name = "total" if row is total else row.key or NO_KEY
        table.add_row(
            # Names of models are data: no markup of the terminal.
            name.replace("[", r"\["),
            _dollars(row.cost_microusd),
            _short(row.request_count),
            _short(row.batch_request_count),
            _short(row.call_count),
            _short(row.input_tokens),
            _short(row.cached_tokens),
            _short(row.output_tokens),
            _short(row.audio_s / 60),
        )
    Console().print(table)
    if total.unpriced_count:
        say(
            f"{total.unpriced_count} of {total.request_count} requests have no known price and are in no sum:"
            " add their models to prices."
        )


def _dollars(microusd: int) -> str:
    return f"{microusd / 1e6:,.4f}" if microusd < 100_000_000 else f"{microusd / 1e6:,.2f}"


def _short(number: float) -> str:
    """The number as a terminal has room for; --json has all of it."""
    for least, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if number >= least:
            return f"{number / (1e3 if letter == 'k' else least):,.1f}{letter}"
    return f"{number:,.0f}"


def _day(option: str, text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        stop(f"callwise costs: {option} {text!r} is no date; write it like 2026-03-14", code=2)
