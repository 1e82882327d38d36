"""One contract for all places where meters are kept: memory, both databases, Redis."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import get_context

import pytest

from calls.errors import TransientError
from calls.meter import Meter
from calls.output_room import note_output
from crm.database import Database
from crm.pacing import DatabaseMeters
from engines.meters import MemoryMeters, Meters
from engines.pacing_redis import RedisMeters
from tests.servers.process import free_port

ADDED = 40


@pytest.fixture(params=["memory", "sqlite", "postgres", "redis"])
def make(request: pytest.FixtureRequest) -> Callable[[], Meters]:
    """Another door to the same meters with each call, as each process has one."""
    if request.param == "memory":
        meters = MemoryMeters()
        return lambda: meters
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
        return lambda: RedisMeters(url)
    url = request.getfixturevalue("database" if request.param == "sqlite" else "postgres_database").url
    text = url.render_as_string(hide_password=False)
    return lambda: DatabaseMeters(Database(text))


def add(meters: Meters) -> None:
    for _ in range(ADDED):
        meters.change("a", lambda meter, now: (replace(meter, granted=meter.granted + 1), None))


def test_a_meter_begins_empty_and_keeps_what_it_is_told(make: Callable[[], Meters]) -> None:
    meters = make()
    assert meters.read("a")[0] == Meter()
    told = Meter(tokens_until=1.5, window_left=2.5, returns_unused=True, needed={"analysis": note_output((), 300)})
    assert meters.change("a", lambda meter, now: (told, meter)) == Meter()
    assert make().read("a")[0] == told
    assert make().read("b")[0] == Meter()


def test_changes_from_many_sides_are_all_kept(make: Callable[[], Meters]) -> None:
    sides = [threading.Thread(target=add, args=(make(),)) for _ in range(4)]
    for side in sides:
        side.start()
    for side in sides:
        side.join()
    assert make().read("a")[0].granted == 4 * ADDED


def test_a_change_that_fails_changes_nothing(make: Callable[[], Meters]) -> None:
    meters = make()
    with pytest.raises(ZeroDivisionError):
        meters.change("a", lambda meter, now: (replace(meter, granted=1 / 0), None))
    assert meters.read("a")[0] == Meter()


def test_the_clock_is_one_that_goes_on_in_seconds(make: Callable[[], Meters]) -> None:
    meters = make()
    moments = [meters.read("a")[1], meters.change("a", lambda meter, now: (meter, now)), meters.read("a")[1]]
    assert moments == sorted(moments)
    assert moments[-1] - moments[0] < 60
    assert abs(moments[0] - time.time()) < 60


def test_processes_share_the_meters_of_a_database(database: Database) -> None:
    url = database.url.render_as_string(hide_password=False)
    processes = [get_context("spawn").Process(target=_add_apart, args=(url,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert DatabaseMeters(database).read("a")[0].granted == 2 * ADDED


def _add_apart(url: str) -> None:
    add(DatabaseMeters(Database(url)))


def test_a_redis_that_is_away_costs_time_only() -> None:
    meters = RedisMeters(f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(TransientError) as failure:
        meters.read("a")
    assert failure.value.code == "meters_unreachable"


def test_a_meter_of_another_version_is_read_as_far_as_it_is_known() -> None:
    assert Meter.of_document({"granted": 3.0, "of_tomorrow": 1}) == Meter(granted=3.0)
