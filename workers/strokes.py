"""The work that comes round by the clock, beside the sweep: what the settings ask for, and how often."""

from collections.abc import Collection
from dataclasses import dataclass

from runtime.settings import Settings

# How often somebody looks whether anything is to be deleted or told.
LOOK_S = 60.0
# The same, whether a week is to be reported.
REPORT_LOOK_S = 900.0
# How often old calls are looked through for a while; where none is left, it is a question to the database.
LOOK_THROUGH_S = 20.0


@dataclass(frozen=True)
class Stroke:
    """A task that is sent every so many seconds.

    `at_start`: where the clock starts with the machine, at once, too: one that is off at night would never get there
    else. `goes_stale`: not done any more when it waited too long for a free worker.
    """

    task: str
    every_s: float
    at_start: bool = False
    goes_stale: bool = True


def strokes(settings: Settings) -> dict[str, Stroke]:
    """What is sent, by name. It may take minutes: it is for a worker, and must not hold up the sweep."""
    found = {"privacy": Stroke("work.privacy", LOOK_S), "findings": Stroke("work.look_through", LOOK_THROUGH_S)}
    if settings.handover.is_configured:
        found["handover"] = Stroke("work.hand_over", settings.handover.poll_s)
    if settings.similar.is_on:
        found["similar"] = Stroke("work.similar", LOOK_S)
    if settings.alerts.is_configured:
        found["alerts"] = Stroke("work.alerts", LOOK_S)
    if settings.reports.is_configured:
        # What a receiver did not take is due again within a minute.
        every_s = LOOK_S if settings.reports.url else REPORT_LOOK_S
        found["report"] = Stroke("work.report", every_s, at_start=True)
    if settings.exports.kinds:
        # The next one is hours away.
        every_s = settings.exports.every_h * 3600
        found["export"] = Stroke("work.export", every_s, at_start=True, goes_stale=False)
    return found


def due(of: Collection[Stroke], look: int, every_s: float) -> list[Stroke]:
    """Those that are sent at the nth look, from 1, of somebody who looks every so many seconds."""
    return [one for one in of if (look - one.at_start) % max(1, int(one.every_s / every_s)) == 0]
