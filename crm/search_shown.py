"""The words of calls as a viewer may read them: what stands behind a mark is found by nobody who reads marks."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import sqlalchemy as sa

from calls.redaction import SensitiveFinder, find_sensitive
from calls.search_terms import Terms
from calls.transcript import Speaker, Turn, Utterance, take_turns
from crm.access import Viewer
from crm.bulk import among
from crm.findings import recall, without_findings
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
    connection: sa.Connection,
    viewer: Viewer,
    terms: Terms,
    numbers: Sequence[int],
    find: SensitiveFinder = find_sensitive,
) -> list[Words]:
    """The words of the calls with these numbers, as far as they tell of the runs: what a call was about is left out
    where none of them stands in it. The viewer is known to see each call. In no order.
    """
    return [
        replace(one, about=shown_text(viewer, one.about, find) if terms.count_in(one.about) else "")
        for one in _with_said(connection, viewer, numbers, find)
    ]


def that_show(
    connection: sa.Connection,
    viewer: Viewer,
    terms: Terms,
    numbers: Sequence[int],
    *,
    at_least: int,
    find: SensitiveFinder = find_sensitive,
) -> set[int]:
    """Of these calls those in which this viewer can read at least so many of the runs: all, unless marks are read."""
    if not is_redacted(viewer):
        return set(numbers)
    return {
        one.number
        for one in _with_said(connection, viewer, numbers, find)
        # What it was about is looked through for marks only where that may decide.
        if terms.count_in(one.said) >= at_least
        or (
            terms.count_in(one.about) > 0
            and terms.count_in(f"{shown_text(viewer, one.about, find)}\n{one.said}") >= at_least
        )
    }


def _with_said(
    connection: sa.Connection, viewer: Viewer, numbers: Sequence[int], find: SensitiveFinder
) -> Iterator[Words]:
    """The calls with what was said as the viewer may read it, and what they were about as it is stored.

    Where it is known that nothing must be hidden of what was said, that is the text that is searched.
    """
    for begin in range(0, len(numbers), _AT_ONCE):
        here = among(connection, call_text.c.number, numbers[begin : begin + _AT_ONCE])
        rows = connection.execute(sa.select(call_text).where(here)).all()
        if is_redacted(viewer):
            bare = without_findings(connection, [row.call_id for row in rows], find)
            turns = conversations(connection, [row.call_id for row in rows if row.call_id not in bare])
            recall(connection, turns, find)
        for row in rows:
            said = row.said
            if is_redacted(viewer) and row.call_id not in bare:
                said = "\n".join(turn.text for turn in shown_turns(viewer, turns.get(row.call_id, []), find))
            yield Words(row.number, row.call_id, row.about, said)


def conversations(connection: sa.Connection, call_ids: Iterable[UUID]) -> dict[UUID, list[Turn]]:
    """The turns of these calls by their current transcripts, as they were said."""
    ids = list(call_ids)
    if not ids:
        return {}
    rows = connection.execute(
        sa.select(
            transcript.c.call_id,
            *(utterance.c[name] for name in ("channel", "start_s", "end_s", "text", "speaker")),
        )
        .join_from(transcript, utterance, utterance.c.transcript_id == transcript.c.id)
        .where(transcript.c.is_current, transcript.c.call_id.in_(ids))
        .order_by(transcript.c.call_id, utterance.c.seq)
    )
    said: dict[UUID, list[Utterance]] = defaultdict(list)
    for row in rows:
        said[row.call_id].append(Utterance(row.channel, row.start_s, row.end_s, row.text, speaker=Speaker(row.speaker)))
    return {call_id: take_turns(utterances) for call_id, utterances in said.items()}
