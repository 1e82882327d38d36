"""Calls that wait for a person's look, on both databases."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from calls.analysis import Outcome
from calls.corrections import Changes
from calls.redaction import Finding
from crm.access import Role, Viewer
from crm.calls import WrongQuery
from crm.corrections import confirm, correct, revision_of
from crm.review_queue import Cause, review_count, review_page
from crm.tables import agent, call
from tests.seeds import NOW, seed_call, seed_taxonomy

ADA = Viewer("Ada", Role.REVIEWER)
DOUBTS = {
    Cause.LOW_CONFIDENCE: {"analysis": {"reason_confidence": 0.3}},
    Cause.OTHER: {"analysis": {"reason_code": "other"}},
    Cause.NO_REASON: {"analysis": {"reason_code": None, "reason_confidence": None}},
    Cause.UNSUPPORTED: {"analysis": {"skipped": [{"feature": "summary", "code": "unsupported"}]}},
    Cause.SUSPICIOUS: {"analysis": {"skipped": [{"feature": "reason", "code": "suspicious_instruction"}]}},
    Cause.UNREAD_NAME: {"profile": None},
}


@pytest.fixture
def waiting(any_database):
    """One call for each cause, a minute apart, newest last; and three that nobody has to look at."""
    with any_database.write() as connection:
        seed_taxonomy(connection)
        found = {
            cause: seed_call(connection, happened_at=NOW + timedelta(minutes=n), **facts)
            for n, (cause, facts) in enumerate(DOUBTS.items())
        }
        seed_call(connection)
        seed_call(connection, is_sample=True, profile=None, analysis={"reason_code": "other"})
        seed_call(connection, with_analysis=False)
    return found


def read(database, viewer=ADA, **asked):
    with database.read() as connection:
        return review_page(connection, viewer, **asked)


def count(database, viewer=ADA):
    with database.read() as connection:
        return review_count(connection, viewer)


def test_every_cause_brings_its_call_newest_first_and_by_itself(any_database, waiting):
    found = read(any_database)
    assert [(item.line.id, item.causes) for item in found.items] == [
        (waiting[cause], (cause,)) for cause in reversed(Cause)
    ]
    assert (found.next_key, count(any_database)) == (None, len(Cause))
    assert [item.revision for item in found.items] == [2] * len(Cause)
    for cause in Cause:
        assert [item.line.id for item in read(any_database, cause=cause).items] == [waiting[cause]]


def test_pages_by_key_show_each_call_once(any_database, waiting):
    with any_database.write() as connection:
        # For two causes at once: it must not come twice.
        connection.execute(sa.update(call).where(call.c.id == waiting[Cause.OTHER]).values(profile=None))
    seen, after = [], ""
    while after is not None:
        page = read(any_database, limit=2, after=after)
        assert 1 <= len(page.items) <= 2
        seen += [item.line.id for item in page.items]
        after = page.next_key
    assert seen == [waiting[cause] for cause in reversed(Cause)]
    both = next(item for item in read(any_database).items if item.line.id == waiting[Cause.OTHER])
    assert both.causes == (Cause.OTHER, Cause.UNREAD_NAME)


def test_a_call_that_a_person_has_spoken_of_waits_no_more(any_database, waiting):
    with any_database.write() as connection:
        for cause, call_id in waiting.items():
            revision = revision_of(connection, call_id)
            if cause is Cause.NO_REASON:
                correct(connection, ADA, call_id, revision, Changes(outcome=Outcome.RESOLVED), now=NOW)
            else:
                confirm(connection, ADA, call_id, revision, now=NOW)
    assert (read(any_database).items, count(any_database)) == ((), 0)


def test_people_see_the_calls_that_are_theirs_to_see(any_database, waiting):
    assert read(any_database, Viewer("x", Role.AGENT, agent_id=uuid4())).items == ()
    assert count(any_database, Viewer("x", Role.LEAD, team_ids=frozenset({uuid4()}))) == 0
    with any_database.read() as connection:
        owner = connection.execute(sa.select(agent.c.id)).scalar_one()
    assert len(read(any_database, Viewer("x", Role.AGENT, agent_id=owner)).items) == len(Cause)


def test_a_line_has_marks_for_what_the_sites_own_finder_finds(any_database, waiting):
    def words_of_ten(texts, speakers=None):
        return [[Finding(one.start(), one.end(), "NAME") for one in re.finditer(r"\b\w{10}\b", text)] for text in texts]

    with any_database.read() as connection:
        owner = connection.execute(sa.select(agent.c.id)).scalar_one()
    hers = Viewer("x", Role.AGENT, agent_id=owner)
    told = {item.line.headline for item in read(any_database, hers, find=words_of_ten).items}
    assert told == {"[NAME] has not arrived"}
    assert {item.line.headline for item in read(any_database, find=words_of_ten).items} != told


def test_a_page_of_no_length_and_a_key_that_is_none_are_told(any_database):
    for asked in ({"limit": 0}, {"limit": 501}, {"after": "x"}):
        with pytest.raises(WrongQuery):
            read(any_database, **asked)


def test_the_queue_is_read_through_indexes_in_its_own_order(database):
    told = []
    with database.write() as connection:
        sa.event.listen(connection, "before_cursor_execute", lambda *given: told.append(given[2:4]))
        review_page(connection, ADA)
    plans = []
    with database.read() as connection:
        for statement, values in told:
            plans.append([row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)])
    used = [next(step for step in plan if step.startswith(("SCAN call", "SEARCH call "))) for plan in plans]
    names = [step.split("USING INDEX ")[1].split()[0] for step in used]
    assert names == ["ix_call_needs_review", "ix_call_unread_name"]
    assert not any("TEMP B-TREE" in step for plan in plans for step in plan)
