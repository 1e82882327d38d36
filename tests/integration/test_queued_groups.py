"""Laws of what waits for each step, as the operations page shows it, on both databases."""

from datetime import timedelta

import sqlalchemy as sa

from calls.pipeline import TRANSCRIBE, UNDERSTAND, Lane
from crm.jobs import first_job
from crm.operations import queued_groups
from crm.tables import job
from tests.seeds import NOW, seed_call


def test_work_is_counted_by_step_and_lane_with_the_first_that_is_due(any_database):
    with any_database.write() as connection:
        told = ((TRANSCRIBE, Lane.LIVE, 3), (TRANSCRIBE, Lane.BACKFILL, 5), (UNDERSTAND, Lane.LIVE, 1))
        for step, lane, minutes in told:
            call_id = seed_call(connection, stage=step.needs.value, said=None, with_analysis=False)
            row = first_job(call_id, NOW - timedelta(minutes=minutes), step=step, lane=lane)
            connection.execute(sa.insert(job).values(row))
        found = {one.step: one for one in queued_groups(connection)}
    assert {step: (one.live_count, one.backfill_count) for step, one in found.items()} == {
        TRANSCRIBE.name: (1, 1),
        UNDERSTAND.name: (1, 0),
    }
    assert found[TRANSCRIBE.name].oldest_due_at <= NOW - timedelta(minutes=5)


def test_without_work_there_is_no_queue(any_database):
    with any_database.read() as connection:
        assert queued_groups(connection) == []
