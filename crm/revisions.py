"""The analyses of a call as they were: each engine's own, and those with people's corrections in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from calls.redaction import SensitiveFinder, find_sensitive
from crm.access import Viewer
from crm.call_lines import label_of
from crm.calls import see_call
from crm.redacted import shown_text
from crm.tables import call_analysis, reason


@dataclass(frozen=True)
class Revision:
    """One analysis of a call; exactly one of a call that was understood is current."""

    revision: int
    is_current: bool
    created_at: datetime
    headline: str
    summary: str
    reason_code: str | None
    reason_label: str | None
    reason_confidence: float | None
    outcome: str
    next_steps: tuple[Mapping[str, Any], ...]
    model: str
    taxonomy_version: str


def revisions_of(
    connection: sa.Connection, viewer: Viewer, call_id: UUID, find: SensitiveFinder = find_sensitive
) -> list[Revision]:
    """Every analysis of the call, the latest first, as this viewer may read them. Raises NoSuchCall."""
    see_call(connection, viewer, call_id)
    made = {"reason_label", "next_steps"}
    columns = (call_analysis.c[name] for name in Revision.__dataclass_fields__ if name not in made)
    rows = connection.execute(
        sa.select(*columns, call_analysis.c.next_steps, reason.c.label)
        .outerjoin(
            reason,
            sa.and_(
                reason.c.taxonomy_version == call_analysis.c.taxonomy_version,
                reason.c.code == call_analysis.c.reason_code,
            ),
        )
        .where(call_analysis.c.call_id == call_id)
        .order_by(call_analysis.c.revision.desc())
    ).mappings()
    return [_shown(viewer, row, find) for row in rows]


def _shown(viewer: Viewer, row: sa.RowMapping, find: SensitiveFinder) -> Revision:
    told = {name: row[name] for name in Revision.__dataclass_fields__ if name != "reason_label"}
    told |= {name: shown_text(viewer, told[name], find) for name in ("headline", "summary")}
    told["next_steps"] = tuple(step | {"text": shown_text(viewer, step["text"], find)} for step in row["next_steps"])
    return Revision(**told, reason_label=label_of(row["reason_code"], row["label"]))
