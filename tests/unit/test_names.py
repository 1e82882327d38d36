"""Golden names of each telephony system, and that no name breaks its reader."""

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calls.recording import CallFacts, Direction
from ingest.names import NAME_PROFILES
from ingest.profiles import BUILT_IN, Profiles
from tests.storable import assert_storable

ALL = Profiles.of(BUILT_IN, region="US", time_zone="UTC")
SEATTLE = Profiles.of(BUILT_IN, region="US", time_zone="America/Los_Angeles")

CONVERSATION = "ea4303d8-014e-44f9-b770-5b15e6f86f1f"
RECORDING = "0261adc0-0618-4652-ac76-de176e1c431c"
FOLDER = f"d4f8/year=2026/month=3/day=14/hour=09/conversation_id={CONVERSATION}"


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
        # Nobody showed a number.
        ("in-18005550100--20250327-092517-1743042317.6.wav", Direction.INBOUND),
    ],
)
def test_the_kind_in_a_freepbx_name_is_the_direction(name, direction):
    assert ALL.read(name).facts.direction is direction


def test_the_customer_of_an_outbound_call_is_the_one_who_was_called():
    facts = ALL.read("out-4155550123-1001-20250327-092517-1743042317.1.wav").facts
    assert facts.customer_number_e164 == "+14155550123"
    assert facts.attributes == {"extension": "1001"}


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("internal-1002-1001-20250327-092517-1743042317.1.wav", {"extension": "1002", "from_extension": "1001"}),
        ("q-600-1001-20250327-092517-1743042317.1.wav", {"from_extension": "1001"}),
        ("out-112-1001-20250327-092517-1743042317.1.wav", {"extension": "1001", "to_extension": "112"}),
        ("20240115-143022_101_102_Internal_Auto_1234.mp3", {"extension": "101", "from_extension": "102"}),
        ("users:7:1667337742543-1666686434952-7-1001_E.mp3", {"user_id": "7", "from_extension": "1001"}),
    ],
)
def test_both_sides_of_a_call_inside_the_centre_are_told_and_nothing_is_missing(name, attributes):
    reading = ALL.read(name)
    assert (reading.facts.attributes, reading.unread) == (attributes, ())


def test_a_pca_name_has_local_times_and_its_missing_parts_are_reported():
    reading = SEATTLE.read("Auto1_CUST_12345_GUID_001_AGENT_AndrewK_DT_2021-12-01T07-55-51.wav")
    assert reading.facts.started_at == datetime(2021, 12, 1, 15, 55, 51, tzinfo=UTC)
    assert reading.facts.agent_name == "AndrewK"
    assert reading.facts.attributes == {"customer_id": "12345"}
    poor = SEATTLE.read("x_GUID_7.wav")
    assert (poor.profile, poor.facts.external_call_id) == ("pca", "7")
    assert set(poor.unread) == {"agent_name", "customer", "started_at"}
    nameless = SEATTLE.read("calls/Auto2_CUST_+12065550142_AGENT_DonS_DT_2021-12-01T07-55-51.wav")
    assert (nameless.profile, nameless.unread) == ("pca", ("external_call_id",))
    assert (nameless.facts.agent_name, nameless.facts.from_number_e164) == ("DonS", "+12065550142")
    assert nameless.facts.started_at == reading.facts.started_at
    assert SEATTLE.read("our_AGENT_handbook.wav").profile is None


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


def test_amazon_connects_redacted_copy_names_the_contact_and_when_the_agent_took_the_call():
    facts = SEATTLE.read(
        "Analysis/Voice/Redacted/2026/03/14/4a573372-1f28-4e26-b97b-8a0f6c9b2f11"
        "_call_recording_redacted_2026-03-14T09:26:53Z.wav"
    ).facts
    assert facts.started_at == datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
    assert (facts.external_call_id, facts.agent_channel) == ("4a573372-1f28-4e26-b97b-8a0f6c9b2f11", 1)


def test_a_ringcentral_name_of_an_outgoing_call_names_the_called():
    facts = ALL.read("20260314-092653_101_+14155550123_Outgoing_Auto_2481863252.mp3").facts
    assert (facts.direction, facts.to_number_e164) == (Direction.OUTBOUND, "+14155550123")


def test_a_ringcentral_name_has_local_time_and_an_extension():
    reading = SEATTLE.read("20260314-092653_101_anonymous_Incoming_Auto_2481863252.mp3")
    assert reading.facts == CallFacts(
        external_call_id="2481863252",
        direction=Direction.INBOUND,
        started_at=datetime(2026, 3, 14, 16, 26, 53, tzinfo=UTC),
        attributes={"extension": "101"},
    )
    assert reading.unread == ("from_number_e164",)


def test_an_8x8_name_has_colons_and_milliseconds():
    facts = ALL.read("users:117209:1667337742543-1666686434952-117209-+16695555518_E.mp3").facts
    assert facts.started_at == datetime(2022, 11, 1, 21, 22, 22, 543000, tzinfo=UTC)
    assert facts.from_number_e164 == "+16695555518"

    assert facts.external_call_id == "1667337742543-1666686434952"
    assert facts.attributes == {"user_id": "117209"}


def test_a_genesys_name_tells_recording_and_conversation_and_the_hour_in_utc():
    reading = SEATTLE.read_name(f"{FOLDER}/{RECORDING}.ogg")
    assert (reading.profile, reading.source_system, reading.unread) == ("genesys", "genesys", ())
    assert reading.facts == CallFacts(
        external_call_id=RECORDING,
        initial_call_id=CONVERSATION,
        started_at=datetime(2026, 3, 14, 9, tzinfo=UTC),
    )


def test_a_genesys_name_of_the_other_layout_tells_no_time():
    reading = SEATTLE.read_name(f"originalAudio/conversation_id{CONVERSATION}/{RECORDING}.opus")
    assert reading.facts == CallFacts(external_call_id=RECORDING, initial_call_id=CONVERSATION)


def test_a_twilio_name_tells_the_call_where_it_is_in_the_name():
    ours = ALL.read_name(f"twilio/CA{'1' * 32}/RE{'2' * 32}.wav")
    assert (ours.profile, ours.facts.external_call_id) == ("twilio", f"CA{'1' * 32}")
    assert ours.facts.attributes == {"recording_sid": f"RE{'2' * 32}"}
    theirs = ALL.read_name(f"recordings/AC{'1' * 32}/RE{'2' * 32}.wav")
    assert (theirs.profile, theirs.facts.external_call_id) == ("twilio", f"RE{'2' * 32}")
    assert theirs.facts.attributes == {"recording_sid": f"RE{'2' * 32}", "account_sid": f"AC{'1' * 32}"}


def test_a_caller_who_cannot_be_read_is_reported_and_an_extension_is_an_attribute():
    withheld = ALL.read("in-101-anonymous-20250327-092517-1743042317.6.wav")
    assert withheld.unread == ("from_number_e164",)
    assert withheld.facts.attributes == {"extension": "101"}
    queue = ALL.read("q-600-4155550123-20250327-092517-1743042317.7.wav")
    assert (queue.facts.queue_name, queue.facts.attributes, queue.unread) == ("600", {}, ())


def test_a_customer_id_of_ten_digits_is_no_phone_number():
    named = "x_CUST_{}_GUID_7_AGENT_a_DT_2026-03-14T09-26-53.wav"
    assert ALL.read(named.format("1234567890")).facts.attributes == {"customer_id": "1234567890"}
    assert ALL.read(named.format("2065550118")).facts.from_number_e164 == "+12065550118"


LONG = [
    *("a", "0", "_", ".", "/", "-", "_GUID_", "_GUID_a_CUST_", "in-1-", "20250327-092517_", "20250327-092517_1_1_a_a_"),
    *("users:1:1667337742543-", "year=2026/month=1/day=1/hour=1/", f"conversation_id{CONVERSATION}/", f"AC{'1' * 32}/"),
]


@pytest.mark.parametrize("part", LONG)
def test_the_longest_name_is_read_in_no_time(part):
    started = time.thread_time()
    for end in ("", ".wav", "!"):
        ALL.read_name((part * 1024)[:1020] + end)
    assert time.thread_time() - started < 0.5


@pytest.mark.parametrize("profile", NAME_PROFILES.values(), ids=lambda profile: profile.name)
@settings(max_examples=30)
@given(data=st.data())
def test_any_name_that_a_profile_finds_is_read_without_an_error(profile, data):
    name = data.draw(st.from_regex(profile.pattern))
    reading = SEATTLE.read_name(name)
    assert reading.profile in NAME_PROFILES
    assert_storable(reading.facts)
    for key in SEATTLE.companions(name, SEATTLE.read_name(name)):
        SEATTLE.addressees(key)
