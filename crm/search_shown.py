"""The words of calls as a viewer may read them: what stands behind a mark is found by nobody who reads marks."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import sqlalchemy as sa

from calls.redaction import SensitiveFinder, find_sensitive, mark_turns
from calls.search_terms import Terms
from calls.transcript import Speaker, Turn, Utterance, take_turns
from crm.access import Viewer
from crm.bulk import among
from crm.findings import Kept, Looked, kept_findings
from crm.redacted import found_in, is_redacted, shown_text
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


class ShownCalls:
    """The calls that one search looks at, as its viewer, who is known to see each, may read them.

    What was said is read from the database and looked through once, however often it is asked for.
    """

    def __init__(self, connection: sa.Connection, viewer: Viewer, find: SensitiveFinder = find_sensitive) -> None:
        self.connection = connection
        self.viewer = viewer
        self.find = find
        # What had to be looked for, because nothing was kept of it.
        self.looked: list[Looked] = []
        self._is_redacted = is_redacted(viewer)
        self._words: dict[int, Words] = {}
        self._turns: dict[UUID, list[Turn]] = {}
        self._kept: dict[UUID, Kept] = {}

    def readable(self, call_ids: Sequence[UUID], *, unlooked: int) -> int:
        """How many of these calls, from the first on, can be read for so many conversations to be looked through."""
        if not self._is_redacted:
            return len(call_ids)
        kept = self._kept_of(call_ids)
        for place, call_id in enumerate(call_ids):
            unlooked -= call_id in kept and kept[call_id].found is None
            if unlooked < 0:
                return place
        return len(call_ids)

    def words_of(self, terms: Terms, numbers: Sequence[int]) -> list[Words]:
        """The words of the calls with these numbers, as far as they tell of the runs: what a call was about is left out
        where none of them stands in it.
        """
        return [
            replace(one, about=self.text(one.about) if terms.count_in(one.about) else "")
            for one in self._with_said(numbers)
        ]

    def that_show(self, terms: Terms, numbers: Sequence[int], *, at_least: int) -> set[int]:
        """Of these calls those in which this viewer can read at least so many of the runs: all, unless marks are
        read.
        """
        if not self._is_redacted:
            return set(numbers)
        return {
            one.number
            for one in self._with_said(numbers)
            # What it was about is looked through for marks only where that may decide.
            if terms.count_in(one.said) >= at_least
            or (terms.count_in(one.about) > 0 and terms.count_in(f"{self.text(one.about)}\n{one.said}") >= at_least)
        }

    def turns_of(self, call_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[Turn]]:
        """The turns of these calls as they are shown; calls without a transcript are left out."""
        missing = [one for one in call_ids if one not in self._turns]
        if missing:
            self._read_turns(missing, self._kept_of(missing) if self._is_redacted else {})
        return {one: self._turns[one] for one in call_ids if one in self._turns}

    def text(self, text: str) -> str:
        """A text that stands alone as it may be read."""
        return shown_text(self.viewer, text, self.find)

    def _with_said(self, numbers: Sequence[int]) -> list[Words]:
        """The calls with what was said as the viewer may read it, and what they were about as it is stored.

        Where it is known that nothing must be hidden of what was said, that is the text that is searched.
        """
        missing = [one for one in numbers if one not in self._words]
        for begin in range(0, len(missing), _AT_ONCE):
            here = among(self.connection, call_text.c.number, missing[begin : begin + _AT_ONCE])
            rows = self.connection.execute(sa.select(call_text).where(here)).all()
            read = [Words(row.number, row.call_id, row.about, row.said) for row in rows]
            if self._is_redacted:
                read = self._hidden(read)
            self._words |= {one.number: one for one in read}
        return [self._words[one] for one in numbers if one in self._words]

    def _hidden(self, read: Sequence[Words]) -> list[Words]:
        """The same with marks in what was said."""
        kept = self._kept_of([one.call_id for one in read])
        bare = {call_id for call_id, known in kept.items() if known.is_bare}
        self._read_turns([one.call_id for one in read if one.call_id not in bare | self._turns.keys()], kept)
        return [
            one
            if one.call_id in bare
            else replace(one, said="\n".join(turn.text for turn in self._turns.get(one.call_id, ())))
            for one in read
        ]

    def _kept_of(self, call_ids: Iterable[UUID]) -> Mapping[UUID, Kept]:
        """What is known of these calls, and of others that were asked about before."""
        missing = [one for one in call_ids if one not in self._kept]
        self._kept |= kept_findings(self.connection, missing, self.find)
        return self._kept

    def _read_turns(self, call_ids: Sequence[UUID], kept: Mapping[UUID, Kept]) -> None:
        for call_id, turns in conversations(self.connection, call_ids).items():
            self._turns[call_id] = self._marked(call_id, turns, kept.get(call_id)) if self._is_redacted else turns

    def _marked(self, call_id: UUID, turns: Sequence[Turn], kept: Kept | None) -> list[Turn]:
        if kept is not None and kept.found is not None and len(kept.found) == len(turns):
            return mark_turns(turns, kept.found)
        found = found_in(self.find, turns)
        if kept is not None:
            self.looked.append(Looked(call_id, kept.transcript_id, found))
        return mark_turns(turns, found)


def conversations(connection: sa.Connection, call_ids: Iterable[UUID]) -> dict[UUID, list[Turn]]:
    """The turns of these calls by their current transcripts, as they were said."""
    ids = list(call_ids)
    if not ids:
        return {}
    rows = connection.execute(
        sa.select(
            # As the driver gives it: making a UUID of it takes longer than all the rest of a row.
            sa.type_coerce(transcript.c.call_id, sa.String()),
            *(utterance.c[name] for name in ("channel", "start_s", "end_s", "text", "speaker")),
        )
        .join_from(transcript, utterance, utterance.c.transcript_id == transcript.c.id)
        .where(transcript.c.is_current, transcript.c.call_id.in_(ids))
        .order_by(transcript.c.call_id, utterance.c.seq)
    )
    said: dict[UUID | str, list[Utterance]] = defaultdict(list)
    for call_id, channel, start_s, end_s, text, speaker in rows:
        said[call_id].append(Utterance(channel, start_s, end_s, text, speaker=Speaker(speaker)))
    return {UUID(f"{call_id}"): take_turns(utterances) for call_id, utterances in said.items()}
