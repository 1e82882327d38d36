"""Sums by period: those that stand ready are the sums of the facts, however the filters cut the periods."""

from collections import defaultdict
from datetime import date, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.parts import PART_NAMES
from analytics.star import date_key, date_of, dim_agent, dim_queue, dim_reason, dim_team, fact_call
from analytics.sums import Filters, Over, Sums, add, none, period_start, period_sums, whole_sums
from crm.database import Database
from tests.history_fixture import UNTIL, history

__all__ = ["history"]

FIRST = UNTIL - timedelta(weeks=26)
CODES = {"reason": dim_reason.c.code, "queue": dim_queue.c.name, "agent": dim_agent.c.name, "team": dim_team.c.name}


def added_up(
    connection: sa.Connection, period: str, over: Over | None, filters: Filters
) -> dict[tuple[date, str], Sums]:
    """The same from the facts, one by one."""
    joined: sa.FromClause = fact_call
    for code in CODES.values():
        joined = joined.join(code.table)
    columns = (fact_call.c.date_key, fact_call.c.is_sample, *(fact_call.c[name] for name in PART_NAMES))
    found: dict[tuple[date, str], Sums] = defaultdict(none)
    named = [code.label(f"of_{name}") for name, code in CODES.items()]
    for row in connection.execute(sa.select(*columns, *named).select_from(joined)).mappings():
        day = date_of(row["date_key"])
        if (filters.since and day < filters.since) or (filters.until and day >= filters.until):
            continue
        if row["is_sample"] and not filters.with_samples:
            continue
        if any(getattr(filters, name) not in {"", row[f"of_{name}"]} for name in CODES):
            continue
        place = period_start(period, day), row[f"of_{over}"] if over else ""
        add(found[place], {name: row[name] for name in PART_NAMES})
    return dict(found)


days = st.none() | st.integers(-40, 26 * 7 + 40).map(lambda n: FIRST + timedelta(days=n))
choices = st.fixed_dictionaries(
    {
        "since": days,
        "until": days,
        "with_samples": st.booleans(),
        "reason": st.sampled_from(["", "", "", "delivery_status"]),
        "queue": st.sampled_from(["", "", "", "Service"]),
        "team": st.sampled_from(["", "", "", "Service North"]),
    }
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(period=st.sampled_from(["day", "week", "month"]), over=st.none() | st.sampled_from([*Over]), chosen=choices)
def test_sums_by_period_are_those_of_the_facts(history: Database, period: str, over: Over | None, chosen: dict) -> None:
    filters = Filters(**chosen)
    with history.read() as connection:
        assert period_sums(connection, period, over, filters) == added_up(connection, period, over, filters)
        whole: dict[str, Sums] = defaultdict(none)
        for (_, code), sums in added_up(connection, "day", over, filters).items():
            add(whole[code], sums)
        assert whole_sums(connection, over, filters) == whole


@pytest.mark.parametrize(("period", "start"), [("day", 20260311), ("week", 20260309), ("month", 20260301)])
def test_a_period_begins_with_its_first_day(period: str, start: int) -> None:
    assert date_key(period_start(period, date(2026, 3, 11))) == start
