"""Laws of what CRMs are told of a call: their units, their limits, and text that stays text."""

import json
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls.analysis import NextStep
from calls.crm_payloads import (
    DYNAMICS_DESCRIPTION,
    HUBSPOT_BODY,
    MAPPERS,
    TASK_DESCRIPTION,
    description,
    dynamics_phone_call,
    hubspot_call,
    salesforce_task,
    salesforce_voice_call,
    webhook_call,
    zendesk_call,
)
from calls.handover import (
    ATTEMPTS_AFTER_S,
    CrmIds,
    HandedCall,
    Rules,
    State,
    first_state,
    next_attempt_s,
    payload_hash,
)
from calls.recording import Direction
from tests.xss import XSS

AT = datetime(2026, 3, 20, 23, 30, 5, 250_000, tzinfo=UTC)


def a_call(**facts):
    row = {
        "id": UUID("7b0f1d0e-6d0b-4a6f-8a43-1f0a56d3b6a1"),
        "source_system": "plain",
        "external_call_id": "ext-1",
        "revision": 3,
        "happened_at": AT,
        "headline": "Dishwasher has not arrived",
        "summary": "It was due on Monday.",
        "summary_kind": "written",
        "subject": "dishwasher",
        "reason_code": "delivery_status",
        "reason_label": "Delivery status",
        "reason_confidence": 0.87,
        "outcome": "follow_up",
        "is_resolved": False,
        "next_steps": (NextStep("Call back", "agent", date(2026, 3, 23)), NextStep("Wait")),
        "answers": {"new_customer": False},
        "sentiment": -1.0,
        "sentiment_start": -3.0,
        "sentiment_end": 1.0,
        "model": "openai/gpt-5.4-mini",
        "direction": Direction.INBOUND,
        "from_number_e164": "+15550100",
        "to_number_e164": "+15550199",
        "customer_name": "Rosa Diaz",
        "agent": "Andrew K",
        "queue": "Deliveries",
        "started_at": AT,
        "ended_at": AT + timedelta(seconds=90.6),
        "duration_s": 90.6,
        "hold_time_s": 12.2,
        "hold_count": 1,
        "page_url": "https://calls.example.org/calls/7b0f1d0e-6d0b-4a6f-8a43-1f0a56d3b6a1",
    } | facts
    return HandedCall(**row)


IDS = CrmIds(contact="003C", account="001A", owner="005U")


def test_a_task_counts_seconds_and_its_day_is_the_sites():
    fields = salesforce_task(a_call(), IDS, zone=ZoneInfo("Europe/Berlin")).fields
    assert fields["CallDurationInSeconds"] == 91
    # 23:30 in UTC is the next day in Berlin.
    assert fields["ActivityDate"] == "2026-03-21"
    assert (fields["TaskSubtype"], fields["Status"], fields["CallType"]) == ("Call", "Completed", "Inbound")
    assert fields["CallDisposition"] == "Delivery status: Follow-up agreed"
    assert (fields["WhoId"], fields["OwnerId"]) == ("003C", "005U")
    # A contact's Task is its account's by itself: WhatId is for something else.
    assert "WhatId" not in fields


def test_hubspot_counts_milliseconds_and_gets_text_alone():
    fields = hubspot_call(a_call(), IDS).fields
    assert fields["hs_call_duration"] == "90600"
    assert fields["hs_timestamp"] == "2026-03-20T23:30:05.250Z"
    assert fields["hs_call_direction"] == "INBOUND"
    assert all(isinstance(value, str) for value in fields.values())
    assert "hs_call_recording_url" not in fields


def test_dynamics_counts_minutes_begun_and_says_who_is_who():
    inbound = dynamics_phone_call(a_call(), IDS).fields
    assert inbound["actualdurationminutes"] == 2
    assert inbound["directioncode"] is False
    assert inbound["phonenumber"] == "+15550100"
    parties = {
        json.dumps({k: v for k, v in one.items() if "bind" in k}): one for one in inbound["phonecall_activity_parties"]
    }
    masks = {key: one["participationtypemask"] for key, one in parties.items()}
    # 1 is who called, 2 who was called.
    assert masks == {
        '{"partyid_contact@odata.bind": "/contacts(003C)"}': 1,
        '{"partyid_systemuser@odata.bind": "/systemusers(005U)"}': 2,
    }
    outbound = dynamics_phone_call(a_call(direction=Direction.OUTBOUND)).fields
    assert outbound["directioncode"] is True
    assert outbound["phonecall_activity_parties"] == [{"addressused": "+15550199", "participationtypemask": 2}]


def test_zendesk_says_what_it_lacks():
    told = zendesk_call(a_call(), CrmIds(owner="12345"))
    assert told.missing == ("app_id",)
    assert told.fields["agent_id"] == 12345
    assert told.fields["direction"] == "inbound"
    internal = zendesk_call(a_call(direction=Direction.INTERNAL, from_number_e164=None))
    assert internal.missing == ("app_id", "from_line", "direction")


def test_a_voice_call_names_what_its_crm_writes_alone():
    told = salesforce_voice_call(a_call(ended_at=None, duration_s=None), IDS)
    assert told.fields["CustomerSentimentScore"] == -1.0
    assert told.read_only == ("CustomerSentimentScore",)
    assert told.missing == ("CallEndDateTime",)
    assert (told.fields["CustomerHoldDuration"], told.fields["NumberOfHolds"]) == (12, 1)
    assert salesforce_voice_call(a_call(sentiment=None)).read_only == ()


def test_a_call_whose_end_nobody_told_ends_where_its_length_says():
    began = a_call(ended_at=None, started_at=AT, duration_s=90.5)
    end = "2026-03-20T23:31:35.750Z"
    assert salesforce_voice_call(began).fields["CallEndDateTime"] == end
    assert dynamics_phone_call(began).fields["actualend"] == end
    assert zendesk_call(began).fields["call_ended_at"] == end
    told = a_call(started_at=AT, duration_s=90.5, ended_at=AT + timedelta(seconds=100))
    assert zendesk_call(told).fields["call_ended_at"] == "2026-03-20T23:31:45.250Z"
    assert "call_ended_at" not in zendesk_call(a_call(ended_at=None, started_at=None)).fields


def test_a_webhook_gets_all_that_is_known_under_our_names():
    fields = webhook_call(a_call(), IDS).fields
    assert fields["id"] == "7b0f1d0e-6d0b-4a6f-8a43-1f0a56d3b6a1"
    assert fields["next_steps"][0] == {"text": "Call back", "owner": "agent", "due_on": "2026-03-23"}
    assert fields["direction"] == "inbound"
    assert fields["crm"] == {"contact": "003C", "account": "001A", "owner": "005U"}
    assert set(HandedCall.__dataclass_fields__) < set(fields)
    json.dumps(fields)


def test_nothing_that_is_unknown_is_sent():
    bare = a_call(
        **dict.fromkeys(
            ("reason_code", "reason_label", "direction", "from_number_e164", "duration_s", "ended_at"), None
        ),
        outcome="unknown",
    )
    for name, mapper in MAPPERS.items():
        if name != "webhook":
            assert not [key for key, value in mapper(bare, CrmIds()).fields.items() if value is None or value == ""], (
                name
            )


@pytest.mark.parametrize("name", [name for name in MAPPERS if name != "webhook"])
@given(st.text(max_size=40), st.integers(0, 40_000))
def test_no_text_is_longer_than_its_crm_takes(name, text, times):
    long = text * times
    call = a_call(
        headline=long[:60_000], summary=long[:140_000], reason_label=long[:3000] or None, external_call_id=long[:2000]
    )
    most = {
        "Subject": 255,
        "Description": TASK_DESCRIPTION,
        "CallDisposition": 255,
        "CallObject": 255,
        "VendorCallKey": 255,
        "hs_call_body": HUBSPOT_BODY,
        "hs_call_title": 255,
        "subject": 200,
        "description": DYNAMICS_DESCRIPTION,
        "call_disposition": 255,
    }
    for key, value in MAPPERS[name](call, IDS).fields.items():
        if key in most:
            assert len(value) <= most[key]


@pytest.mark.parametrize("payload", XSS)
def test_what_hubspot_shows_as_html_holds_no_tag_of_the_calls(payload):
    body = hubspot_call(a_call(summary=f"{payload}\n{payload}", agent=payload, queue=payload), IDS).fields[
        "hs_call_body"
    ]
    assert "<" not in body.replace("<br>", "")
    assert '"' not in body


def test_a_description_begins_with_what_is_wanted_most_and_says_who_wrote_it():
    told = description(a_call())
    assert told.startswith(
        "It was due on Monday.\n\nNext steps:\n- Call back (agent, by 2026-03-23)\n- Wait\n\nReason: Delivery status\n"
    )
    assert "Written by openai/gpt-5.4-mini" in told
    assert told.endswith("1f0a56d3b6a1")
    assert "Checked by maria" in description(a_call(reviewed_by="maria"))


@given(st.permutations(list(webhook_call(a_call()).fields.items())))
def test_the_hash_of_a_payload_knows_no_order(items):
    assert payload_hash(dict(items)) == payload_hash(webhook_call(a_call()).fields)


def test_the_hash_of_a_payload_knows_every_change():
    first = salesforce_task(a_call()).fields
    assert payload_hash(first) != payload_hash(salesforce_task(a_call(summary="Another.")).fields)


def test_attempts_come_at_once_and_then_in_half_a_minute_two_ten_and_sixty():
    assert [next_attempt_s(attempt) for attempt in range(1, 6)] == [30, 120, 600, 3600, None]
    assert ATTEMPTS_AFTER_S[0] == 0


@pytest.mark.parametrize(
    ("facts", "rules", "expected"),
    [
        ({}, Rules(), (State.WAITING, "")),
        ({"stage": "understood"}, Rules(), None),
        ({"is_sample": True}, Rules(), None),
        ({"is_demo": True}, Rules(), (State.LEFT, "demo_result")),
        ({"is_demo": True}, Rules(demo_results=True), (State.WAITING, "")),
        ({}, Rules(needs_approval=True), (State.HELD, "not_approved")),
        ({"is_approved": True}, Rules(needs_approval=True), (State.WAITING, "")),
    ],
)
def test_what_goes_is_what_the_owner_lets_go(facts, rules, expected):
    call = {"stage": "done", "is_sample": False, "is_demo": False, "is_approved": False} | facts
    assert first_state(**call, rules=rules) == expected
