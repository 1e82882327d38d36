"""Which calls there are: lists by key, newest first, with filters.

Lists are paged by the key (happened_at, id) of the last row shown, never by OFFSET: the deepest page costs what the
first costs.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from calls.errors import CallwiseError
from calls.recording import Direction
from crm.access import Viewer, visible_agents, visible_calls
from crm.call_lines import CallLine, label_of, line_of, select_lines
from crm.reason_tables import reason_successor
from crm.redacted import SHOWN_DIGITS, is_redacted, may_look_for, sees_names, shown_line
from crm.tables import agent, call, call_analysis, contact, queue, reason, recording, taxonomy, transcript, utterance
from crm.taxonomies import known_successors

MAX_PAGE = 500


class WrongQuery(CallwiseError):
    """A filter or a page key that cannot be read; the text names it."""

    code = "wrong_query"


class NoSuchCall(CallwiseError):
    """No call has that id, external id or recording address."""

    code = "no_such_call"


@dataclass(frozen=True)
class CallFilter:
    """Which calls are wanted; None and "" do not restrict. `since` <= happened_at < `until`.

    `reason` is a code, and calls with one that it replaces have it, too; `agent` and `queue` are whole names;
    `customer` is part of a name, or at least three digits of a number; `text` is part of a headline, a summary or
    something that was said. Upper and lower case are the same.
    """

    since: datetime | None = None
    until: datetime | None = None
    reason: str = ""
    agent: str = ""
    queue: str = ""
    customer: str = ""
    stage: str = ""
    text: str = ""
    with_samples: bool = False


@dataclass(frozen=True)
class CallPage:
    """One page of calls, newest first; `next_key` is the key of the page behind it, None on the last one."""

    calls: tuple[CallLine, ...]
    next_key: str | None


@dataclass(frozen=True)
class FilterChoices:
    """What a filter can be set to: (code, label) of the reasons, names of agents and queues, in order."""

    reasons: tuple[tuple[str, str], ...]
    agents: tuple[str, ...]
    queues: tuple[str, ...]


def list_calls(
    connection: sa.Connection, viewer: Viewer, wanted: CallFilter, *, limit: int = 50, after: str = ""
) -> CallPage:
    """The page of at most `limit` calls (1 to MAX_PAGE) that `viewer` may see behind the key `after`, as they may be
    read by that viewer. Raises WrongQuery.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise WrongQuery(f"limit is {limit}; it must be 1 to {MAX_PAGE}")
    found = select_lines().where(visible_calls(viewer), *_conditions(viewer, wanted))
    found = found.order_by(call.c.happened_at.desc(), call.c.id.desc())
    if after:
        found = found.where(sa.tuple_(call.c.happened_at, call.c.id) < position_of(after))
    rows = connection.execute(found.limit(limit + 1)).all()
    lines = tuple(shown_line(viewer, line_of(row)) for row in rows[:limit])
    return CallPage(lines, key_of(lines[-1]) if len(rows) > limit else None)


def see_call(connection: sa.Connection, viewer: Viewer, call_id: UUID) -> None:
    """Raises NoSuchCall unless there is a call of that id and `viewer` may see it: nobody can tell the two apart."""
    seen = sa.select(sa.exists().where(call.c.id == call_id, visible_calls(viewer)))
    if not connection.execute(seen).scalar_one():
        raise NoSuchCall(f"no call has the id {call_id}")


def filter_choices(connection: sa.Connection, viewer: Viewer) -> FilterChoices:
    """What the calls in the database can be filtered by; at most 500 queues, and agents of calls that `viewer` may see."""
    codes: Iterable[str] = connection.execute(
        sa.select(call_analysis.c.reason_code)
        .where(call_analysis.c.is_current, call_analysis.c.reason_code.is_not(None))
        .distinct()
    ).scalars()
    following = known_successors(connection)
    # What a code is called now, where the current version has it.
    named = (
        sa.select(reason.c.code, reason.c.label)
        .join(taxonomy, taxonomy.c.version == reason.c.taxonomy_version)
        .order_by(taxonomy.c.is_current, taxonomy.c.loaded_at)
    )
    labels = {row.code: row.label for row in connection.execute(named)}
    codes = {following.get(code, code) for code in codes}
    reasons = sorted(((code, label_of(code, labels.get(code)) or code) for code in codes), key=lambda pair: pair[1])
    agents = _names(connection, agent.c.display_name, visible_agents(viewer))
    return FilterChoices(tuple(reasons), agents, _names(connection, queue.c.name))


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


def earlier_calls(connection: sa.Connection, viewer: Viewer, call_id: UUID, *, limit: int = 10) -> tuple[CallLine, ...]:
    """The same customer's calls before this one that `viewer` may see, newest first; none for a call that is not filed
    with a customer.
    """
    this = sa.select(call.c.contact_id, call.c.happened_at).where(call.c.id == call_id).subquery()
    rows = connection.execute(
        select_lines()
        .join(this, call.c.contact_id == this.c.contact_id)
        .where(visible_calls(viewer), call.c.happened_at <= this.c.happened_at, call.c.id != call_id)
        .order_by(call.c.happened_at.desc(), call.c.id.desc())
        .limit(limit)
    )
    return tuple(shown_line(viewer, line_of(row)) for row in rows)


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
    except (ValueError, OverflowError):
        raise WrongQuery(f"{text!r} is no date; write 2026-03-14 or 2026-03-14T09:30") from None


def _conditions(viewer: Viewer, wanted: CallFilter) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if not wanted.with_samples:
        found.append(call.c.is_sample.is_(False))
    if wanted.since:
        found.append(call.c.happened_at >= wanted.since)
    if wanted.until:
        found.append(call.c.happened_at < wanted.until)
    if wanted.stage:
        found.append(call.c.stage == wanted.stage)
    if wanted.reason:
        earlier = sa.select(reason_successor.c.code).where(reason_successor.c.successor_code == wanted.reason)
        code = call_analysis.c.reason_code
        found.append(sa.or_(code == wanted.reason, code.in_(earlier)))
    if wanted.agent:
        found.append(sa.func.lower(agent.c.display_name) == wanted.agent.lower())
    if wanted.queue:
        found.append(sa.func.lower(queue.c.name) == wanted.queue.lower())
    if wanted.customer:
        found.append(is_customer(viewer, wanted.customer))
    if wanted.text:
        found.append(_says(viewer, wanted.text))
    return found


def is_customer(viewer: Viewer, words: str) -> sa.ColumnElement[bool]:
    """Whether the customer of the call of the row has these words in their name, or these digits in their number.

    Nobody finds out by looking what they are not shown.
    """
    digits = "".join(letter for letter in words if letter.isdigit())
    if len(digits) >= 3 and not any(letter.isalpha() for letter in words):
        outbound = call.c.direction == Direction.OUTBOUND
        number = sa.case((outbound, call.c.to_number_e164), else_=call.c.from_number_e164)
        return has_digits(viewer, number, digits)
    if not sees_names(viewer):
        return sa.false()
    full_name = sa.func.coalesce(contact.c.first_name, "") + " " + sa.func.coalesce(contact.c.last_name, "")
    return sa.or_(
        call.c.customer_name.icontains(words, autoescape=True), full_name.icontains(words.strip(), autoescape=True)
    )


def has_digits(viewer: Viewer, number: sa.ColumnElement[Any], digits: str) -> sa.ColumnElement[bool]:
    """Whether a number (E.164) has these digits in it; where its end alone is shown, whether it ends so."""
    if not is_redacted(viewer):
        return number.contains(digits, autoescape=True)
    if len(digits) <= SHOWN_DIGITS:
        return number.endswith(digits, autoescape=True)
    return number == f"+{digits}"


def _says(viewer: Viewer, words: str) -> sa.ColumnElement[bool]:
    if not may_look_for(viewer, words):
        return sa.false()
    said = sa.select(utterance.c.seq).where(
        utterance.c.transcript_id == transcript.c.id, utterance.c.text.icontains(words, autoescape=True)
    )
    return sa.or_(
        call_analysis.c.headline.icontains(words, autoescape=True),
        call_analysis.c.summary.icontains(words, autoescape=True),
        said.correlate(transcript).exists(),
    )


def _names(connection: sa.Connection, column: sa.Column[Any], *conditions: sa.ColumnElement[bool]) -> tuple[str, ...]:
    return tuple(connection.execute(sa.select(column).where(*conditions).order_by(column).limit(500)).scalars())


def key_of(line: CallLine) -> str:
    """The key of the page behind this call."""
    return f"{line.happened_at.astimezone(UTC).strftime('%Y%m%dT%H%M%S.%f')}-{line.id.hex}"


def position_of(key: str) -> sa.Tuple:
    """The place in a list by (happened_at, id) that a page's key names. Raises WrongQuery."""
    moment, _, hexed = key.partition("-")
    try:
        happened_at = datetime.strptime(moment, "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC)
        call_id = UUID(hex=hexed)
    except ValueError:
        raise WrongQuery(f"{key!r} is no page key; take it from `next` of the page before") from None
    return sa.tuple_(sa.literal(happened_at, call.c.happened_at.type), sa.literal(call_id, call.c.id.type))
