"""Corrections of a call by those who may see it: what it was about, who is who in it, whose call it is.

Each is a row of who, when, before and after; the engine's own analysis stays as a revision. Two people who correct one
call at once do not overwrite each other: the second is told.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from calls.corrections import (
    Changes,
    Field,
    WrongCorrection,
    checked,
    is_number,
    under_reason,
    with_word,
    word_of,
    words_of,
)
from calls.errors import CallwiseError
from crm import jobs
from crm.access import Permission, Viewer, visible_calls
from crm.analyses import analysis_of
from crm.audit import Action, note
from crm.calls import NoSuchCall
from crm.erased import is_erased
from crm.people import file_under_contact, leave_chain, match_contact
from crm.reason_tables import review
from crm.reviews import (
    NotUnderstood,
    Review,
    current_analysis,
    known_reason,
    last_review,
    note_review,
    write_corrected,
)
from crm.swaps import correct_agent_channel, stated_agent_channel
from crm.tables import call, call_analysis, contact, transcript
from crm.taxonomies import current_taxonomy, known_successors


class Conflict(CallwiseError):
    """The call has changed since it was looked at: `revision` is that of now, `by` who changed it last, where it was a
    person.
    """

    code = "changed_meanwhile"

    def __init__(self, revision: int, by: str | None) -> None:
        what = f"{by} has changed this call meanwhile" if by else "this call has changed meanwhile"
        super().__init__(f"{what}: look at it as it is now, and say it again")
        self.revision = revision
        self.by = by


# Found by the call, and not by the kind of word, which SQLite thinks better of: there are as many approvals as calls.
_IS_APPROVAL = review.c.field.concat("") == Field.APPROVAL


@dataclass(frozen=True)
class Approval:
    """That the summary may go to a CRM, and who said so."""

    by: str
    at: datetime


def correct(
    connection: sa.Connection, viewer: Viewer, call_id: UUID, revision: int, changes: Changes, *, now: datetime
) -> int:
    """Let this be right, by the viewer's word; returns the call's revision after it.

    `revision` is the one that the viewer looked at. What is as it was is not noted. The call is marked for the
    roll-ups. Speakers that are named anew have the call understood again, and the words that people said stay.
    Raises NotAllowed, NoSuchCall, Conflict, WrongCorrection, UnknownReason, NotUnderstood, NoChannels.
    """
    viewer.require(Permission.CORRECT)
    given = checked(changes)
    about = _locked(connection, viewer, call_id)
    _require_current(connection, call_id, revision)
    analysis = current_analysis(connection, call_id)
    words = words_of(given)
    if words and analysis is None:
        raise NotUnderstood("this call has no analysis yet: there is nothing to correct")
    saying = _Saying(connection, call_id, analysis["revision"] if analysis else 0, viewer.name, now)
    if analysis is not None and words:
        _correct_analysis(saying, analysis, words)
    if given.customer is not None:
        _correct_customer(saying, about, given.customer)
    if given.agent_channel is not None:
        # The last: what was understood of the call becomes history by it.
        was = stated_agent_channel(connection, call_id)
        if correct_agent_channel(connection, call_id, given.agent_channel, now=now):
            saying.note(Field.SPEAKERS, str(was), str(given.agent_channel))
    note(connection, viewer, Action.CORRECT, call_id=call_id, detail=", ".join(given.fields), now=now)
    return revision_of(connection, call_id)


def confirm(connection: sa.Connection, viewer: Viewer, call_id: UUID, revision: int, *, now: datetime) -> int:
    """The reason is right as it is, by the viewer's word, which teaches as a correction does; returns the revision.

    Raises NotAllowed, NoSuchCall, Conflict, UnknownReason, NotUnderstood.
    """
    viewer.require(Permission.CORRECT)
    _locked(connection, viewer, call_id)
    _require_current(connection, call_id, revision)
    analysis = current_analysis(connection, call_id)
    if analysis is None or analysis["reason_code"] is None:
        raise NotUnderstood("this call has no reason yet: there is nothing to confirm")
    code = known_successors(connection).get(analysis["reason_code"], analysis["reason_code"])
    known_reason(connection, code)
    last = last_review(connection, call_id)
    if last is None or (last.after, last.revision) != (code, analysis["revision"]):
        saying = _Saying(connection, call_id, analysis["revision"], viewer.name, now)
        saying.note(Field.REASON, analysis["reason_code"], code)
        jobs.touch_call(connection, call_id)
        note(connection, viewer, Action.CORRECT, call_id=call_id, detail="reason confirmed", now=now)
    return revision_of(connection, call_id)


def approve(connection: sa.Connection, viewer: Viewer, call_id: UUID, revision: int, *, now: datetime) -> Approval:
    """Let the call's summary go to a CRM as it is now; a later revision of it has to be approved again.

    Saying it again changes nothing. Raises NotAllowed, NoSuchCall, Conflict, NotUnderstood.
    """
    viewer.require(Permission.HAND_OVER)
    _locked(connection, viewer, call_id)
    _require_current(connection, call_id, revision)
    analysis = current_analysis(connection, call_id)
    if analysis is None:
        raise NotUnderstood("this call has no analysis yet: there is nothing to approve")
    known = approval_of(connection, call_id)
    if known is not None:
        return known
    _Saying(connection, call_id, analysis["revision"], viewer.name, now).note(Field.APPROVAL, None, "approved")
    note(connection, viewer, Action.APPROVE, call_id=call_id, detail=f"analysis {analysis['revision']}", now=now)
    return Approval(viewer.name, now)


def approval_of(connection: sa.Connection, call_id: UUID) -> Approval | None:
    """Who approved the current analysis of the call, and when; None where nobody has."""
    found = connection.execute(
        sa.select(review.c.reviewed_by, review.c.reviewed_at)
        .join_from(review, call_analysis, _is_of_current())
        .where(review.c.call_id == call_id, _IS_APPROVAL)
        .order_by(review.c.reviewed_at)
        .limit(1)
    ).one_or_none()
    return Approval(found.reviewed_by, found.reviewed_at) if found else None


def is_approved() -> sa.ColumnElement[bool]:
    """The condition on `call` and its current `call_analysis` that its summary may go to a CRM."""
    return (
        sa.exists()
        .where(
            review.c.call_id == call_analysis.c.call_id,
            review.c.revision == call_analysis.c.revision,
            _IS_APPROVAL,
        )
        .correlate(call_analysis)
    )


def revision_of(connection: sa.Connection, call_id: UUID) -> int:
    """How often what people correct of the call has changed: it grows with every transcript and analysis of it, whoever
    made them, and with every word on its customer. 0 before it was heard, and for a call that is not there.
    """
    found = connection.execute(sa.select(revision_column()).where(call.c.id == call_id)).scalar_one_or_none()
    return int(found or 0)


@cache
def revision_column() -> sa.ColumnElement[int]:
    """`revision_of` for the `call` of each row."""
    # Counted among the call's: where there is a condition on the field, SQLite may look through all of that field.
    of_customer = sa.func.count(sa.case((review.c.field == Field.CUSTOMER, 1)))
    customer_words = sa.select(of_customer).where(review.c.call_id == call.c.id).correlate(call).scalar_subquery()
    return _latest(call_analysis) + _latest(transcript) + customer_words


def _latest(table: sa.Table) -> sa.ColumnElement[int]:
    # Of its own name: the query may have the current one in it, too.
    every = table.alias()
    found = sa.select(sa.func.max(every.c.revision)).where(every.c.call_id == call.c.id).correlate(call)
    return sa.func.coalesce(found.scalar_subquery(), 0)


def _is_of_current() -> sa.ColumnElement[bool]:
    return sa.and_(
        call_analysis.c.call_id == review.c.call_id,
        call_analysis.c.is_current,
        call_analysis.c.revision == review.c.revision,
    )


@dataclass(frozen=True)
class _Saying:
    """One person's word on one call, and the revision of the analysis that was looked at."""

    connection: sa.Connection
    call_id: UUID
    looked_at: int
    by: str
    now: datetime

    def note(self, field: Field, before: str | None, after: str) -> None:
        """Write it down, in the codes of now."""
        current = current_taxonomy(self.connection)
        version = current.version if current else None
        said = Review(self.call_id, self.looked_at, version, field, before, after, self.by, self.now)
        note_review(self.connection, said)


def _locked(connection: sa.Connection, viewer: Viewer, call_id: UUID) -> sa.RowMapping:
    """The call, which whoever else corrects it waits for. Raises NoSuchCall where the viewer may not see it, and for
    one that was erased.
    """
    asked = sa.select(call.c.id, call.c.contact_id, call.c.happened_at)
    found = connection.execute(
        asked.where(call.c.id == call_id, visible_calls(viewer), ~is_erased()).with_for_update(of=call)
    ).mappings()
    row = found.one_or_none()
    if row is None:
        raise NoSuchCall(f"no call has the id {call_id}")
    return row


def _require_current(connection: sa.Connection, call_id: UUID, revision: int) -> None:
    current = revision_of(connection, call_id)
    if current == revision:
        return
    last = (
        sa.select(review.c.reviewed_by, review.c.reviewed_at)
        .where(review.c.call_id == call_id, review.c.field != Field.APPROVAL)
        .order_by(review.c.reviewed_at.desc())
        .limit(1)
    )
    said = connection.execute(last).one_or_none()
    made = [
        moment
        for table in (call_analysis, transcript)
        for moment in connection.execute(sa.select(table.c.created_at).where(table.c.call_id == call_id)).scalars()
    ]
    # What came after the last word of a person is an engine's.
    by = said.reviewed_by if said and said.reviewed_at >= max(made, default=said.reviewed_at) else None
    raise Conflict(current, by)


def _correct_analysis(saying: _Saying, before: Mapping[str, Any], words: Mapping[Field, str]) -> None:
    connection = saying.connection
    was = analysis_of(before)
    news = {field: word for field, word in words.items() if word_of(was, field) != word}
    if not news:
        return
    analysis = was
    version = before["taxonomy_version"]
    if Field.REASON in news:
        taxonomy = known_reason(connection, news[Field.REASON])
        version = taxonomy.version
        analysis = under_reason(analysis, news[Field.REASON], taxonomy, known_successors(connection))
    for field, word in news.items():
        saying.note(field, word_of(was, field), word)
        if field is not Field.REASON:
            analysis = with_word(analysis, field, word)
    write_corrected(connection, before, analysis, version, now=saying.now)


def _correct_customer(saying: _Saying, about: sa.RowMapping, said: str) -> None:
    connection = saying.connection
    contact_id = _contact(connection, said)
    if contact_id == about["contact_id"]:
        return
    _lock_contacts(connection, about["contact_id"], contact_id)
    if about["contact_id"] is not None:
        leave_chain(connection, about["id"], about["contact_id"])
    if contact_id is not None:
        file_under_contact(connection, about["id"], contact_id, about["happened_at"])
    connection.execute(sa.update(call).where(call.c.id == about["id"]).values(modified_at=saying.now))
    jobs.touch_call(connection, about["id"])
    saying.note(
        Field.CUSTOMER, None if about["contact_id"] is None else str(about["contact_id"]), str(contact_id or "")
    )


def _contact(connection: sa.Connection, said: str) -> UUID | None:
    if not said:
        return None
    if is_number(said):
        return match_contact(connection, said)[0]
    try:
        wanted = UUID(said)
    except ValueError:
        raise WrongCorrection("the customer is neither a contact's id nor a number such as +15550100") from None
    # With whom was erased nothing is filed: it would tell who that was.
    known = sa.select(contact.c.id).where(contact.c.id == wanted, contact.c.anonymized_at.is_(None))
    found: UUID | None = connection.execute(known).scalar_one_or_none()
    if found is None:
        raise WrongCorrection("no customer has that id")
    return found


def _lock_contacts(connection: sa.Connection, *contact_ids: UUID | None) -> None:
    # In one order: two that move calls from each other's customers would wait for each other for ever.
    wanted = sorted(one for one in contact_ids if one is not None)
    connection.execute(sa.select(contact.c.id).where(contact.c.id.in_(wanted)).order_by(contact.c.id).with_for_update())
