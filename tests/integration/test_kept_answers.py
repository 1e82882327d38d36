"""Answers that are kept under a key, on both databases."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from crm.kept_answers import (
    CLAIM_STANDS_FOR,
    KEPT_FOR,
    KeptAnswer,
    KeyReused,
    StillWorking,
    claim,
    keep,
    kept_answer,
    release,
)
from tests.seeds import NOW

ANSWER = KeptAnswer(200, '{"retried":1}')


def take(database, request="r", now=NOW, caller="ada"):
    with database.write() as connection:
        return claim(connection, caller, "key", request, now=now)


def test_a_key_is_claimed_answered_and_answered_again(any_database):
    assert take(any_database) is None
    with pytest.raises(StillWorking):
        take(any_database)
    with any_database.write() as connection:
        keep(connection, "ada", "key", ANSWER)
    assert take(any_database) == ANSWER
    with pytest.raises(KeyReused):
        take(any_database, "another")
    assert take(any_database, "another", caller="ben") is None


def test_a_claim_whose_process_died_and_a_released_one_may_be_taken_again(any_database):
    assert take(any_database) is None
    late = NOW + CLAIM_STANDS_FOR
    assert take(any_database, now=late) is None
    with pytest.raises(StillWorking):
        take(any_database, now=late)
    with any_database.write() as connection:
        release(connection, "ada", "key")
    assert take(any_database, "another", now=late) is None


def test_an_answer_is_released_by_nobody_and_forgotten_after_its_time(any_database):
    take(any_database)
    with any_database.write() as connection:
        keep(connection, "ada", "key", ANSWER)
        release(connection, "ada", "key")
    assert take(any_database, now=NOW + KEPT_FOR) == ANSWER
    assert take(any_database, "another", now=NOW + KEPT_FOR + timedelta(seconds=1)) is None
    with any_database.read() as connection:
        assert connection.execute(sa.select(kept_answer.c.request_hash)).scalars().all() == ["another"]
