"""Laws of contact records: one or many, in every form in which they are delivered, and again."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls.recording import CallFacts, Direction
from calls.telling import Rank, merge_tellings
from ingest.contact_records import MAX_RECORDS_BYTES, Record, read_records
from ingest.values import Locality
from tests.storable import assert_storable

LOCAL = Locality()
RECORD = {
    "ContactId": "c-1",
    "InitialContactId": "c-0",
    "PreviousContactId": "c-0",
    "Channel": "VOICE",
    "InitiationMethod": "INBOUND",
    "InitiationTimestamp": "2026-03-14T09:26:50Z",
    "ConnectedToSystemTimestamp": "2026-03-14T09:26:51Z",
    "DisconnectTimestamp": "2026-03-14T09:31:02Z",
    "DisconnectReason": "CUSTOMER_DISCONNECT",
    "LastUpdateTimestamp": "2026-03-14T09:40:00Z",
    "CustomerEndpoint": {"Address": "+12065550118", "Type": "TELEPHONE_NUMBER"},
    "SystemEndpoint": {"Address": "+18005550100", "Type": "TELEPHONE_NUMBER"},
    "Queue": {"Name": "Service", "ARN": "arn:q", "EnqueueTimestamp": "2026-03-14T09:27:00Z", "Duration": 10},
    "Agent": {
        "Username": "ana",
        "ConnectedToAgentTimestamp": "2026-03-14T09:27:10Z",
        "CustomerHoldDuration": 12,
        "NumberOfHolds": 1,
        "LongestHoldDuration": 12,
        "AfterContactWorkDuration": 30,
        "HierarchyGroups": {
            "Level1": {"GroupName": "Europe", "ARN": "arn:1"},
            "Level2": {"GroupName": "Repairs", "ARN": "arn:2"},
            "Level3": None,
        },
    },
    "Attributes": {"order": "4719"},
    "ANewField": {"of": "tomorrow"},
}


def read_one(**changed: object) -> Record:
    (record,) = read_records(RECORD | changed, LOCAL)
    return record


def test_a_contact_record_tells_all_that_telephony_knows():
    record = read_one()
    assert (record.source_system, record.external_call_id) == ("connect", "c-1")
    assert (record.telling.rank, record.telling.as_of) == (
        Rank.RECORD,
        datetime(2026, 3, 14, 9, 40, tzinfo=UTC),
    )
    assert record.telling.facts == CallFacts(
        external_call_id="c-1",
        initial_call_id="c-0",
        previous_call_id="c-0",
        direction=Direction.INBOUND,
        from_number_e164="+12065550118",
        to_number_e164="+18005550100",
        agent_name="ana",
        team_name="Repairs",
        queue_name="Service",
        queued_at=datetime(2026, 3, 14, 9, 27, tzinfo=UTC),
        started_at=datetime(2026, 3, 14, 9, 26, 50, tzinfo=UTC),
        answered_at=datetime(2026, 3, 14, 9, 27, 10, tzinfo=UTC),
        ended_at=datetime(2026, 3, 14, 9, 31, 2, tzinfo=UTC),
        hold_time_s=12.0,
        hold_count=1,
        acw_time_s=30.0,
        disconnect_reason="CUSTOMER_DISCONNECT",
        agent_channel=1,
        attributes={"order": "4719"},
    )


@pytest.mark.parametrize(
    ("method", "direction"),
    [
        ("INBOUND", Direction.INBOUND),
        ("TRANSFER", Direction.INBOUND),
        ("OUTBOUND", Direction.OUTBOUND),
        ("CALLBACK", Direction.OUTBOUND),
        ("API", None),
        ("OF_TOMORROW", None),
        (None, None),
    ],
)
def test_how_a_contact_began_is_its_direction(method, direction):
    facts = read_one(InitiationMethod=method).telling.facts
    assert facts.direction is direction
    # The customer's number is the customer's, whoever called.
    assert facts.customer_number_e164 == "+12065550118"


@pytest.mark.parametrize(
    ("changed", "transferred"),
    [
        ({}, None),
        ({"InitiationMethod": "TRANSFER"}, True),
        ({"NextContactId": "c-2"}, True),
        ({"TransferCompletedTimestamp": "2026-03-14T09:31:00Z"}, True),
        ({"NextContactId": None}, False),
        ({"NextContactId": None, "DisconnectTimestamp": None}, None),
    ],
)
def test_a_transfer_is_told_by_what_came_before_or_after(changed, transferred):
    assert read_one(**changed).telling.facts.is_transferred is transferred


def test_an_endpoint_that_is_no_telephone_is_no_number_and_another_channel_is_an_attribute():
    facts = read_one(
        Channel="CHAT",
        CustomerEndpoint={"Address": "+12065550118", "Type": "VOIP"},
        SystemEndpoint={"Address": "+18005550100"},
    ).telling.facts
    assert (facts.from_number_e164, facts.to_number_e164) == (None, "+18005550100")
    assert facts.attributes == {"order": "4719", "channel": "CHAT"}


def texts() -> list[pytest.ParameterSet]:  # type: ignore[name-defined]
    first, second = json.dumps(RECORD), json.dumps(RECORD | {"ContactId": "c-2"})
    forms = {
        "a list": f"[{first},{second}]",
        "lines": f"{first}\n{second}\n",
        "one behind the other": first + second,
        "with blanks between": f"\ufeff {first}  {second} ",
        "indented": json.dumps(RECORD, indent=2) + json.dumps(RECORD | {"ContactId": "c-2"}, indent=2),
        "records": f'{{"Records": [{first}, {second}]}}',
        "a broken line between": f'{first}\n{{"ContactId": "c-3", \n{second}\n',
        "others between": f'{first}\n{{"no": "record"}}\n[1, null]\n"text"\n{second}',
        "broken off": first + second + first[:100],
    }
    return [pytest.param(text, id=name) for name, text in forms.items()]


@pytest.mark.parametrize("text", texts())
def test_records_are_found_in_every_form_in_which_they_are_delivered(text):
    records = read_records(text.encode(), LOCAL)
    assert [record.external_call_id for record in records] == ["c-1", "c-2"]


def test_records_are_read_from_values_as_from_text():
    assert read_records([RECORD], LOCAL) == read_records(json.dumps(RECORD).encode(), LOCAL)
    assert read_records({"Records": [RECORD]}, LOCAL) == read_records(RECORD, LOCAL)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"RIFF\x00\x00WAVE",
        b"\xff" * 1000,
        b"[" * 100_000,
        b'{"Records": {"ContactId": "c"}}',
        b'{"ContactId": ""}',
        b'{"ContactId": ["c"]}',
        b'{"ContactId": "\\u0000"}',
        b'{"s3": {"object": {"key": "a"}}}',
        b" " * (MAX_RECORDS_BYTES + 1),
        b"no json\n" * 10_000,
    ],
    ids=lambda raw: str(raw[:20]),
)
def test_what_is_no_contact_record_gives_none(raw):
    assert read_records(raw, LOCAL) == []


def test_a_record_that_is_sent_again_late_is_not_undone_by_the_first():
    first = read_one(LastUpdateTimestamp="2026-03-14T09:40:00Z", Agent={"Username": "ana"})
    again = read_one(LastUpdateTimestamp="2026-03-14T10:40:00Z", Agent={"Username": "ben"})
    for order in ([first, again], [again, first]):
        assert merge_tellings(record.telling for record in order).agent_name == "ben"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
inside = st.dictionaries(st.sampled_from([*RECORD["Agent"], "Address", "Type", "Name", "EnqueueTimestamp"]), values)


@given(st.dictionaries(st.sampled_from([*RECORD, "NextContactId"]), values | inside))
def test_any_record_is_read_without_an_error(record):
    for document in (record, record | {"ContactId": "c"}, [record], {"Records": [record]}):
        for read in read_records(document, LOCAL):
            assert_storable(read.telling.facts)


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_read_without_an_error(raw):
    assert read_records(raw, LOCAL) == []
