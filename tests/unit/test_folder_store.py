"""Laws of the folder store that other stores have no counterpart for: people, links and half-written files."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls.errors import EngineMisconfigured, ObjectGone
from engines import folder_paths
from engines.objects_folder import FolderStore

KEYS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=340)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    (tmp_path / "objects").mkdir()
    return FolderStore(tmp_path / "objects", bucket="recordings")


@given(KEYS)
def test_every_key_has_a_path_below_the_root_and_is_read_back_from_it(key):
    root = Path("/store")
    paths = [folder_paths.escaped_path(root, key)]
    if folder_paths.may_lie(key):
        paths.append(folder_paths.plain_path(root, key))
    for path in paths:
        assert os.path.normpath(path) == str(path)
        assert path.is_relative_to(root)
        assert all(len(part.encode()) <= 255 for part in path.parts)
        assert folder_paths.key_of(root, path) == key


@given(KEYS, KEYS)
def test_two_keys_never_share_a_path(one, other):
    if one != other:
        assert folder_paths.escaped_path(Path("/s"), one) != folder_paths.escaped_path(Path("/s"), other)


def test_a_file_that_somebody_drops_in_is_an_object_under_its_name(store):
    (store.root / "2026").mkdir()
    (store.root / "2026" / "call 1%2F.wav").write_bytes(b"sound")
    assert [ref.key for ref in store.list()] == ["2026/call 1%2F.wav"]
    assert store.head("2026/call 1%2F.wav").ref.size_bytes == 5


@pytest.mark.parametrize(
    "name",
    [
        "\u7530\u4e2d\u3000\u96fb\u8a71.wav",
        "J\u00f6rg\u00a0M.wav",
        "back\\slash.wav",
        "tab\there.wav",
        "\u00e9" * 120 + ".wav",
    ],
)
def test_whatever_a_file_is_called_that_somebody_drops_in_it_is_an_object(store, name):
    (store.root / name).write_bytes(b"sound")
    assert [ref.key for ref in store.list()] == [name] == [store.key_of(store.root / name)]
    assert store.read_range(name, 0, 9) == b"sound"
    # What is put under the name takes its place, and leaves nothing behind when it goes.
    store.put(name, b"other", metadata={"agent": "Ana"})
    assert [ref.etag for ref in store.list()] == [store.head(name).ref.etag]
    assert (store.read_range(name, 0, 9), store.head(name).metadata) == (b"other", {"agent": "Ana"})
    (store.root / name).write_bytes(b"sound")
    store.delete(name)
    assert list(store.list()) == []


def test_a_file_that_somebody_replaces_is_another_object_without_the_old_metadata(store):
    before = store.put("a.wav", b"sound", metadata={"agent": "Ana"})
    (store.root / "a.wav").write_bytes(b"other sound")
    after = store.head("a.wav")
    assert after.ref.etag != before.ref.etag
    assert after.metadata == {}


@pytest.mark.parametrize("name", [".hidden.wav", "half.wav.part", ".callwise-store/notes/61.object"])
def test_hidden_and_unfinished_files_are_no_objects(store, name):
    (store.root / name).parent.mkdir(parents=True, exist_ok=True)
    (store.root / name).write_bytes(b"x")
    assert list(store.list()) == []
    assert store.key_of(store.root / name) is None


def test_a_link_out_of_the_folder_is_not_followed(store, tmp_path):
    (tmp_path / "secret.wav").write_bytes(b"secret")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret.wav").write_bytes(b"secret")
    (store.root / "link.wav").symlink_to(tmp_path / "secret.wav")
    (store.root / "folder").symlink_to(tmp_path / "elsewhere")
    for key in ["link.wav", "folder/secret.wav"]:
        with pytest.raises(ObjectGone):
            store.head(key)
    assert list(store.list()) == []


def test_what_is_put_under_the_name_of_a_link_does_not_go_through_it(store, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (store.root / "folder").symlink_to(tmp_path / "elsewhere")
    store.put("folder/a.wav", b"sound")
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert store.read_range("folder/a.wav", 0, 5) == b"sound"


def test_a_name_that_is_no_utf_8_is_no_object_and_stops_no_listing(store):
    (store.root / "a.wav").write_bytes(b"x")
    Path(os.fsdecode(os.fsencode(store.root) + b"/caf\xe9.wav")).write_bytes(b"x")
    assert [ref.key for ref in store.list()] == ["a.wav"]


def test_a_folder_that_is_not_there_is_a_wrong_setting(tmp_path):
    with pytest.raises(EngineMisconfigured, match="CALLWISE_OBJECTS__FOLDER"):
        FolderStore(tmp_path / "nowhere", bucket="recordings").head("a.wav")


def test_a_new_process_reads_the_etags_that_an_earlier_one_noted(store):
    put = store.put("a.wav", b"sound")
    assert list(FolderStore(store.root, bucket="recordings").list()) == [put.ref]
