"""Chaos on one machine: SQLite, a folder, no broker."""

import pytest

from tests.e2e.chaos_proof import prove


@pytest.mark.timeout(1500)
def test_whatever_is_done_to_it_the_database_equals_that_of_a_run_without_faults(tmp_path):
    prove("embedded", tmp_path)
