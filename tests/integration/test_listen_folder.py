"""Laws of the watched folder: what arrives is seen, whole, once, and what arrived before is found."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from calls.errors import TerminalError
from crm.database import Database
from crm.schema import upgrade
from engines.objects_folder import FolderStore
from ingest.listen_folder import FolderListener
from tests.integration.listening import calls, keys, make_intake, running
from tests.servers.process import wait_until

NOBODY = 65534


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    (tmp_path / "objects").mkdir()
    return FolderStore(tmp_path / "objects", bucket="recordings")


def test_what_is_put_while_it_watches_is_seen_at_once(database, store):
    # Nothing settles within this test: only what is known to be whole is taken.
    listener = FolderListener(make_intake(database, store), store, settle_s=600)
    with running(listener):
        for key in ("a.wav", "deep/er/b.wav", "../odd.wav", "c.json"):
            store.put(key, b"sound")
        wait_until(lambda: len(keys(database)) == 3, what="three calls")
    assert keys(database) == ["../odd.wav", "a.wav", "deep/er/b.wav"]


def test_a_folder_that_is_not_there_yet_is_waited_for_and_not_made(database, tmp_path):
    store = FolderStore(tmp_path / "not mounted", bucket="recordings")
    with running(FolderListener(make_intake(database, store), store, settle_s=0.2)):
        assert not store.root.exists()
        store.root.mkdir()
        store.put("a.wav", b"sound")
        wait_until(lambda: keys(database) == ["a.wav"], what="the call")


def test_what_arrived_before_it_watches_is_found(database, store):
    store.put("a.wav", b"sound")
    (store.root / "dropped.wav").write_bytes(b"sound")
    with running(FolderListener(make_intake(database, store), store, settle_s=0.2)):
        wait_until(lambda: keys(database) == ["a.wav", "dropped.wav"], what="both calls")


def test_a_file_is_taken_when_it_has_stopped_growing_and_only_then(database, store):
    listener = FolderListener(make_intake(database, store), store, settle_s=0.6)
    with running(listener), (store.root / "slow.wav").open("wb") as file:
        for number in range(40):
            file.write(b"x" * 1000)
            file.flush()
            if number == 20:
                store.put("marker.wav", b"sound")
                wait_until(lambda: keys(database) == ["marker.wav"], what="the marker alone")
        file.close()
        wait_until(lambda: "slow.wav" in keys(database), what="the whole file")
    with database.read() as connection:
        sizes = connection.exec_driver_sql("SELECT size_bytes FROM recording WHERE object_key = 'slow.wav'").scalars()
        assert list(sizes) == [40_000]


def test_a_folder_that_is_moved_in_is_read(database, store, tmp_path):
    (tmp_path / "elsewhere" / "march").mkdir(parents=True)
    for name in ("1.wav", "march/2.wav"):
        (tmp_path / "elsewhere" / name).write_bytes(b"sound")
    with running(FolderListener(make_intake(database, store), store, settle_s=0.2)):
        store.put("first.wav", b"sound")
        wait_until(lambda: keys(database) == ["first.wav"], what="the listener watches")
        shutil.move(tmp_path / "elsewhere", store.root / "moved")
        wait_until(lambda: len(keys(database)) == 3, what="the calls of the folder")


def test_a_file_that_is_replaced_starts_its_call_anew(database, store):
    with running(FolderListener(make_intake(database, store), store, settle_s=0.2)):
        store.put("a.wav", b"sound")
        wait_until(lambda: keys(database) == ["a.wav"], what="the call")
        (store.root / "a.wav").write_bytes(b"other, longer sound")

        def is_replaced() -> bool:
            with database.read() as connection:
                query = "SELECT size_bytes FROM recording WHERE is_current"
                return list(connection.exec_driver_sql(query).scalars()) == [19]

        wait_until(is_replaced, what="the other recording is current")
    assert len(calls(database)) == 1


def test_a_database_that_is_away_is_waited_for(database, store, tmp_path):
    path = Path(str(database.url.database))
    away = path.with_suffix(".away")
    path.rename(away)
    path.mkdir()
    with running(FolderListener(make_intake(database, store), store, settle_s=0.1)):
        store.put("a.wav", b"sound")
        path.rmdir()
        away.rename(path)
        wait_until(lambda: keys(database) == ["a.wav"], what="the call")


def test_draining_takes_what_is_there_and_waits_for_what_grows(database, store):
    (store.root / "dropped.wav").write_bytes(b"sound")
    store.put("a.wav", b"sound")
    listener = FolderListener(make_intake(database, store), store, settle_s=0.3)
    assert listener.drain() == 2
    assert listener.drain() == 0


def test_a_file_that_goes_before_it_is_whole_is_forgotten(database, store):
    listener = FolderListener(make_intake(database, store), store, settle_s=0.5)
    with running(listener):
        (store.root / "brief.wav").write_bytes(b"sound")
        (store.root / "brief.wav").unlink()
        store.put("a.wav", b"sound")
        wait_until(lambda: keys(database) == ["a.wav"], what="the other call")
    assert listener.drain() == 0


@pytest.fixture
def nobody():
    """Root may read everything, so that it works as somebody else until the test has ended."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(NOBODY)
    yield
    os.seteuid(was)


def test_what_we_may_not_read_holds_up_nothing_else(nobody):
    with tempfile.TemporaryDirectory() as name:
        database = Database(f"sqlite:///{name}/callwise.db")
        upgrade(database)
        store = FolderStore(Path(name, "objects"), bucket="recordings")
        for key in ("lost+found/a.wav", "open.wav", "secret.wav"):
            store.put(key, b"sound")
        for key in ("lost+found", "secret.wav"):
            (store.root / key).chmod(0)
        fresh = FolderStore(store.root, bucket="recordings")
        (store.root / "secret.wav").touch()  # what was noted of it counts no more
        try:
            assert [ref.key for ref in fresh.list()] == ["open.wav", "secret.wav"]
            with pytest.raises(TerminalError) as caught:
                fresh.head("secret.wav")
            assert caught.value.code == "not_readable"
            listener = FolderListener(make_intake(database, fresh), fresh, settle_s=0.2)
            assert listener.drain() == 1
            (store.root / "secret.wav").chmod(0o600)
            assert listener.drain() == 1
        finally:
            (store.root / "lost+found").chmod(0o700)
            database.dispose()
