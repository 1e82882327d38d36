"""Laws of corrections as forms: two clicks do it, nobody's words are lost, and nobody corrects what is not theirs."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from crm.tables import call, contact
from crm.users import create_user
from tests.seeds import NOW, seed_call
from tests.web_client import PASSWORD, Hall, make_hall


@pytest.fixture
def hall(tmp_path: Path) -> Hall:
    made = make_hall(tmp_path)
    made.sign_in()
    return made


@pytest.fixture
def call_id(hall):
    with hall.wiring.database.write() as connection:
        return seed_call(connection, contact_number="+15550100")


def page_of(hall, call_id, query=""):
    return hall.client.get(f"/calls/{call_id}{query}").text


def words(page):
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def revision_in(page):
    found = re.search(r'name="revision" value="(\d+)"', page)
    assert found is not None
    return found[1]


def correct(hall, call_id, revision=None, **said):
    return hall.post(f"/calls/{call_id}/corrections", revision=revision or revision_in(page_of(hall, call_id)), **said)


def written(**more):
    """What the form of words sends when nobody has touched it, but for `more`."""
    return {
        "headline": "Dishwasher has not arrived",
        "summary": "The customer's dishwasher was due on Monday and has not arrived. The agent looks it up.",
        "outcome": "follow_up",
        "step": ["Call the customer back", ""],
        "owner": ["agent", ""],
        "due_on": ["2026-03-23", ""],
    } | more


def test_a_reason_is_corrected_by_one_button_and_the_history_says_who(hall, call_id):
    assert 'name="reason" value="repair_booking"' in page_of(hall, call_id)
    answer = correct(hall, call_id, reason="repair_booking")
    assert answer.headers["location"] == f"/calls/{call_id}?said=corrected"
    page = words(hall.client.get(answer.headers["location"]).text)
    assert "Your correction is kept" in page
    assert "said by maria" in page
    assert "Reason Delivery status Repair booking maria" in page


def test_what_nobody_touched_is_not_noted_as_a_correction(hall, call_id):
    answer = correct(hall, call_id, **written())
    assert answer.headers["location"].endswith("said=same")
    assert "History of changes" not in page_of(hall, call_id)
    answer = correct(hall, call_id, **written(outcome="resolved"))
    page = words(hall.client.get(answer.headers["location"]).text)
    assert "Outcome Follow-up agreed Resolved maria" in page
    assert "Summary" not in page.split("History of changes")[1]


def test_next_steps_are_changed_added_and_taken_away(hall, call_id):
    more = {"step": ["Send a voucher", "", "Ring"], "owner": ["Kim", "", ""], "due_on": ["", "", "2026-04-01"]}
    correct(hall, call_id, **written(**more))
    document = hall.client.get(f"/api/v1/calls/{call_id}").json()
    assert document["analysis"]["next_steps"] == [
        {"text": "Send a voucher", "owner": "Kim", "due_on": None},
        {"text": "Ring", "owner": "", "due_on": "2026-04-01"},
    ]


def test_the_second_of_two_editors_is_told_and_keeps_what_they_wrote(hall, call_id):
    revision = revision_in(page_of(hall, call_id))
    assert correct(hall, call_id, revision, reason="new_order").status_code == 303
    answer = correct(hall, call_id, revision, **written(summary="What I wrote in ten minutes."))
    assert answer.status_code == 409
    assert "Maria has changed this call meanwhile" in words(answer.text)
    assert "What I wrote in ten minutes.</textarea>" in answer.text
    assert "New order" in words(answer.text)
    # The form that comes back carries the revision of now: sent again, it is taken.
    again = correct(hall, call_id, revision_in(answer.text), **written(summary="What I wrote in ten minutes."))
    assert again.headers["location"].endswith("said=corrected")
    document = hall.client.get(f"/api/v1/calls/{call_id}").json()
    assert document["analysis"]["summary"] == "What I wrote in ten minutes."
    assert document["analysis"]["reason"]["code"] == "new_order"


@pytest.mark.parametrize(
    "said",
    [
        {"reason": "no_such_reason"},
        written(summary=" "),
        written(headline="x" * 91),
        written(due_on=["soon", ""]),
        {"customer": "nobody at all"},
    ],
)
def test_what_cannot_be_taken_comes_back_with_the_reason_why(hall, call_id, said):
    answer = correct(hall, call_id, **said)
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert "History of changes" not in answer.text


def test_a_reason_that_is_right_is_confirmed(hall, call_id):
    page = page_of(hall, call_id)
    answer = hall.post(f"/calls/{call_id}/confirmation", revision=revision_in(page))
    assert answer.headers["location"] == f"/calls/{call_id}?said=confirmed"
    assert "Reason confirmed Delivery status maria" in words(page_of(hall, call_id))


def test_a_call_is_given_to_another_customer_and_the_page_leads_there(hall, call_id):
    correct(hall, call_id, customer="+15550177")
    with hall.wiring.database.read() as connection:
        wanted = sa.select(contact.c.id).where(contact.c.phone_e164 == "+15550177")
        other = connection.execute(wanted).scalar_one()
        assert connection.execute(sa.select(call.c.contact_id).where(call.c.id == call_id)).scalar_one() == other
    page = page_of(hall, call_id)
    assert f'<a href="/customers/{other}">+15550177</a>' in page
    # That was whom telephony named.
    assert "Rosa Diaz" not in page
    answer = correct(hall, call_id, customer="", names_customer="true")
    assert answer.headers["location"] == f"/calls/{call_id}?said=corrected"
    with hall.wiring.database.read() as connection:
        assert connection.execute(sa.select(call.c.contact_id).where(call.c.id == call_id)).scalar_one() is None


def test_a_form_leads_back_to_where_it_came_from_and_nowhere_else(hall, call_id):
    assert correct(hall, call_id, reason="new_order", to="/review?after=x").headers["location"] == "/review?after=x"
    assert correct(hall, call_id, reason="repair_booking", to="//evil.example").headers["location"] == "/calls"


def test_an_analyst_reads_with_marks_and_finds_no_form(hall):
    said = [(0, "customer", 0.0, 4.0, "My card is 4111 1111 1111 1111, please.")]
    with hall.wiring.database.write() as connection:
        hidden = seed_call(connection, said=said)
        create_user(connection, "ana", PASSWORD, "analyst", NOW)
    whole = page_of(hall, hidden)
    hall.client.cookies.clear()
    hall.sign_in(name="ana")
    page = page_of(hall, hidden)
    assert "4111 1111 1111 1111" in whole
    assert "4111" not in page
    assert "your role reads calls without them" in page
    assert "/corrections" not in page
    assert "<audio" not in page
    assert correct(hall, hidden, "2", reason="new_order").status_code == 403


def test_a_link_to_a_second_opens_there_without_scripts(hall, call_id):
    page = page_of(hall, call_id, "?t=7.2")
    assert re.search(r'<li id="turn-2"[^>]* aria-current="true"', page)
    assert "/audio#t=7.2" in page
    assert "aria-current" not in page_of(hall, call_id, "?t=0.1").split('class="turns"')[1]


def test_words_that_are_looked_for_are_marked_whatever_their_case(hall, call_id):
    page = page_of(hall, call_id, "?find=DISHWASHER+has")
    assert "My <mark>dishwasher has</mark> not arrived" in page
    assert "1 found" in words(page)


def test_moods_of_earlier_calls_are_drawn(hall):
    with hall.wiring.database.write() as connection:
        for days, mood in ((0, 2.0), (1, -4.0)):
            last = seed_call(
                connection,
                contact_number="+15550100",
                happened_at=NOW - timedelta(days=1 - days),
                analysis={"sentiment_customer": mood},
            )
    assert "Moods, the latest last: 2, -4" in page_of(hall, last)
