"""The roll-ups: whatever happened to the calls, the stored sums are those of a full recompute."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from analytics.facts import REPEAT_WINDOW
from analytics.rollup import recompute_all, refresh
from analytics.star import AGGREGATES, dim_agent, dim_customer, dim_date, dim_reason, fact_call, fact_call_reason
from calls.errors import SettingsError
from calls.reasons import Reason
from crm.database import Database
from crm.jobs import touch, touch_call
from crm.reason_tables import review
from crm.reviews import NotUnderstood, correct_reason
from crm.tables import agent, call, call_analysis, touched_day, transcript
from crm.taxonomies import current_taxonomy, store_taxonomy
from crm.users import put_in_team
from runtime.settings_site import SiteSettings
from tests.calls_made_up import NOON, TAXONOMY, add_analysis, add_call, add_charge, id_of, prepare

LATER = NOON + timedelta(days=30)
_NOT_COMPARED = {"call_key", "modified_at_utc"}


def stored(database: Database) -> dict[str, list[Any]]:
    """Every fact and every sum, without the keys that tell only in which order the rows came."""
    of_call = sa.select(fact_call.c.call_id, *(c for c in fact_call_reason.columns if c.name not in _NOT_COMPARED))
    of_call = of_call.join_from(fact_call_reason, fact_call, fact_call.c.call_key == fact_call_reason.c.call_key)
    asked = {"fact_call_reason": of_call.order_by(fact_call.c.call_id, fact_call_reason.c.reason_key)}
    for table in (fact_call, *AGGREGATES):
        key = [fact_call.c.call_id] if table is fact_call else table.primary_key
        asked[table.name] = sa.select(*(c for c in table.columns if c.name not in _NOT_COMPARED)).order_by(*key)
    with database.read() as connection:
        return {name: [tuple(row) for row in connection.execute(statement)] for name, statement in asked.items()}


def facts(database: Database) -> dict[UUID, Any]:
    """The facts by call."""
    with database.read() as connection:
        return {row.call_id: row for row in connection.execute(sa.select(fact_call))}


@pytest.fixture
def centre(database: Database) -> Database:
    """A database with people and reasons, and no calls."""
    with database.write() as connection:
        prepare(connection)
    return database


def test_a_refresh_without_changes_recomputes_nothing(centre: Database) -> None:
    with centre.write() as connection:
        add_call(connection, 1, NOON)
    refresh(centre, "UTC", LATER)
    before = stored(centre)
    assert refresh(centre, "UTC", LATER) == 0
    assert stored(centre) == before


def test_a_call_counts_on_the_day_of_the_sites_zone(centre: Database) -> None:
    with centre.write() as connection:
        add_call(connection, 1, datetime(2026, 3, 10, 23, 30, tzinfo=UTC))
    refresh(centre, "Europe/Berlin", LATER)
    (fact,) = facts(centre).values()
    assert (fact.date_key, fact.hour_of_day) == (20260311, 0)
    refresh(centre, "America/New_York", LATER)
    (fact,) = facts(centre).values()
    assert (fact.date_key, fact.hour_of_day) == (20260310, 19)


def test_days_stay_as_they_were_cut_where_nobody_names_a_zone(centre: Database) -> None:
    with centre.write() as connection:
        add_call(connection, 1, datetime(2026, 3, 10, 23, 30, tzinfo=UTC))
    for named, day in ((None, 20260310), ("Europe/Berlin", 20260311), (None, 20260311)):
        refresh(centre, named, LATER)
        (fact,) = facts(centre).values()
        assert fact.date_key == day
    assert SiteSettings().named_zone is None
    assert SiteSettings(time_zone="UTC").named_zone == "UTC"


def test_a_repeated_call_counts_on_the_first_of_the_two_a_week_back(centre: Database) -> None:
    with centre.write() as connection:
        add_call(connection, 1, NOON, contact_id=id_of("contact", 1))
    refresh(centre, "UTC", LATER)
    assert facts(centre)[id_of("call", 1)].not_repeated_count == 1
    with centre.write() as connection:
        add_call(connection, 2, NOON + timedelta(days=6, hours=23), contact_id=id_of("contact", 1))
        add_call(connection, 3, NOON + timedelta(days=1), contact_id=id_of("contact", 2))
    refresh(centre, "UTC", LATER)
    found = facts(centre)
    assert found[id_of("call", 1)].repeated_count == 1
    assert found[id_of("call", 2)].not_repeated_count == 1
    with centre.read() as connection:
        day = AGGREGATES[0].c
        count = connection.execute(sa.select(sa.func.sum(day.repeated_count)).where(day.date_key == 20260310)).scalar()
    assert count == 1


@pytest.mark.parametrize(
    ("after", "reason", "is_repeated"),
    [
        (REPEAT_WINDOW - timedelta(seconds=1), "delivery", True),
        (REPEAT_WINDOW, "delivery", False),
        (timedelta(days=1), "repair", False),
        (timedelta(0), "delivery", True),
    ],
)
def test_a_call_is_repeated_by_one_about_the_same_within_seven_days(
    centre: Database, after: timedelta, reason: str, is_repeated: bool
) -> None:
    with centre.write() as connection:
        add_call(connection, 1, NOON, contact_id=id_of("contact", 1))
        add_call(connection, 2, NOON + after, contact_id=id_of("contact", 1), analysis={"reason_code": reason})
    refresh(centre, "UTC", LATER)
    assert facts(centre)[id_of("call", 1)].repeated_count == int(is_repeated)


def test_a_window_is_complete_once_seven_days_have_passed_without_anything_else_happening(centre: Database) -> None:
    with centre.write() as connection:
        add_call(connection, 1, NOON, contact_id=id_of("contact", 1))
    refresh(centre, "UTC", NOON + timedelta(days=6))
    assert facts(centre)[id_of("call", 1)].repeat_window_count == 0
    refresh(centre, "UTC", NOON + timedelta(days=7))
    assert facts(centre)[id_of("call", 1)].repeat_window_count == 1


def test_calls_of_unknown_customers_and_about_other_things_are_never_repeated(centre: Database) -> None:
    with centre.write() as connection:
        for number, hours in enumerate((0, 1)):
            add_call(connection, number, NOON + timedelta(hours=hours))
        for number, hours in ((2, 0), (3, 1)):
            other = {"reason_code": "other"}
            moment = NOON + timedelta(hours=hours)
            add_call(connection, number, moment, contact_id=id_of("contact", 1), analysis=other)
    refresh(centre, "UTC", LATER)
    assert {fact.repeat_window_count for fact in facts(centre).values()} == {0}


def test_an_unchanged_call_keeps_its_time_of_change_and_a_changed_one_does_not(centre: Database) -> None:
    with centre.write() as connection:
        for number in (1, 2):
            add_call(connection, number, NOON)
    refresh(centre, "UTC", LATER)
    with centre.write() as connection:
        add_analysis(connection, id_of("call", 2), reason_code="repair")
        touch(connection, NOON)
    refresh(centre, "UTC", LATER + timedelta(hours=1))
    found = facts(centre)
    assert found[id_of("call", 1)].modified_at_utc == LATER
    assert found[id_of("call", 2)].modified_at_utc == LATER + timedelta(hours=1)


def test_an_agents_calls_follow_the_agent_to_another_team(centre: Database) -> None:
    with centre.write() as connection:
        add_call(connection, 1, NOON, agent_id=id_of("agent", 0))
    refresh(centre, "UTC", LATER)
    before = facts(centre)[id_of("call", 1)].team_key
    with centre.write() as connection:
        connection.execute(sa.update(agent).where(agent.c.id == id_of("agent", 0)).values(team_id=id_of("team", 1)))
        touch(connection, NOON + timedelta(days=5))
    refresh(centre, "UTC", LATER)
    assert facts(centre)[id_of("call", 1)].team_key != before


def test_calls_of_a_replaced_reason_follow_its_successor_from_version_to_version(centre: Database) -> None:
    with centre.write() as connection:
        add_call(connection, 1, NOON, analysis={"reason_code": "repair", "outcome": "sale"})
    refresh(centre, "UTC", LATER)
    for number, (code, sales) in enumerate((("repair", 0), ("service", 0), ("service", 1))):
        with centre.write() as connection:
            store_taxonomy(connection, OTHER_REASONS[number], LATER)
        refresh(centre, "UTC", LATER)
        fact = facts(centre)[id_of("call", 1)]
        with centre.read() as connection:
            found = connection.execute(sa.select(dim_reason).where(dim_reason.c.reason_key == fact.reason_key)).one()
        assert (found.code, fact.sales_count) == (code, sales)
        assert found.taxonomy_version == ("v1" if code == "repair" else OTHER_REASONS[number].version)


def test_what_agents_and_reasons_are_called_is_followed_without_any_call(centre: Database) -> None:
    with centre.write() as connection:
        add_call(connection, 1, NOON, agent_id=id_of("agent", 0))
    refresh(centre, "UTC", LATER)
    before = facts(centre)[id_of("call", 1)].team_key
    with centre.write() as connection:
        put_in_team(connection, "Team 1", [id_of("agent", 0)])
    refresh(centre, "UTC", LATER)
    assert facts(centre)[id_of("call", 1)].team_key != before
    with centre.write() as connection:
        store_taxonomy(connection, OTHER_REASONS[0], LATER)
    refresh(centre, "UTC", LATER)
    with centre.read() as connection:
        current = connection.execute(sa.select(dim_reason.c.code).where(dim_reason.c.is_current)).scalars()
        assert "parcel" in set(current)
    assert refresh(centre, "UTC", LATER) == 0


def test_a_call_that_has_not_ended_is_in_no_figure(centre: Database) -> None:
    with centre.write() as connection:
        add_call(connection, 1, NOON, stage="transcribed", analysis=None)
    refresh(centre, "UTC", LATER)
    assert not facts(centre)


def test_costs_that_nobody_can_price_are_counted_beside_the_known_ones(centre: Database) -> None:
    with centre.write() as connection:
        call_id = add_call(connection, 1, NOON)
        for cost in (1_200, 34, None):
            add_charge(connection, call_id, cost)
    refresh(centre, "UTC", LATER)
    fact = facts(centre)[call_id]
    assert (fact.cost_microusd, fact.unpriced_request_count) == (1_234, 1)


def test_every_dimension_has_a_member_for_what_is_not_known(centre: Database) -> None:
    with centre.write() as connection:
        add_call(connection, 1, NOON, analysis=None, stage="failed", failed_code="not_audio")
    refresh(centre, "UTC", LATER)
    fact = facts(centre)[id_of("call", 1)]
    assert {fact.reason_key, fact.queue_key, fact.agent_key, fact.team_key, fact.customer_key} == {-1}
    with centre.read() as connection:
        for table in (dim_reason, dim_agent, dim_customer):
            key = next(iter(table.primary_key))
            assert connection.execute(sa.select(sa.func.min(key))).scalar_one() == -1


def test_the_table_of_dates_has_no_gap(centre: Database) -> None:
    with centre.write() as connection:
        for number, year in enumerate((2024, 2026)):
            add_call(connection, number, NOON.replace(year=year))
    refresh(centre, "UTC", LATER)
    with centre.read() as connection:
        days = list(connection.execute(sa.select(dim_date.c.date).order_by(dim_date.c.date_key)).scalars())
    assert days == [date(2024, 1, 1) + timedelta(days=n) for n in range(366 + 365 + 365)]


def test_a_zone_that_is_none_is_named_with_its_setting(centre: Database) -> None:
    with pytest.raises(SettingsError, match=r"site\.time_zone"):
        refresh(centre, "Mars/Olympus")


# St. John's put its clocks back at one minute past midnight until 2011: the day before came twice.
ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia")
# Around a change of the clocks in each of the zones, and around the day that Apia left out.
EDGES = (
    datetime(2026, 3, 29, 0, 30, tzinfo=UTC),
    datetime(2010, 11, 7, 2, 30, tzinfo=UTC),
    datetime(2011, 12, 30, 9, 59, tzinfo=UTC),
)
moments = st.builds(
    lambda edge, minutes: edge + timedelta(minutes=minutes), st.sampled_from(EDGES), st.integers(-12 * 1440, 12 * 1440)
)
analyses = st.fixed_dictionaries(
    {
        "reason_code": st.sampled_from(["delivery", "repair", "order", "other", "insufficient_content", None]),
        "outcome": st.sampled_from(["resolved", "sale", "no_sale", "follow_up", "escalated", "unknown"]),
        "is_resolved": st.sampled_from([True, False, None]),
        "sentiment_customer": st.none() | st.floats(-5, 5),
        "sentiment_customer_start": st.none() | st.floats(-5, 5),
        "sentiment_customer_end": st.none() | st.floats(-5, 5),
    }
)
seconds = st.none() | st.floats(0, 5000)
transcripts = st.fixed_dictionaries(
    {
        "talk_time_agent_s": seconds,
        "talk_time_customer_s": seconds,
        "non_talk_time_s": seconds,
        "interruption_count": st.none() | st.integers(0, 9),
        "is_demo": st.booleans(),
    }
)
telephony = st.fixed_dictionaries(
    {
        "contact_id": st.none() | st.integers(0, 1).map(lambda n: id_of("contact", n)),
        "agent_id": st.none() | st.integers(0, 2).map(lambda n: id_of("agent", n)),
        "queue_id": st.none() | st.integers(0, 1).map(lambda n: id_of("queue", n)),
        "stage": st.sampled_from(["done", "done", "done", "skipped", "failed", "received"]),
        "duration_s": seconds,
        "hold_time_s": seconds,
        "acw_time_s": seconds,
        "is_transferred": st.sampled_from([True, False, None]),
        "is_sample": st.booleans(),
    }
)


# A reason that goes on under another name, then two that become one, then that one sells.
OTHER_REASONS = (
    replace(
        TAXONOMY,
        version="v2",
        reasons=(Reason("parcel", "Parcel", "Where is it?", replaces=("delivery",)), *TAXONOMY.reasons[1:]),
    ),
    replace(
        TAXONOMY,
        version="v3",
        reasons=(
            Reason("service", "Service", "Anything.", replaces=("parcel", "repair")),
            Reason("order", "New order", "I want one.", is_sales=True),
        ),
    ),
    replace(
        TAXONOMY,
        version="v4",
        reasons=(
            Reason("service", "Advice", "Anything.", replaces=("parcel", "repair"), is_sales=True),
            Reason("order", "New order", "I want one.", is_sales=True),
        ),
    ),
)


class RollUps(RuleBasedStateMachine):
    """Calls come, change, move, go; agents change teams, owners reasons; people correct; time passes; zones change.

    Sums stay those of a recompute.
    """

    def __init__(self, template: Path, folder: Path) -> None:
        super().__init__()
        RollUps.count += 1
        path = folder / f"{RollUps.count}.db"
        path.write_bytes(template.read_bytes())
        self.database = Database(f"sqlite:///{path}")
        self.zone = "UTC"
        self.now = datetime(2026, 4, 20, tzinfo=UTC)
        self.calls: list[UUID] = []
        self.number = 0

    count = 0

    @initialize()
    def open_the_centre(self) -> None:
        with self.database.write() as connection:
            prepare(connection)

    @rule(moment=moments, facts=telephony, heard=st.none() | transcripts, understood=st.none() | analyses)
    def a_call_ends(self, moment: datetime, facts: Any, heard: Any, understood: Any) -> None:
        with self.database.write() as connection:
            self.number += 1
            number = self.number
            self.calls.append(add_call(connection, number, moment, transcript=heard, analysis=understood, **facts))

    @rule(choice=st.integers(0, 99), understood=analyses)
    def a_call_is_classified_again(self, choice: int, understood: Any) -> None:
        self._change(choice, lambda connection, call_id: add_analysis(connection, call_id, **understood))

    @rule(number=st.integers(0, len(OTHER_REASONS)))
    def the_owner_loads_other_reasons(self, number: int) -> None:
        with self.database.write() as connection:
            store_taxonomy(connection, (TAXONOMY, *OTHER_REASONS)[number], self.now)

    @rule(choice=st.integers(0, 99), code=st.integers(0, 3))
    def a_person_corrects_a_reason(self, choice: int, code: int) -> None:
        if not self.calls:
            return
        with self.database.write() as connection:
            codes = current_taxonomy(connection).codes  # type: ignore[union-attr]
            with suppress(NotUnderstood):
                correct_reason(
                    connection, self.calls[choice % len(self.calls)], codes[code % len(codes)], by="x", now=self.now
                )

    @rule(choice=st.integers(0, 99))
    def a_call_is_classified_under_the_reasons_of_now(self, choice: int) -> None:
        def classify(connection: sa.Connection, call_id: UUID) -> None:
            found = current_taxonomy(connection)
            if found is not None:
                add_analysis(connection, call_id, reason_code=found.reasons[-1].code, taxonomy_version=found.version)

        self._change(choice, classify)

    @rule(choice=st.integers(0, 99), facts=telephony)
    def telephony_says_more(self, choice: int, facts: Any) -> None:
        self._change(choice, lambda connection, call_id: _set(connection, call_id, **facts))

    @rule(choice=st.integers(0, 99), moment=moments)
    def a_call_turns_out_to_have_been_at_another_time(self, choice: int, moment: datetime) -> None:
        self._change(choice, lambda connection, call_id: _set(connection, call_id, happened_at=moment))

    @rule(choice=st.integers(0, 99))
    def a_call_is_erased(self, choice: int) -> None:
        def erase(connection: sa.Connection, call_id: UUID) -> None:
            for table in (review, call_analysis, transcript):
                connection.execute(sa.delete(table).where(table.c.call_id == call_id))
            connection.execute(sa.delete(call).where(call.c.id == call_id))
            self.calls.remove(call_id)

        self._change(choice, erase)

    @rule(number=st.integers(0, 2), team_number=st.integers(0, 1))
    def an_agent_changes_the_team(self, number: int, team_number: int) -> None:
        with self.database.write() as connection:
            team_id = id_of("team", team_number)
            connection.execute(sa.update(agent).where(agent.c.id == id_of("agent", number)).values(team_id=team_id))
            touch(connection, NOON)

    @rule(days=st.integers(-9, 9), hours=st.integers(0, 23))
    def time_passes(self, days: int, hours: int) -> None:
        self.now += timedelta(days=days, hours=hours)

    @rule(zone=st.sampled_from(ZONES))
    def the_site_moves(self, zone: str) -> None:
        self.zone = zone

    @rule()
    def refresh(self) -> None:
        refresh(self.database, self.zone, self.now)

    @invariant()
    def what_is_stored_after_a_refresh_is_a_full_recompute(self) -> None:
        refresh(self.database, self.zone, self.now)
        kept = stored(self.database)
        with self.database.write() as connection:
            for table in (*AGGREGATES, fact_call_reason, fact_call):
                connection.execute(sa.delete(table))
        recompute_all(self.database, self.zone, self.now)
        assert kept == stored(self.database)

    def _change(self, choice: int, change: Any) -> None:
        if not self.calls:
            return
        call_id = self.calls[choice % len(self.calls)]
        with self.database.write() as connection:
            at = sa.select(call.c.happened_at).where(call.c.id == call_id)
            before = connection.execute(at).scalar_one()
            change(connection, call_id)
            touch(connection, connection.execute(at).scalar_one_or_none() or before)

    def teardown(self) -> None:
        self.database.dispose()


def _set(connection: sa.Connection, call_id: UUID, **values: Any) -> None:
    connection.execute(sa.update(call).where(call.c.id == call_id).values(**values))


def test_refreshed_sums_are_those_of_a_full_recompute_whatever_happens(
    migrated_sqlite_file: Path, tmp_path: Path
) -> None:
    run_state_machine_as_test(
        lambda: RollUps(migrated_sqlite_file, tmp_path),
        settings=settings(
            max_examples=6,
            stateful_step_count=15,
            deadline=None,
            # A failure is shown as it was found: making it small takes longer than the rest of the suite.
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_marks_of_touched_days_are_taken_by_the_refresh(centre: Database) -> None:
    with centre.write() as connection:
        for number in range(3):
            add_call(connection, number, NOON)
    refresh(centre, "UTC", LATER)
    with centre.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(touched_day)).scalar_one() == 0


@pytest.mark.parametrize(("starts_in", "year", "quarter"), [(1, 2026, 1), (4, 2026, 4), (3, 2027, 1), (12, 2026, 2)])
def test_a_fiscal_year_is_that_in_which_it_ends(centre: Database, starts_in: int, year: int, quarter: int) -> None:
    with centre.write() as connection:
        add_call(connection, 1, NOON)
    refresh(centre, "UTC", LATER)
    refresh(centre, "UTC", LATER, fiscal_starts_in=starts_in)
    # Whoever does not say leaves it as it is.
    assert refresh(centre, "UTC", LATER) == 0
    with centre.read() as connection:
        found = connection.execute(sa.select(dim_date).where(dim_date.c.date_key == 20260310)).one()
    assert (found.fiscal_year, found.fiscal_quarter) == (year, quarter)


def test_every_reason_of_a_call_has_its_rank_and_the_first_is_that_of_the_fact(centre: Database) -> None:
    both = {"reason_code": "repair", "secondary_reason_codes": ["order", "repair", "delivery", "unheard_of"]}
    with centre.write() as connection:
        add_call(connection, 1, NOON, analysis=both)
    refresh(centre, "UTC", LATER)
    asked = (
        sa.select(dim_reason.c.code)
        .join_from(fact_call_reason, dim_reason, dim_reason.c.reason_key == fact_call_reason.c.reason_key)
        .order_by(fact_call_reason.c.rank)
    )
    with centre.read() as connection:
        assert list(connection.execute(asked).scalars()) == ["repair", "order", "delivery"]
    with centre.write() as connection:
        add_analysis(connection, id_of("call", 1), **both | {"secondary_reason_codes": []})
        touch_call(connection, id_of("call", 1))
    refresh(centre, "UTC", LATER)
    with centre.read() as connection:
        assert list(connection.execute(asked).scalars()) == ["repair"]


def test_only_the_call_that_changed_is_read_again(centre: Database) -> None:
    with centre.write() as connection:
        for number in (1, 2):
            add_call(connection, number, NOON)
    refresh(centre, "UTC", LATER)
    with centre.write() as connection:
        # Behind the back of the marks: a recompute of the day would see it.
        _set(connection, id_of("call", 2), is_sample=True)
        add_analysis(connection, id_of("call", 1), reason_code="repair")
        touch_call(connection, id_of("call", 1))
    assert refresh(centre, "UTC", LATER) == 1
    assert not facts(centre)[id_of("call", 2)].is_sample


def test_the_agreement_with_reviewers_compares_the_first_word_with_the_last(centre: Database) -> None:
    calls = {"agrees": ["repair"], "corrects": ["order"], "corrects_and_takes_back": ["order", "repair"]}
    with centre.write() as connection:
        for number, words in enumerate(calls.values()):
            call_id = add_call(connection, number, NOON, analysis={"reason_code": "repair"})
            for said, code in enumerate(words):
                correct_reason(connection, call_id, code, by="Ann", now=LATER + timedelta(hours=said))
    refresh(centre, "UTC", LATER)
    found = facts(centre)
    counts = [
        (found[id_of("call", n)].reason_reviewed_count, found[id_of("call", n)].reason_agreed_count) for n in range(3)
    ]
    assert counts == [(1, 1), (1, 0), (1, 1)]
