"""What redaction found in a transcript, kept with it: places and kinds, no word. Reading a call need not wait for it.

A finding counts only under the very rules that made it: other rules look again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from calls.redaction import Finding, SensitiveFinder
from calls.transcript import Turn
from crm.bulk import among
from crm.database import insert
from crm.privacy_tables import sensitive_finding
from crm.redacted import remember, rules_of
from crm.tables import call, transcript, utterance


def save_findings(
    connection: sa.Connection, transcript_id: UUID, found: Sequence[Sequence[Finding]], find: SensitiveFinder
) -> None:
    """Keep what `find` found in the turns of this transcript, turn by turn."""
    _save(connection, {transcript_id: found}, find)


def _save(connection: sa.Connection, found: Mapping[UUID, Sequence[Sequence[Finding]]], find: SensitiveFinder) -> None:
    rows = [
        {
            "transcript_id": transcript_id,
            "rules": rules_of(find),
            "turn_count": len(turns),
            "findings": [[index, one.start, one.end, one.kind] for index, here in enumerate(turns) for one in here],
        }
        for transcript_id, turns in found.items()
    ]
    if rows:
        statement = insert(connection, sensitive_finding)
        new = {name: statement.excluded[name] for name in ("rules", "turn_count", "findings")}
        connection.execute(statement.on_conflict_do_update(index_elements=["transcript_id"], set_=new), rows)


@dataclass(frozen=True)
class Kept:
    """What is known of the current transcript of a call: None where nobody has looked, by these rules, yet."""

    transcript_id: UUID
    found: Sequence[Sequence[Finding]] | None

    @property
    def is_bare(self) -> bool:
        """Whether it is known that nothing was found in it."""
        return self.found is not None and not any(self.found)


def kept_findings(connection: sa.Connection, call_ids: Collection[UUID], find: SensitiveFinder) -> dict[UUID, Kept]:
    """What is known of the current transcripts of these calls; calls without one are left out."""
    if not call_ids:
        return {}
    is_its_own = (sensitive_finding.c.transcript_id == transcript.c.id, sensitive_finding.c.rules == rules_of(find))
    rows = connection.execute(
        sa.select(
            transcript.c.call_id,
            transcript.c.id,
            transcript.c.turn_count.label("of_transcript"),
            sensitive_finding.c.turn_count,
            sensitive_finding.c.findings,
        )
        .outerjoin_from(transcript, sensitive_finding, sa.and_(*is_its_own))
        .where(among(connection, transcript.c.call_id, call_ids), transcript.c.is_current)
    )
    return {row.call_id: Kept(row.id, _found(row)) for row in rows}


@dataclass(frozen=True)
class Looked:
    """What was found in a transcript of which nothing was kept: it may be kept now."""

    call_id: UUID
    transcript_id: UUID
    found: Sequence[Sequence[Finding]]


def keep_looked(connection: sa.Connection, looked: Sequence[Looked], find: SensitiveFinder) -> int:
    """Keep what `find` found in these transcripts; returns of how many.

    Left out are those that are not the ones of their calls any more, or whose words are gone.
    """
    if not looked:
        return 0
    ids = [one.call_id for one in looked]
    # Erasure takes the same locks: it comes before, and the words are gone, or after, and takes the findings along.
    connection.execute(
        sa.select(call.c.id).where(among(connection, call.c.id, ids)).order_by(call.c.id).with_for_update()
    )
    has_words = sa.exists().where(utterance.c.transcript_id == transcript.c.id)
    rows = connection.execute(
        sa.select(transcript.c.id, transcript.c.turn_count).where(
            among(connection, transcript.c.call_id, ids), transcript.c.is_current, has_words
        )
    )
    counts = {row.id: row.turn_count for row in rows}
    kept = {one.transcript_id: one.found for one in looked if counts.get(one.transcript_id) == len(one.found)}
    _save(connection, kept, find)
    return len(kept)


def recall(connection: sa.Connection, turns: Mapping[UUID, Sequence[Turn]], find: SensitiveFinder) -> None:
    """Tell `crm.redacted` what was found in the current transcripts of these calls, whose turns are given."""
    kept = kept_findings(connection, turns, find)
    for call_id, said in turns.items():
        known = kept[call_id].found if call_id in kept else None
        if known is not None and len(known) == len(said):
            remember(find, said, [list(here) for here in known])


def _found(row: Any) -> Sequence[Sequence[Finding]] | None:
    if row.turn_count is None or row.turn_count != row.of_transcript:
        return None
    found: list[list[Finding]] = [[] for _ in range(row.turn_count)]
    for index, start, end, kind in row.findings:
        found[index].append(Finding(start, end, kind))
    return found
