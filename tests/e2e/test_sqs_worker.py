"""Amazon SQS as Celery's broker: a worker outlives what happens to its requests."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from calls.recording import CallFacts
from crm.intake import insert_received
from crm.tables import call
from engines.objects_folder import FolderStore
from tests.e2e.processes import environment, running
from tests.servers.process import wait_until
from tests.servers.sqs_proxy import sqs_proxy
from tests.sound import two_channel_wav


@pytest.mark.timeout(180)
def test_a_worker_goes_on_when_sqs_cannot_answer(postgres_database, aws, tmp_path):
    home = tmp_path / "home"
    (home / "objects").mkdir(parents=True)
    store = FolderStore(home / "objects", bucket="recordings")
    asked = environment(
        home,
        CALLWISE_DATABASE__URL=postgres_database.url.render_as_string(hide_password=False),
        CALLWISE_LANGUAGE__ENGINE="offline",
        CALLWISE_WORK__CONCURRENCY="1",
        CALLWISE_WORK__SWEEP_S="0.5",
    )

    def receive(number: int) -> None:
        stored = store.put(f".callwise/{number}.wav", two_channel_wav(seconds=1))
        with postgres_database.write() as connection:
            insert_received(connection, stored, CallFacts(), source_system="test", profile=None, now=datetime.now(UTC))

    def done() -> int:
        with postgres_database.read() as connection:
            ended = sa.select(sa.func.count()).select_from(call).where(call.c.finished_at.is_not(None))
            return connection.execute(ended).scalar_one()

    with sqs_proxy(aws.endpoint_url) as proxy:
        asked["CALLWISE_BROKER__URL"] = f"sqs://test:test@127.0.0.1:{proxy.server_port}//"
        with (
            running("worker", environment=asked, log=tmp_path / "worker.log") as worker,
            running("beat", environment=asked, log=tmp_path / "beat.log"),
        ):
            receive(1)
            wait_until(lambda: done() == 1, what="the first call", deadline_s=90)
            proxy.refuse("ReceiveMessage", 3)
            wait_until(lambda: proxy.refused_count("ReceiveMessage") == 0, what="the refusals", deadline_s=30)
            receive(2)
            wait_until(lambda: done() == 2, what="the call after the refusals", deadline_s=60)
            assert worker.poll() is None, (tmp_path / "worker.log").read_text()
