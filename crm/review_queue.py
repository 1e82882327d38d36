"""Calls that a person should look at, and why: what an engine was unsure of, and names that nobody could read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from heapq import merge
from itertools import islice
from typing import Any

import sqlalchemy as sa

from calls.reasons import OTHER
from calls.redaction import SensitiveFinder, find_sensitive
from crm.access import Viewer, visible_calls
from crm.call_lines import CallLine, line_of, select_lines
from crm.calls import MAX_PAGE, WrongQuery, key_of, position_of
from crm.corrections import revision_column
from crm.erased import is_erased, words_are_gone
from crm.reason_tables import review
from crm.redacted import shown_line
from crm.search_tables import UNSURE_BELOW
from crm.tables import call, call_analysis

# More than these are told as "more".
MAX_COUNT = 1000


class Cause(StrEnum):
    """Why a call is to be looked at."""

    LOW_CONFIDENCE = "low_confidence"
    OTHER = "other"
    NO_REASON = "no_reason"
    UNSUPPORTED = "unsupported"
    SUSPICIOUS = "suspicious"
    UNREAD_NAME = "unread_name"


_DOUBTS = {"unsupported": Cause.UNSUPPORTED, "suspicious_instruction": Cause.SUSPICIOUS}


@dataclass(frozen=True)
class ReviewItem:
    """One call; `revision` is what a correction or confirmation of it has to name."""

    line: CallLine
    causes: tuple[Cause, ...]
    revision: int


@dataclass(frozen=True)
class ReviewPage:
    """One page of the queue, newest first; `next_key` is the key of the page behind it, None on the last one."""

    items: tuple[ReviewItem, ...]
    next_key: str | None


def review_page(
    connection: sa.Connection,
    viewer: Viewer,
    *,
    cause: Cause | None = None,
    limit: int = 50,
    after: str = "",
    find: SensitiveFinder = find_sensitive,
) -> ReviewPage:
    """Calls of which no person has said anything yet, behind the key `after`. Raises WrongQuery.

    With a `cause`, those that wait for it, whatever else they wait for. Marks stand for what `find` finds.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise WrongQuery(f"limit is {limit}; it must be 1 to {MAX_PAGE}")
    behind = sa.tuple_(call.c.happened_at, call.c.id) < position_of(after) if after else sa.true()
    kinds = [_doubted(cause)] if cause is not Cause.UNREAD_NAME else []
    if cause in {None, Cause.UNREAD_NAME}:
        kinds.append(_unread())
    # Each kind has an index of its own in the order of the list; one condition over both would read all calls.
    found = [
        connection.execute(
            _lines()
            .where(visible_calls(viewer), behind, *kind)
            .order_by(call.c.happened_at.desc(), call.c.id.desc())
            .limit(limit + 1)
        ).all()
        for kind in kinds
    ]
    rows = list(islice(_each_once(found), limit + 1))
    items = tuple(
        ReviewItem(shown_line(viewer, line_of(row), find), _causes(row), row.call_revision) for row in rows[:limit]
    )
    return ReviewPage(items, key_of(items[-1].line) if len(rows) > limit else None)


def review_count(connection: sa.Connection, viewer: Viewer) -> int:
    """How many calls wait to be looked at; MAX_COUNT where it is more than that."""
    ids = [
        sa.select(call.c.id).where(visible_calls(viewer), *kind).limit(MAX_COUNT).subquery()
        for kind in (_unread(), _doubted(None))
    ]
    both = sa.union(*(sa.select(one.c.id) for one in ids)).subquery()
    return min(MAX_COUNT, connection.execute(sa.select(sa.func.count()).select_from(both)).scalar_one())


def _lines() -> sa.Select[Any]:
    return select_lines().add_columns(
        call_analysis.c.skipped.label("analysis_skipped"), revision_column().label("call_revision")
    )


def _doubted(cause: Cause | None) -> list[sa.ColumnElement[bool]]:
    found = [call.c.needs_review, call.c.is_sample.is_(False), ~is_erased()]
    if cause is Cause.OTHER:
        found.append(call.c.reason_code == OTHER)
    elif cause is Cause.NO_REASON:
        found.append(call.c.reason_code.is_(None))
    elif cause is Cause.LOW_CONFIDENCE:
        found.append(_analysis(call_analysis.c.reason_confidence < UNSURE_BELOW))
    elif cause is not None:
        [code] = [code for code, said in _DOUBTS.items() if said is cause]
        found.append(_analysis(sa.cast(call_analysis.c.skipped, sa.Text).contains(f'"{code}"', autoescape=True)))
    return found


def _analysis(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    of_call = (call_analysis.c.call_id == call.c.id, call_analysis.c.is_current)
    return sa.exists().where(*of_call, condition).correlate(call)


def _unread() -> list[sa.ColumnElement[bool]]:
    nobody_spoke = ~sa.exists().where(review.c.call_id == call.c.id).correlate(call)
    return [call.c.profile.is_(None), call.c.is_sample.is_(False), nobody_spoke, ~is_erased(), ~words_are_gone()]


def _each_once(found: Sequence[Sequence[sa.Row[Any]]]) -> Iterator[sa.Row[Any]]:
    last = None
    for row in merge(*found, key=lambda row: (row.happened_at, row.id), reverse=True):
        if row.id != last:
            yield row
        last = row.id


def _causes(row: sa.Row[Any]) -> tuple[Cause, ...]:
    found = []
    if row.headline is not None:
        if row.reason_code == OTHER:
            found.append(Cause.OTHER)
        elif row.reason_code is None:
            found.append(Cause.NO_REASON)
        if row.reason_confidence is not None and row.reason_confidence < UNSURE_BELOW:
            found.append(Cause.LOW_CONFIDENCE)
    doubts = {item["code"] for item in row.analysis_skipped or ()}
    found += [cause for code, cause in _DOUBTS.items() if code in doubts]
    if row.profile is None:
        found.append(Cause.UNREAD_NAME)
    return tuple(found)
