"""The reasons that have moved, read from the roll-ups: complete periods only, and only under one taxonomy."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from analytics.movers import BASELINE_PERIODS, FALSE_SHARE, Mover, Test, drifts, jumps, pooled
from analytics.star import agg_period, date_of, dim_reason, fact_call
from analytics.sums import ALL, Filters, Over
from analytics.trends import By, TrendRow, trend
from analytics.zoned import days_in, moved, other_zone
from crm.reason_tables import reason_successor

# What the rows of a trend have to have; it is what charts of the reasons show, too.
OVER_REASONS = ("reason_share",)
# A version of the taxonomy counts for a period from this share of its calls on: single corrected calls are no change.
MIN_VERSION_SHARE = 0.05

# Before the first day that is shown, so many days are looked at for the version that classified then.
_LOOK_BACK = timedelta(days=14)


@dataclass(frozen=True)
class Changes:
    """What moved in `period`, the last complete one, which begins on `starts_on`.

    `against` are the periods that it is held against and `over` those of the drift, by their names, oldest first; none
    where there are none to compare with. `since_taxonomy` is the first day of the period in which the taxonomy
    changed, where that is why earlier periods are left out.
    """

    period: str
    starts_on: date | None
    ends_on: date | None
    against: tuple[str, ...]
    over: tuple[str, ...]
    since_taxonomy: date | None
    jumps: tuple[Mover, ...]
    drifts: tuple[Mover, ...]
    labels: dict[str, str]

    @property
    def risen(self) -> tuple[Mover, ...]:
        """The reasons that jumped up in the last complete period."""
        return tuple(mover for mover in self.jumps if mover.direction == "up")


def changes(
    connection: sa.Connection,
    *,
    by: By,
    filters: Filters = ALL,
    today: date,
    false_share: float = FALSE_SHARE,
) -> Changes:
    """The movers of the last complete period; a filter for one reason is not followed, since shares need the others."""
    filters = replace(filters, reason="")
    rows = trend(connection, by=by, over=Over.REASON, filters=filters, today=today, measures=OVER_REASONS).rows
    return changes_of(rows, taxonomy_marks(connection, by, filters), false_share=false_share)


def changes_of(
    rows: Sequence[TrendRow], marks: Sequence[tuple[date, str]], *, false_share: float = FALSE_SHARE
) -> Changes:
    """The movers among the rows of a trend over reasons, of OVER_REASONS at least; `marks` are of `taxonomy_marks`."""
    labels = {row.code: row.label for row in rows}
    by_start: dict[date, dict[str, int]] = defaultdict(dict)
    named: dict[date, TrendRow] = {}
    for row in rows:
        # Only calls with a reason can be told apart by it.
        if row.is_complete and row.parts["classified_count"]:
            by_start[row.starts_on][row.code] = row.parts["classified_count"]
            named[row.starts_on] = row
    if not by_start:
        return Changes("", None, None, (), (), None, (), (), labels)
    starts = sorted(by_start)
    last = starts[-1]
    changed = max((starts_on for starts_on, _ in marks if starts_on <= last), default=None)
    comparable = [start for start in starts if changed is None or start >= changed]
    is_cut = len(comparable) < len(starts)
    against = comparable[:-1][-BASELINE_PERIODS:]
    return Changes(
        named[last].period,
        last,
        named[last].ends_on,
        tuple(named[start].period for start in against),
        tuple(named[start].period for start in comparable),
        changed if is_cut else None,
        tuple(jumps(pooled([by_start[start] for start in against]), by_start[last], false_share=false_share)),
        tuple(drifts([by_start[start] for start in comparable], false_share=false_share)),
        labels,
    )


def taxonomy_marks(connection: sa.Connection, by: By, filters: Filters = ALL) -> tuple[tuple[date, str], ...]:
    """The first day of each period whose calls were classified by other versions of the taxonomy than those of the
    period before, with the names of the versions; a period with several is marked, and so is the one after it.

    All calls are looked at, whatever the filters say of queues and people: the taxonomy is one for all.
    """
    at = agg_period.c
    zone = other_zone(connection, filters)
    every = Filters(with_samples=filters.with_samples)
    of_reason: Mapping[str, Any] = {
        "columns": (fact_call.c.reason_key,),
        "source": fact_call,
        "parts": ("classified_count",),
    }
    found: dict[tuple[date, int], int] = defaultdict(int)
    if zone is not None and by is By.DAY:
        # All facts of all time are more than a page has to know.
        since = filters.since and filters.since - min(_LOOK_BACK, filters.since - date.min)
        shown = replace(every, since=since, until=filters.until)
        for day, values, sums in days_in(connection, shown, zone, **of_reason):
            found[day, values[0]] = sums["classified_count"]
        return tuple(_marks(_by_version(connection, found)))
    query = (
        sa.select(at.starts_on_key, at.member_key, sa.func.sum(at.classified_count))
        .where(at.period == by.value, at.dimension == "reason")
        .group_by(at.starts_on_key, at.member_key)
    )
    if not filters.with_samples:
        query = query.where(at.is_sample.is_(False))
    for starts_on_key, reason_key, count in connection.execute(query):
        found[date_of(starts_on_key), reason_key] = int(count)
    if zone is not None:
        for starts_on, values, sums in moved(connection, by.value, every, zone, **of_reason):
            found[starts_on, values[0]] += sums["classified_count"]
    return tuple(_marks(_by_version(connection, found)))


def _by_version(connection: sa.Connection, found: Mapping[tuple[date, int], int]) -> dict[date, dict[str, int]]:
    """Calls by period and version, from those by period and reason's key."""
    versions = _telling(connection)
    calls: dict[date, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for (starts_on, reason_key), count in found.items():
        if count and reason_key in versions:
            calls[starts_on][versions[reason_key]] += count
    return calls


def _telling(connection: sa.Connection) -> dict[int, str]:
    """The version of each reason whose calls were classified by that version.

    A reason that goes on in the place of another one has calls of earlier versions, too, and tells nothing of theirs.
    """
    heirs = sa.select(reason_successor.c.successor_code)
    rows = connection.execute(
        sa.select(dim_reason.c.reason_key, dim_reason.c.taxonomy_version).where(
            dim_reason.c.taxonomy_version != "",
            sa.not_(sa.and_(dim_reason.c.is_current, dim_reason.c.code.in_(heirs))),
        )
    )
    return {row.reason_key: row.taxonomy_version for row in rows}


def _marks(calls: Mapping[date, Mapping[str, int]]) -> Iterator[tuple[date, str]]:
    before: tuple[str, ...] = ()
    for starts_on in sorted(calls):
        versions = calls[starts_on]
        least = sum(versions.values()) * MIN_VERSION_SHARE
        found = tuple(sorted(version for version, count in versions.items() if count >= least))
        if before and found != before:
            yield starts_on, ", ".join(found)
        before = found


def mover_document(mover: Mover, label: str) -> dict[str, object]:
    """One mover as the API and an alert give it."""

    def told(rate_count: int, n: int, interval: tuple[float, float] | None) -> dict[str, object]:
        low, high = interval or (None, None)
        return {"calls": rate_count, "n": n, "share": rate_count / n if n else None, "low": low, "high": high}

    return {
        "reason": mover.code,
        "label": label,
        "test": mover.test.value,
        "direction": mover.direction,
        "before": told(mover.before.count, mover.before.n, mover.before.interval),
        "now": told(mover.now.count, mover.now.n, mover.now.interval),
        "difference": mover.difference,
        "difference_low": mover.low,
        "difference_high": mover.high,
        "p_value": mover.p_value,
        "adjusted_p": mover.adjusted_p,
    }


def changes_document(found: Changes) -> dict[str, object]:
    """The movers as the API gives them."""
    by_test: dict[Test, list[dict[str, object]]] = {
        test: [mover_document(mover, found.labels.get(mover.code, mover.code)) for mover in movers]
        for test, movers in ((Test.JUMP, found.jumps), (Test.DRIFT, found.drifts))
    }
    return {
        "period": found.period,
        "starts_on": found.starts_on.isoformat() if found.starts_on else None,
        "against": list(found.against),
        "over": list(found.over),
        "since_taxonomy": found.since_taxonomy.isoformat() if found.since_taxonomy else None,
        "jumps": by_test[Test.JUMP],
        "drifts": by_test[Test.DRIFT],
    }
