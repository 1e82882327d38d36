"""What comes round by the clock: exports when the settings ask for them, as often as they say, at the start, too."""

from runtime.settings import Settings
from workers.app import app, schedule
from workers.strokes import due, strokes


def test_no_kinds_of_files_no_export() -> None:
    assert "export" not in strokes(Settings())
    assert "export" not in schedule(Settings())


def test_exports_are_sent_every_so_many_hours_to_a_task_that_is_there() -> None:
    settings = Settings.model_validate({"exports": {"kinds": ["parquet"], "every_h": 6}})
    entry = schedule(settings)["export"]
    assert (entry["task"], entry["schedule"]) == ("work.export", 6 * 3600)
    # The next one is hours away: it waits for a free worker as long as it takes.
    assert "expires" not in entry["options"]
    app.loader.import_default_modules()
    assert "work.export" in app.tasks


def test_the_embedded_clock_exports_at_its_start_and_then_every_so_many_hours() -> None:
    settings = Settings.model_validate({"exports": {"kinds": ["parquet"], "every_h": 1}})
    every = strokes(settings).values()
    looks = [look for look in range(1, 3 * 3600 * 4) if "work.export" in {one.task for one in due(every, look, 0.25)}]
    assert looks == [1, 1 + 3600 * 4, 1 + 2 * 3600 * 4]
