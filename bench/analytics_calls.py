"""Made-up calls by the million for the benchmarks of analytics, made in the database itself: any number, ever the same.

Three years of opening hours, twenty reasons, eight queues, ten teams of twenty agents, one customer for ten calls.
Everything of the nth call follows from n; ids are spread over their indexes as random ones are.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from calls.reasons import Reason, Taxonomy
from crm.database import Database
from crm.jobs import touch
from crm.tables import agent, queue, team
from crm.taxonomies import store_taxonomy

DAYS = 3 * 365
BEGINS_AT = datetime(2024, 1, 1, tzinfo=UTC)
ENDS_AT = BEGINS_AT + timedelta(days=DAYS)
REASONS, QUEUES, TEAMS, AGENTS = 20, 8, 10, 200
TAXONOMY = Taxonomy(
    version="bench",
    title="Bench",
    reasons=tuple(Reason(f"reason_{n}", f"Reason {n}", "Made up.", is_sales=n % 5 == 0) for n in range(REASONS)),
)
_KINDS = ("call", "contact", "agent", "queue", "team", "transcript", "analysis")
# Opening hours, in seconds of the day (UTC).
_OPENS_S, _OPEN_S = 7 * 3600, 12 * 3600
# Two calls after each other are of one customer; every second time they are also about the same.
REASON = f"(CASE WHEN i % 4 < 2 THEN i / 2 ELSE i END % {REASONS})"


def id_of(kind: str, number: int) -> UUID:
    """The id of the nth call, contact, ...: as the SQL below has it."""
    parts = ((number * 2654435761) % 2**32, (number * 40503) % 2**32, number, _KINDS.index(kind))
    return UUID(hex="".join(f"{part:08x}" for part in parts))


@dataclass(frozen=True)
class Dialect:
    """How the two databases say the same."""

    series: str
    hexadecimal: str
    moment: str
    true: str
    is_zero: str


_SQLITE = Dialect(
    series="WITH RECURSIVE s(i) AS (SELECT {first} UNION ALL SELECT i + {step} FROM s WHERE i + {step} < {end})",
    hexadecimal="printf('%08x', {0})",
    moment="strftime('%Y-%m-%d %H:%M:%S', {0}, 'unixepoch') || '.000000'",
    true="1",
    is_zero="({0}) = 0",
)
_POSTGRESQL = Dialect(
    series="WITH s(i) AS (SELECT n::bigint FROM generate_series({first}, {end} - 1, {step}) AS n)",
    hexadecimal="lpad(to_hex({0}), 8, '0')",
    moment="to_timestamp({0})",
    true="true",
    is_zero="({0}) = 0",
)


def fill(database: Database, call_count: int, step: int = 1) -> None:
    """Put the people, the reasons and the calls in, every `step`th of them, and mark all days for the roll-ups."""
    with database.write() as connection:
        store_taxonomy(connection, TAXONOMY, BEGINS_AT)
        connection.execute(sa.insert(team), [{"id": id_of("team", n), "name": f"Team {n}"} for n in range(TEAMS)])
        connection.execute(sa.insert(queue), [{"id": id_of("queue", n), "name": f"Queue {n}"} for n in range(QUEUES)])
        people = [
            {"id": id_of("agent", n), "display_name": f"Agent {n}", "team_id": id_of("team", n % TEAMS)}
            for n in range(AGENTS)
        ]
        connection.execute(sa.insert(agent), people)
        _insert(connection, "contact", 0, max(call_count // 10, 1), {"phone_e164": "'+1' || (2000000000 + i)"})
    for first in range(0, call_count, 500_000):
        end = min(first + 500_000, call_count)
        with database.write() as connection:
            add_calls(connection, first, end, call_count, step=step)
    with database.write() as connection:
        for n in range(DAYS):
            touch(connection, BEGINS_AT + timedelta(days=n))


def add_calls(connection: sa.Connection, first: int, end: int, call_count: int, *, at: str = "", step: int = 1) -> None:
    """The calls from the nth to before the last; `at` is when they were, in seconds since 1970, an expression of i."""
    says = says_of(connection)
    at = at or happened_s(call_count)
    moment = says.moment.format(at)
    contacts = max(call_count // 10, 1)
    length_s = "(60 + i * 37 % 900)"
    yes, no = says.true, f"NOT {says.true}" if says.true == "true" else "0"
    call = {
        "source_system": "'bench'",
        "external_call_id": "'bench-' || i",
        "stage": "'done'",
        "attributes": "'{}'",
        **dict.fromkeys(("received_at", "modified_at", "happened_at", "started_at", "finished_at"), moment),
        "is_sample": no,
        "direction": "'inbound'",
        "contact_id": id_text(says, "contact", f"(i / 2 * 48271 % {contacts})"),
        "agent_id": id_text(says, "agent", f"(i * 31 % {AGENTS})"),
        "queue_id": id_text(says, "queue", f"(i * 13 / 7 % {QUEUES})"),
        "duration_s": length_s,
        "hold_time_s": "(i % 4 * 10)",
        "acw_time_s": "(i % 60)",
        "is_transferred": says.is_zero.format("i % 11"),
    }
    heard = {
        "call_id": id_text(says, "call"),
        "revision": "1",
        "is_current": yes,
        "engine": "'bench'",
        "is_demo": no,
        "created_at": moment,
        "turn_count": "0",
        "skipped": "'[]'",
        "talk_time_agent_s": f"{length_s} * 0.5",
        "talk_time_customer_s": f"{length_s} * 0.25",
        "non_talk_time_s": "(i % 4 * 10)",
        "interruption_count": "i % 3",
        "conversation_s": length_s,
        "interruption_time_agent_s": "i % 3 * 0.5",
        "interruption_time_customer_s": "i % 2 * 0.25",
        "longest_monologue_agent_s": "20 + i % 40",
        "longest_monologue_customer_s": "10 + i % 30",
    }
    understood = {
        "call_id": id_text(says, "call"),
        "revision": "1",
        "is_current": yes,
        "created_at": moment,
        **dict.fromkeys(("headline", "summary", "subject"), "'made up'"),
        "summary_kind": "'written'",
        "reason_code": f"'reason_' || {REASON}",
        "secondary_reason_codes": f"CASE WHEN i % 5 = 0 THEN '[\"reason_' || (i % {REASONS}) || '\"]' ELSE '[]' END",
        **dict.fromkeys(("next_steps", "evidence", "skipped"), "'[]'"),
        "answers": "'{}'",
        "model": "'bench'",
        "is_demo": no,
        "prompt_version": "'1'",
        "taxonomy_version": "'bench'",
        "outcome": "CASE i % 5 WHEN 0 THEN 'sale' WHEN 1 THEN 'follow_up' ELSE 'resolved' END",
        "is_resolved": says.is_zero.format("i % 3"),
        "sentiment_customer": "(i % 90 - 40) * 0.1",
        "sentiment_customer_start": "(i % 80 - 40) * 0.1",
        "sentiment_customer_end": "(i % 70 - 20) * 0.1",
    }
    for table, columns in (("call", call), ("transcript", heard), ("call_analysis", understood)):
        _insert(connection, table, first, end, columns, step=step)


def happened_s(call_count: int) -> str:
    """When the ith call of so many was, in seconds since 1970."""
    per_day = max(call_count // DAYS, 1)
    day = f"{int(BEGINS_AT.timestamp())} + (i / {per_day}) % {DAYS} * 86400"
    return f"({day} + {_OPENS_S} + (i % {per_day}) * {_OPEN_S} / {per_day})"


def says_of(connection: sa.Connection) -> Dialect:
    """How this database says it."""
    return _SQLITE if connection.dialect.name == "sqlite" else _POSTGRESQL


def id_text(says: Dialect, kind: str, number: str = "i") -> str:
    parts = (f"({number} * 2654435761) % 4294967296", f"({number} * 40503) % 4294967296", number, _KINDS.index(kind))
    text = " || ".join(says.hexadecimal.format(part) for part in parts)
    return f"CAST({text} AS uuid)" if says is _POSTGRESQL else text


def _insert(
    connection: sa.Connection, table: str, first: int, end: int, columns: dict[str, str], *, step: int = 1
) -> None:
    says = says_of(connection)
    kind = "analysis" if table == "call_analysis" else table
    # PostgreSQL takes a text for JSON only by its name.
    is_json = {"attributes", "skipped", "secondary_reason_codes", "next_steps", "evidence", "answers"}
    values = [
        f"CAST({text} AS jsonb)" if name in is_json and says is _POSTGRESQL else text for name, text in columns.items()
    ]
    rows = f"SELECT {id_text(says, kind)}, {', '.join(values)} FROM s"
    insert_series(connection, f"{table} (id, {', '.join(columns)})", rows, first, end, step=step)


def insert_series(connection: sa.Connection, into: str, rows: str, first: int, end: int, *, step: int = 1) -> None:
    """Insert what `rows` selects of s(i), the numbers from the first to before the last."""
    series = says_of(connection).series.format(first=first, end=end, step=step)
    statement = f"INSERT INTO {into} {series} {rows}"
    # Psycopg takes a single % for the beginning of a parameter.
    connection.exec_driver_sql(statement if says_of(connection) is _SQLITE else statement.replace("%", "%%"))
