"""Chaos in production's set-up: PostgreSQL, S3, RabbitMQ."""

import pytest

from tests.e2e.chaos_proof import prove


@pytest.mark.timeout(1500)
def test_whatever_is_done_to_it_the_database_equals_that_of_a_run_without_faults(tmp_path):
    prove("rabbitmq", tmp_path)
