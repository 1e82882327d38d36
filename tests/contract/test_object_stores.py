"""One contract for every object store: in memory, a folder, S3 over HTTP."""

from collections.abc import Callable
from pathlib import Path

import pytest

from calls.errors import ObjectGone, TerminalError
from calls.recording import ObjectRef
from engines.objects import ObjectStore
from engines.objects_folder import FolderStore
from engines.objects_memory import MemoryStore
from engines.objects_s3 import S3Store

ORDINARY_KEYS = [
    "a.wav",
    "2026/03/14/in-18005550100-4155550123-20250327-092517-1743042317.12206.wav",
    "with space/and + plus/100%25.wav",
    "../outside.wav",
    "..",
    "/absolute.wav",
    "a//b.wav",
    "folder/",
    ".hidden.wav",
    "users:117209:1667337742543-+16695555518_E.mp3",
    "C:\\calls\\x.wav",
    "n" * 300 + ".wav",
    "深夜/дзвінок/é.wav",
    "unfinished.wav.part",
    ".callwise/playback/1.mp3",
    ".callwise-store/objects/61.object",
    "k" * 1024,
]


@pytest.fixture(params=["memory", "folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """An empty store of each kind."""
    if request.param == "memory":
        return MemoryStore("recordings")
    if request.param == "folder":
        (tmp_path / "objects").mkdir()
        return FolderStore(tmp_path / "objects", bucket="recordings")
    aws = request.getfixturevalue("aws")
    return S3Store(
        aws.create_bucket("recordings"),
        endpoint_url=aws.endpoint_url,
        region=aws.region,
        access_key=aws.access_key,
        secret_key=aws.secret_key,
        page_size=100,
    )


def keys(store: ObjectStore, **chosen: str) -> list[str]:
    return [ref.key for ref in store.list(**chosen)]


def test_what_is_put_is_what_is_fetched(store, tmp_path):
    source = tmp_path / "source.wav"
    source.write_bytes(bytes(range(256)) * 5000)
    put = store.put("2026/a b.wav", source)
    store.fetch(put.ref, tmp_path / "fetched.wav")
    assert (tmp_path / "fetched.wav").read_bytes() == source.read_bytes()
    assert put.ref.size_bytes == 1_280_000


@pytest.mark.parametrize("key", ORDINARY_KEYS, ids=lambda key: ascii(key)[:40])
def test_every_key_is_an_ordinary_name(store, key, tmp_path):
    store.put("before.wav", b"another")
    put = store.put(key, b"sound of " + key.encode()[:20])
    assert put.ref.key == key
    assert store.head(key).ref == put.ref
    assert key in keys(store)
    store.fetch(put.ref, tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == b"sound of " + key.encode()[:20]
    store.delete(key)
    assert keys(store) == ["before.wav"]


@pytest.mark.parametrize("store", ["memory", "folder"], indirect=True)
def test_a_key_with_a_line_break_is_an_ordinary_name_where_the_test_server_can_route_it(store):
    store.put("line\nbreak.wav", b"sound")
    assert keys(store) == ["line\nbreak.wav"]


def test_all_ordinary_keys_live_side_by_side_and_are_listed_in_order_of_their_bytes(store):
    for key in ORDINARY_KEYS:
        store.put(key, key.encode())
    assert keys(store) == sorted(ORDINARY_KEYS, key=str.encode)


@pytest.mark.parametrize("first", ["a", "a/b", "a/b/c"])
def test_a_name_may_be_a_folder_and_an_object_at_once(store, first):
    names = ["a", "a/b", "a/b/c", "a-b"]
    for key in [first, *(key for key in names if key != first)]:
        store.put(key, key.encode())
    assert keys(store) == ["a", "a-b", "a/b", "a/b/c"]
    assert [store.read_range(key, 0, 9) for key in names] == [key.encode() for key in names]


def test_a_listing_starts_behind_a_key_and_keeps_to_a_prefix(store):
    for key in ["a.wav", "a/1.wav", "a/2.wav", "a/b/3.wav", "a0.wav", "b/../1.wav", "b/4.wav"]:
        store.put(key, b"x")
    assert keys(store, prefix="a/") == ["a/1.wav", "a/2.wav", "a/b/3.wav"]
    assert keys(store, prefix="a/", after="a/1.wav") == ["a/2.wav", "a/b/3.wav"]
    assert keys(store, after="a/b/3.wav") == ["a0.wav", "b/../1.wav", "b/4.wav"]
    assert keys(store, prefix="a/b") == ["a/b/3.wav"]
    assert keys(store, prefix="z") == []


def test_a_listing_of_many_objects_is_complete(store):
    names = [f"{number % 7}/{number:04d}.wav" for number in range(250)]
    for name in names:
        store.put(name, b"x")
    assert keys(store) == sorted(names)


def test_a_listing_names_the_same_object_as_head(store):
    store.put("a.wav", b"sound")
    store.put("../a.wav", b"other sound")
    assert [store.head(ref.key).ref for ref in store.list()] == list(store.list())


def test_the_same_bytes_are_the_same_object_and_others_are_not(store):
    first = store.put("a.wav", b"sound")
    assert store.put("a.wav", b"sound").ref == first.ref
    assert store.put("a.wav", b"sounds").ref.etag != first.ref.etag


def test_an_object_that_was_replaced_is_not_fetched_in_place_of_the_old_one(store, tmp_path):
    old = store.put("a.wav", b"old")
    store.put("a.wav", b"new")
    with pytest.raises(ObjectGone) as gone:
        store.fetch(old.ref, tmp_path / "fetched")
    assert gone.value.code == "object_replaced"
    assert not (tmp_path / "fetched").exists()


def test_metadata_travels_with_the_object_under_lower_case_names(store):
    store.put("a.wav", b"sound", metadata={"Contact-Id": "4a57", "agent": "Zoë Ångström"})
    assert store.head("a.wav").metadata == {"contact-id": "4a57", "agent": "Zoë Ångström"}
    store.put("a.wav", b"sound")
    assert store.head("a.wav").metadata == {}


def test_an_object_without_tags_has_none(store):
    store.put("a.wav", b"sound", metadata={"agent": "Ana"})
    assert store.tags("a.wav") == {}


@pytest.mark.parametrize("store", ["s3"], indirect=True)
def test_tags_are_read_as_they_were_set(store, aws):
    store.put("a b.wav", b"sound")
    tags = {"agent": "Zoë Ångström", "Queue": "Service"}
    aws.client("s3").put_object_tagging(
        Bucket=store.bucket,
        Key="a b.wav",
        Tagging={"TagSet": [{"Key": name, "Value": value} for name, value in tags.items()]},
    )
    assert store.tags("a b.wav") == tags


def test_a_range_is_cut_at_the_end(store):
    store.put("a.wav", b"0123456789")
    assert store.read_range("a.wav", 2, 3) == b"234"
    assert store.read_range("a.wav", 8, 100) == b"89"
    assert store.read_range("a.wav", 10, 5) == b""
    assert store.read_range("a.wav", 0, 0) == b""


def test_an_empty_object_is_an_object(store, tmp_path):
    put = store.put("empty.wav", b"")
    assert put.ref.size_bytes == 0
    store.fetch(put.ref, tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == b""


@pytest.mark.parametrize(
    "ask",
    [
        lambda store, into: store.head("gone.wav"),
        lambda store, into: store.fetch(ObjectRef("recordings", "gone.wav"), into),
        lambda store, into: store.read_range("gone.wav", 0, 1),
        lambda store, into: store.tags("gone.wav"),
        lambda store, into: store.head("here.wav", "no-such-version"),
    ],
    ids=["head", "fetch", "read_range", "tags", "version"],
)
def test_what_is_not_there_is_gone(store, ask: Callable[[ObjectStore, Path], object], tmp_path):
    store.put("here.wav", b"sound")
    with pytest.raises(ObjectGone):
        ask(store, tmp_path / "fetched")
    assert not (tmp_path / "fetched").exists()


def test_deleting_what_is_not_there_is_no_error(store):
    store.delete("gone.wav")


@pytest.mark.parametrize("key", ["", "k" * 1025, "é" * 513, "nul\0.wav", "half \ud800"])
def test_a_key_that_no_store_takes_is_refused_for_good(store, key):
    with pytest.raises(TerminalError) as refused:
        store.put(key, b"sound")
    assert refused.value.code == "bad_key"


@pytest.mark.parametrize("key", ORDINARY_KEYS)
def test_an_erased_object_is_gone_and_its_neighbours_stay(store, key):
    neighbour = f"{key[:1000]}x"
    store.put(key, b"x", metadata={"caller": "+4915112345678"})
    store.put(neighbour, b"y")
    store.erase(key)
    assert keys(store) == [neighbour]
    with pytest.raises(ObjectGone):
        store.head(key)
    store.erase(key)


def test_a_folder_keeps_no_note_of_an_erased_object(tmp_path):
    """Also where somebody has removed the file by hand before."""
    (tmp_path / "objects").mkdir()
    store = FolderStore(tmp_path / "objects", bucket="recordings")
    for key in ("in/a.wav", "in/b.wav"):
        store.put(key, b"x", metadata={"caller": "+4915112345678"})
    (tmp_path / "objects" / "in" / "a.wav").unlink()
    store.erase("in/a.wav")
    store.erase("in/b.wav")
    assert [path for path in (tmp_path / "objects").rglob("*") if path.is_file()] == []
