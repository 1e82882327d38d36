"""Laws of the read queries about calls, and of users."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from calls.money import Charge
from crm import tables
from crm.access import OPERATOR
from crm.call_documents import call_document, page_document
from crm.calls import (
    CallFilter,
    NoSuchCall,
    WrongQuery,
    earlier_calls,
    filter_choices,
    find_call,
    list_calls,
    parse_moment,
)
from crm.database import Database
from crm.jobs import first_job
from crm.money import note_charge
from crm.one_call import call_in_full
from crm.operations import failed_calls, failure_groups, spending, unreadable_events, waiting_groups
from crm.users import UserError, create_user, find_user, has_users, is_password_of
from tests.seeds import NOW, SAID, seed_call, seed_failed_call, seed_taxonomy


@pytest.fixture
def connection(any_database: Database) -> Iterator[sa.Connection]:
    with any_database.write() as connection:
        seed_taxonomy(connection)
        yield connection


def test_paging_by_key_shows_every_call_once_newest_first(connection):
    # Several calls at one moment: the key's second part has to decide.
    seeded = {seed_call(connection, happened_at=NOW - timedelta(minutes=n // 3), said=None) for n in range(10)}
    seen: list[UUID] = []
    moments = []
    after = ""
    while True:
        page = list_calls(connection, OPERATOR, CallFilter(), limit=3, after=after)
        seen += [line.id for line in page.calls]
        moments += [line.happened_at for line in page.calls]
        if page.next_key is None:
            break
        after = page.next_key
    assert len(seen) == 10
    assert set(seen) == seeded
    assert moments == sorted(moments, reverse=True)


def test_each_filter_keeps_what_it_names_and_nothing_else(connection):
    wanted = seed_call(
        connection,
        agent="Priya N",
        queue="Repairs",
        customer_name="Anna Ødegaard",
        from_number_e164="+4790012345",
        happened_at=NOW - timedelta(days=2),
        analysis={"reason_code": "repair_booking", "headline": "Oven 100% dead"},
    )
    seed_call(connection, happened_at=NOW)
    seed_failed_call(connection, happened_at=NOW, agent=None)
    for wish in (
        CallFilter(agent="priya n"),
        CallFilter(queue="Repairs"),
        CallFilter(customer="ødegaard"),
        CallFilter(customer="900 12-345"),
        CallFilter(reason="repair_booking"),
        CallFilter(text="100% DEAD"),
        CallFilter(until=NOW - timedelta(days=1)),
    ):
        assert [line.id for line in list_calls(connection, OPERATOR, wish).calls] == [wanted], wish
    assert [line.stage for line in list_calls(connection, OPERATOR, CallFilter(stage="failed")).calls] == ["failed"]
    assert len(list_calls(connection, OPERATOR, CallFilter(since=NOW - timedelta(days=1))).calls) == 2


def test_text_is_found_in_what_was_said_and_wildcards_are_letters(connection):
    seed_call(connection)
    assert len(list_calls(connection, OPERATOR, CallFilter(text="let me look that up")).calls) == 1
    assert list_calls(connection, OPERATOR, CallFilter(text="let%up")).calls == ()


def test_sample_history_is_listed_only_when_it_is_asked_for(connection):
    seed_call(connection, is_sample=True, said=None)
    assert list_calls(connection, OPERATOR, CallFilter()).calls == ()
    assert len(list_calls(connection, OPERATOR, CallFilter(with_samples=True)).calls) == 1


@pytest.mark.parametrize("key", ["x", "20260320T120000.000000-zz", "-", "0'; DROP TABLE call"])
def test_a_page_key_that_nobody_gave_out_is_refused(connection, key):
    with pytest.raises(WrongQuery):
        list_calls(connection, OPERATOR, CallFilter(), after=key)


def test_a_call_is_found_by_our_id_by_telephonys_and_by_its_recording(connection):
    call_id = seed_call(connection, external_call_id="REC/77", recording={"object_key": "a b/ü+c.wav"})
    for reference in (str(call_id), call_id.hex[:8].upper(), "REC/77", "recordings/a b/ü+c.wav"):
        assert find_call(connection, reference) == call_id
    with pytest.raises(NoSuchCall):
        find_call(connection, str(uuid4()))


def test_the_document_of_a_call_has_the_contracts_keys(connection):
    call_id = seed_call(connection)
    note_charge(connection, call_id, Charge("openai", "m", "understand", cost_microusd=1200), now=NOW)
    note_charge(connection, call_id, Charge("openai", "m", "transcribe", cost_microusd=34), now=NOW)
    document = call_document(call_in_full(connection, OPERATOR, call_id))
    assert document["turns"][1] == {
        "speaker": "customer",
        "start_s": 3.1,
        "end_s": 6.4,
        "text": "My dishwasher has not arrived and it was due on Monday.",
    }
    assert len(document["turns"]) == len(SAID)
    assert document["channels"] == [{"channel": 0, "speaker": "customer"}, {"channel": 1, "speaker": "agent"}]
    assert document["analysis"]["reason"] == {"code": "delivery_status", "label": "Delivery status", "confidence": 0.87}
    assert document["analysis"]["cost_microusd"] == 1234
    assert document["analysis"]["sentiment"] == {"start": -3.0, "end": 1.0, "overall": -1.0}
    assert document["timing"]["talk_time_agent_s"] == 4.8
    assert document["timing"]["duration_s"] == 15.0
    assert document["skipped"] == []


def test_an_unpriced_request_makes_the_cost_unknown_not_free(connection):
    call_id = seed_call(connection)
    note_charge(connection, call_id, Charge("openai", "m", "understand", cost_microusd=1200), now=NOW)
    note_charge(connection, call_id, Charge("openai", "new", "understand", cost_microusd=None), now=NOW)
    assert call_document(call_in_full(connection, OPERATOR, call_id))["cost_microusd"] is None


def test_a_failed_call_has_a_document_too(connection):
    document = call_document(call_in_full(connection, OPERATOR, seed_failed_call(connection)))
    assert document["failure"]["code"] == "not_audio"
    assert document["analysis"] is None
    assert document["turns"] == []


def test_the_marks_of_a_line_come_from_transcript_and_analysis(connection):
    seed_call(
        connection,
        transcript={"is_demo": True, "skipped": [{"feature": "recording", "code": "truncated"}]},
        analysis={"reason_code": "other"},
    )
    (line,) = page_document(list_calls(connection, OPERATOR, CallFilter()))["calls"]
    assert line["is_demo"] is True
    assert line["is_truncated"] is True
    assert line["reason"]["label"] == "Other"


def test_what_failed_what_waits_and_what_it_costs_is_counted(connection):
    for _ in range(2):
        failed = seed_failed_call(connection)
    waits = seed_call(connection, stage="received", said=None, with_analysis=False)
    job = first_job(waits, NOW) | {"last_code": "rate_limited", "last_detail": "slow down"}
    connection.execute(sa.insert(tables.job).values(**job))
    note_charge(connection, waits, Charge("openai", "m", "x", cost_microusd=70), now=NOW)
    note_charge(connection, waits, Charge("openai", "m", "x", cost_microusd=None), now=NOW)
    note_charge(connection, waits, Charge("openai", "m", "x", cost_microusd=5), now=NOW + timedelta(hours=1))
    (group,) = failure_groups(connection)
    assert (group.code, group.call_count) == ("not_audio", 2)
    assert failed in [line.id for line in failed_calls(connection)]
    (waiting,) = waiting_groups(connection)
    assert (waiting.code, waiting.detail, waiting.next_at) == ("rate_limited", "slow down", NOW)
    today = spending(connection, NOW, NOW + timedelta(hours=1))
    assert (today.request_count, today.unpriced_count, today.cost_microusd) == (2, 1, 70)
    assert unreadable_events(connection) == []


def test_earlier_calls_are_the_same_customers_before_this_one(connection):
    first, second, third = (
        seed_call(connection, contact_number="+15550100", happened_at=NOW + timedelta(hours=n)) for n in range(3)
    )
    seed_call(connection, contact_number="+15550111", happened_at=NOW)
    assert [line.id for line in earlier_calls(connection, OPERATOR, third)] == [second, first]
    assert earlier_calls(connection, OPERATOR, first) == ()
    assert earlier_calls(connection, OPERATOR, seed_call(connection, happened_at=NOW + timedelta(days=1))) == ()


def test_filters_offer_what_calls_have(connection):
    seed_call(connection, analysis={"reason_code": "insufficient_content"})
    choices = filter_choices(connection, OPERATOR)
    assert choices.reasons == (("insufficient_content", "Not enough said"),)
    assert choices.agents == ("Andrew K",)


def test_a_date_stands_for_the_whole_local_day():
    zone = ZoneInfo("Europe/Berlin")
    since, until = parse_moment("2026-03-29", zone), parse_moment("2026-03-29", zone, is_until=True)
    assert since is not None
    assert until is not None
    # Clocks go forward on that day.
    assert until - since == timedelta(hours=23)
    assert since.isoformat() == "2026-03-28T23:00:00+00:00"
    with pytest.raises(WrongQuery, match="no date"):
        parse_moment("yesterday", zone)
    with pytest.raises(WrongQuery, match="leave it out"):
        parse_moment("9999-12-31", zone, is_until=True)


def test_a_password_opens_its_own_account_only(connection):
    assert not has_users(connection)
    create_user(connection, "maria", "correct horse battery", "admin", NOW)
    maria = find_user(connection, "maria")
    assert has_users(connection)
    assert is_password_of(maria, "correct horse battery")
    assert not is_password_of(maria, "Correct horse battery")
    assert not is_password_of(None, "correct horse battery")
    assert "correct horse" not in maria.password_hash


def test_a_name_that_the_database_cannot_hold_is_nobodys(connection):
    assert find_user(connection, "mar\0ia") is None


@pytest.mark.parametrize(
    ("name", "password", "role", "code"),
    [
        ("maria", "correct horse battery", "admin", "name_taken"),
        ("MARIA", "correct horse battery", "admin", "name_taken"),
        (" x", "correct horse battery", "admin", "wrong_name"),
        ("..", "correct horse battery", "admin", "wrong_name"),
        ("a\nb", "correct horse battery", "admin", "wrong_name"),
        ("new", "short", "admin", "weak_password"),
        ("new", "correct horse battery", "king", "wrong_role"),
    ],
)
def test_a_user_that_cannot_be_is_refused_with_the_cause(connection, name, password, role, code):
    create_user(connection, "maria", "the first password", "admin", NOW)
    with pytest.raises(UserError) as refused:
        create_user(connection, name, password, role, NOW)
    assert refused.value.code == code
