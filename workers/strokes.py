"""The work that comes round by the clock, beside the sweep: what the settings ask for, and how often."""

from dataclasses import dataclass

from runtime.reporting import REPORT_LOOK_S
from runtime.settings import Settings

# How often somebody looks whether anything is to be deleted or told.
LOOK_S = 60.0


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
    found = {"privacy": Stroke("work.privacy", LOOK_S)}
    if settings.handover.is_configured:
        found["handover"] = Stroke("work.hand_over", settings.handover.poll_s)
    if settings.similar.is_on:
        found["similar"] = Stroke("work.similar", LOOK_S)
    if settings.alerts.is_configured:
        found["alerts"] = Stroke("work.alerts", LOOK_S)
    if settings.reports.folder:
        found["report"] = Stroke("work.report", REPORT_LOOK_S, at_start=True)
    if settings.exports.kinds:
        # The next one is hours away.
        every_s = settings.exports.every_h * 3600
        found["export"] = Stroke("work.export", every_s, at_start=True, goes_stale=False)
    return found
