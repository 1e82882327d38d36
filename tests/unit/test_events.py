"""Laws of reading events, over one golden message of each kind."""

import json
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from calls.recording import ObjectRef
from ingest.events import MAX_EVENT_BYTES, Announcement, UnreadableEvent, read_event

EVENTS = Path(__file__).parent.parent / "fixtures" / "events"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


# Every character that some store, URL or shell treats in a way of its own, and any other.
OBJECT_KEYS = st.text(
    st.sampled_from(" +%:/?#&=\\~*'\"()") | st.sampled_from("aZ09.-_") | st.characters(exclude_categories=["Cs"]),
    min_size=1,
    max_size=60,
).filter(lambda key: "\0" not in key)
LONGEST_KEY = "ü" * 510 + "/ab+"
CONTACT = "4a573372-1f28-4e26-b97b-8a0f6c9b2f11"


def golden(name: str) -> Announcement:
    return read_event((EVENTS / f"{name}.json").read_bytes())


def keys(announcement: Announcement) -> list[list[str]]:
    return [[ref.key for ref in announced.candidates] for announced in announcement.objects]


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value of a JSON document, the whole of it first."""
    yield path
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for step, value in inner:
        yield from places(value, (*path, step))


def replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The document with another value in that place."""
    if not path:
        return value
    changed = deepcopy(document)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return changed


GOLDEN = {path.stem: json.loads(path.read_text()) for path in sorted(EVENTS.glob("*.json"))}
PLACES = [(name, path) for name, document in GOLDEN.items() for path in places(document)]


def blob_event(key: str, **told: Any) -> dict[str, Any]:
    """An event of Event Grid about this blob, encoded as Azure does."""
    return {
        "eventType": "Microsoft.Storage.BlobCreated",
        "subject": f"/blobServices/default/containers/recordings/blobs/{key}",
        "data": {
            "api": "PutBlob",
            "url": f"https://harbour.blob.core.windows.net/recordings/{quote(key)}",
            "eTag": "0x8D4",
            "contentLength": 44,
            **told,
        },
    }


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


@pytest.mark.parametrize(
    "name",
    [
        "s3_put",
        "s3_multipart",
        "eventbridge",
        "minio",
        "rustfs",
        "ceph",
        "sns_in_sqs",
        "event_grid",
        "cloud_event",
    ],
)
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


def test_a_key_of_rustfs_is_form_encoded_like_that_of_minio():
    assert keys(golden("rustfs")) == [["calls/7 % + ü:1.wav", "calls%2F7+%25+%2B+%C3%BC%3A1.wav"]]


@pytest.mark.parametrize(
    "name",
    ["ObjectCreated:Put", "ObjectCreated:Post", "ObjectCreated:Copy", "s3:ObjectCreated:CompleteMultipartUpload"],
)
def test_every_way_to_create_an_object_counts(name):
    assert keys(read_event({"Records": [record(eventName=name)]})) == [["a.wav"]]


def test_the_blob_of_an_event_grid_is_its_containers_and_its_decoded_path():
    [announced] = golden("event_grid").objects
    assert announced.candidates[0] == ObjectRef(
        "recordings", "2026/one two+3%.wav", etag="0x8D4BCC2E4835CD0", size_bytes=524288
    )
    assert "2026/one%20two%2B3%25.wav" in keys(golden("event_grid"))[0]


def test_both_schemas_of_event_grid_say_the_same():
    assert golden("cloud_event") == golden("event_grid")


def test_a_batch_of_cloud_events_announces_each_blob_even_where_its_subject_is_encoded():
    assert [found[0] for found in keys(golden("cloud_event_batch"))] == ["a.wav", "深夜.wav"]


def test_a_file_of_a_data_lake_counts_when_it_is_closed():
    announcement = golden("event_grid_data_lake")
    assert [announced.candidates[0].size_bytes for announced in announcement.objects] == [524288]
    assert announcement.ignored == ["not_finished", "not_created"]


def test_a_file_of_a_data_lake_that_gets_its_name_when_it_is_whole_is_found_under_that():
    told = {"api": "RenameFile", "sourceUrl": "https://h.dfs.core.windows.net/c/x.part"}
    told["destinationUrl"] = "https://h.dfs.core.windows.net/c/x%20y.wav"
    renamed = {"eventType": "Microsoft.Storage.BlobRenamed", "subject": "", "data": told}
    assert keys(read_event([renamed]))[0][0] == "x y.wav"


def test_a_blob_is_found_by_its_address_alone_an_emulators_included():
    by_url = blob_event("") | {"subject": None, "data": {"url": "https://harbour.blob.core.windows.net/c/x/y%20z.wav"}}
    assert read_event([by_url]).objects[0].candidates[0] == ObjectRef("c", "x/y z.wav")
    emulated = blob_event("y z.wav", url="http://127.0.0.1:10000/devstoreaccount1/recordings/y%20z.wav")
    assert keys(read_event([emulated]))[0][0] == "y z.wav"


def test_the_handshake_of_event_grid_is_told_apart_from_events():
    announcement = golden("event_grid_validation")
    assert announcement.handshake == "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"
    assert (announcement.objects, announcement.ignored) == ([], ["subscription"])
    assert golden("event_grid").handshake == ""


@pytest.mark.parametrize("name", ["contact_record", "contact_record_eventbridge", "contact_record_kinesis"])
def test_telephonys_own_record_is_handed_on_unread(name):
    announcement = golden(name)
    assert [found["ContactId"] for found in announcement.records] == [CONTACT]
    assert announcement.records[0]["InitiationTimestamp"] == "2026-03-14T09:25:17Z"
    assert (announcement.objects, announcement.ignored, announcement.unreadable) == ([], [], [])


@pytest.mark.parametrize("wrap", [list, lambda found: {"Records": found}], ids=["list", "batch"])
def test_records_of_calls_and_of_objects_may_come_together(wrap):
    contact = GOLDEN["contact_record"]
    assert read_event(wrap([contact, contact])).records == [contact, contact]
    mixed = read_event({"Records": [contact, record(), {"eventName": "ObjectRemoved:Delete"}]})
    assert (len(mixed.records), keys(mixed), mixed.ignored) == (1, [["a.wav"]], ["not_created"])


def test_an_event_of_connect_that_names_a_contact_only_is_no_record():
    bare = GOLDEN["contact_record_eventbridge"] | {"detail": {"ContactId": CONTACT}}
    assert read_event(bare) == golden("connect_contact_event") == Announcement(ignored=["no_contact_record"])


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
        ('[{"hello": "world"}, 3, []]', "unknown_shape"),
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


@pytest.mark.parametrize("key", ["a\0b.wav", "\ud800.wav", "a" * 1025, "", 5, None, ["a.wav"], {"key": "a.wav"}])
def test_a_key_that_no_store_can_have_is_a_bad_record(key):
    records = [record(s3={"bucket": {"name": "recordings"}, "object": {"key": key}}), record()]
    announcement = read_event(json.dumps({"Records": records}))
    assert announcement.unreadable == ["bad_record"]
    assert keys(announcement) == [["a.wav"]]


def test_what_is_nested_too_deep_to_print_is_neither_a_name_nor_a_size():
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    sized = record(s3={"bucket": {"name": "b"}, "object": {"key": "a.wav", "size": deep, "eTag": deep}})
    announcement = read_event({"Records": [record(eventName=deep), sized]})
    assert announcement.ignored == ["not_created"]
    assert announcement.objects[0].candidates == (ObjectRef("b", "a.wav"),)


@pytest.mark.parametrize("source", ["aws:s3", "minio:s3", "rustfs:s3", "ceph:s3", "eventbridge", "event_grid", "plain"])
@example(LONGEST_KEY)
@example("../../etc/passwd")
@example("users:117209:1667337742543-+16695555518_E.mp3")
@example("100%25 sure+more.wav")
@given(OBJECT_KEYS)
def test_the_key_that_a_source_encodes_is_the_first_candidate(source, key):
    written = {"ceph:s3": key, "minio:s3": quote_plus(key), "rustfs:s3": quote_plus(key)}.get(
        source, quote_plus(key, "/")
    )
    described = {"bucket": {"name": "recordings"}, "object": {"key": written}}
    message: Any = {"Records": [record(eventSource=source, s3=described)]}
    if source == "eventbridge":
        detail = described | {"object": {"key": key}}
        message = {"source": "aws.s3", "detail-type": "Object Created", "detail": detail}
    elif source == "event_grid":
        message = [blob_event(key)]
    elif source == "plain":
        message |= {"Key": f"recordings/{key}"}
    assert keys(read_event(json.dumps(message)))[0][0] == key


@settings(max_examples=500)
@given(st.sampled_from(PLACES), JSON | OBJECT_KEYS)
def test_a_golden_message_with_any_value_replaced_is_read_or_refused(place, value):
    name, path = place
    with suppress(UnreadableEvent):
        read_event(json.dumps(replaced(GOLDEN[name], path, value)))


@given(st.sampled_from(sorted(GOLDEN)), st.data())
def test_a_golden_message_with_any_bytes_replaced_is_read_or_refused(name, data):
    raw = bytearray((EVENTS / f"{name}.json").read_bytes())
    start = data.draw(st.integers(0, len(raw)))
    raw[start : start + data.draw(st.integers(0, 20))] = data.draw(st.binary(max_size=20))
    with suppress(UnreadableEvent):
        read_event(bytes(raw))


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
