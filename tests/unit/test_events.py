"""Laws of reading storage events, over one golden message of each kind."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls.recording import ObjectRef
from ingest.events import MAX_EVENT_BYTES, Announcement, UnreadableEvent, read_event

EVENTS = Path(__file__).parent.parent / "fixtures" / "events"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def golden(name: str) -> Announcement:
    return read_event((EVENTS / f"{name}.json").read_bytes())


def keys(announcement: Announcement) -> list[list[str]]:
    return [[ref.key for ref in announced.candidates] for announced in announcement.objects]


def record(**changed: Any) -> dict[str, Any]:
    described = {"bucket": {"name": "recordings"}, "object": {"key": "a.wav", "size": 1, "eTag": "e"}}
    return {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": described, **changed}


def test_an_s3_key_is_decoded_first_and_kept_as_it_came_second():
    [announced] = golden("s3_put").objects
    etag, version = "d41d8cd98f00b204e9800998ecf8427e", "096fKKXTRTtl3on89fVO.nfljtsv6qko"
    assert announced.candidates == (
        ObjectRef("recordings", "happy face+smile%.wav", version, etag, 1024),
        ObjectRef("recordings", "happy+face%2Bsmile%25.wav", version, etag, 1024),
    )


def test_a_colon_of_amazon_connect_is_decoded():
    assert keys(golden("s3_connect_colon"))[0][0].endswith("_20260314T09:26_UTC.wav")


@pytest.mark.parametrize("name", ["s3_put", "s3_multipart", "eventbridge", "minio", "ceph", "sns_in_sqs"])
def test_every_kind_of_message_announces_one_object(name):
    announcement = golden(name)
    assert len(announcement.objects) == 1
    assert (announcement.ignored, announcement.unreadable) == ([], [])


def test_many_records_of_one_message_are_read_and_removals_ignored():
    announcement = golden("s3_many_records")
    assert [found[0] for found in keys(announcement)] == ["a.wav", "b.wav", "深夜.wav"]
    assert announcement.ignored == ["not_created"]


def test_the_key_of_eventbridge_is_raw():
    [announced] = golden("eventbridge").objects
    assert announced.candidates == (
        ObjectRef("recordings", "a b:c.wav", "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e", "b1946ac92492d2347c6235b4d2611184", 5),
    )


def test_the_plain_address_of_minio_comes_first_and_its_slashes_are_decoded():
    assert keys(golden("minio")) == [["calls/one two.wav", "calls%2Fone+two.wav"]]


def test_the_key_of_ceph_is_taken_as_it_is_and_its_size_may_be_text():
    [announced] = golden("ceph").objects
    assert [ref.key for ref in announced.candidates] == ["calls/100%25 sure+more.wav", "calls/100% sure more.wav"]
    assert announced.candidates[0].size_bytes == 2048


def test_a_notification_service_around_it_changes_nothing():
    assert golden("sns_in_sqs") == golden("s3_put")


@pytest.mark.parametrize(("name", "code"), [("s3_test", "test_event"), ("sns_subscription", "subscription")])
def test_messages_of_the_set_up_are_no_errors(name, code):
    assert golden(name) == Announcement(ignored=[code])


def test_a_bad_record_does_not_hide_the_good_ones():
    announcement = read_event({"Records": [record(s3={}), "text", record()]})
    assert keys(announcement) == [["a.wav"]]
    assert announcement.unreadable == ["bad_record", "bad_record"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "not_json"),
        (b"\xff\xfe{}", "not_utf8"),
        (b"RIFF....WAVE", "not_json"),
        ("[" * 100_000, "not_json"),
        ("null", "unknown_shape"),
        ('[{"Records": []}]', "unknown_shape"),
        ('{"hello": "world"}', "unknown_shape"),
        ('{"Records": {"0": 1}}', "unknown_shape"),
        (b" " * (MAX_EVENT_BYTES + 1), "too_large"),
    ],
    ids=["empty", "not utf-8", "audio", "nested", "null", "list", "foreign", "records", "large"],
)
def test_garbage_is_unreadable_with_a_code(body, code):
    with pytest.raises(UnreadableEvent) as refused:
        read_event(body)
    assert refused.value.code == code


def test_wrapping_without_end_is_unreadable():
    body = json.dumps({"Records": [record()]})
    for _ in range(3):
        body = json.dumps({"Type": "Notification", "Message": body})
    assert keys(read_event(body)) == [["a.wav"]]
    with pytest.raises(UnreadableEvent) as refused:
        read_event(json.dumps({"Type": "Notification", "Message": body}))
    assert refused.value.code == "too_deep"


@given(JSON)
def test_any_json_is_read_or_refused(message):
    with suppress(UnreadableEvent):
        read_event(json.dumps(message))


@given(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("eventSource", "eventName", "s3", "detail", "Records", "Type"), JSON)
    )
)
def test_any_record_is_read_ignored_or_refused(given_record):
    announcement = read_event({"Records": [{"eventName": "ObjectCreated:Put", **given_record}]})
    assert len(announcement.objects) + len(announcement.ignored) + len(announcement.unreadable) == 1
