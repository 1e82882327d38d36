"""Which calls have these words: the newest first, from either database by one interface.

Nothing here reads all calls that have a word: both databases are asked for the newest so many, and SQLite's FTS5 and
PostgreSQL's GIN index answer in the order of time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from calls.search_terms import Terms, read_terms
from crm.access import Viewer
from crm.call_filters import (
    CallFilter,
    Conditions,
    WrongQuery,
    conditions_of,
    unindexed,
)
from crm.database import BY_VALUES
from crm.redacted import is_redacted, may_look_for
from crm.search_by_filter import newest_of_filter
from crm.search_shown import ShownCalls
from crm.search_tables import NUMBER_BITS, call_text
from crm.tables import call

# So many calls that have the words are looked at for the other filters; what is older is left to the next page.
LOOKED_AT = 3000
# So many are read at most for somebody who reads marks, to see whether the words stand in what is shown.
READ_AT_MOST = 500
_READ_AT_ONCE = 100
_LOOKED_THROUGH_AT_LEAST = 4
_FIRST_LOOK = 4
# Of fewer calls than these PostgreSQL reads all that have a word and puts them in order; of more it walks the newest
# until it has enough. Its own choice takes a word that its statistics do not know for ten times as common as it may be.
_FEW_CALLS = 20_000
_COUNTS = sa.text(
    "SELECT given.word, given.share * (SELECT reltuples FROM pg_class WHERE oid = 'call_text'::regclass)"
    " FROM pg_stats, unnest(most_common_elems::text::text[], most_common_elem_freqs) AS given (word, share)"
    " WHERE schemaname = current_schema() AND tablename = 'call_text' AND attname = 'words'"
)
# What the statistics say of some thousand words is kept with the connection: it says how to look, not what is found.
_COUNTS_KEPT_S = 60.0
_LARGEST = (1 << 63) - 1
_FTS5 = sa.table("call_words", sa.column("rowid", sa.Integer))


@dataclass(frozen=True)
class Matching:
    """Calls that have the words and fit the filter, the newest first, with their numbers (crm.search_tables).

    `next_key` is the key of what lies behind them, None where nothing does; there may be one where there are fewer
    calls than were asked for, because so many others had to be looked at, or because the viewer reads marks in them.
    """

    call_ids: tuple[UUID, ...] = ()
    numbers: tuple[int, ...] = ()
    next_key: str | None = None


def matching(
    connection: sa.Connection,
    viewer: Viewer,
    text: str,
    wanted: CallFilter,
    *,
    limit: int,
    after: str = "",
    shown: ShownCalls,
    enough: int | None = None,
) -> Matching:
    """At most `limit` calls behind the key `after` that have every word and "phrase" of `text`, of which `viewer` can
    read what `shown` gives; no more than `enough` of them where some had to be looked through. Raises WrongQuery.

    Who reads marks gets those calls alone in which every word can be read: what is hidden is not to be guessed by
    looking for it, nor by whether a page has a next one. What `wanted` says of text is not asked. Text without a word
    in it fits no call.
    """
    if not is_redacted(viewer):
        return _matching(connection, viewer, text, wanted, limit=limit, after=after)
    terms = read_terms(text)
    at_once = min(limit + 1, _READ_AT_ONCE)
    enough = min(limit, enough or limit)
    visible: list[tuple[UUID, int]] = []
    read_count = 0
    key: str | None = after
    while key is not None and read_count < READ_AT_MOST:
        found = _matching(connection, viewer, text, wanted, limit=at_once, after=key)
        pairs = list(zip(found.call_ids, found.numbers, strict=True))
        begin = 0
        while begin < len(pairs):
            missing = max(_LOOKED_THROUGH_AT_LEAST, enough + 1 - len(visible))
            end = begin + shown.readable(found.call_ids[begin:], unlooked=missing)
            fitting = shown.that_show(terms, found.numbers[begin:end], at_least=len(terms.runs))
            visible += [pair for pair in pairs[begin:end] if pair[1] in fitting]
            # Known to be more than are given: that there is a next page tells of calls that can be read.
            given = enough if shown.looked else limit
            if len(visible) > given:
                return _as_matching(visible[:given], f"t{visible[given - 1][1]}")
            begin = end
        read_count += len(pairs)
        key = found.next_key
        if len(pairs) < at_once:
            break
    return _as_matching(visible, key)


def _matching(
    connection: sa.Connection, viewer: Viewer, text: str, wanted: CallFilter, *, limit: int, after: str
) -> Matching:
    terms = read_terms(text)
    before = number_of(after)
    conditions = conditions_of(connection, viewer, wanted)
    if not terms.runs or not may_look_for(viewer, text) or all(one.is_none for one in conditions):
        return Matching()
    return _as_matching(*_look(connection, terms, before, wanted, conditions=conditions, limit=limit))


def _as_matching(found: Sequence[tuple[UUID, int]], key: str | None) -> Matching:
    return Matching(tuple(pair[0] for pair in found), tuple(pair[1] for pair in found), key)


def _look(
    connection: sa.Connection,
    terms: Terms,
    before: int | None,
    wanted: CallFilter,
    *,
    conditions: Sequence[Conditions],
    limit: int,
) -> tuple[list[tuple[UUID, int]], str | None]:
    """At most `limit` ids and numbers, and the key of what lies behind them."""
    is_rare = _is_rare(connection, terms)
    # The period is in the numbers.
    is_filtered = any(one.leading is not None for one in conditions)
    is_postgresql = connection.dialect.name == "postgresql"
    looks = _looks(limit, is_rare=is_rare, is_filtered=is_filtered)
    if is_postgresql and is_filtered and not is_rare:
        of_filter = newest_of_filter(
            connection, conditions, _have_words(terms), before=before, limit=limit, looks=looks
        )
        if of_filter is not None:
            return of_filter[0], None if of_filter[1] is None else f"t{of_filter[1]}"
    found: list[tuple[UUID, int]] = []
    looked = 0
    for look in looks:
        having = _having(connection, terms, before, wanted, is_rare=is_rare)
        # It is read whole, or so few fitted until now that it will be; FTS5 says where it ends for nothing.
        with_end = is_postgresql and (is_rare or len(found) * look < limit * looked)
        fitting = _fitting(connection, having.limit(look), conditions, with_end).limit(limit + 1 - len(found))
        rows = connection.execute(fitting, execution_options=BY_VALUES).all()
        found += [(row.call_id, row.number) for row in rows]
        if len(found) > limit:
            found = found[:limit]
            before = found[-1][1]
            break
        # Where this look ended; the next goes on behind it.
        if rows and with_end:
            before = rows[0].look_end if rows[0].look_count == look else None
        else:
            last = having.offset(look - 1).limit(1)
            before = connection.execute(last, execution_options=BY_VALUES).scalars().first()
        if before is None:
            break
        looked += look
    return found, None if before is None else f"t{before}"


def _fitting(
    connection: sa.Connection, having: sa.Select[Any], conditions: Sequence[Conditions], with_end: bool = False
) -> sa.Select[Any]:
    """Number and id of those calls that fit any of the conditions, the newest first; `with_end`, for PostgreSQL alone,
    with where the words end and how many calls have them, since to ask for that later would read them all again.
    """
    fits = sa.or_(*(sa.and_(*one.all(connection)) for one in conditions))
    if connection.dialect.name == "postgresql":
        words = having.subquery("having_words")
        if with_end:
            end, count = sa.func.min(words.c.number).over(), sa.func.count().over()
            counted = sa.select(words, end.label("look_end"), count.label("look_count"))
            words = counted.order_by(words.c.place.desc()).subquery("counted")
        # In the order that they are in already, so that no more of them are looked at than are wanted.
        return sa.select(words).join(call, call.c.id == words.c.call_id).where(fits).order_by(words.c.place.desc())
    one = conditions[0]
    if len(conditions) == 1 and one.leading is not None and len(one.values) == 1 and not one.few_each:
        return _fitting_by_moment(having, one)
    words = having.subquery("having_words")
    found = sa.select(words.c.number, call_text.c.call_id).join(call_text, call_text.c.number == words.c.number)
    return found.join(call, call.c.id == call_text.c.call_id).where(fits).order_by(words.c.number.desc())


def _fitting_by_moment(having: sa.Select[Any], one: Conditions) -> sa.Select[Any]:
    """The same by the index of the filter, in which a call's number is found by its time: a call that does not fit
    costs one look into it, in place of three into larger ones.
    """
    words = having.subquery("having_words")
    moment = words.c.number.op(">>")(NUMBER_BITS).op("/")(1000)
    seconds = sa.func.strftime("%Y-%m-%d %H:%M:%S", moment, "unixepoch")
    second = sa.type_coerce(seconds, sa.Text)
    happened_at = sa.type_coerce(call.c.happened_at, sa.Text)
    # Of the calls of that second the one whose number it is.
    its_call = sa.select(call_text.c.call_id).where(call_text.c.number == words.c.number).scalar_subquery()
    return (
        sa.select(words.c.number, call.c.id.label("call_id"))
        .join(call, sa.and_(one.leading == one.values[0], happened_at >= second, happened_at < second.concat("~")))
        .where(*one.rest, unindexed(call.c.id == its_call))
        .order_by(words.c.number.desc())
    )


def newest_with_any(
    connection: sa.Connection,
    viewer: Viewer,
    terms: Terms,
    wanted: CallFilter,
    *,
    limit: int,
    shown: ShownCalls,
) -> tuple[int, ...]:
    """Numbers of the newest `limit` calls that have at least one of the runs, and fit the filter but for its text."""
    conditions = conditions_of(connection, viewer, wanted)
    known = [run for run in terms.runs if may_look_for(viewer, " ".join(run))]
    if not known or all(one.is_none for one in conditions):
        return ()
    asked = Terms(tuple(known))
    having = _having(
        connection, asked, None, wanted, joined=("OR", "|"), is_rare=_is_rare(connection, asked, of_any=True)
    )
    fitting = _fitting(connection, having.limit(LOOKED_AT), conditions).limit(limit)
    numbers = [row.number for row in connection.execute(fitting, execution_options=BY_VALUES)]
    visible = shown.that_show(asked, numbers, at_least=1)
    return tuple(number for number in numbers if number in visible)


def number_of(key: str) -> int | None:
    """The number in a key of this module; None for "". Raises WrongQuery."""
    if not key:
        return None
    if not key.startswith("t") or not key[1:].isdecimal() or len(key) > 20 or int(key[1:]) > _LARGEST:
        raise WrongQuery(f"{key!r} is no page key; take it from `next` of the page before")
    return int(key[1:])


def _looks(limit: int, *, is_rare: bool, is_filtered: bool) -> tuple[int, ...]:
    """Few at first, as most filters leave enough of them, where the others need not be read for that; no more than are
    wanted where nothing else is asked of a call.
    """
    few = [limit * _FIRST_LOOK] if is_filtered else [limit + 1, limit * _FIRST_LOOK]
    if is_rare or sum(few) >= LOOKED_AT:
        return (max(LOOKED_AT, limit + 1),)
    return (*few, LOOKED_AT - sum(few))


def _having(
    connection: sa.Connection,
    terms: Terms,
    before: int | None,
    wanted: CallFilter,
    *,
    joined: tuple[str, str] = ("AND", "&"),
    is_rare: bool,
) -> sa.Select[Any]:
    """Numbers of the calls that have the words, in the period that is wanted, the newest first."""
    if connection.dialect.name == "sqlite":
        words = f" {joined[0]} ".join('"' + " ".join(run) + '"' for run in terms.runs)
        number: sa.ColumnElement[int] = _FTS5.c.rowid
        place = number
        found = sa.select(number.label("number")).where(sa.text("call_words MATCH :words").bindparams(words=words))
    else:
        number = call_text.c.number
        # An order that no index has: all that have the words are read.
        place = number + sa.literal_column("0") if is_rare else number
        found = sa.select(number, call_text.c.call_id, place.label("place")).where(_have_words(terms, joined[1]))
    if before is not None:
        found = found.where(number < before)
    # The period is in the numbers, too.
    if wanted.since:
        found = found.where(number >= _number_at(int(wanted.since.timestamp() * 1000)))
    if wanted.until:
        found = found.where(number < _number_at(int(wanted.until.timestamp() * 1000) + 1))
    return found.order_by(place.desc())


def _have_words(terms: Terms, joined: str = "&") -> sa.ColumnElement[bool]:
    words = f" {joined} ".join("(" + " <-> ".join(f"'{word}'" for word in run) + ")" for run in terms.runs)
    asked = sa.func.to_tsquery(sa.literal_column("'simple'"), words)
    return sa.literal_column("call_text.words").bool_op("@@")(asked)


def _number_at(milliseconds: int) -> int:
    """The first number that a call of this time (since 1970) can have; 64 bits hold those of the years 1692 to 2248."""
    return max(-_LARGEST, min(milliseconds << NUMBER_BITS, _LARGEST))


def _is_rare(connection: sa.Connection, terms: Terms, *, of_any: bool = False) -> bool:
    """Whether so few calls have the words that PostgreSQL reads them all; FTS5 has its rows in order of time."""
    if connection.dialect.name != "postgresql":
        return False
    counts = _word_counts(connection)
    each = [counts.get(word, 0.0) for word in {word for run in terms.runs for word in run}]
    return (sum(each) if of_any else min(each)) < _FEW_CALLS


def _word_counts(connection: sa.Connection) -> Mapping[str, float]:
    """In how many calls the commonest words are, as PostgreSQL's statistics of the last minute had it."""
    kept: tuple[float, dict[str, float]] | None = connection.info.get("word_counts")
    if kept is None or monotonic() - kept[0] > _COUNTS_KEPT_S:
        kept = monotonic(), {row[0]: row[1] for row in connection.execute(_COUNTS)}
        connection.info["word_counts"] = kept
    return kept[1]
