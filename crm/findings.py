"""What redaction found in a transcript, kept with it: places and kinds, no word. Reading a call need not wait for it.

A finding counts only under the very rules that made it: other rules look again.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from calls.redaction import Finding, SensitiveFinder
from calls.transcript import Turn
from crm.bulk import among
from crm.database import insert
from crm.privacy_tables import sensitive_finding
from crm.redacted import remember, rules_of
from crm.tables import transcript


def save_findings(
    connection: sa.Connection, transcript_id: UUID, found: Sequence[Sequence[Finding]], find: SensitiveFinder
) -> None:
    """Keep what `find` found in the turns of this transcript, turn by turn."""
    told = [[index, one.start, one.end, one.kind] for index, here in enumerate(found) for one in here]
    row = {"transcript_id": transcript_id, "rules": rules_of(find), "turn_count": len(found), "findings": told}
    statement = insert(connection, sensitive_finding).values(row)
    new = {name: statement.excluded[name] for name in ("rules", "turn_count", "findings")}
    connection.execute(statement.on_conflict_do_update(index_elements=["transcript_id"], set_=new))


def without_findings(connection: sa.Connection, call_ids: Collection[UUID], find: SensitiveFinder) -> set[UUID]:
    """Of these calls those in whose current transcripts `find` is known to have found nothing."""
    kept = _kept(connection, call_ids, find)
    return {row.call_id for row in kept if not row.findings and row.turn_count == row.of_transcript}


def recall(connection: sa.Connection, turns: Mapping[UUID, Sequence[Turn]], find: SensitiveFinder) -> None:
    """Tell `crm.redacted` what was found in the current transcripts of these calls, whose turns are given."""
    for row in _kept(connection, turns, find):
        said = turns[row.call_id]
        if row.turn_count != len(said):
            continue
        found: list[list[Finding]] = [[] for _ in said]
        for index, start, end, kind in row.findings:
            found[index].append(Finding(start, end, kind))
        remember(find, said, found)


def _kept(connection: sa.Connection, call_ids: Collection[UUID], find: SensitiveFinder) -> Sequence[Any]:
    if not call_ids:
        return ()
    return connection.execute(
        sa.select(
            transcript.c.call_id,
            transcript.c.turn_count.label("of_transcript"),
            sensitive_finding.c.turn_count,
            sensitive_finding.c.findings,
        )
        .join_from(transcript, sensitive_finding, sensitive_finding.c.transcript_id == transcript.c.id)
        .where(
            among(connection, transcript.c.call_id, call_ids),
            transcript.c.is_current,
            sensitive_finding.c.rules == rules_of(find),
        )
    ).all()
