"""Calls that no reason of the taxonomy fits, with their words: what themes are looked for in."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from calls.reasons import OTHER
from calls.redaction import SensitiveFinder, find_sensitive, redact, redact_turns
from calls.transcript import Turn
from crm.access import Viewer, visible_calls
from crm.search_shown import conversations
from crm.tables import call, call_analysis

# The newest ones; a matter that matters shows in so many.
MAX_CALLS = 2000
_AT_ONCE = 200


@dataclass(frozen=True)
class UnfittingCall:
    """A call whose reason is `other` or none; headline, summary and turns are redacted for everybody."""

    id: UUID
    happened_at: datetime
    headline: str = field(repr=False)
    summary: str = field(repr=False)
    turns: tuple[Turn, ...] = field(repr=False)


def unfitting_calls(
    connection: sa.Connection,
    viewer: Viewer,
    *,
    zone: str,
    since: date | None = None,
    until: date | None = None,
    find: SensitiveFinder = find_sensitive,
) -> Iterator[UnfittingCall]:
    """The newest MAX_CALLS of them that this viewer may see, `since` <= the call's day in `zone` < `until`."""
    where = [
        visible_calls(viewer),
        # Generated history tells nothing of customers.
        call.c.is_sample.is_(False),
        sa.or_(call_analysis.c.reason_code.is_(None), call_analysis.c.reason_code == OTHER),
    ]
    bounds = {day: datetime.combine(day, time(), ZoneInfo(zone)) for day in (since, until) if day}
    if since:
        where.append(call.c.happened_at >= bounds[since])
    if until:
        where.append(call.c.happened_at < bounds[until])
    rows = connection.execute(
        sa.select(call.c.id, call.c.happened_at, call_analysis.c.headline, call_analysis.c.summary)
        .join(call_analysis, sa.and_(call_analysis.c.call_id == call.c.id, call_analysis.c.is_current))
        .where(*where)
        .order_by(call.c.happened_at.desc(), call.c.id.desc())
        .limit(MAX_CALLS)
    ).all()
    for begin in range(0, len(rows), _AT_ONCE):
        some = rows[begin : begin + _AT_ONCE]
        said = conversations(connection, [row.id for row in some])
        for row in some:
            yield UnfittingCall(
                row.id,
                row.happened_at,
                redact(row.headline, find),
                redact(row.summary, find),
                tuple(redact_turns(said.get(row.id, []), find)),
            )
