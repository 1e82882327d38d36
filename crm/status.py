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
from crm.unlooked import unlooked_count


def status(connection: sa.Connection, now: datetime) -> dict[str, Any]:
    """What `callwise status --json` gives; generated sample history is left out.

    `oldest_waiting_s` is the age of the longest-waiting unfinished call in seconds, None when nothing waits; `waiting`
    counts unfinished calls by the code of their last failed attempt, `backfill` those in the lane behind the live ones,
    `reclassifying` done calls that are to be asked about under other reasons,
    `handover` those of each destination by state, `awaited_objects` what was announced and is not in the store yet,
    `objects_to_delete` what erasures left in it, `to_look_through` calls in which a worker has yet to look for what
    must not leave,
    `language_tiers` how many current analyses came from engines in tiers and which share of them (0..1) was not left to
    the first, None where there are none.
    """
    document = _by_stage(connection)
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
    document["to_look_through"] = unlooked_count(connection)
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


def _by_stage(connection: sa.Connection) -> dict[str, Any]:
    """Calls by stage; skipped and failed ones by their reason and code."""
    # All of them, less those that do not count: each is read from an index alone, where a million calls take seconds.
    by_stage = sa.select(call.c.stage, sa.func.count()).group_by(call.c.stage)
    counts: dict[str, int] = dict(connection.execute(by_stage).all())
    # Grouped by an expression, since SQLite would look through the index of all stages for these few.
    stage_of = sa.func.coalesce(call.c.stage, "")
    of_samples = sa.select(stage_of, sa.func.count()).where(call.c.is_sample).group_by(stage_of)
    for stage, calls in connection.execute(of_samples):
        counts[stage] -= calls
    underway = (Stage.ANNOUNCED, Stage.RECEIVED, Stage.TRANSCRIBED, Stage.UNDERSTOOD, Stage.DONE)
    document: dict[str, Any] = {stage.value: counts.get(stage, 0) for stage in underway}
    for parked, why in ((Stage.SKIPPED, call.c.skip_reason), (Stage.FAILED, call.c.failed_code)):
        rows = connection.execute(
            sa.select(why.label("why"), sa.func.count().label("calls"))
            .where(call.c.stage == parked, call.c.is_sample.is_(False))
            .group_by(why)
            .order_by(why)
        )
        document[parked.value] = {row.why: row.calls for row in rows}
    return document


def _tiers(connection: sa.Connection) -> dict[str, Any] | None:
    rows = connection.execute(
        sa.select(call_analysis.c.tier, call_analysis.c.escalated_for, sa.func.count().label("calls"))
        # In the words of its index: SQLite takes it for no others.
        .where(sa.text("call_analysis.is_current AND call_analysis.tier IS NOT NULL"))
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
