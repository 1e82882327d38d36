"""Corrections by people: their word on a call's reason outranks every engine, also when the past is sorted anew."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa

from calls.analysis import Analysis
from calls.errors import CallwiseError
from calls.reasons import Taxonomy
from crm import jobs
from crm.reason_tables import review
from crm.results import Work
from crm.tables import call, call_analysis
from crm.taxonomies import current_taxonomy, known_successors

REASON = "reason"
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
    """What a person said of one field of a call's analysis: `revision` is the one that was looked at, `before` what it
    said (None: nothing), `after` what is right. Both the same: the person confirmed it.
    """

    call_id: UUID
    revision: int
    taxonomy_version: str
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
    taxonomy = current_taxonomy(connection)
    if taxonomy is None or code not in taxonomy.codes:
        known = ", ".join(taxonomy.codes) if taxonomy else "none"
        raise UnknownReason(f"the reasons have no code `{code}`; the codes are {known}")
    before = current_analysis(connection, call_id)
    if before is None:
        raise NotUnderstood("this call has no analysis yet: there is nothing to correct")
    last = last_review(connection, call_id)
    if last is not None and last.after == code and before["reason_code"] == code:
        return False
    connection.execute(
        sa.insert(review).values(
            id=uuid4(),
            call_id=call_id,
            revision=before["revision"],
            taxonomy_version=taxonomy.version,
            field=REASON,
            before=before["reason_code"],
            after=code,
            reviewed_by=by,
            reviewed_at=now,
        )
    )
    if before["reason_code"] != code:
        file_under(connection, before, code, taxonomy, now=now)
    else:
        # The agreement with reviewers is a measure, too.
        jobs.touch_call(connection, call_id)
    return True


def file_under(
    connection: sa.Connection, before: Mapping[str, Any], code: str, taxonomy: Taxonomy, *, now: datetime
) -> None:
    """A revision of the analysis `before` under this code of `taxonomy`, all the rest as it was; marks the call.

    What supported another reason, or was doubted of it, supports and doubts this one no more.
    """
    following = known_successors(connection)
    kept = [following.get(other, other) for other in before["secondary_reason_codes"]]
    is_another = following.get(before["reason_code"], before["reason_code"]) != code
    changes: dict[str, Any] = {
        "id": uuid4(),
        "revision": before["revision"] + 1,
        "created_at": now,
        "reason_code": code,
        "taxonomy_version": taxonomy.version,
        "secondary_reason_codes": list(dict.fromkeys(one for one in kept if one in taxonomy.codes and one != code)),
    }
    if is_another:
        changes |= {
            "reason_confidence": None,
            "evidence": [item for item in before["evidence"] if item["field"] != REASON],
            "skipped": [item for item in before["skipped"] if item["feature"] != REASON],
        }
    connection.execute(sa.update(call_analysis).where(call_analysis.c.id == before["id"]).values(is_current=False))
    connection.execute(sa.insert(call_analysis).values(**(dict(before) | changes)))
    connection.execute(sa.update(call).where(call.c.id == before["call_id"]).values(modified_at=now))
    jobs.touch_call(connection, before["call_id"])


def keep_peoples_word(
    connection: sa.Connection, work: Work, analysis: Analysis, taxonomy: Taxonomy
) -> tuple[Work, Analysis | None]:
    """What is to be written of an engine's analysis of a call that had one before: under the reason that a person gave.

    Locks the call, and gives the work the latest revision: somebody may have corrected it while the engine thought.
    No analysis where the person's reason has no counterpart in `taxonomy`, so that the word would be lost.
    """
    connection.execute(sa.select(call.c.id).where(call.c.id == work.call_id).with_for_update())
    latest = connection.execute(
        sa.select(sa.func.max(call_analysis.c.revision)).where(call_analysis.c.call_id == work.call_id)
    ).scalar_one()
    work = replace(work, analysis_revision=latest or 0)
    last = last_review(connection, work.call_id)
    if last is None:
        return work, analysis
    code = in_taxonomy(connection, last.after, taxonomy)
    if code is None:
        return work, None
    if code == analysis.reason_code:
        return work, analysis
    return work, replace(
        analysis,
        reason_code=code,
        reason_confidence=None,
        secondary_reason_codes=tuple(one for one in analysis.secondary_reason_codes if one != code),
        evidence=tuple(item for item in analysis.evidence if item.field != REASON),
        skipped=tuple(item for item in analysis.skipped if item.feature != REASON),
    )


def in_taxonomy(connection: sa.Connection, code: str, taxonomy: Taxonomy) -> str | None:
    """The code that goes on in the place of `code` under `taxonomy`: itself, its successor, or None."""
    found = code if code in taxonomy.codes else known_successors(connection).get(code)
    return found if found in taxonomy.codes else None


def last_review(connection: sa.Connection, call_id: UUID) -> Review | None:
    """The last word of a person on the call's reason."""
    found = reviews_of(connection, call_id)
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
    for row in connection.execute(sa.select(review).order_by(*_IN_ORDER)):
        code = following.get(row.after, row.after)
        # The last word on a call stands last, also among those on other calls.
        was_wrong = following.get(row.before, row.before) != code or (
            row.call_id in last and last[row.call_id].was_wrong
        )
        last.pop(row.call_id, None)
        if code in taxonomy.codes:
            last[row.call_id] = ReviewedReason(row.call_id, code, was_wrong, row.reviewed_by, row.reviewed_at)
    return list(last.values())


def current_analysis(connection: sa.Connection, call_id: UUID) -> dict[str, Any] | None:
    """The row of the call's current analysis."""
    found = connection.execute(
        sa.select(call_analysis).where(call_analysis.c.call_id == call_id, call_analysis.c.is_current)
    ).one_or_none()
    return None if found is None else dict(found._mapping)
