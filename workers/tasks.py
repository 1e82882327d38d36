"""The tasks: thin, named, typed. A message carries an id and nothing else."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from calls.pipeline import step_named
from workers import sweep
from workers.app import app, parts, wiring
from workers.steps import run_step


def task(name: str, *, soft_limit_s: float | None = None) -> Callable[[Callable[..., None]], Any]:
    """A Celery task under an explicit name; a misspelt option is a TypeError here, where Celery would swallow it."""
    return app.task(name=name, soft_time_limit=soft_limit_s, ignore_result=True)  # type: ignore[no-any-return]


@task("call.transcribe", soft_limit_s=7200)
def transcribe(call_id: str) -> None:
    """Give the call its transcript; a second run finds it there and returns."""
    run_step(parts(), step_named("call.transcribe"), UUID(call_id))


@task("call.fetch", soft_limit_s=1800)
def fetch(call_id: str) -> None:
    """Bring the recording that telephony keeps into the store; a second run finds it there and returns."""
    run_step(parts(), step_named("call.fetch"), UUID(call_id))


@task("call.read", soft_limit_s=600)
def read(call_id: str) -> None:
    """Give a call that came as text its transcript; a second run finds it there and returns."""
    run_step(parts(), step_named("call.read"), UUID(call_id))


@task("call.understand", soft_limit_s=600)
def understand(call_id: str) -> None:
    """Give the call its analysis; a second run finds it there and returns."""
    run_step(parts(), step_named("call.understand"), UUID(call_id))


@task("call.reclassify", soft_limit_s=600)
def reclassify(call_id: str) -> None:
    """Give a call that has ended an analysis under the reasons of now; a second run finds it there and returns."""
    run_step(parts(), step_named("call.reclassify"), UUID(call_id))


@task("call.file", soft_limit_s=60)
def file(call_id: str) -> None:
    """Put the call with its customer; a second run finds it there and returns."""
    run_step(parts(), step_named("call.file"), UUID(call_id))


@task("work.sweep", soft_limit_s=60)
def sweep_all() -> None:
    """Ring again for whatever stands still."""
    settings = wiring().settings
    sweep.wake_parked(wiring())
    sweep.sweep(parts().database, app, backfill_limit=sweep.drip_now(settings, settings.work.sweep_s))


@task("work.batches", soft_limit_s=1800)
def tend_batches() -> None:
    """Send what waits for a batch, and keep the answers that batches brought."""
    sweep.tend_batches(wiring())


@task("work.hand_over", soft_limit_s=900)
def hand_over() -> None:
    """Hand over to CRMs what changed."""
    sweep.hand_over(wiring())


@task("work.privacy", soft_limit_s=3600)
def tend_privacy() -> None:
    """Delete what is to be deleted: what erasures left in the store, and what has been kept long enough."""
    sweep.tend_privacy(wiring())


@task("work.look_through", soft_limit_s=300)
def look_through() -> None:
    """Look through old conversations for what must not leave."""
    sweep.look_through(wiring())


@task("work.similar", soft_limit_s=3600)
def make_vectors() -> None:
    """Give calls the vectors by which similar ones are found."""
    sweep.make_vectors(wiring())


@task("work.roll_up", soft_limit_s=600)
def roll_up() -> None:
    """Recompute the days that calls have touched."""
    sweep.roll_up(wiring())


@task("work.alerts", soft_limit_s=300)
def raise_alerts() -> None:
    """Tell of the reasons that have risen, as the roll-ups show it."""
    sweep.raise_alerts(wiring())


@task("work.report", soft_limit_s=600)
def report() -> None:
    """Write and send the report of the last week, unless that was done."""
    from runtime.reporting import report_as_set, send_report_as_set

    wired = wiring()
    report_as_set(wired.database, wired.settings)
    send_report_as_set(wired.database, wired.settings)


@task("work.export", soft_limit_s=21_600)
def export() -> None:
    """Write the files for BI tools where and as the settings say."""
    from runtime.exporting import export_as_set

    wired = wiring()
    export_as_set(wired.database, wired.settings, wired.settings.exports.kinds)
