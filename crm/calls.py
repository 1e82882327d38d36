"""Which calls there are: lists by key, newest first, with filters.

Lists are paged by the key (happened_at, id) of the last row shown, never by OFFSET: the deepest page costs what the
first costs.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from calls.errors import CallwiseError
from calls.redaction import SensitiveFinder, find_sensitive
from crm.access import Viewer, visible_agents, visible_calls
from crm.call_filters import CallFilter, WrongQuery, conditions_of, newest, newest_keys
from crm.call_lines import CallLine, label_of, line_of, read_lines, select_lines
from crm.database import BY_VALUES
from crm.redacted import is_redacted, shown_line
from crm.search_shown import ShownCalls
from crm.search_words import matching
from crm.tables import agent, call, queue, reason, recording, taxonomy, team
from crm.taxonomies import known_successors

MAX_PAGE = 500
# Of calls that have to be read for it (crm.search_words), no more are counted.
_READ_COUNT = 200
__all__ = [
    "MAX_PAGE",
    "CallFilter",
    "CallPage",
    "FilterChoices",
    "NoSuchCall",
    "WrongQuery",
    "count_calls",
    "countable",
    "earlier_calls",
    "filter_choices",
    "find_call",
    "has_samples",
    "key_of",
    "lines_of",
    "list_calls",
    "parse_moment",
    "position_of",
    "see_call",
]


class NoSuchCall(CallwiseError):
    """No call has that id, external id or recording address."""

    code = "no_such_call"


@dataclass(frozen=True)
class CallPage:
    """One page of calls, newest first; `next_key` is the key of the page behind it, None on the last one."""

    calls: tuple[CallLine, ...]
    next_key: str | None


@dataclass(frozen=True)
class FilterChoices:
    """What a filter can be set to: (code, label) of the reasons, names of agents, teams and queues, in order."""

    reasons: tuple[tuple[str, str], ...]
    agents: tuple[str, ...]
    queues: tuple[str, ...]
    teams: tuple[str, ...] = ()


def list_calls(
    connection: sa.Connection,
    viewer: Viewer,
    wanted: CallFilter,
    *,
    limit: int = 50,
    after: str = "",
    find: SensitiveFinder = find_sensitive,
) -> CallPage:
    """The page of at most `limit` calls (1 to MAX_PAGE) that `viewer` may see behind the key `after`, as they may be
    read by that viewer: with marks for what `find` finds. Raises WrongQuery.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise WrongQuery(f"limit is {limit}; it must be 1 to {MAX_PAGE}")
    if wanted.text:
        shown = ShownCalls(connection, viewer, find)
        found = matching(connection, viewer, wanted.text, wanted, limit=limit, after=after, shown=shown)
        return CallPage(lines_of(connection, viewer, found.call_ids, find), found.next_key)
    conditions = conditions_of(connection, viewer, wanted)
    rows = newest_keys(connection, conditions, count=limit + 1, before=position_of(after) if after else None)
    lines = lines_of(connection, viewer, [row.id for row in rows[:limit]], find)
    return CallPage(lines, key_of(rows[limit - 1]) if len(rows) > limit else None)


def seen_among(connection: sa.Connection, viewer: Viewer, ids: Collection[UUID]) -> set[UUID]:
    """Those of these calls that the viewer may see."""
    return set(connection.execute(sa.select(call.c.id).where(call.c.id.in_(ids), visible_calls(viewer))).scalars())


def lines_of(
    connection: sa.Connection, viewer: Viewer, ids: Sequence[UUID], find: SensitiveFinder = find_sensitive
) -> tuple[CallLine, ...]:
    """These calls, of which the viewer is known to see each, in this order, with marks for what `find` finds."""
    return tuple(shown_line(viewer, line, find) for line in read_lines(connection, ids))


def count_calls(
    connection: sa.Connection,
    viewer: Viewer,
    wanted: CallFilter,
    *,
    at_most: int = 1000,
    find: SensitiveFinder = find_sensitive,
) -> int:
    """How many calls the filter leaves; `at_most` where there are as many or more, so that counting has an end."""
    if wanted.text:
        shown = ShownCalls(connection, viewer, find)
        return len(matching(connection, viewer, wanted.text, wanted, limit=at_most, shown=shown).call_ids)
    keys = newest(connection, conditions_of(connection, viewer, wanted), count=at_most)
    counting = sa.select(sa.func.count()).select_from(keys)
    counted: int = connection.execute(counting, execution_options=BY_VALUES).scalar_one()
    return counted


def countable(viewer: Viewer, wanted: CallFilter, at_most: int) -> int:
    """Up to how many calls a page should count: fewer where each has to be read, to count what is shown of it."""
    return min(at_most, _READ_COUNT) if wanted.text and is_redacted(viewer) else at_most


def see_call(connection: sa.Connection, viewer: Viewer, call_id: UUID) -> None:
    """Raises NoSuchCall unless there is a call of that id and `viewer` may see it: nobody can tell the two apart."""
    seen = sa.select(sa.exists().where(call.c.id == call_id, visible_calls(viewer)))
    if not connection.execute(seen).scalar_one():
        raise NoSuchCall(f"no call has the id {call_id}")


def filter_choices(connection: sa.Connection, viewer: Viewer) -> FilterChoices:
    """What the calls in the database can be filtered by; at most 500 queues, and agents whose calls `viewer` may
    see.
    """
    codes = _codes_in_use(connection)
    following = known_successors(connection)
    # What a code is called now, where the current version has it.
    named = (
        sa.select(reason.c.code, reason.c.label)
        .join(taxonomy, taxonomy.c.version == reason.c.taxonomy_version)
        .order_by(taxonomy.c.is_current, taxonomy.c.loaded_at)
    )
    labels = {row.code: row.label for row in connection.execute(named)}
    now = {following.get(code, code) for code in codes}
    reasons = sorted(((code, label_of(code, labels.get(code)) or code) for code in now), key=lambda pair: pair[1])
    agents = _names(connection, agent.c.display_name, visible_agents(viewer))
    with_agents = team.c.id.in_(sa.select(agent.c.team_id).where(visible_agents(viewer)))
    teams = _names(connection, team.c.name, with_agents)
    return FilterChoices(tuple(reasons), agents, _names(connection, queue.c.name), teams)


def has_samples(connection: sa.Connection) -> bool:
    """True when generated sample history is in the database."""
    return connection.execute(sa.select(sa.exists().where(call.c.is_sample))).scalar_one()


def find_call(connection: sa.Connection, reference: str) -> UUID:
    """The id of the call that `reference` names; the newest one where several have it. Raises NoSuchCall.

    A reference is telephony's id, our id or its first 8 digits, or a recording's `bucket/key`.
    """
    newest = sa.select(call.c.id).order_by(call.c.happened_at.desc(), call.c.id.desc()).limit(1)
    ways = [newest.where(call.c.external_call_id == reference)]
    bucket, slash, key = reference.partition("/")
    if slash:
        of_object = sa.select(recording.c.call_id).where(recording.c.bucket == bucket, recording.c.object_key == key)
        ways.append(newest.where(call.c.id.in_(of_object)))
    digits = reference.replace("-", "").lower()
    with suppress(ValueError):
        if 8 <= len(digits) <= 32:
            first, last = UUID(hex=digits.ljust(32, "0")), UUID(hex=digits.ljust(32, "f"))
            ways.append(newest.where(call.c.id.between(first, last)))
    for way in ways:
        found: UUID | None = connection.execute(way).scalar_one_or_none()
        if found is not None:
            return found
    raise NoSuchCall(f"no call has the id, external id or recording {reference!r}")


def namesakes(connection: sa.Connection, call_id: UUID) -> list[tuple[UUID, str]]:
    """Other calls with telephony's id of this one, newest first, each with its source system: two systems may use the
    same ids.
    """
    same = call.alias()
    rows = connection.execute(
        sa.select(call.c.id, call.c.source_system)
        .join(same, same.c.external_call_id == call.c.external_call_id)
        .where(same.c.id == call_id, call.c.id != call_id)
        .order_by(call.c.happened_at.desc())
    )
    return [(row.id, row.source_system) for row in rows]


def earlier_calls(
    connection: sa.Connection,
    viewer: Viewer,
    call_id: UUID,
    *,
    limit: int = 10,
    find: SensitiveFinder = find_sensitive,
) -> tuple[CallLine, ...]:
    """The same customer's calls before this one that `viewer` may see, newest first; none for a call that is not filed
    with a customer.
    """
    rows = connection.execute(_earlier(viewer), {"of_call": call_id, "at_most": limit})
    return tuple(shown_line(viewer, line_of(row), find) for row in rows)


# A part of every call's page: put together once for each viewer, whose rights are part of it.
@lru_cache(maxsize=256)
def _earlier(viewer: Viewer) -> sa.Select[Any]:
    of_call: sa.BindParameter[UUID] = sa.bindparam("of_call", type_=sa.Uuid())
    this = call.alias("this_call")
    return (
        select_lines(this.join(call, call.c.contact_id == this.c.contact_id))
        .where(this.c.id == of_call, visible_calls(viewer), call.c.happened_at <= this.c.happened_at)
        .where(call.c.id != of_call)
        .order_by(call.c.happened_at.desc(), call.c.id.desc())
        .limit(sa.bindparam("at_most", type_=sa.Integer()))
    )


def parse_moment(text: str, zone: ZoneInfo, *, is_until: bool = False) -> datetime | None:
    """A bound of a period: a date stands for the whole day in `zone`, a time without an offset is local. None for "".

    Raises WrongQuery.
    """
    if not text:
        return None
    try:
        if len(text) == len("2026-03-14"):
            day = date.fromisoformat(text) + timedelta(days=1 if is_until else 0)
            return datetime.combine(day, time(), zone).astimezone(UTC)
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError:
        raise WrongQuery(f"{text!r} is at the calendar's end, where no call is; leave it out") from None
    except ValueError:
        raise WrongQuery(f"{text!r} is no date; write 2026-03-14 or 2026-03-14T09:30") from None


def _codes_in_use(connection: sa.Connection) -> list[str]:
    """The reasons that calls have: from one to the next by the index, not call by call."""
    first = sa.select(sa.func.min(call.c.reason_code).label("code")).where(call.c.reason_code.is_not(None))
    found = first.cte("found", recursive=True)
    following = (
        sa.select(sa.func.min(call.c.reason_code)).where(call.c.reason_code > found.c.code).correlate(found)
    ).scalar_subquery()
    found = found.union_all(sa.select(following).where(found.c.code.is_not(None)))
    return list(connection.execute(sa.select(found.c.code).where(found.c.code.is_not(None))).scalars())


def _names(connection: sa.Connection, column: sa.Column[Any], *conditions: sa.ColumnElement[bool]) -> tuple[str, ...]:
    return tuple(connection.execute(sa.select(column).where(*conditions).order_by(column).limit(500)).scalars())


def key_of(line: CallLine | sa.Row[Any]) -> str:
    """The key of the page behind this call: of a line, or of whatever else has its `happened_at` and `id`."""
    return key_at(line.happened_at, line.id)


def key_at(moment: datetime, identity: UUID) -> str:
    """The key of the page behind whatever stands at this place in a list by time and id."""
    return f"{moment.astimezone(UTC).strftime('%Y%m%dT%H%M%S.%f')}-{identity.hex}"


def position_of(key: str) -> sa.Tuple:
    """The place in a list by time and id that a page's key names. Raises WrongQuery."""
    moment, _, hexed = key.partition("-")
    try:
        happened_at = datetime.strptime(moment, "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC)
        call_id = UUID(hex=hexed)
    except ValueError:
        raise WrongQuery(f"{key!r} is no page key; take it from `next` of the page before") from None
    return sa.tuple_(sa.literal(happened_at, call.c.happened_at.type), sa.literal(call_id, call.c.id.type))
