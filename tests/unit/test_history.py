"""The generated history: the same every time, marked as what it is, and nobody's real number in it."""

from datetime import UTC, date, datetime, time, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from calls.reasons import INSUFFICIENT, OTHER, Reason, Taxonomy
from calls.taxonomy_file import parse_taxonomy
from crm.database import Database
from crm.tables import agent, call, call_analysis, contact, touched_day
from samples.history import load_history, number_of
from samples.history_calls import generate
from samples.history_plan import AREAS, CALL_COUNT, SUBJECTS, WEEK_COUNT
from tests.calls_made_up import TAXONOMY
from tests.history_fixture import BUNDLED

UNTIL = date(2026, 11, 20)


@pytest.fixture(scope="module")
def bundled() -> Taxonomy:
    """The bundled reasons."""
    return parse_taxonomy(BUNDLED.read_text(encoding="utf-8"))


def test_the_same_arguments_give_the_same_calls(bundled: Taxonomy) -> None:
    assert generate(bundled, UNTIL, call_count=300) == generate(bundled, UNTIL, call_count=300)


def test_the_plan_knows_every_bundled_reason(bundled: Taxonomy) -> None:
    assert {reason.code for reason in bundled.reasons} == SUBJECTS.keys()


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_calls_fill_the_weeks_before_the_day_within_opening_hours(bundled: Taxonomy, zone: str) -> None:
    calls = generate(bundled, UNTIL, zone=zone)
    end = datetime.combine(UNTIL, time(), ZoneInfo(zone))
    assert len(calls) == CALL_COUNT
    assert {8 <= item.happened_at.astimezone(ZoneInfo(zone)).hour < 20 for item in calls} == {True}
    assert end - timedelta(weeks=WEEK_COUNT) <= calls[0].happened_at
    assert calls[-1].happened_at < end


def test_only_the_owners_reasons_occur(bundled: Taxonomy) -> None:
    own = Taxonomy(version="own", reasons=(Reason("boat_hire", "Boat hire", "Wants a boat."), *bundled.reasons[:1]))
    codes = {item.reason_code for item in generate(own, UNTIL, call_count=1000)}
    assert codes == {"boat_hire", bundled.reasons[0].code, OTHER, INSUFFICIENT, None}


def test_every_number_is_kept_for_fiction() -> None:
    numbers = {number_of(customer) for customer in range(len(AREAS) * 100)}
    assert len(numbers) == len(AREAS) * 100
    assert all(number[5:10] == "55501" and len(number) == 12 for number in numbers)


def test_every_loaded_call_is_marked_and_its_days_are_to_be_rolled_up(database: Database) -> None:
    assert load_history(database, TAXONOMY, UNTIL) == CALL_COUNT
    with database.read() as connection:
        marks = connection.execute(sa.select(call.c.is_sample, call.c.stage).distinct()).all()
        models = connection.execute(sa.select(call_analysis.c.model).distinct()).scalars().all()
        days = set(connection.execute(sa.select(touched_day.c.utc_day)).scalars())
        moments = connection.execute(sa.select(call.c.happened_at)).scalars()
        assert {moment.astimezone(UTC).date() for moment in moments} == days
    assert {row.is_sample for row in marks} == {True}
    assert {row.stage for row in marks} == {"done", "skipped"}
    assert models == ["generated history"]


def test_loading_again_adds_nothing(database: Database) -> None:
    load_history(database, TAXONOMY, UNTIL)
    assert load_history(database, TAXONOMY, UNTIL + timedelta(days=1)) == 0


def test_people_who_are_there_already_are_shared_by_name(database: Database) -> None:
    known = "Sam Reed"
    with database.write() as connection:
        connection.execute(sa.insert(agent).values(id=uuid4(), display_name=known))
    load_history(database, TAXONOMY, UNTIL)
    with database.read() as connection:
        ids = connection.execute(sa.select(agent.c.id).where(agent.c.display_name == known)).scalars().all()
        taken = connection.execute(sa.select(call.c.id).where(call.c.agent_id == ids[0]).limit(1)).first()
    assert len(ids) == 1
    assert taken


def test_a_customers_calls_point_to_the_one_before(database: Database) -> None:
    load_history(database, TAXONOMY, UNTIL)
    earlier = call.alias()
    with database.read() as connection:
        pairs = connection.execute(
            sa.select(call.c.contact_id, earlier.c.contact_id, call.c.happened_at >= earlier.c.happened_at).join_from(
                call, earlier, call.c.earlier_call_id == earlier.c.id
            )
        ).all()
        customers = connection.execute(sa.select(sa.func.count(sa.distinct(contact.c.id)))).scalar_one()
    assert len(pairs) == CALL_COUNT - customers
    assert all(mine == theirs and is_after for mine, theirs, is_after in pairs)
