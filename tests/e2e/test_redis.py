"""Redis as the broker: each bell is heard, and what nobody rang for is found by the sweep that beat calls for."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from calls.pipeline import TERMINAL_STAGES
from calls.recording import CallFacts
from crm.intake import insert_received
from crm.tables import call, process_beat
from engines.objects_folder import FolderStore
from samples import sample_recordings
from tests.e2e.processes import environment, running
from tests.servers.process import wait_until
from tests.sound import two_channel_wav


def stages(database):
    with database.read() as connection:
        return list(connection.execute(sa.select(call.c.stage).order_by(call.c.received_at)).scalars())


@pytest.mark.timeout(180)
def test_a_call_goes_through_by_its_bells_alone_and_one_without_a_bell_by_the_sweep(
    postgres_database, redis_url, tmp_path
):
    home = tmp_path / "home"
    asked = environment(
        home,
        CALLWISE_DATABASE__URL=postgres_database.url.render_as_string(hide_password=False),
        CALLWISE_BROKER__URL=redis_url,
        CALLWISE_LANGUAGE__ENGINE="offline",
        CALLWISE_WORK__CONCURRENCY="1",
        CALLWISE_WORK__SWEEP_S="0.5",
    )
    (home / "objects").mkdir(parents=True)
    store = FolderStore(home / "objects", bucket="recordings")
    first: Path = sample_recordings()[0].path
    with (
        running("worker", "--queue", "speech", environment=asked, log=tmp_path / "speech.log"),
        running("worker", "--queue", "language", environment=asked, log=tmp_path / "language.log"),
        running("listen", environment=asked, log=tmp_path / "listen.log"),
    ):
        store.put(first.name, first)
        # No beat runs yet, so nobody sweeps: this call has its bells alone.
        wait_until(lambda: stages(postgres_database) == ["done"], what="the call whose bells rang", deadline_s=90)
        # Under our own prefix, so that the listener leaves it alone and no bell rings for it.
        stored = store.put(".callwise/unannounced.wav", two_channel_wav(seconds=1))
        with postgres_database.write() as connection:
            insert_received(connection, stored, CallFacts(), source_system="test", profile=None, now=datetime.now(UTC))
        # Beat runs on a machine of its own, where nobody has made a home.
        elsewhere = asked | {"CALLWISE_HOME": str(tmp_path / "no home yet")}
        with running("beat", environment=elsewhere, log=tmp_path / "beat.log"):
            wait_until(
                lambda: TERMINAL_STAGES.issuperset(stages(postgres_database)), what="the silent call", deadline_s=60
            )
    assert stages(postgres_database)[0] == "done"
    with postgres_database.read() as connection:
        ended = connection.execute(sa.select(process_beat.c.kind, process_beat.c.state)).all()
    assert sorted(map(tuple, ended)) == [(kind, "stopped") for kind in ("beat", "listen", "worker", "worker")]
    logs = "".join(path.read_text() for path in tmp_path.glob("*.log"))
    assert "Traceback" not in logs, logs
