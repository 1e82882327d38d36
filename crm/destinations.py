"""Where calls are handed over to: of each destination how many calls stand where, and whether it is paused."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from calls.handover import State
from crm.handover_tables import handover, handover_destination


def destinations_document(connection: sa.Connection) -> list[dict[str, Any]]:
    """Every destination with how many calls stand where: `{"name", "kind", "calls": {state: n}, ...}`, by name."""
    counts: dict[str, dict[str, int]] = {}
    for row in connection.execute(
        sa.select(handover.c.destination, handover.c.state, sa.func.count().label("calls")).group_by(
            handover.c.destination, handover.c.state
        )
    ):
        counts.setdefault(row.destination, {})[row.state] = row.calls
    rows = connection.execute(sa.select(handover_destination).order_by(handover_destination.c.name))
    return [
        {
            "name": row.name,
            "kind": row.kind,
            "calls": {state.value: counts.get(row.name, {}).get(state, 0) for state in State},
            "is_paused": row.paused_at is not None,
            "paused_at": iso_moment(row.paused_at),
            "not_before": iso_moment(row.not_before),
            "failure_count": row.failure_count,
            "last_code": row.last_code,
            "last_detail": row.last_detail,
            "last_sent_at": iso_moment(row.last_sent_at),
            "since": iso_moment(row.since),
        }
        for row in rows
    ]


def handover_counts(connection: sa.Connection) -> dict[str, dict[str, Any]]:
    """By destination how many calls stand where, and whether it is paused."""
    return {one["name"]: one["calls"] | {"is_paused": one["is_paused"]} for one in destinations_document(connection)}


def iso_moment(at: datetime | None) -> str | None:
    """A moment in UTC as documents tell it."""
    return None if at is None else at.isoformat().replace("+00:00", "Z")
