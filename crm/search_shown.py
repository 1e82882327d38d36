"""The words of calls as a viewer may read them: what stands behind a mark is found by nobody who reads marks."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa

from calls.redaction import SensitiveFinder, find_sensitive
from calls.search_terms import Terms
from calls.transcript import Speaker, Turn, Utterance, take_turns
from crm.access import Viewer
from crm.bulk import among
from crm.findings import recall
from crm.redacted import is_redacted, shown_text, shown_turns
from crm.search_tables import call_text
from crm.tables import transcript, utterance

# Of so many calls the conversations are read at once; crm.redacted remembers what was found in a few times as many.
_AT_ONCE = 100


@dataclass(frozen=True)
class Words:
    """One call as it is searched (crm.search_tables), in the viewer's reading."""

    number: int
    call_id: UUID
    about: str
    said: str


def words_of(
    connection: sa.Connection, viewer: Viewer, numbers: Sequence[int], find: SensitiveFinder = find_sensitive
) -> list[Words]:
    """The words of the calls with these numbers; the viewer is known to see each call. In no order."""
    found: list[Words] = []
    for begin in range(0, len(numbers), _AT_ONCE):
        here = among(connection, call_text.c.number, numbers[begin : begin + _AT_ONCE])
        rows = connection.execute(sa.select(call_text).where(here)).all()
        if not is_redacted(viewer):
            found += (Words(row.number, row.call_id, row.about, row.said) for row in rows)
            continue
        turns = conversations(connection, [row.call_id for row in rows])
        recall(connection, turns, find)
        for row in rows:
            said = shown_turns(viewer, turns.get(row.call_id, []), find)
            about = shown_text(viewer, row.about, find)
            found.append(Words(row.number, row.call_id, about, "\n".join(turn.text for turn in said)))
    return found


def that_show(
    connection: sa.Connection, viewer: Viewer, terms: Terms, numbers: Sequence[int], *, at_least: int
) -> set[int]:
    """Of these calls those in which this viewer can read at least so many of the runs: all, unless marks are read."""
    if not is_redacted(viewer):
        return set(numbers)
    words = words_of(connection, viewer, numbers)
    return {one.number for one in words if terms.count_in(f"{one.about}\n{one.said}") >= at_least}


def conversations(connection: sa.Connection, call_ids: Iterable[UUID]) -> dict[UUID, list[Turn]]:
    """The turns of these calls by their current transcripts, as they were said."""
    rows = connection.execute(
        sa.select(
            transcript.c.call_id,
            *(utterance.c[name] for name in ("channel", "start_s", "end_s", "text", "speaker")),
        )
        .join_from(transcript, utterance, utterance.c.transcript_id == transcript.c.id)
        .where(transcript.c.is_current, transcript.c.call_id.in_(list(call_ids)))
        .order_by(transcript.c.call_id, utterance.c.seq)
    )
    said: dict[UUID, list[Utterance]] = defaultdict(list)
    for row in rows:
        said[row.call_id].append(Utterance(row.channel, row.start_s, row.end_s, row.text, speaker=Speaker(row.speaker)))
    return {call_id: take_turns(utterances) for call_id, utterances in said.items()}
