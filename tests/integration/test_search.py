"""Laws of search and of what lists are found by, on both databases."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from bench.web_calls import FIRST_AT, LAST_AT, fill, names_of, phone_of, rare_words
from calls.redaction import find_sensitive
from calls.search_terms import Terms, read_terms
from crm import tables
from crm.access import OPERATOR, Role, Viewer
from crm.calls import CallFilter, WrongQuery, count_calls, list_calls
from crm.database import Database
from crm.findings import keep_looked
from crm.reason_tables import review
from crm.reviews import correct_reason
from crm.schema import upgrade
from crm.search import RANKED, RANKED_UNLOOKED, best_matching, search
from crm.search_tables import call_text
from tests.seeds import NOW, SAID, TAXONOMY, seed_call, seed_taxonomy

ANALYST = Viewer("ana", Role.ANALYST)


@pytest.fixture
def connection(any_database: Database) -> Iterator[sa.Connection]:
    with any_database.write() as connection:
        seed_taxonomy(connection)
        yield connection


def found(connection: sa.Connection, text: str, viewer: Viewer = OPERATOR, **filters: object) -> list[UUID]:
    page = search(connection, viewer, text, CallFilter(**filters))
    return [hit.line.id for hit in page.hits]


def said(*texts: str) -> list[tuple[int, str, float, float, str]]:
    return [(n % 2, ("customer", "agent")[n % 2], n * 10.0, n * 10.0 + 5, text) for n, text in enumerate(texts)]


def facets(connection: sa.Connection) -> dict[UUID, tuple[object, ...]]:
    columns = (tables.call.c.reason_code, tables.call.c.outcome, tables.call.c.mood, tables.call.c.needs_review)
    return {row[0]: tuple(row[1:]) for row in connection.execute(sa.select(tables.call.c.id, *columns))}


def expected_facets(connection: sa.Connection) -> dict[UUID, tuple[object, ...]]:
    """The same out of the current analyses, in Python."""
    ids = connection.execute(sa.select(tables.call.c.id)).scalars()
    wanted: dict[UUID, tuple[object, ...]] = dict.fromkeys(ids, (None,) * 4)
    reviewed = set(connection.execute(sa.select(review.c.call_id)).scalars())
    for row in connection.execute(sa.select(tables.call_analysis).where(tables.call_analysis.c.is_current)):
        score = row.sentiment_customer
        mood = None if score is None else "low" if score <= -1 else "high" if score >= 1 else "even"
        doubts = {item["code"] for item in row.skipped} & {"unsupported", "suspicious_instruction"}
        unsure = row.reason_confidence is not None and row.reason_confidence < 0.5
        needs = row.call_id not in reviewed and (row.reason_code in {None, "other"} or unsure or bool(doubts))
        wanted[row.call_id] = (row.reason_code, row.outcome, mood, needs)
    return wanted


def test_words_and_phrases_are_found_in_what_was_said_and_in_what_it_was_about(connection):
    call_id = seed_call(connection, said=said("The Ödland fridge is broken.", "I book a repair, order 4711."))
    seed_call(connection)
    for text in ("fridge", "FRIDGE broken", '"is broken"', "ödland", "4711", "dishwasher fridge", "arrived, 4711"):
        assert found(connection, text) == [call_id], text
    for text in ('"broken is"', "fridges", "fridge freezer", "is%broken dishwasher2", "   ", "%%"):
        assert found(connection, text) == [], text


def test_an_excerpt_names_the_turn_and_the_second_and_is_plain_text(connection):
    seed_call(connection, said=said("Good morning.", "The <b>oven</b> of Mr Poe is dead, the oven."))
    [hit] = search(connection, OPERATOR, "oven", CallFilter()).hits
    [part] = hit.said
    assert (part.turn, part.speaker, part.start_s) == (1, "agent", 10.0)
    assert part.excerpt.text == "The <b>oven</b> of Mr Poe is dead, the oven."
    assert [part.excerpt.text[a:b] for a, b in part.excerpt.places] == ["oven", "oven"]
    assert hit.about is None


def test_the_best_stand_first_and_among_equals_the_newest(connection):
    about = {"headline": "Oven is dead", "summary": "The oven."}
    old = seed_call(connection, happened_at=NOW - timedelta(days=9), said=said("Hello."), analysis=about)
    newer = seed_call(connection, happened_at=NOW - timedelta(days=3), said=said("My oven."))
    newest = seed_call(connection, happened_at=NOW - timedelta(days=1), said=said("My oven."))
    assert found(connection, "oven") == [old, newest, newer]


def test_filters_and_what_one_may_see_leave_what_they_leave_of_a_list(connection):
    wanted = seed_call(connection, agent="Priya N", said=said("My oven."), analysis={"reason_code": "repair_booking"})
    seed_call(connection, said=said("My oven."))
    # At the same moment, for the same reason, about something else.
    seed_call(connection, agent="Priya N", said=said("Hello."), analysis={"reason_code": "repair_booking"})
    priya = connection.execute(
        sa.select(tables.agent.c.id).where(tables.agent.c.display_name == "Priya N")
    ).scalar_one()
    assert found(connection, "oven", reason="repair_booking") == [wanted]
    assert found(connection, "oven", Viewer("p", Role.AGENT, agent_id=priya)) == [wanted]
    assert found(connection, "oven", Viewer("x", Role.AGENT, agent_id=uuid4())) == []
    assert found(connection, "oven", until=NOW - timedelta(days=1)) == []
    assert found(connection, "oven", Viewer("l", Role.LEAD, team_ids=frozenset({uuid4()}))) == []


def test_a_period_beyond_every_call_is_one_without_an_end(connection):
    call_id = seed_call(connection, said=said("The parcel is late."))
    long_ago, far_off = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
    assert found(connection, "parcel", since=long_ago, until=far_off) == [call_id]
    assert found(connection, "parcel", since=far_off) == found(connection, "parcel", until=long_ago) == []
    with pytest.raises(WrongQuery, match="no page key"):
        search(connection, OPERATOR, "parcel", CallFilter(), after="t" + "9" * 19)


def test_who_reads_marks_finds_nothing_out_by_searching(connection):
    seed_call(connection, said=said("My card is 4111 1111 1111 1111.", "Thank you for the card."))
    assert found(connection, "4111", ANALYST) == []
    [hit] = search(connection, ANALYST, "card", CallFilter()).hits
    assert all("4111" not in part.excerpt.text for part in hit.said)
    assert len(search(connection, OPERATOR, "4111", CallFilter()).hits) == 1


SPOKEN = said(
    "I would like to pay for the kettle.",
    "May I have your card number please?",
    "It is four two four two, four two four two, four two four two, four two four two.",
    "And your address?",
    "My address is 12 Larkspur Road, Bristol.",
)


@pytest.mark.parametrize(
    "text", ["four", '"two four"', "larkspur", "larkspur kettle", "four or two", '"please it is four"']
)
def test_what_stands_behind_a_mark_is_found_by_nobody_who_reads_marks(connection, text):
    """Else a card number would be guessed word by word, by search, by a list, by a count, by what a question reads."""
    call_id = seed_call(
        connection, said=SPOKEN, analysis={"summary": "Ships to: my address is 12 Larkspur Road, Bristol."}
    )
    wanted = CallFilter(text=text)
    assert found(connection, text, ANALYST) == []
    assert list_calls(connection, ANALYST, wanted).calls == ()
    assert count_calls(connection, ANALYST, wanted) == 0
    hidden = Terms(tuple(run for run in read_terms(text).runs if run != ("kettle",) and run != ("or",)))
    assert best_matching(connection, ANALYST, hidden, CallFilter(), limit=8) == []
    if "or" not in text.split():
        assert found(connection, text) == [call_id]
        assert count_calls(connection, OPERATOR, wanted) == 1
        assert best_matching(connection, OPERATOR, hidden, CallFilter(), limit=8) == [call_id]


def test_what_can_be_read_is_found_whoever_reads_and_ranked_by_that_alone(connection):
    masked = seed_call(connection, said=said("Within four days?", "Yes.", *(text for *_, text in SPOKEN)))
    plain = seed_call(connection, happened_at=NOW - timedelta(days=1), said=said("It takes four days, four at most."))
    assert found(connection, "kettle", ANALYST) == [masked]
    assert found(connection, '"card number"', ANALYST) == [masked]
    assert found(connection, "four", ANALYST) == [plain, masked]
    assert found(connection, "four") == [masked, plain]
    assert count_calls(connection, ANALYST, CallFilter(text="four")) == 2


def test_pages_of_who_reads_marks_tell_nothing_of_the_calls_between(connection):
    """Neither a page that is too short nor a key of a next one says that calls with the words were left out."""
    plain = [
        seed_call(connection, happened_at=NOW - timedelta(days=days), said=said("It takes four days."))
        for days in (5, 9)
    ]
    for hours in range(1, 4):
        for days in (0, 7, 11):
            seed_call(connection, happened_at=NOW - timedelta(days=days, hours=hours), said=SPOKEN)
    pages, after = [], ""
    while True:
        page = list_calls(connection, ANALYST, CallFilter(text="four"), limit=1, after=after)
        pages.append([line.id for line in page.calls])
        if page.next_key is None:
            break
        after = page.next_key
    assert pages == [[plain[0]], [plain[1]]]
    assert list_calls(connection, ANALYST, CallFilter(text="larkspur"), limit=2).next_key is None
    assert search(connection, ANALYST, "larkspur", CallFilter(), limit=1).next_key is None


def test_a_search_of_conversations_that_nobody_looked_through_ends_soon_and_its_pages_stay(any_database):
    """Looking through costs most of it; by the next page what was found is kept, and more could be put in order."""
    with any_database.write() as connection:
        seed_taxonomy(connection)
        every = [
            seed_call(
                connection, happened_at=NOW - timedelta(days=day), said=said("It takes four days." * (day % 3 + 1))
            )
            for day in range(50)
        ]
        for day in (1, 2, 48):
            seed_call(connection, happened_at=NOW - timedelta(days=day), said=SPOKEN)
    pages, looked, after = [], [], ""
    while not pages or after:
        with any_database.write() as connection:
            page = search(connection, ANALYST, "four", CallFilter(), limit=15, after=after)
            keep_looked(connection, page.looked, find_sensitive)
        pages.append([hit.line.id for hit in page.hits])
        looked.append(len(page.looked))
        after = page.next_key or ""
    assert sorted(one for ids in pages for one in ids) == sorted(every)
    # The newest 20, of which those that fit best come first, then the 20 behind them, and what is left.
    assert [len(ids) for ids in pages] == [15, 5, 15, 5, 10]
    assert set(pages[0] + pages[1]) == set(every[:20])
    # Those, one that tells of a next page, and no more for each that is hidden than are looked through at a time.
    assert looked[0] <= RANKED_UNLOOKED + 1 + 4
    assert looked[1] <= 4
    with any_database.read() as connection:
        assert len(search(connection, ANALYST, "four", CallFilter(), limit=50).hits) == 50


def test_words_follow_what_happens_to_a_call(connection):
    call_id = seed_call(connection, said=said("My oven."))
    correct_reason(connection, call_id, "repair_booking", by="maria", now=NOW)
    assert found(connection, "oven", reason="repair_booking") == [call_id]
    of_call = tables.call_analysis.c.call_id == call_id
    connection.execute(
        sa.update(tables.call_analysis).where(of_call, tables.call_analysis.c.is_current).values(headline="A kettle")
    )
    assert (found(connection, "kettle"), found(connection, '"dishwasher has not"')) == ([call_id], [])
    connection.execute(sa.update(tables.call).where(tables.call.c.id == call_id).values(happened_at=NOW + timedelta(1)))
    later = seed_call(connection, said=said("My oven."))
    assert [line.id for line in list_calls(connection, OPERATOR, CallFilter(text="oven")).calls] == [call_id, later]
    # As a recording that replaces another begins anew: nothing that was heard of the old one is left.
    for table in (tables.transcript, tables.call_analysis):
        connection.execute(sa.update(table).where(table.c.call_id == call_id).values(is_current=False))
    connection.execute(sa.update(tables.call).where(tables.call.c.id == call_id).values(stage="received"))
    assert found(connection, "oven") == [later]
    assert facets(connection)[call_id] == (None,) * 4


def test_a_call_that_was_heard_is_found_before_it_is_understood(connection):
    call_id = seed_call(connection, said=said("My oven."), with_analysis=False, stage="received")
    assert found(connection, "oven") == []
    connection.execute(sa.update(tables.call).where(tables.call.c.id == call_id).values(stage="transcribed"))
    assert found(connection, "oven") == [call_id]


def test_what_is_deleted_is_not_found_and_leaves_no_word(connection):
    call_id = seed_call(connection, said=said("My oven."))
    transcripts = sa.select(tables.transcript.c.id).where(tables.transcript.c.call_id == call_id)
    connection.execute(sa.delete(tables.utterance).where(tables.utterance.c.transcript_id.in_(transcripts)))
    for table in (tables.call_analysis, tables.transcript, tables.recording):
        connection.execute(sa.delete(table).where(table.c.call_id == call_id))
    assert connection.execute(sa.select(sa.func.count()).select_from(call_text)).scalar_one() == 0
    connection.execute(sa.delete(tables.call).where(tables.call.c.id == call_id))
    assert found(connection, "oven") == []


def test_facets_are_those_of_the_current_analysis_whatever_is_written(connection):
    chance = Random(4)
    for _ in range(60):
        analysis = {
            "reason_code": chance.choice([None, "other", *TAXONOMY.codes]),
            "reason_confidence": chance.choice([None, 0.2, 0.5, 0.9]),
            "outcome": chance.choice(["resolved", "follow_up"]),
            "sentiment_customer": chance.choice([None, -3.0, -1.0, 0.0, 1.0]),
            "skipped": [{"feature": "summary", "code": chance.choice(["unsupported", "missing"])}],
        }
        call_id = seed_call(connection, said=None, analysis=analysis)
        if chance.random() < 0.3:
            correct_reason(connection, call_id, chance.choice(TAXONOMY.codes), by="maria", now=NOW)
    assert facets(connection) == expected_facets(connection)


def test_every_filter_leaves_what_reading_all_calls_leaves(any_database):
    fill(any_database, 700)
    with any_database.read() as connection:
        assert facets(connection) == expected_facets(connection)
        every = _all(connection, CallFilter())
        assert len(every) == 700
        agent = every[5].agent
        last = names_of(9)[1]
        for wanted, fits in (
            (CallFilter(agent=agent), lambda of: of.agent == agent),
            (CallFilter(team="Team 3"), lambda of: of.team == "Team 3"),
            (
                CallFilter(team="Team 3", reason="delivery_status"),
                lambda of: (of.team, of.reason_code) == ("Team 3", "delivery_status"),
            ),
            (CallFilter(queue="queue 2"), lambda of: of.queue == "Queue 2"),
            (
                CallFilter(reason="complaint", outcome="resolved"),
                lambda of: (of.reason_code, of.outcome) == ("complaint", "resolved"),
            ),
            (CallFilter(sentiment="low"), lambda of: of.sentiment_customer is not None and of.sentiment_customer <= -1),
            (CallFilter(direction="outbound"), lambda of: of.direction == "outbound"),
            (CallFilter(stage="failed"), lambda of: of.stage == "failed"),
            (CallFilter(customer=last.upper()), lambda of: last in (of.customer_name or "")),
            (CallFilter(customer=phone_of(9)), lambda of: of.customer_number == phone_of(9)),
            (
                CallFilter(customer=last, direction="inbound", team="Team 3"),
                lambda of: (of.direction, of.team) == ("inbound", "Team 3") and last in (of.customer_name or ""),
            ),
            (CallFilter(agent="nobody"), lambda of: False),
        ):
            assert [line.id for line in _all(connection, wanted)] == [line.id for line in every if fits(line)], wanted
            assert count_calls(connection, OPERATOR, wanted) == sum(map(fits, every)), wanted


def test_a_customer_is_found_by_parts_of_a_name_whatever_is_written_in_it(connection):
    filed = seed_call(connection, contact_number="+4930123456")
    connection.execute(sa.update(tables.contact).values(first_name="Özlem", last_name="100%_Ek"))
    unfiled = seed_call(connection, customer_name="Özlem 100%_Ek", happened_at=NOW - timedelta(days=1))
    # What is no letter of ASCII in lower case depends on the database.
    for words in ("Özlem", "Özlem 100%_EK", "LEM 100%_e", "%_"):
        found_by = list_calls(connection, OPERATOR, CallFilter(customer=words)).calls
        assert [line.id for line in found_by] == [filed, unfiled], words
    assert list_calls(connection, OPERATOR, CallFilter(customer="100__ek")).calls == ()
    for digits in ("123456", "+4930123456", "0123"):
        assert [line.id for line in list_calls(connection, OPERATOR, CallFilter(customer=digits)).calls] == [filed]


def test_paging_through_what_has_a_word_shows_every_call_once(any_database):
    fill(any_database, 700)
    with any_database.read() as connection:
        of_agent = next(line.agent for line in _all(connection, CallFilter()) if line.agent)
        for wanted in (
            CallFilter(text="the"),
            CallFilter(text="the", agent=of_agent),
            CallFilter(text=rare_words(1)[0]),
        ):
            listed = [line.id for line in _all(connection, wanted)]
            searched: list[UUID] = []
            after = ""
            while True:
                page = search(connection, OPERATOR, wanted.text, wanted, limit=30, after=after)
                searched += [hit.line.id for hit in page.hits]
                if page.next_key is None:
                    break
                after = page.next_key
            assert len(set(searched)) == len(searched)
            assert set(searched) == set(listed)
        common = _all(connection, CallFilter(text="the"))
        assert len(common) > 2 * RANKED
        of_them = [line for line in common if line.agent == of_agent]
        assert _all(connection, CallFilter(text="the", agent=of_agent)) == of_them != []


def test_postgresql_asks_the_calls_of_a_filter_for_a_word_that_many_calls_have(postgres_url):
    database = Database(postgres_url)
    upgrade(database)
    fill(database, 700)
    filters = (
        CallFilter(text="the", direction="inbound"),
        CallFilter(text="the", direction="inbound", until=FIRST_AT + (LAST_AT - FIRST_AT) / 2),
        CallFilter(text="the", reason="complaint", outcome="resolved"),
        CallFilter(text="the", team="Team 3", direction="inbound"),
        CallFilter(text="the", customer=names_of(9)[1]),
        CallFilter(text="the and", stage="done"),
        # No call has both.
        CallFilter(text=f"the {rare_words(1)[0]} dishwasher", direction="inbound"),
    )
    with database.write() as connection:
        expected = [_all(connection, wanted) for wanted in filters]
        assert all(expected[:-1])
        assert not expected[-1]
        # By the statistics most words are in thousands of calls now.
        connection.exec_driver_sql("UPDATE pg_class SET reltuples = 1e9 WHERE oid = 'call_text'::regclass")
        connection.info.clear()
        sent: list[str] = []
        sa.event.listen(connection, "before_cursor_execute", lambda *given: sent.append(given[2]))
        for wanted, lines in zip(filters, expected, strict=True):
            assert [line.id for line in _all(connection, wanted)] == [line.id for line in lines], wanted
            assert [line.id for line in _all(connection, wanted, limit=3)] == [line.id for line in lines], wanted
        assert sum("look_end" in statement for statement in sent) > 2 * len(filters)
        # So many of one moment that no look comes to another: they are found by their numbers.
        moment = FIRST_AT + (LAST_AT - FIRST_AT) / 3
        connection.execute(
            sa.update(tables.call).where(tables.call.c.direction == "inbound").values(happened_at=moment)
        )
        found = [line.id for line in _all(connection, filters[0], limit=3)]
        assert sorted(found) == sorted(line.id for line in expected[0])
    database.dispose()


def _all(connection: sa.Connection, wanted: CallFilter, limit: int = 37) -> list:
    lines = []
    after = ""
    while True:
        page = list_calls(connection, OPERATOR, wanted, limit=limit, after=after)
        lines += page.calls
        if page.next_key is None:
            return lines
        after = page.next_key


def test_the_words_of_the_seeds_are_those_of_their_conversation(connection):
    seed_call(connection)
    [row] = connection.execute(sa.select(call_text)).all()
    assert row.said.split("\n") == [text for *_, text in SAID]
