"""Laws of reading telephony: what names, metadata and sidecars say, and that nothing is guessed."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls.errors import SettingsError
from calls.recording import CallFacts, Direction
from ingest.names import NAME_PROFILES
from ingest.profiles import PLAIN, STORAGE, Profiles, recordings_of, sidecar_key, told_over, why_no_recording
from ingest.sidecars import MAX_SIDECAR_BYTES, read_sidecar
from ingest.values import Locality, read_direction, read_moment, read_number, read_seconds

GOLD = Path(__file__).parents[2] / "samples" / "gold.json"
ALL = Profiles.of((PLAIN, *NAME_PROFILES), region="US", time_zone="UTC")
SEATTLE = Profiles.of((PLAIN, *NAME_PROFILES), region="US", time_zone="America/Los_Angeles")


def gold() -> list[Any]:
    return [pytest.param(row, id=row["name"]) for row in json.loads(GOLD.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("row", gold())
def test_every_bundled_recording_is_read_as_its_maker_meant(row):
    sidecar = json.dumps(row["sidecar"]).encode() if row["sidecar"] else None
    reading = ALL.read(row["key"], metadata=row["metadata"], sidecar=sidecar)
    assert reading.profile == row["profile"]
    told = {
        # The gold is to the second; some names are finer.
        "started_at": reading.facts.started_at and reading.facts.started_at.replace(microsecond=0),
        "customer_number_e164": reading.facts.customer_number_e164,
        "agent_name": reading.facts.agent_name,
        "queue_name": reading.facts.queue_name,
    }
    expected = {**row["facts"]}
    if "started_at" in expected:
        expected["started_at"] = datetime.fromisoformat(expected["started_at"])
    assert {name: told[name] for name in expected} == expected


def test_a_freepbx_name_tells_direction_numbers_and_the_utc_start():
    reading = SEATTLE.read("2025/03/27/in-18005550100-4155550123-20250327-092517-1743042317.12206.wav")
    assert (reading.profile, reading.source_system) == ("freepbx", "freepbx")
    assert reading.facts == CallFacts(
        external_call_id="1743042317.12206",
        direction=Direction.INBOUND,
        from_number_e164="+14155550123",
        to_number_e164="+18005550100",
        started_at=datetime(2025, 3, 27, 2, 25, 17, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("out-4155550123-1001-20250327-092517-1743042317.1.wav", Direction.OUTBOUND),
        ("exten-1002-1001-20250327-092517-1743042317.2.wav", Direction.INTERNAL),
        ("exten-1002-4155550123-20250327-092517-1743042317.3.wav", Direction.INBOUND),
        ("q-600-4155550123-20250327-092517-1743042317.4.WAV", Direction.INBOUND),
        ("conf-900-1001-20250327-092517-1743042317.5.wav", None),
    ],
)
def test_the_kind_in_a_freepbx_name_is_the_direction(name, direction):
    assert ALL.read(name).facts.direction is direction


def test_the_customer_of_an_outbound_call_is_the_one_who_was_called():
    facts = ALL.read("out-4155550123-1001-20250327-092517-1743042317.1.wav").facts
    assert facts.customer_number_e164 == "+14155550123"
    assert facts.attributes == {"extension": "1001"}


def test_a_pca_name_has_local_times_and_its_missing_parts_are_reported():
    reading = SEATTLE.read("Auto1_CUST_12345_GUID_001_AGENT_AndrewK_DT_2021-12-01T07-55-51.wav")
    assert reading.facts.started_at == datetime(2021, 12, 1, 15, 55, 51, tzinfo=UTC)
    assert reading.facts.agent_name == "AndrewK"
    assert reading.facts.attributes == {"customer_id": "12345"}
    poor = SEATTLE.read("x_GUID_7.wav")
    assert (poor.profile, poor.facts.external_call_id) == ("pca", "7")
    assert set(poor.unread) == {"agent_name", "customer", "started_at"}


@pytest.mark.parametrize("name", ["_DT_2021-13-01T07-55-51", "_DT_2021-12-01T25-55-51"])
def test_an_impossible_time_is_reported_and_never_now(name):
    reading = ALL.read(f"x_GUID_7_AGENT_a_CUST_1{name}.wav")
    assert reading.facts.started_at is None
    assert "started_at" in reading.unread


def test_an_amazon_connect_name_is_read_with_its_colon_and_puts_the_agent_on_channel_1():
    facts = SEATTLE.read(
        "connect/a/CallRecordings/2026/03/14/4a573372-1f28-4e26-b97b-8a0f6c9b2f11_20260314T09:26_UTC.wav"
    ).facts
    assert facts.started_at == datetime(2026, 3, 14, 9, 26, tzinfo=UTC)
    assert (facts.external_call_id, facts.agent_channel) == ("4a573372-1f28-4e26-b97b-8a0f6c9b2f11", 1)


def test_a_ringcentral_name_of_an_outgoing_call_names_the_called():
    facts = ALL.read("20260314-092653_101_+14155550123_Outgoing_Auto_2481863252.mp3").facts
    assert (facts.direction, facts.to_number_e164) == (Direction.OUTBOUND, "+14155550123")


def test_an_8x8_name_has_colons_and_milliseconds():
    facts = ALL.read("users:117209:1667337742543-1666686434952-117209-+16695555518_E.mp3").facts
    assert facts.started_at == datetime(2022, 11, 1, 21, 22, 22, 543000, tzinfo=UTC)
    assert facts.from_number_e164 == "+16695555518"


@pytest.mark.parametrize("name", ["New folder/Audio (2).mp3", "", "in-1-2.wav", "../../etc/passwd", "a_GUID_.wav"])
def test_a_name_that_nobody_reads_is_said_to_be_unread(name):
    reading = ALL.read(name)
    assert (reading.profile, reading.source_system, reading.facts) == (None, STORAGE, CallFacts())


def test_only_the_chosen_profiles_read():
    chosen = Profiles.of(("pca",), region="US", time_zone="UTC")
    assert chosen.read("in-18005550100-4155550123-20250327-092517-1743042317.1.wav").profile is None
    assert chosen.read("a.wav", metadata={"agent": "Ana"}).profile is None


def test_a_sidecar_wins_over_metadata_and_both_over_the_name_but_the_name_keeps_its_id():
    reading = ALL.read(
        "x_GUID_7_AGENT_Name_CUST_1_DT_2026-03-14T09-26-53.wav",
        metadata={"agent": "Metadata", "queue": "Metadata", "call-id": "m"},
        sidecar=b'{"agent": "Sidecar", "call_id": "s", "color": "red"}',
    )
    assert (reading.facts.agent_name, reading.facts.queue_name) == ("Sidecar", "Metadata")
    assert (reading.facts.external_call_id, reading.source_system) == ("7", "pca")
    assert reading.facts.attributes == {"customer_id": "1", "color": "red"}


def test_a_sidecar_alone_makes_the_plain_profile():
    reading = ALL.read("a.wav", sidecar=b'{"id": "s-1", "customer_number": "(206) 555-0118", "direction": "Outgoing"}')
    assert (reading.profile, reading.source_system) == ("plain", STORAGE)
    assert (reading.facts.external_call_id, reading.facts.to_number_e164) == ("s-1", "+12065550118")


def test_metadata_that_say_nothing_of_a_call_leave_the_name_unread():
    assert ALL.read("a.wav", metadata={"mtime": "1743042317.1"}).profile is None


def test_a_contact_record_of_amazon_connect_is_a_sidecar_too():
    record = {
        "ContactId": "c-1",
        "InitialContactId": "c-0",
        "Channel": "VOICE",
        "InitiationMethod": "INBOUND",
        "InitiationTimestamp": "2026-03-14T09:26:50Z",
        "DisconnectTimestamp": "2026-03-14T09:31:02Z",
        "DisconnectReason": "CUSTOMER_DISCONNECT",
        "CustomerEndpoint": {"Address": "+12065550118", "Type": "TELEPHONE_NUMBER"},
        "SystemEndpoint": {"Address": "+18005550100", "Type": "TELEPHONE_NUMBER"},
        "Queue": {"Name": "Service", "EnqueueTimestamp": "2026-03-14T09:27:00Z"},
        "Agent": {
            "Username": "ana",
            "ConnectedToAgentTimestamp": "2026-03-14T09:27:10Z",
            "CustomerHoldDuration": 12,
            "NumberOfHolds": 1,
            "AfterContactWorkDuration": 30,
        },
        "Attributes": {"order": "4719"},
        "ANewField": {"of": "tomorrow"},
    }
    told = read_sidecar(json.dumps(record).encode(), Locality())
    assert told.unread == ()
    assert told.facts == CallFacts(
        external_call_id="c-1",
        initial_call_id="c-0",
        direction=Direction.INBOUND,
        from_number_e164="+12065550118",
        to_number_e164="+18005550100",
        agent_name="ana",
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
    ("raw", "unread"),
    [
        (b"\xff\xfe", "sidecar: neither JSON nor CSV"),
        (b"\xff\x00", "sidecar: not UTF-8"),
        (b"[1]", "sidecar: no JSON object"),
        (b"{" + b" " * MAX_SIDECAR_BYTES, "sidecar: too large"),
        (b'{"started_at": "yesterday"}', "started_at"),
        (b'{"from": "anonymous"}', "from_number_e164"),
        (b'{"agent_channel": 7}', "agent_channel"),
        (b'{"legs": [1, 2]}', "legs"),
    ],
)
def test_what_a_sidecar_says_and_nobody_understands_is_reported(raw, unread):
    told = read_sidecar(raw, Locality())
    assert told.unread == (unread,)
    assert told.facts == CallFacts()


@given(st.dictionaries(st.text(), st.none() | st.text() | st.integers() | st.floats() | st.lists(st.text())))
def test_any_sidecar_is_read_without_an_error(document):
    read_sidecar(json.dumps(document).encode(), Locality())


@given(st.text())
def test_any_name_is_read_without_an_error(name):
    ALL.read(name)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+49 30 123456", "+4930123456"),
        ("(206) 555-0118", "+12065550118"),
        ("sip:+12065550118@pbx.example;user=phone", "+12065550118"),
        ("tel:+1-206-555-0118", "+12065550118"),
        ("1001", None),
        ("5550118", None),
        ("anonymous", None),
        ("", None),
    ],
)
def test_a_number_becomes_e164_or_nothing(text, number):
    assert read_number(text, "US") == number


@pytest.mark.parametrize("value", ["", "yesterday", True, "2026-02-30", "99999999999999", float("inf"), [], {}])
def test_what_is_no_time_is_none(value):
    moment = read_moment(value, UTC)
    assert moment is None or moment.tzinfo is not None


def test_times_are_read_as_iso_seconds_and_milliseconds():
    expected = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
    for value in (
        "2026-03-14T09:26:53Z",
        "2026-03-14T11:26:53+02:00",
        1773480413,
        "1773480413000",
        "2026-03-14 09:26:53",
    ):
        assert read_moment(value, UTC) == expected


@pytest.mark.parametrize(
    ("value", "seconds"), [(12, 12.0), ("1:02:03", 3723.0), ("2:03", 123.0), (-1, None), ("soon", None), ("nan", None)]
)
def test_spans_are_seconds(value, seconds):
    assert read_seconds(value) == seconds


def test_a_direction_is_a_known_word():
    assert [read_direction(word) for word in ("IN", "Outgoing", "sideways")] == [
        Direction.INBOUND,
        Direction.OUTBOUND,
        None,
    ]


def test_what_is_told_later_wins_and_what_is_not_told_stays():
    before = CallFacts(agent_name="Ana", queue_name="Q", attributes={"a": "1", "b": "1"})
    after = told_over(before, CallFacts(agent_name="Ben", attributes={"b": "2"}))
    assert after == CallFacts(agent_name="Ben", queue_name="Q", attributes={"a": "1", "b": "2"})


@pytest.mark.parametrize(
    ("key", "size", "why"),
    [
        ("a.wav", 0, None),
        ("a.WAV", 44, None),
        ("no suffix", 44, None),
        ("a.unknown", 44, None),
        ("folder/", 0, "folder_marker"),
        ("folder_$folder$", 0, "folder_marker"),
        (".callwise/playback/1.mp3", 9, "own"),
        ("a.json", 9, "sidecar"),
        ("a.CSV", 9, "sidecar"),
        ("a.vcon", 9, "sidecar"),
        ("a.txt", 9, "not_audio"),
    ],
)
def test_what_is_no_recording_is_known_by_its_name(key, size, why):
    assert why_no_recording(key, size) == why


@pytest.mark.parametrize("key", ["a.wav", "dir.d/b.MP3", "dir/c.d.opus", "dir/.wav", "users:1_E.mp3"])
def test_a_sidecar_is_found_from_its_recording_and_back(key):
    if "." in key.rpartition("/")[2].lstrip("."):
        assert key in recordings_of(sidecar_key(key))
    assert sidecar_key(key).endswith(".json")


def test_an_unknown_profile_or_zone_is_a_wrong_setting():
    with pytest.raises(SettingsError, match=r"telephony\.profiles"):
        Profiles.of(("avaya",), region="US", time_zone="UTC")
    with pytest.raises(SettingsError, match=r"telephony\.time_zone"):
        Profiles.of(("pca",), region="US", time_zone="Mars/Olympus")
