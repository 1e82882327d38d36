"""Laws of the owner's own profiles: what they read, and that a wrong one is refused with the fix."""

import re
import time
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls.errors import SettingsError
from calls.recording import CallFacts, Direction
from ingest.own_patterns import OwnPattern
from ingest.profiles import BUILT_IN, Profiles
from runtime.listening import make_profiles
from runtime.settings import read_settings
from tests.storable import assert_storable

NAME = r"(?P<agent>[^_/]+)_(?P<queue>[^_/]+)_(?P<date>\d{8})-(?P<time>\d{6})_(?P<from>\+?\d+)_(?P<call_id>\w+)\.wav$"


def profiles(pattern: str = NAME, **changed: object) -> Profiles:
    own = OwnPattern(**{"name": "ours", "pattern": pattern} | changed)  # type: ignore[arg-type]
    return Profiles.of(BUILT_IN, region="DE", time_zone="UTC", patterns=[own])


def test_the_groups_of_a_pattern_are_facts():
    own = profiles(NAME, time_zone="Europe/Berlin", agent_channel=0)
    reading = own.read_name("2026/Maya Lindqvist_Service_20260714-092653_+4930123456_7f3c.wav")
    assert (reading.profile, reading.source_system, reading.unread) == ("ours", "ours", ())
    assert reading.facts == CallFacts(
        external_call_id="7f3c",
        from_number_e164="+4930123456",
        agent_name="Maya Lindqvist",
        queue_name="Service",
        started_at=datetime(2026, 7, 14, 7, 26, 53, tzinfo=UTC),
        agent_channel=0,
    )


def test_the_customers_number_stands_on_the_side_of_the_direction():
    own = profiles(r"^(?P<direction>[A-Z]+)/(?P<customer_number>\d+)/(?P<attr_campaign>\w+)")
    facts = own.read_name("OUT/030123456/spring.wav").facts
    assert (facts.direction, facts.to_number_e164) == (Direction.OUTBOUND, "+4930123456")
    assert facts.attributes == {"campaign": "spring"}


@pytest.mark.parametrize(
    ("pattern", "time_format", "name"),
    [
        (r"(?P<started_at>\d{14})", "", "x-20260714092653.wav"),
        (r"(?P<started_at>[\d-]+T[\d-]+)", "", "2026-07-14T09-26-53.wav"),
        (r"(?P<started_at>[^_]+)_", "", "2026-07-14T11:26:53+02:00_x.wav"),
        (r"(?P<date>[\d-]+)/(?P<time>\d+)", "", "2026-07-14/092653.wav"),
        (r"(?P<date>[^_]+)_(?P<time>[^.]+)", "%d-%b-%Y %I%M%S%p", "14-Jul-2026_092653AM.wav"),
        (r"(?P<started_at>[^.]+)", "%y%m%d%H%M%S%z", "260714112653+0200.wav"),
        (r"(?P<epoch>\d+)", "", "1784021213.wav"),
        (r"(?P<epoch>\d+)", "", "1784021213000.wav"),
        (r"(?P<date>\d{8})-(?P<epoch>\d+)", "", "20200101-1784021213.wav"),
    ],
)
def test_times_are_read_in_every_form_that_is_set(pattern, time_format, name):
    facts = profiles(pattern, time_format=time_format).read_name(name).facts
    assert facts.started_at == datetime(2026, 7, 14, 9, 26, 53, tzinfo=UTC)


@pytest.mark.parametrize("name", ["a_b_20261314-092653_1_c.wav", "a_b_00000000-000000_1_c.wav"])
def test_an_impossible_time_is_reported_and_never_now(name):
    reading = profiles(NAME).read_name(name)
    assert reading.facts.started_at is None
    assert set(reading.unread) == {"started_at", "from_number_e164"}


def test_the_owners_pattern_is_asked_before_the_built_in_ones():
    name = "in-18005550100-4155550123-20250327-092517-1743042317.12206.wav"
    assert profiles(r"-(?P<call_id>\d+\.\d+)\.wav$").read_name(name).profile == "ours"
    assert profiles(r"^never(?P<call_id>x)").read_name(name).profile == "freepbx"


def test_two_systems_with_the_same_ids_are_told_apart_by_their_patterns():
    patterns = [
        OwnPattern("berlin", r"^berlin/(?P<call_id>\d+)", source_system="pbx-1"),
        OwnPattern("oslo", r"^oslo/(?P<call_id>\d+)", source_system="pbx-2"),
    ]
    own = Profiles.of((), region="DE", time_zone="UTC", patterns=patterns)
    readings = [own.read_name(f"{place}/7.wav") for place in ("berlin", "oslo")]
    assert [(one.profile, one.source_system, one.facts.external_call_id) for one in readings] == [
        ("berlin", "pbx-1", "7"),
        ("oslo", "pbx-2", "7"),
    ]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": "Ours"}, r"patterns\[0\]\.name: .*small letters"),
        ({"name": ""}, r"patterns\[0\]\.name"),
        ({"name": "freepbx"}, r"patterns\[0\]\.name: 'freepbx' is taken"),
        ({"name": "vcon"}, r"patterns\[0\]\.name: 'vcon' is taken"),
        ({"name": "storage"}, r"patterns\[0\]\.name: 'storage' is taken"),
        ({"pattern": "(?P<agent>"}, r"patterns\[0\]\.pattern: no regular expression"),
        ({"pattern": r"(?P<agent>\w{2,1})"}, r"patterns\[0\]\.pattern: no regular expression"),
        ({"pattern": r"\d+\.wav"}, r"patterns\[0\]\.pattern: finds nothing"),
        ({"pattern": r"(?P<agnet>\w+)"}, r"patterns\[0\]\.pattern: there is no fact 'agnet'.*attr_agnet"),
        ({"pattern": r"(?P<agent>(\w+)+)x"}, r"patterns\[0\]\.pattern: could take for ever"),
        ({"pattern": r"(?P<agent>(?:a|b+)*)"}, r"patterns\[0\]\.pattern: could take for ever"),
        ({"pattern": r"(?P<agent>(\w+\s?){10,})"}, r"patterns\[0\]\.pattern: could take for ever"),
        ({"pattern": r"(?P<agent>.*)_(?P<queue>.*)_(?P<team>.*)x"}, r"patterns\[0\]\.pattern: could take for ever"),
        ({"pattern": "(?P<agent>x)" + "y" * 600}, r"patterns\[0\]\.pattern: longer"),
        ({"time_format": "%H:%M"}, r"patterns\[0\]\.time_format"),
        ({"time_format": "%Q"}, r"patterns\[0\]\.time_format"),
        ({"time_zone": "Atlantis"}, r"patterns\[0\]\.time_zone: .*Europe/Berlin"),
    ],
)
def test_a_wrong_pattern_is_refused_by_the_name_of_the_setting_with_the_fix(changed, said):
    with pytest.raises(SettingsError, match=said):
        profiles(**{"pattern": NAME} | changed)


def test_two_patterns_need_two_names():
    patterns = [OwnPattern("ours", NAME), OwnPattern("ours", NAME)]
    with pytest.raises(SettingsError, match=r"patterns\[1\]\.name: 'ours' is taken"):
        Profiles.of((), region="DE", time_zone="UTC", patterns=patterns)


@pytest.mark.parametrize(
    "pattern",
    [
        NAME,
        r"^(?:calls/)?(?P<agent>[a-z]+(?:-[a-z]+)?)_(?P<call_id>\w+?)\.(?:wav|mp3)$",
        r"(?P<call_id>[^(+*)]+)\)+",
        r"(?i)(?P<agent>\w+)\+(?P<queue>\(\w+\))\*",
        r"(?P<date>(?:\d\d){4})_.*_(?P<agent>.*)\.wav",
        r"(?<!x)(?P<agent>a+)(?=_)(?!b)",
    ],
)
def test_an_ordinary_pattern_is_taken(pattern):
    profiles(pattern)


@pytest.mark.parametrize("character", "a_0-./ x")
def test_a_pattern_that_was_taken_reads_the_longest_name_in_no_time(character):
    own = profiles(NAME)
    started = time.thread_time()
    own.read_name(character * 1024)
    assert time.thread_time() - started < 1


@given(st.text() | st.from_regex(NAME) | st.from_regex(r"^\S+_\S+_\d{8}-\d{6}_\d+_\w\.wav$"))
def test_any_name_is_read_without_an_error(name):
    assert_storable(profiles(NAME, time_zone="Asia/Tokyo").read_name(name).facts)


def test_the_example_of_the_documentation_reads_the_name_that_it_gives():
    page = (Path(__file__).parents[2] / "docs" / "telephony.md").read_text(encoding="utf-8")
    example = next(
        block for block in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if "[[telephony.patterns]]" in block
    )
    (pattern,) = tomllib.loads(example)["telephony"]["patterns"]
    own = Profiles.of(BUILT_IN, region="DE", time_zone="UTC", patterns=[OwnPattern(**pattern)])
    reading = own.read_name(re.findall(r"# Such as: (.*)", example)[0])
    assert (reading.profile, reading.source_system, reading.unread) == ("oldpbx", "pbx-berlin", ())
    assert reading.facts == CallFacts(
        external_call_id="7f3c",
        from_number_e164="+4930123456",
        agent_name="Maya Lindqvist",
        queue_name="Service",
        started_at=datetime(2026, 7, 14, 7, 26, 53, tzinfo=UTC),
        agent_channel=0,
    )


def test_patterns_come_from_the_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "callwise.toml").write_text(
        "[[telephony.patterns]]\nname = 'ours'\npattern = '(?P<agent>[a-z]+)-(?P<started_at>[0-9]+)'\n"
        "time_format = '%Y%m%d%H%M'\nsource_system = 'pbx'\nagent_channel = 0\ntime_zone = 'Europe/Berlin'\n"
    )
    reading = make_profiles(read_settings()).read_name("ana-202607140926.wav")
    assert (reading.profile, reading.source_system, reading.facts.agent_channel) == ("ours", "pbx", 0)
    assert reading.facts.started_at == datetime(2026, 7, 14, 7, 26, tzinfo=UTC)
    (tmp_path / "callwise.toml").write_text("[[telephony.patterns]]\nname = 'ours'\n")
    with pytest.raises(SettingsError, match=r"telephony\.patterns\.0\.pattern"):
        read_settings()
