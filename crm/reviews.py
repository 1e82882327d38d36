"""What people said of calls: their word outranks every engine, also when a call is understood or sorted anew."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa

from calls.analysis import Analysis
from calls.corrections import OF_ANALYSIS, Field, under_reason, with_word
from calls.errors import CallwiseError
from calls.reasons import Taxonomy
from crm import jobs
from crm.analyses import analysis_columns, analysis_of, write_analysis
from crm.reason_tables import review
from crm.results import Work
from crm.tables import call, call_analysis
from crm.taxonomies import current_taxonomy, known_successors

# One of two reviews of the same moment has to be the later one, wherever they are read.
_IN_ORDER = (review.c.reviewed_at, review.c.revision, review.c.id)


class NotUnderstood(CallwiseError):
    """The call has no analysis that could be corrected."""

    code = "not_understood"


class UnknownReason(CallwiseError):
    """The current taxonomy has no reason of that code."""

    code = "unknown_reason"


@dataclass(frozen=True)
class Review:
    """What a person said of one field of a call: `revision` is the analysis that was looked at (0: none), `before` what
    it said (None: nothing), `after` what is right. Both the same: the person confirmed it.

    The texts are those of calls.corrections; of the speakers it is the agent's channel, of the customer the id of a
    contact, or "" for nobody.
    """

    call_id: UUID
    revision: int
    taxonomy_version: str | None
    field: str
    before: str | None
    after: str
    reviewed_by: str
    reviewed_at: datetime


@dataclass(frozen=True)
class ReviewedReason:
    """The last word of a person on a call's reason, as a code of the current taxonomy; `was_wrong` says that it differs
    from what the engine had said.
    """

    call_id: UUID
    reason_code: str
    was_wrong: bool
    reviewed_by: str
    reviewed_at: datetime


def correct_reason(connection: sa.Connection, call_id: UUID, code: str, *, by: str, now: datetime) -> bool:
    """Let `code` of the current taxonomy be the call's reason, on the word of `by`; returns whether that was news.

    The corrected analysis is a revision of its own, and the engine's stays as history; a confirmation is noted without
    one. The call is marked for the roll-ups. Saying it again changes nothing. Raises UnknownReason or
    NotUnderstood.
    """
    connection.execute(sa.select(call.c.id).where(call.c.id == call_id).with_for_update())
    taxonomy = known_reason(connection, code)
    before = current_analysis(connection, call_id)
    if before is None:
        raise NotUnderstood("this call has no analysis yet: there is nothing to correct")
    last = last_review(connection, call_id)
    if last is not None and last.after == code and before["reason_code"] == code:
        return False
    said = Review(call_id, before["revision"], taxonomy.version, Field.REASON, before["reason_code"], code, by, now)
    note_review(connection, said)
    if before["reason_code"] != code:
        file_under(connection, before, code, taxonomy, now=now)
    else:
        # The agreement with reviewers is a measure, too.
        jobs.touch_call(connection, call_id)
    return True


def known_reason(connection: sa.Connection, code: str) -> Taxonomy:
    """The current taxonomy, which has this code. Raises UnknownReason."""
    taxonomy = current_taxonomy(connection)
    if taxonomy is None or code not in taxonomy.codes:
        known = ", ".join(taxonomy.codes) if taxonomy else "none"
        raise UnknownReason(f"the reasons have no code `{code}`; the codes are {known}")
    return taxonomy


def note_review(connection: sa.Connection, said: Review) -> None:
    """Write down what a person said of a locked call: it is the last word on that field, whatever clocks say."""
    asked = sa.select(sa.func.max(review.c.reviewed_at)).where(
        review.c.call_id == said.call_id, review.c.field == said.field
    )
    last: datetime | None = connection.execute(asked).scalar_one()
    at = said.reviewed_at if last is None else max(said.reviewed_at, last + timedelta(microseconds=1))
    columns = {name: getattr(said, name) for name in Review.__dataclass_fields__} | {"reviewed_at": at}
    connection.execute(sa.insert(review).values(id=uuid4(), **columns))


def file_under(
    connection: sa.Connection, before: Mapping[str, Any], code: str, taxonomy: Taxonomy, *, now: datetime
) -> None:
    """A revision of the analysis `before` under this code of `taxonomy`, all the rest as it was; marks the call.

    What supported another reason, or was doubted of it, supports and doubts this one no more.
    """
    analysis = under_reason(analysis_of(before), code, taxonomy, known_successors(connection))
    write_corrected(connection, before, analysis, taxonomy.version, now=now)


def write_corrected(
    connection: sa.Connection, before: Mapping[str, Any], analysis: Analysis, taxonomy_version: str, *, now: datetime
) -> None:
    """A revision behind `before` that says this, of the same engine; marks the call for the roll-ups."""
    made = {
        "id": uuid4(),
        "revision": before["revision"] + 1,
        "created_at": now,
        "taxonomy_version": taxonomy_version,
        **analysis_columns(analysis),
    }
    write_analysis(connection, dict(before) | made)
    connection.execute(sa.update(call).where(call.c.id == before["call_id"]).values(modified_at=now))
    jobs.touch_call(connection, before["call_id"])


@dataclass(frozen=True)
class Kept:
    """What is to be written of an engine's analysis of a call that people may have spoken of; `has_lost_reason`: the
    reason that a person gave has no counterpart among those of now, so that here the engine's stands in its place.
    """

    work: Work
    analysis: Analysis
    has_lost_reason: bool = False


def keep_peoples_word(connection: sa.Connection, work: Work, analysis: Analysis, taxonomy: Taxonomy) -> Kept:
    """An engine's analysis of a call that had one before, with the last word of people in every field.

    Locks the call, and gives the work the latest revision: somebody may have corrected it while the engine thought.
    """
    connection.execute(sa.select(call.c.id).where(call.c.id == work.call_id).with_for_update())
    latest = connection.execute(
        sa.select(sa.func.max(call_analysis.c.revision)).where(call_analysis.c.call_id == work.call_id)
    ).scalar_one()
    work = replace(work, analysis_revision=latest or 0)
    words = {said.field: said.after for said in reviews_of(connection, work.call_id)}
    for field in OF_ANALYSIS:
        if field is not Field.REASON and field in words:
            analysis = with_word(analysis, field, words[field])
    if Field.REASON not in words:
        return Kept(work, analysis)
    code = in_taxonomy(connection, words[Field.REASON], taxonomy)
    if code is None:
        return Kept(work, analysis, has_lost_reason=True)
    return Kept(work, analysis if code == analysis.reason_code else under_reason(analysis, code, taxonomy))


def in_taxonomy(connection: sa.Connection, code: str, taxonomy: Taxonomy) -> str | None:
    """The code that goes on in the place of `code` under `taxonomy`: itself, its successor, or None."""
    found = code if code in taxonomy.codes else known_successors(connection).get(code)
    return found if found in taxonomy.codes else None


def last_review(connection: sa.Connection, call_id: UUID) -> Review | None:
    """The last word of a person on the call's reason."""
    found = [said for said in reviews_of(connection, call_id) if said.field == Field.REASON]
    return found[-1] if found else None


def reviews_of(connection: sa.Connection, call_id: UUID) -> list[Review]:
    """What people said of the call, in order."""
    columns = (review.c[name] for name in Review.__dataclass_fields__)
    rows = connection.execute(sa.select(*columns).where(review.c.call_id == call_id).order_by(*_IN_ORDER))
    return [Review(**row._mapping) for row in rows]


def reviewed_reasons(connection: sa.Connection) -> list[ReviewedReason]:
    """The last word of people on every call that they have reviewed, in the order of their saying it.

    Codes are of the current taxonomy; a call whose reason has no counterpart there is left out.
    """
    taxonomy = current_taxonomy(connection)
    if taxonomy is None:
        return []
    following = known_successors(connection)
    last: dict[UUID, ReviewedReason] = {}
    for row in connection.execute(sa.select(review).where(review.c.field == Field.REASON).order_by(*_IN_ORDER)):
        code = following.get(row.after, row.after)
        # The last word on a call stands last, also among those on other calls.
        was_wrong = following.get(row.before, row.before) != code or (
            row.call_id in last and last[row.call_id].was_wrong
        )
        last.pop(row.call_id, None)
        if code in taxonomy.codes:
            last[row.call_id] = ReviewedReason(row.call_id, code, was_wrong, row.reviewed_by, row.reviewed_at)
    return list(last.values())


def corrected_calls(connection: sa.Connection) -> list[tuple[UUID, str]]:
    """Every call of whose analysis a person said anything, in the order of the last words, with its reason as a code of
    the current taxonomy: by a person's word, else as it was let stand by whoever corrected the rest.
    """
    taxonomy = current_taxonomy(connection)
    if taxonomy is None:
        return []
    by_people = {one.call_id: one.reason_code for one in reviewed_reasons(connection)}
    following = known_successors(connection)
    spoken_of = (
        sa.select(
            review.c.call_id,
            sa.func.max(review.c.reviewed_at).label("last_at"),
            sa.func.max(sa.case((review.c.field == Field.REASON, 1), else_=0)).label("has_reason"),
        )
        .where(review.c.field.in_(OF_ANALYSIS))
        .group_by(review.c.call_id)
        .subquery()
    )
    rows = connection.execute(
        sa.select(spoken_of.c.call_id, spoken_of.c.has_reason, call_analysis.c.reason_code)
        .join(call_analysis, sa.and_(call_analysis.c.call_id == spoken_of.c.call_id, call_analysis.c.is_current))
        .order_by(spoken_of.c.last_at, spoken_of.c.call_id)
    )
    found: list[tuple[UUID, str]] = []
    for row in rows:
        stands = following.get(row.reason_code, row.reason_code)
        # A person's reason that has no counterpart now leaves nothing to teach.
        code = by_people.get(row.call_id) if row.has_reason else stands
        if code is not None and code in taxonomy.codes:
            found.append((row.call_id, code))
    return found


def current_analysis(connection: sa.Connection, call_id: UUID) -> dict[str, Any] | None:
    """The row of the call's current analysis."""
    found = connection.execute(
        sa.select(call_analysis).where(call_analysis.c.call_id == call_id, call_analysis.c.is_current)
    ).one_or_none()
    return None if found is None else dict(found._mapping)
