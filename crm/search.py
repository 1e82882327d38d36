"""Search by words in transcripts and summaries: the newest calls that have them, the best of these first."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa

from calls.redaction import SensitiveFinder, find_sensitive
from calls.search_terms import Excerpt, Terms, excerpt, read_terms
from calls.transcript import Speaker, Turn
from crm.access import Permission, Viewer
from crm.call_filters import CallFilter, WrongQuery
from crm.call_lines import CallLine
from crm.calls import lines_of
from crm.findings import Looked
from crm.search_shown import ShownCalls
from crm.search_tables import NUMBER_BITS
from crm.search_words import matching, newest_with_any
from crm.tables import call_analysis

# So many of the newest calls with the words are put in order of how well they fit: what search costs has a bound.
RANKED = 60
# So many where some of them had to be looked through first for what must not be shown: that costs most of a search.
RANKED_UNLOOKED = 20
MAX_HITS = 50
_EXCERPTS = 3
_KEY = re.compile(r"([^.]*)(?:\.([0-9]{1,4})(?:\.([0-9]{1,2}))?)?")


@dataclass(frozen=True)
class SaidExcerpt:
    """What was said where the words are; `turn` counts from 0 and `start_s` is seconds from the recording's start."""

    turn: int
    speaker: Speaker
    start_s: float
    excerpt: Excerpt


@dataclass(frozen=True)
class Hit:
    """One call that was found; `about` is the part of its summary that has the words, None where none has: a headline
    is read whole.
    """

    line: CallLine
    score: float
    about: Excerpt | None
    said: tuple[SaidExcerpt, ...]


@dataclass(frozen=True)
class SearchPage:
    """Hits, the best of their window first; windows go from the newest calls to the oldest.

    `back_to` is the time of the oldest call of the window, None where there is no hit. `next_key` is the key of what
    follows, None where nothing does. `looked` is what had to be looked for because nothing was kept of it.
    """

    hits: tuple[Hit, ...]
    terms: Terms
    back_to: datetime | None
    next_key: str | None
    looked: Sequence[Looked] = ()


def search(
    connection: sa.Connection,
    viewer: Viewer,
    text: str,
    wanted: CallFilter,
    *,
    limit: int = 20,
    after: str = "",
    find: SensitiveFinder = find_sensitive,
) -> SearchPage:
    """At most `limit` calls (1 to MAX_HITS) with every word and "phrase" of `text`, as `viewer` may read them: with
    marks for what `find` finds.

    Raises WrongQuery, or NotAllowed.
    """
    viewer.require(Permission.READ_CALLS)
    if not 1 <= limit <= MAX_HITS:
        raise WrongQuery(f"limit is {limit}; it must be 1 to {MAX_HITS}")
    terms = read_terms(text)
    key, passed, size = _read_key(after)
    shown = ShownCalls(connection, viewer, find)
    window = matching(connection, viewer, text, wanted, limit=size, after=key, shown=shown, enough=RANKED_UNLOOKED)
    ranked = _ranked(shown, terms, window.numbers)
    chosen = ranked[passed : passed + limit]
    next_key = f"{window.next_key}.0" if window.next_key else None
    if passed + limit < len(ranked):
        # What has to be looked through now is known by then: the window stays as long as it is.
        next_key = f"{key}.{passed + limit}.{len(window.numbers)}"
    back_to = _moment(window.numbers[-1]) if window.numbers else None
    hits = tuple(_hits(shown, terms, chosen))
    return SearchPage(hits, terms, back_to, next_key, shown.looked)


def best_matching(
    connection: sa.Connection,
    viewer: Viewer,
    terms: Terms,
    wanted: CallFilter,
    *,
    limit: int,
    find: SensitiveFinder = find_sensitive,
) -> list[UUID]:
    """The calls that have the most of these runs, of the newest that have any; those alone that `wanted` leaves."""
    shown = ShownCalls(connection, viewer, find)
    if wanted.text:
        numbers = matching(connection, viewer, wanted.text, wanted, limit=RANKED, shown=shown).numbers
    else:
        numbers = newest_with_any(connection, viewer, terms, wanted, limit=RANKED, shown=shown)
    return [call_id for call_id, _ in _ranked(shown, terms, numbers)[:limit]]


def _ranked(shown: ShownCalls, terms: Terms, numbers: Sequence[int]) -> list[tuple[UUID, float]]:
    """Ids and scores, the best first, of equals the newest; a score of 0 is a call that has not the words after all.

    What the viewer cannot read counts for nothing: a score would tell of it.
    """
    scored = [
        (terms.score(words.about, words.said), words.number, words.call_id) for words in shown.words_of(terms, numbers)
    ]
    return [(call_id, score) for score, _, call_id in sorted(scored, reverse=True, key=lambda one: one[:2])]


def _hits(shown: ShownCalls, terms: Terms, chosen: Sequence[tuple[UUID, float]]) -> Iterable[Hit]:
    if not chosen:
        return
    scores = dict(chosen)
    said = shown.turns_of(list(scores))
    summaries = _summaries(shown.connection, scores)
    for line in lines_of(shown.connection, shown.viewer, list(scores), shown.find):
        about = shown.text(summaries.get(line.id, ""))
        places = terms.places(about)
        yield Hit(
            line=line,
            score=scores[line.id],
            about=excerpt(about, places) if places else None,
            said=_said(terms, said.get(line.id, ())),
        )


def _said(terms: Terms, turns: Sequence[Turn]) -> tuple[SaidExcerpt, ...]:
    """The turns that have the most of what was looked for, in the order in which they were said."""
    found = [(terms.score("", turn.text), turn, places) for turn in turns if (places := terms.places(turn.text))]
    best = sorted(found, key=lambda one: (-one[0], one[1].index))[:_EXCERPTS]
    return tuple(
        SaidExcerpt(turn.index, turn.speaker, turn.start_s, excerpt(turn.text, places))
        for _, turn, places in sorted(best, key=lambda one: one[1].index)
    )


def _summaries(connection: sa.Connection, ids: Iterable[UUID]) -> Mapping[UUID, str]:
    rows = connection.execute(
        sa.select(call_analysis.c.call_id, call_analysis.c.summary).where(
            call_analysis.c.call_id.in_(list(ids)), call_analysis.c.is_current
        )
    )
    return {row.call_id: row.summary for row in rows}


def _read_key(after: str) -> tuple[str, int, int]:
    """The key of the window, how many of its calls were shown, and how many it has at most."""
    match = _KEY.fullmatch(after)
    if not match:
        raise WrongQuery(f"{after!r} is no page key; take it from `next` of the page before")
    key, passed, size = match.groups()
    return key, int(passed or 0), min(max(1, int(size or RANKED)), RANKED)


def _moment(number: int) -> datetime:
    return datetime.fromtimestamp((number >> NUMBER_BITS) / 1000, UTC)
