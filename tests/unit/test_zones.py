"""Days of another zone than the site's: to the call what counting call by call gives, on the nights of changed clocks
above all.
"""

import random
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from analytics.changed_reasons import taxonomy_marks
from analytics.parts import PART_NAMES
from analytics.points import Point, counts
from analytics.rollup import refresh
from analytics.star import dim_reason, fact_call
from analytics.sums import Filters, Over, Sums, add, first_day, hourly_calls, none, period_start, period_sums
from analytics.trends import By, local_today, trend
from analytics.zones import NoSuchZone, offsets
from crm.database import Database
from crm.tables import call
from tests.calls_made_up import add_call, id_of, prepare

SITE = "Europe/Berlin"
ZONES = (
    *("America/New_York", "America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe"),
    *("Pacific/Kiritimati", "Pacific/Pago_Pago", "Atlantic/Azores"),
)
# Clocks go back in Berlin, in New York, forward in Berlin, back on Lord Howe.
NIGHTS = (date(2025, 10, 26), date(2025, 11, 2), date(2026, 3, 29), date(2026, 4, 5))


def moments() -> Iterator[datetime]:
    """Calls around those nights, of which many begin where an hour does, or a moment before."""
    chance = random.Random(5)
    for night in NIGHTS:
        begin = datetime(night.year, night.month, night.day, tzinfo=UTC) - timedelta(hours=20)
        for hour in range(40):
            for minutes in (0, chance.choice((15, 30, 45, chance.randrange(60)))):
                moment = begin + timedelta(hours=hour, minutes=minutes)
                yield moment - timedelta(microseconds=chance.choice((0, 1, 400)))


@pytest.fixture(scope="module")
def odd(migrated_sqlite_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = Database(
        f"sqlite:///{shutil.copy(migrated_sqlite_file, tmp_path_factory.mktemp('odd') / 'callwise.db')}"
    )
    with database.write() as connection:
        prepare(connection)
        for number, moment in enumerate(moments()):
            code = ("delivery", "repair", "order")[number % 3]
            facts = {"queue_id": id_of("queue", number % 2), "agent_id": id_of("agent", number % 3)}
            add_call(connection, number, moment, analysis={"reason_code": code}, **facts)
    refresh(database, SITE, datetime(2026, 4, 20, tzinfo=UTC))
    yield database
    database.dispose()


@pytest.fixture(scope="module")
def facts(odd: Database) -> list[tuple[datetime, str, Sums]]:
    """When each call began, its reason's code and its parts."""
    at = fact_call.c
    asked = sa.select(at.happened_at_utc, dim_reason.c.code, *(at[name] for name in PART_NAMES))
    with odd.read() as connection:
        rows = connection.execute(asked.join_from(fact_call, dim_reason, dim_reason.c.reason_key == at.reason_key))
        return [(row[0], row[1], dict(zip(PART_NAMES, row[2:], strict=True))) for row in rows]


def counted(facts: list[tuple[datetime, str, Sums]], zone: str, period: str, filters: Filters) -> dict:
    """The sums by reason, call by call."""
    found: dict[tuple[date, str], Sums] = defaultdict(none)
    for moment, code, parts in facts:
        day = moment.astimezone(ZoneInfo(zone)).date()
        if (filters.since or date.min) <= day < (filters.until or date.max):
            add(found[period_start(period, day), code], parts)
    return dict(found)


@pytest.mark.parametrize("zone", ZONES)
def test_periods_of_any_zone_have_the_calls_that_begin_in_them(
    odd: Database, facts: list[tuple[datetime, str, Sums]], zone: str
) -> None:
    cuts = (Filters(), Filters(since=NIGHTS[0], until=NIGHTS[3]), Filters(since=NIGHTS[2], until=NIGHTS[2]))
    with odd.read() as connection:
        for period in ("day", "week", "month"):
            for cut in cuts:
                asked = Filters(since=cut.since, until=cut.until, zone=zone)
                assert period_sums(connection, period, Over.REASON, asked) == counted(facts, zone, period, cut)
        queue = Filters(queue="queue 1", reason="repair", zone=zone)
        by_week = period_sums(connection, "week", None, queue)
        assert by_week
        assert sum(sums["call_count"] for sums in by_week.values()) == sum(
            sums["call_count"]
            for sums in period_sums(connection, "week", None, Filters(queue="Queue 1", reason="repair")).values()
        )


@pytest.mark.parametrize("zone", ["", SITE, *ZONES])
def test_a_cell_of_the_heat_map_has_the_calls_of_its_condition(odd: Database, zone: str) -> None:
    clock = ZoneInfo(zone or SITE)
    with odd.read() as connection:
        local = [at.astimezone(clock) for at in connection.execute(sa.select(fact_call.c.happened_at_utc)).scalars()]
        hours = hourly_calls(connection, Filters(zone=zone))
        assert hours == Counter((at.date(), at.hour) for at in local)
        for (weekday, hour), calls in Counter((at.isoweekday(), at.hour) for at in local).most_common(5):
            listed = sa.select(sa.func.count()).select_from(call)
            of_cell = counts(connection, Point(measure="calls", weekday=weekday, hour=hour, zone=zone))
            assert connection.execute(listed.where(of_cell)).scalar_one() == calls


def test_the_zone_of_the_site_is_no_other_one(odd: Database) -> None:
    with odd.read() as connection:
        today = local_today(connection, datetime(2026, 4, 20, tzinfo=UTC))
        plain, named = (
            trend(connection, by=By.WEEK, over=Over.REASON, filters=Filters(zone=zone), today=today)
            for zone in ("", SITE)
        )
        assert plain == named
        other = trend(connection, by=By.WEEK, filters=Filters(zone="Asia/Tokyo"), today=today)
        assert (plain.time_zone, other.time_zone) == (SITE, "Asia/Tokyo")
        assert other.rows[0].parts != trend(connection, by=By.WEEK, today=today).rows[0].parts
        assert taxonomy_marks(connection, By.WEEK, Filters(zone="Asia/Tokyo")) == ()


def test_days_begin_where_the_zone_says(odd: Database) -> None:
    late = datetime(2026, 4, 20, 20, tzinfo=UTC)
    with odd.read() as connection:
        assert local_today(connection, late, "Asia/Tokyo") == date(2026, 4, 21)
        assert first_day(connection, Filters(zone="Pacific/Pago_Pago")) == first_day(connection) - timedelta(days=1)
        assert first_day(connection, Filters(zone="Pacific/Kiritimati")) == first_day(connection)


@pytest.mark.parametrize("name", ["Mars/Olympus", "../zone", "Europe", "x\0y", "a" * 300])
def test_what_is_no_zone_is_refused(odd: Database, name: str) -> None:
    with odd.read() as connection, pytest.raises(NoSuchZone):
        period_sums(connection, "week", None, Filters(zone=name))


def test_offsets_change_in_the_second_in_which_clocks_do() -> None:
    first, last = datetime(2026, 1, 1, 7, tzinfo=UTC), datetime(2026, 12, 31, tzinfo=UTC)
    (spring, winter), (autumn, summer), (_, again) = offsets(ZoneInfo(SITE), first, last)
    assert (winter, summer, again) == (3600, 7200, 3600)
    assert (spring, autumn) == (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC))
    assert [offset for _, offset in offsets(ZoneInfo("Asia/Kathmandu"), first, last)] == [20_700]
