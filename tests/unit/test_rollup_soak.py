"""The roll-ups under operations by the hundred thousand, around changes of the clocks: always those of a recompute.

`CALLWISE_ROLLUP_OPERATIONS` says how many there are (`make soak`: a million).
"""

import os
import random
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from analytics.rollup import recompute_all, refresh
from analytics.star import AGGREGATES, fact_call, fact_call_reason
from crm.database import Database
from tests.calls_made_up import TAXONOMY, prepare
from tests.rollup_operations import Centre
from tests.unit.test_rollup import EDGES, OTHER_REASONS, ZONES, stored

OPERATIONS = int(os.environ.get("CALLWISE_ROLLUP_OPERATIONS", "100000"))
# One example is one centre; a step is one transaction of the centre's and the refresh behind it.
AT_ONCE = 500
STEPS = 25


class Centres(RuleBasedStateMachine):
    """Hundreds of things happen at once, then the roll-ups follow; reasons, zones and the clock change in between."""

    happened: ClassVar[int] = 0
    opened: ClassVar[int] = 0

    def __init__(self, template: Path, folder: Path) -> None:
        super().__init__()
        Centres.opened += 1
        self._path = folder / f"{Centres.opened}.db"
        self._path.write_bytes(template.read_bytes())
        self.database = Database(f"sqlite:///{self._path}")
        self.zone = "UTC"
        self.centre = Centre(self.database, EDGES, (TAXONOMY, *OTHER_REASONS))
        with self.database.write() as connection:
            prepare(connection)

    @rule(seed=st.integers(0, 2**32))
    def much_happens(self, seed: int) -> None:
        self.centre.happen(random.Random(seed), AT_ONCE)
        refresh(self.database, self.zone, self.centre.now)

    @rule(seed=st.integers(0, 2**32))
    def much_happens_and_then_more_before_the_roll_ups_follow(self, seed: int) -> None:
        for n in range(2):
            self.centre.happen(random.Random(seed + n), AT_ONCE)
        refresh(self.database, self.zone, self.centre.now)

    @rule(number=st.integers(0, len(OTHER_REASONS)), seed=st.integers(0, 2**32))
    def the_owner_loads_other_reasons(self, number: int, seed: int) -> None:
        self.centre.load(number)
        self.much_happens(seed)

    @rule(hours=st.integers(-9 * 24, 9 * 24), seed=st.integers(0, 2**32))
    def time_passes(self, hours: int, seed: int) -> None:
        self.centre.now += timedelta(hours=hours)
        self.much_happens(seed)

    @rule(zone=st.sampled_from(ZONES), seed=st.integers(0, 2**32))
    def the_site_moves(self, zone: str, seed: int) -> None:
        self.zone = zone
        self.much_happens(seed)

    def teardown(self) -> None:
        """What was followed step by step is what one recompute makes of an empty star."""
        refresh(self.database, self.zone, self.centre.now)
        kept = stored(self.database)
        with self.database.write() as connection:
            for table in (*AGGREGATES, fact_call_reason, fact_call):
                connection.execute(sa.delete(table))
        recompute_all(self.database, self.zone, self.centre.now)
        made = stored(self.database)
        Centres.happened += self.centre.count
        self.database.dispose()
        for rest in self._path.parent.glob(f"{self._path.name}*"):
            rest.unlink()
        for name, rows in kept.items():
            assert rows == made[name], name


def test_the_sums_stay_those_of_a_recompute_over_a_hundred_thousand_operations(
    migrated_sqlite_file: Path, tmp_path: Path
) -> None:
    while Centres.happened < OPERATIONS:
        left = OPERATIONS - Centres.happened
        before = Centres.happened
        run_state_machine_as_test(
            lambda: Centres(migrated_sqlite_file, tmp_path),
            settings=settings(
                max_examples=max(1, left // (AT_ONCE * STEPS)),
                stateful_step_count=STEPS,
                deadline=None,
                phases=(Phase.generate,),
                suppress_health_check=list(HealthCheck),
            ),
        )
        assert Centres.happened > before
    assert Centres.happened >= OPERATIONS
