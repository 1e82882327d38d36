"""Erasure under kills of real processes: in the end nothing of the person is left, and nobody else lost anything."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import sqlalchemy as sa

from crm.audit import verify
from crm.database import Database
from crm.privacy_tables import doomed_object, erased_call
from crm.schema import upgrade
from crm.tables import call, contact, recording, utterance
from engines.objects_folder import FolderStore
from tests.e2e.processes import callwise_json, environment
from tests.seeds import seed_call, seed_taxonomy

NUMBER = "+4915199887766"
THEIRS, OTHERS = 220, 20
KILLS = 3
GIVE_UP_S = 120


class Site:
    """A home with many calls of one person and some of others, each with its recording."""

    def __init__(self, home: Path) -> None:
        self.environment = environment(home)
        self.database = Database(f"sqlite:///{home}/callwise.db")
        upgrade(self.database)
        (home / "objects").mkdir()
        self.objects = FolderStore(home / "objects", bucket="recordings")
        with self.database.write() as connection:
            seed_taxonomy(connection)
            for number in range(THEIRS + OTHERS):
                is_theirs = number < THEIRS
                phone = NUMBER if is_theirs else f"+49301000{number}"
                key = f"{'theirs' if is_theirs else 'others'}/{number}.wav"
                etag = self.objects.put(key, key.encode()).ref.etag
                seed_call(
                    connection,
                    contact_number=phone,
                    from_number_e164=phone,
                    customer_name="Zqxvqj Last" if is_theirs else "Rosa Diaz",
                    recording={"object_key": key, "etag": etag},
                )

    def progress(self) -> tuple[int, int]:
        """How many calls are erased, and how many objects are there."""
        with self.database.read() as connection:
            erased = connection.execute(sa.select(sa.func.count()).select_from(erased_call)).scalar_one()
        return erased, sum(1 for _ in self.objects.list())

    def kill_in_the_middle(self, log: Path) -> None:
        """Let an erasure begin, and kill it as soon as it has done something."""
        before = self.progress()
        with log.open("ab") as output:
            running = subprocess.Popen(
                [sys.executable, "-m", "cli", "erase", "--phone", NUMBER, "--yes"],
                env=self.environment,
                stdout=output,
                stderr=output,
            )
        began = monotonic()
        while self.progress() == before and running.poll() is None:
            assert monotonic() - began < GIVE_UP_S, "the erasure does nothing"
        os.kill(running.pid, signal.SIGKILL)
        running.wait()


def test_an_erasure_that_is_killed_again_and_again_ends_as_one_that_was_not(tmp_path: Path) -> None:
    """Whatever it was at: portions of calls, the contact, the store."""
    home = tmp_path / "home"
    home.mkdir()
    site = Site(home)
    seen = []
    for _ in range(KILLS):
        site.kill_in_the_middle(tmp_path / "log")
        seen.append(site.progress())
    # Kills met it in the middle, or this proves nothing.
    assert any(0 < erased < THEIRS or objects > OTHERS for erased, objects in seen), seen
    callwise_json("erase", "--phone", NUMBER, "--yes", environment=site.environment)
    assert site.progress() == (THEIRS, OTHERS)
    assert {ref.key.split("/")[0] for ref in site.objects.list()} == {"others"}
    with site.database.read() as connection:
        for table, count in ((call, THEIRS + OTHERS), (recording, OTHERS), (utterance, 4 * OTHERS)):
            assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == count
        # Copies for playback are deleted once more later, lest a worker wrote one meanwhile; nothing is due now.
        due = sa.select(sa.func.count()).where(doomed_object.c.due_at <= datetime.now(UTC))
        assert connection.execute(due).scalar_one() == 0
        named = sa.select(sa.func.count()).where(contact.c.phone_e164.is_not(None))
        assert connection.execute(named).scalar_one() == OTHERS
        # Each erased call is in the log once, though it was said in pieces.
        verdict = verify(connection)
        assert (verdict.entry_count, verdict.broken_at) == (THEIRS, None)
    site.database.dispose()
    for path in home.rglob("*"):
        assert not path.is_file() or b"zqxvqj" not in path.read_bytes().lower(), path
