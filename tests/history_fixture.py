"""The generated history and a few odd calls beside it, rolled up: what the tests of figures and files read."""

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from analytics.rollup import refresh
from calls.taxonomy_file import parse_taxonomy
from crm.database import Database
from crm.reviews import correct_reason
from crm.taxonomies import store_taxonomy
from samples.history import load_history
from tests.calls_made_up import add_call, add_charge, id_of, prepare

UNTIL = date(2026, 5, 11)
NOW = datetime(2026, 5, 12, 15, tzinfo=UTC)
# Its clocks change within the history.
ZONE = "Europe/Berlin"
BUNDLED = Path(__file__).parents[1] / "runtime" / "taxonomies" / "service_centre.yaml"


def fill(database: Database) -> None:
    """Put the history and the odd calls in, and roll them up."""
    bundled = parse_taxonomy(BUNDLED.read_text(encoding="utf-8"))
    load_history(database, bundled, UNTIL, zone=ZONE)
    last = datetime(2026, 5, 11, 9, tzinfo=UTC)
    with database.write() as connection:
        prepare(connection)
        paid = add_call(
            connection, 1, last, duration_s=61.2345, agent_id=id_of("agent", 0), contact_id=id_of("contact", 1)
        )
        add_charge(connection, paid, 1_234)
        add_charge(connection, paid, None)
        add_call(
            connection, 2, last, stage="failed", failed_step="call.transcribe", failed_code="not_audio", analysis=None
        )
        add_call(connection, 3, last - timedelta(days=1), analysis={"reason_code": "insufficient_content"})
        add_call(connection, 4, last + timedelta(days=1), transcript={"is_demo": True}, contact_id=id_of("contact", 1))
        add_call(connection, 5, last, stage="received", analysis=None)
        timing = {
            "talk_time_agent_s": 30.0,
            "talk_time_customer_s": 12.5,
            "conversation_s": 51.25,
            "interruption_time_agent_s": 0.7,
            "interruption_time_customer_s": 1.1,
            "longest_monologue_agent_s": 21.3,
            "longest_monologue_customer_s": 9.9,
        }
        for number, code in ((6, "delivery"), (7, "repair")):
            reviewed = add_call(connection, number, last, transcript=timing)
            correct_reason(connection, reviewed, code, by="Ann", now=NOW)
        # The odd calls are of a version that is over.
        store_taxonomy(connection, bundled, NOW)
    refresh(database, ZONE, NOW)


@pytest.fixture(scope="module")
def history(migrated_sqlite_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The filled database; nobody changes it."""
    path = shutil.copy(migrated_sqlite_file, tmp_path_factory.mktemp("history") / "callwise.db")
    database = Database(f"sqlite:///{path}")
    fill(database)
    yield database
    database.dispose()
