"""Laws of the profiles together: who reads, who wins, where sidecars lie, and that nothing is guessed."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls.errors import SettingsError
from calls.recording import CallFacts
from ingest.profiles import BUILT_IN, STORAGE, Profiles, sidecar_key, why_no_recording
from ingest.told import told_over
from tests.storable import assert_storable

GOLD = Path(__file__).parents[2] / "samples" / "gold.json"
ALL = Profiles.of(BUILT_IN, region="US", time_zone="UTC")

CONVERSATION = "ea4303d8-014e-44f9-b770-5b15e6f86f1f"
RECORDING = "0261adc0-0618-4652-ac76-de176e1c431c"
FOLDER = f"d4f8/year=2026/month=3/day=14/hour=09/conversation_id={CONVERSATION}"


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


@given(st.text())
def test_any_name_is_read_without_an_error(name):
    assert_storable(ALL.read(name).facts)
    ALL.companions(name, ALL.read_name(name))
    ALL.addressees(name)


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


KEYS = [
    "a.wav",
    "dir.d/b.MP3",
    "dir/c.d.opus",
    "dir/.wav",
    "8x8/users:1_E.mp3",
    "no suffix",
    f"twilio/CA{'1' * 32}/RE{'2' * 32}.wav",
    f"AC{'1' * 32}/RE{'2' * 32}",
    f"{FOLDER}/{RECORDING}.opus",
    f"originalAudio/conversation_id{CONVERSATION}/{RECORDING}.opus",
    "connect/a/4a573372-1f28-4e26-b97b-8a0f6c9b2f11_20260314T09:26_UTC.wav",
]


@pytest.mark.parametrize("key", KEYS)
def test_every_sidecar_is_found_from_its_recording_and_back(key):
    companions = ALL.companions(key, ALL.read_name(key))
    assert sidecar_key(key) in companions
    for companion in companions:
        addressees = ALL.addressees(companion)
        assert addressees is not None
        if addressees.conversation:
            assert addressees.conversation == ("genesys", ALL.read_name(key).facts.initial_call_id)
        else:
            assert key in addressees.recordings


def test_few_places_are_looked_at_and_each_once():
    assert ALL.companions("calls/7.wav", ALL.read_name("calls/7.wav")) == (
        "calls/7.json",
        "calls/7.csv",
        "calls/7.vcon",
    )
    assert ALL.companions(f"{FOLDER}/{RECORDING}.opus", ALL.read_name(f"{FOLDER}/{RECORDING}.opus")) == (
        f"{FOLDER}/{RECORDING}.opus_metadata.json",
        f"{FOLDER}/{RECORDING}_metadata.json",
        f"{FOLDER}/{CONVERSATION}.opus_call_metadata.json",
        f"{FOLDER}/{RECORDING}.json",
        f"{FOLDER}/{RECORDING}.csv",
        f"{FOLDER}/{RECORDING}.vcon",
    )
    only = Profiles.of(("connect", "freepbx"), region="US", time_zone="UTC")
    assert only.companions("a.wav", only.read_name("a.wav")) == ()
    assert only.companions(KEYS[-1], only.read_name(KEYS[-1])) == (sidecar_key(KEYS[-1]),)


@pytest.mark.parametrize("key", ["a.wav", "a.txt", "a", "", ".callwise/a.json", "a.json.part"])
def test_an_object_that_is_nobodys_sidecar_has_no_addressees(key):
    assert ALL.addressees(key) is None


def test_a_profile_that_is_not_chosen_has_no_sidecars():
    only = Profiles.of(("pca",), region="US", time_zone="UTC")
    assert only.addressees("a.json") is None
    assert only.read_metadata({"agent": "Ana"}).facts == CallFacts()


def test_tags_say_what_metadata_leave_open():
    told = ALL.read_metadata({"agent": "Metadata"}, {"agent-name": "Tag", "queue": "Tag", "color": "red"})
    assert (told.facts.agent_name, told.facts.queue_name) == ("Metadata", "Tag")
    assert told.facts.attributes == {"color": "red"}


def test_an_object_can_name_the_system_whose_ids_it_has_unless_its_name_does():
    name = "in-18005550100-4155550123-20250327-092517-1743042317.12206.wav"
    assert ALL.read(name, metadata={"source-system": "pbx-berlin"}).source_system == "freepbx"
    assert ALL.read("a.wav", metadata={"source-system": "pbx-berlin", "id": "1"}).source_system == "pbx-berlin"
    assert ALL.read_metadata({"source-system": "pbx-berlin"}).source_system == "pbx-berlin"
    assert ALL.read("a.wav", sidecar=b'{"id": "1", "source_system": "pbx-berlin"}').source_system == "pbx-berlin"


def test_who_told_a_fact_is_who_won_it():
    reading = ALL.read(
        "x_GUID_7_AGENT_Name_CUST_1_DT_2026-03-14T09-26-53.wav",
        metadata={"agent": "Metadata", "queue": "Metadata", "call-id": "m", "color": "red"},
        sidecar=b'{"ContactId": "c", "Agent": {"Username": "ana"}}',
    )
    assert reading.told_by == {
        "external_call_id": "name",
        "started_at": "name",
        "attributes.customer_id": "name",
        "queue_name": "metadata",
        "attributes.color": "metadata",
        "agent_name": "x_GUID_7_AGENT_Name_CUST_1_DT_2026-03-14T09-26-53.json",
        "agent_channel": "x_GUID_7_AGENT_Name_CUST_1_DT_2026-03-14T09-26-53.json",
    }
    assert reading.facts.agent_name == "ana"


def test_the_contact_id_of_a_recordings_metadata_is_amazon_connects_whatever_its_name_is():
    reading = ALL.read("renamed.wav", metadata={"contact-id": "c-1"})
    assert (reading.source_system, reading.facts.external_call_id) == ("connect", "c-1")
    only = Profiles.of(("plain",), region="US", time_zone="UTC")
    assert only.read_metadata({"contact-id": "c-1"}).source_system is None


def test_an_unknown_profile_region_or_zone_is_a_wrong_setting():
    with pytest.raises(SettingsError, match=r"telephony\.region: 'UK'.*GB"):
        Profiles.of((), region="UK", time_zone="UTC")
    with pytest.raises(SettingsError, match=r"telephony\.profiles"):
        Profiles.of(("avaya",), region="US", time_zone="UTC")
    with pytest.raises(SettingsError, match=r"telephony\.time_zone"):
        Profiles.of(("pca",), region="US", time_zone="Mars/Olympus")
