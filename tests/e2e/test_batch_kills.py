"""The batch lane under kills of real processes: at every moment of a batch's life, one after the other."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from crm import batch_questions
from crm.batch_tables import batch_question, language_batch
from crm.tables import paid_request
from tests.seeds import seed_call, seed_taxonomy
from tests.servers.openai_answers import says
from tests.servers.openai_batches import BatchShelf

ROOT = Path(__file__).parents[2]
MOMENTS = ("gathered", "uploaded", "created", "answered", "kept", "ended")
SCHEMA = '{"model":"gpt-5.4-mini","instructions":"","store":false,"text":{"format":{"type":"text"}}}'


def put_questions(database, count):
    with database.write() as connection:
        seed_taxonomy(connection)
        for number in range(count):
            call_id = seed_call(connection, stage="transcribed", with_analysis=False, said=None)
            messages = '[{"role": "user", "content": "hello"}]'
            question = batch_questions.NewQuestion(f"q{number}", "openai/gpt-5.4-mini", SCHEMA, messages, 100)
            batch_questions.put_question(connection, call_id, question, now=datetime.now(UTC))


def tend(database, server, moment):
    """One worker's stroke, killed at that moment; whether it was. What a dead one held is free again."""
    command = [sys.executable, "-m", "tests.workers.tending", str(database.url), server.base_url, moment]
    ended = subprocess.run(command, cwd=ROOT, check=False, timeout=120)
    assert ended.returncode in {0, -9}
    with database.write() as connection:
        connection.execute(sa.update(language_batch).values(held_until=None))
    return ended.returncode == -9


def test_a_batch_whose_workers_are_killed_at_every_moment_is_sent_and_paid_once(database, openai_server):
    shelf = BatchShelf(openai_server, says("hello"))
    openai_server.reply_always(shelf)
    put_questions(database, 250)
    killed = [moment for moment in MOMENTS[:3] if tend(database, openai_server, moment)]
    tend(database, openai_server, "-")
    shelf.end()
    killed += [moment for moment in MOMENTS[3:] if tend(database, openai_server, moment)]
    tend(database, openai_server, "-")
    assert killed == list(MOMENTS)
    assert [len(batch.questions) for batch in shelf.batches.values()] == [250]
    assert len(set(shelf.answered)) == len(shelf.answered) == 250
    with database.read() as connection:
        paid = connection.execute(sa.select(paid_request.c.request_id)).scalars().all()
        unanswered = sa.select(sa.func.count()).where(batch_question.c.answer.is_(None))
        assert connection.execute(unanswered).scalar_one() == 0
        assert [row.state for row in connection.execute(sa.select(language_batch.c.state))] == ["ended"]
    assert len(set(paid)) == len(paid) == 250
