"""What stands where: counts by stage, reason and code, and the processes that show a sign of life."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from calls.pipeline import RECLASSIFY, Lane, Stage
from crm.awaited import awaited_count
from crm.database import insert
from crm.destinations import handover_counts
from crm.privacy_tables import doomed_object
from crm.tables import call, call_analysis, job, process_beat, unreadable_event


def status(connection: sa.Connection, now: datetime) -> dict[str, Any]:
    """What `callwise status --json` gives; generated sample history is left out.

    `oldest_waiting_s` is the age of the longest-waiting unfinished call in seconds, None when nothing waits; `waiting`
    counts unfinished calls by the code of their last failed attempt, `backfill` those in the lane behind the live ones,
    `reclassifying` done calls that are to be asked about under other reasons,
    `handover` those of each destination by state, `awaited_objects` what was announced and is not in the store yet,
    `objects_to_delete` what erasures left in it,
    `language_tiers` how many current analyses came from engines in tiers and which share of them (0..1) was not left to
    the first, None where there are none.
    """
    document: dict[str, Any] = {
        stage.value: 0 for stage in (Stage.ANNOUNCED, Stage.RECEIVED, Stage.TRANSCRIBED, Stage.UNDERSTOOD, Stage.DONE)
    }
    document |= {"skipped": {}, "failed": {}}
    rows = connection.execute(
        sa.select(call.c.stage, call.c.skip_reason, call.c.failed_code, sa.func.count().label("calls"))
        .where(call.c.is_sample.is_(False))
        .group_by(call.c.stage, call.c.skip_reason, call.c.failed_code)
        .order_by(call.c.stage, call.c.skip_reason, call.c.failed_code)
    )
    for row in rows:
        if row.stage == Stage.SKIPPED:
            document["skipped"][row.skip_reason] = row.calls
        elif row.stage == Stage.FAILED:
            document["failed"][row.failed_code] = row.calls
        else:
            document[row.stage] += row.calls
    oldest = connection.execute(
        sa.select(sa.func.min(call.c.received_at))
        .join_from(job, call, job.c.call_id == call.c.id)
        .where(job.c.step != RECLASSIFY.name)
    ).scalar_one()
    document["oldest_waiting_s"] = None if oldest is None else max(0.0, round((now - oldest).total_seconds(), 1))
    document["waiting"] = {
        row.last_code: row.calls
        for row in connection.execute(
            sa.select(job.c.last_code, sa.func.count().label("calls"))
            .where(job.c.last_code.is_not(None))
            .group_by(job.c.last_code)
        )
    }
    document["unread_names"] = connection.execute(
        sa.select(sa.func.count()).where(call.c.profile.is_(None), call.c.is_sample.is_(False))
    ).scalar_one()
    document["awaited_objects"] = awaited_count(connection)
    document["objects_to_delete"] = connection.execute(
        sa.select(sa.func.count()).select_from(doomed_object).where(doomed_object.c.due_at <= now)
    ).scalar_one()
    document["backfill"] = connection.execute(
        sa.select(sa.func.count()).where(job.c.lane == Lane.BACKFILL, job.c.step != RECLASSIFY.name)
    ).scalar_one()
    document["reclassifying"] = connection.execute(
        sa.select(sa.func.count()).where(job.c.step == RECLASSIFY.name)
    ).scalar_one()
    document["language_tiers"] = _tiers(connection)
    document["handover"] = handover_counts(connection)
    document["unreadable_events"] = connection.execute(
        sa.select(sa.func.count()).select_from(unreadable_event)
    ).scalar_one()
    return document


def _tiers(connection: sa.Connection) -> dict[str, Any] | None:
    rows = connection.execute(
        sa.select(call_analysis.c.tier, call_analysis.c.escalated_for, sa.func.count().label("calls"))
        .where(call_analysis.c.is_current, call_analysis.c.tier.is_not(None))
        .group_by(call_analysis.c.tier, call_analysis.c.escalated_for)
        .order_by(call_analysis.c.tier, call_analysis.c.escalated_for)
    ).all()
    if not rows:
        return None
    total = sum(row.calls for row in rows)
    escalated = {row.escalated_for: 0 for row in rows if row.escalated_for}
    for row in rows:
        if row.escalated_for:
            escalated[row.escalated_for] += row.calls
    return {
        "analyses": total,
        "escalated": escalated,
        "escalated_share": round(sum(row.calls for row in rows if row.tier > 0) / total, 4),
    }


def beat(connection: sa.Connection, name: str, kind: str, *, now: datetime, state: str = "running") -> None:
    """Note that the process `name` ("worker@host:pid") is alive."""
    row = insert(connection, process_beat).values(name=name, kind=kind, started_at=now, beat_at=now, state=state)
    connection.execute(row.on_conflict_do_update(index_elements=["name"], set_={"beat_at": now, "state": state}))


def beats(connection: sa.Connection, since: datetime) -> list[sa.Row[Any]]:
    """The processes that showed a sign of life since then: name, kind, started_at, beat_at, state."""
    return list(
        connection.execute(
            sa.select(process_beat)
            .where(process_beat.c.beat_at >= since)
            .order_by(process_beat.c.kind, process_beat.c.name)
        )
    )
