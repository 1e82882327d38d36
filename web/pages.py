"""The list of calls, as a page and as a CSV file of what it shows."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response, StreamingResponse

from analytics.export_csv import safe_text
from analytics.star import UNKNOWN_CODE
from calls.words import outcome_words
from crm.access import Permission
from crm.audit import Action, note
from crm.call_lines import CallLine
from crm.calls import MAX_PAGE, CallPage, count_calls, countable, filter_choices, has_samples, list_calls
from web.auth import PageVisitor, Visitor, needs
from web.filters import CHOICES, After, UrlFilter, WantedCalls
from web.point_filters import FIELDS, words_of
from web.site import OurSite, Site

router = APIRouter(include_in_schema=False, dependencies=[Depends(needs(Permission.READ_CALLS))])
PAGE_LENGTH = 50
# More calls than these are not counted on a page, and not written to one file: analysts have exports for that.
MAX_COUNT = 1000
MAX_ROWS = 100_000
# fmt: off
_COLUMNS = (
    "id", "external_call_id", "happened_at", "customer_name", "customer_number", "direction", "agent", "team", "queue",
    "duration_s", "headline", "reason_code", "reason_label", "outcome", "sentiment_customer", "stage", "is_sample",
)
# fmt: on


@router.get("/calls")
def calls_page(
    request: Request,
    site: OurSite,
    visitor: PageVisitor,
    wanted: WantedCalls,
    after: After = "",
) -> Response:
    """The list of calls, newest first."""
    with site.wiring.database.read() as connection:
        find = site.wiring.redaction
        page = list_calls(connection, visitor.viewer, wanted.wanted, limit=PAGE_LENGTH, after=after, find=find)
        is_whole = not after and page.next_key is None
        most = countable(visitor.viewer, wanted.wanted, MAX_COUNT)
        count = len(page.calls)
        if not is_whole:
            count = count_calls(connection, visitor.viewer, wanted.wanted, at_most=most, find=find)
        choices = filter_choices(connection, visitor.viewer)
        context = {
            "visitor": visitor,
            "page": page,
            "wanted": wanted,
            "after": after,
            "count": count,
            "is_more": not is_whole and count >= most,
            "choices": choices,
            "fixed": CHOICES,
            "of_points": FIELDS,
            "chips": _chips(wanted, dict(choices.reasons)),
            "has_samples": has_samples(connection),
        }
    return site.templates.TemplateResponse(request, "calls.html", context)


@router.get("/calls.csv", dependencies=[Depends(needs(Permission.EXPORT))])
def calls_csv(site: OurSite, visitor: PageVisitor, wanted: WantedCalls) -> Response:
    """The calls that the list shows under these filters, all its pages, at most MAX_ROWS of them."""
    with site.wiring.database.read() as connection:
        first = list_calls(connection, visitor.viewer, wanted.wanted, limit=MAX_PAGE, find=site.wiring.redaction)
    with site.wiring.database.write() as connection:
        detail = f"list of calls as CSV: {', '.join(sorted(wanted.given)) or 'no filter'}"
        note(connection, visitor.viewer, Action.EXPORT, detail=detail, now=site.clock())
    name = f"calls-{site.clock().astimezone(site.zone):%Y-%m-%d}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_rows(site, visitor, wanted, first), 200, headers, "text/csv; charset=utf-8")


def _rows(site: Site, visitor: Visitor, wanted: UrlFilter, page: CallPage) -> Iterator[str]:
    yield _written([_COLUMNS])
    left = MAX_ROWS
    while True:
        lines = page.calls[:left]
        yield _written([_row(line, site.zone) for line in lines])
        left -= len(lines)
        if page.next_key is None or left <= 0:
            return
        with site.wiring.database.read() as connection:
            page = list_calls(
                connection,
                visitor.viewer,
                wanted.wanted,
                limit=MAX_PAGE,
                after=page.next_key,
                find=site.wiring.redaction,
            )


def _row(line: CallLine, zone: ZoneInfo) -> list[str | float | None]:
    told = asdict(line)
    values: list[str | float | None] = []
    for name in _COLUMNS:
        value = told[name]
        if isinstance(value, datetime):
            values.append(value.astimezone(zone).isoformat(timespec="seconds"))
        elif isinstance(value, bool):
            values.append("true" if value else "false")
        else:
            values.append(value if isinstance(value, float) else safe_text(value))
    return values


def _written(rows: Iterable[Sequence[str | float | None]]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue()


def _chips(wanted: UrlFilter, reasons: dict[str, str]) -> list[tuple[str, str]]:
    """Each filter that is set, in words, with the address of the list without it."""
    shown = {
        "since": "from {}",
        "until": "to {}",
        "text": "“{}”",
        "customer": "customer {}",
        "needs_review": "to be reviewed",
        "samples": "with sample history",
    }
    words = dict(wanted.given)
    words["reason"] = reasons.get(words.get("reason", ""), words.get("reason", ""))
    if words["reason"] == UNKNOWN_CODE:
        words["reason"] = "without a reason"
    words |= words_of(wanted.point)
    words["outcome"] = outcome_words(words.get("outcome")) or words.get("outcome", "").capitalize()
    if words.get("sentiment"):
        words["sentiment"] = {"low": "unhappy", "even": "neutral", "high": "happy"}[words["sentiment"]]
    return [(shown.get(name, "{}").format(words[name]), f"/calls{wanted.without(name)}") for name in wanted.given]
