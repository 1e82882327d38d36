"""Laws of single values as telephony writes them: times, numbers, spans, directions."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls.recording import Direction
from ingest.values import (
    from_epoch,
    read_certain_number,
    read_count,
    read_direction,
    read_extension,
    read_moment,
    read_number,
    read_seconds,
    read_stamp,
)

BERLIN = ZoneInfo("Europe/Berlin")
anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text(), max_size=2)


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("+49 30 123456", "US", "+4930123456"),
        ("(206) 555-0118", "US", "+12065550118"),
        ("0044 20 7946 0018", "DE", "+442079460018"),
        ("020 7946 0018", "GB", "+442079460018"),
        ("sip:+12065550118@pbx.example;user=phone", "US", "+12065550118"),
        ('"Ana" <sip:+12065550118@pbx.example>', "US", "+12065550118"),
        ("tel:+1-206-555-0118;ext=12", "US", "+12065550118"),
        ("(206) 555-0118 x12", "US", "+12065550118"),
        ("1001", "US", None),
        # A plan that knows short numbers must not make somebody's number of an extension.
        ("1001", "DE", None),
        ("40123", "DE", None),
        ("112", "DE", None),
        ("911", "US", None),
        ("5550118", "US", None),
        ("anonymous", "US", None),
        ("order 2065550118", "US", None),
        ("1-800-FLOWERS", "US", None),
        ("s", "US", None),
        ("", "US", None),
        ("9" * 1000, "US", None),
    ],
)
def test_a_number_becomes_e164_or_nothing(text, region, number):
    assert read_number(text, region) == number


@given(st.text() | st.from_regex(r"\+?[\d ().x;-]+"), st.sampled_from(["US", "DE", "GB", "AD", "ZZ"]))
def test_whatever_is_read_as_a_number_is_e164(text, region):
    number = read_number(text, region)
    assert number is None or re.fullmatch(r"\+[1-9]\d{4,16}", number)


@pytest.mark.parametrize(
    ("text", "number"), [("2065550118", "+12065550118"), ("1234567890", None), ("+11234567890", "+11234567890")]
)
def test_an_id_of_as_many_digits_is_no_number(text, number):
    assert read_certain_number(text, "US") == number


@pytest.mark.parametrize(
    ("text", "extension"),
    [("101", "101"), ("sip:1001@pbx", "1001"), ("*98", "*98"), ("7", None), ("2065550118", None), ("anonymous", None)],
)
def test_an_extension_is_two_to_six_digits(text, extension):
    assert read_extension(text) == extension


@pytest.mark.parametrize(
    "value",
    [
        "",
        "yesterday",
        True,
        None,
        "2026-02-30",
        "20262014092653",
        "14/03/2026 09:26:53",
        "99999999999999",
        float("inf"),
        float("nan"),
        [],
        {},
        0,
        -1,
        10**400,
    ],
)
def test_what_is_no_time_is_none(value):
    assert read_moment(value, UTC) is None


@pytest.mark.parametrize("value", ["0001-01-01T00:00:00", "9999-12-31T23:59:59", "1900-01-01", 1e12 * 1e6])
def test_a_time_in_which_nothing_was_recorded_is_none(value):
    for zone in (UTC, ZoneInfo("Asia/Tokyo"), ZoneInfo("America/Los_Angeles")):
        assert read_moment(value, zone) is None


@given(anything)
def test_whatever_is_read_as_a_time_is_aware_and_in_utc(value):
    moment = read_moment(value, BERLIN)
    assert moment is None or moment.tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [
        "2026-03-14T09:26:53Z",
        "2026-03-14T11:26:53+02:00",
        "2026-03-14T11:26:53.000+0200",
        1773480413,
        "1773480413000",
        "2026-03-14 09:26:53",
        "20260314092653",
        "20260314-092653",
        "2026/03/14 09:26:53",
    ],
)
def test_times_are_read_as_iso_seconds_and_milliseconds(value):
    assert read_moment(value, UTC) == datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)


def test_a_local_time_that_is_there_twice_is_the_first_of_the_two():
    # 25 October 2026: at 3 o'clock the clocks of Berlin go back to 2.
    assert read_stamp("20261025023000", BERLIN) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert read_moment("2026-10-25T02:30:00", BERLIN) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_a_local_time_that_is_left_out_is_read_as_if_the_clocks_had_not_been_changed_yet():
    # 29 March 2026: at 2 o'clock the clocks of Berlin go on to 3.
    assert read_stamp("20260329023000", BERLIN) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert read_stamp("20260329033000", BERLIN) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "digits", ["20261301000000", "20260230000000", "2026031409265", "2026031409265x", "", "٢" * 14]
)
def test_digits_that_are_no_time_are_none(digits):
    assert read_stamp(digits, UTC) is None


@given(st.floats() | st.integers())
def test_no_number_of_seconds_breaks_the_clock(number):
    moment = from_epoch(number)
    assert moment is None or 1980 <= moment.year < 2200


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (12, 12.0),
        (0, 0.0),
        ("0.5", 0.5),
        ("1:02:03", 3723.0),
        ("2:03", 123.0),
        (-1, None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        (True, None),
        (["12"], None),
        ("9" * 400 + ":00:00", None),
        (10**400, None),
    ],
)
def test_spans_are_seconds(value, seconds):
    assert read_seconds(value) == seconds


@pytest.mark.parametrize(("value", "count"), [(2, 2), ("2", 2), (0, 0), (-1, None), ("2.5", None), (True, None)])
def test_counts_are_whole(value, count):
    assert read_count(value) == count


def test_a_direction_is_a_known_word():
    assert [read_direction(word) for word in ("IN", "Outgoing", "sideways")] == [
        Direction.INBOUND,
        Direction.OUTBOUND,
        None,
    ]
