"""The facts of made-up calls by one statement, a hundred times as fast as the roll-ups make them: for ten million.

They are what the roll-ups would make of the same calls: a run that has the roll-ups look at some of them again says
how many they would change, which has to be none.
"""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from analytics import aggregates, dimensions
from analytics.facts import Keys
from analytics.star import date_key, date_of, dim_agent, dim_date, dim_queue, fact_call, fact_call_reason, refresh_state
from bench.analytics_calls import (
    AGENTS,
    BEGINS_AT,
    DAYS,
    QUEUES,
    REASON,
    REASONS,
    Dialect,
    happened_s,
    id_of,
    id_text,
    insert_series,
    says_of,
)
from crm.database import Database
from crm.tables import touched_day

_AT_ONCE = 500_000
# As many facts as are grouped in memory.
_DAYS_AT_ONCE = 31
_OUTCOME = "(CASE i % 5 WHEN 0 THEN 'sale' WHEN 1 THEN 'follow_up' ELSE 'resolved' END)"
_OVERALL, _START, _END = "(i % 90 - 40)", "(i % 80 - 40)", "(i % 70 - 20)"


def fill_facts(database: Database, call_count: int, now: datetime) -> None:
    """The whole star schema of `fill`'s calls, in UTC, as a refresh at `now` would leave it."""
    schema = "" if database.is_sqlite else "bi."
    with database.write() as connection:
        keys, _ = dimensions.follow(connection)
        dimensions.know_dates(connection, {BEGINS_AT.date(), date_of(20261230)}, 1)
        contacts = max(call_count // 10, 1)
        member = f"SELECT i + 1, {id_text(says_of(connection), 'contact')} FROM s"
        insert_series(connection, f"{schema}dim_customer (customer_key, contact_id)", member, 0, contacts)
    for first in range(0, call_count, _AT_ONCE):
        end = min(first + _AT_ONCE, call_count)
        with database.write() as connection:
            _add(connection, range(first, end), call_count, keys, now)
    with database.write() as connection:
        days = connection.execute(sa.select(fact_call.c.date_key).distinct().order_by(fact_call.c.date_key))
        for some in days.scalars().partitions(_DAYS_AT_ONCE):
            aggregates.sum_days(connection, some, now)
        connection.execute(sa.delete(touched_day))
        state = {"id": 1, "time_zone": "UTC", "refreshed_at_utc": now, "fiscal_starts_in": 1}
        connection.execute(sa.insert(refresh_state), [state])


def _add(connection: sa.Connection, numbers: range, call_count: int, keys: Keys, now: datetime) -> None:
    says, first, end = says_of(connection), numbers.start, numbers.stop
    schema = "" if says.true == "1" else "bi."
    held = {row.queue_id: row.queue_key for row in connection.execute(sa.select(dim_queue))}
    queues = [held[id_of("queue", n)] for n in range(QUEUES)]
    held = {row.agent_id: (row.agent_key, row.team_key) for row in connection.execute(sa.select(dim_agent))}
    agents = [held[id_of("agent", n)] for n in range(AGENTS)]
    reasons = [keys.reason["bench", f"reason_{n}"].key for n in range(REASONS)]
    every = connection.execute(sa.select(dim_date.c.date_key).order_by(dim_date.c.date_key)).scalars().all()
    days = [key for key in every if key >= date_key(BEGINS_AT.date())][:DAYS]
    at = happened_s(call_count)
    since_s = f"({at} - {int(BEGINS_AT.timestamp())})"
    day_key = _listed(says, days, f"{since_s} / 86400")
    reason_key = _listed(says, reasons, REASON)
    length_ms = "(60 + i * 37 % 900) * 1000"
    is_complete = f"({at} + 604800 <= {int(now.timestamp())})"
    is_sales = f"({REASON} % 5 = 0)"
    no, moment = ("0" if says_of(connection).true == "1" else "false"), says.moment.format(at)
    parts = dict.fromkeys(
        (
            *("call_count", "handled_count", "handle_time_call_count", "acw_known_count", "hold_known_count"),
            *("timed_count", "interruption_time_known_count", "conversation_known_count", "monologue_known_count"),
            *("non_talk_known_count", "transfer_known_count", "classified_count", "resolution_known_count"),
            *("outcome_known_count", "sentiment_known_count", "sentiment_end_count", "sentiment_shift_count"),
        ),
        "1",
    ) | {
        "handle_time_ms": f"{length_ms} + i % 60 * 1000",
        "acw_time_ms": "i % 60 * 1000",
        "hold_time_ms": "i % 4 * 10000",
        "non_talk_time_ms": "i % 4 * 10000",
        "talk_time_agent_ms": f"{length_ms} / 2",
        "talk_time_customer_ms": f"{length_ms} / 4",
        "talk_time_ms": f"{length_ms} / 2 + {length_ms} / 4",
        "interruption_count": "i % 3",
        "interruption_time_ms": "i % 3 * 500 + i % 2 * 250",
        "conversation_ms": length_ms,
        "conversation_talk_agent_ms": f"{length_ms} / 2",
        "longest_monologue_agent_ms": "(20 + i % 40) * 1000",
        "longest_monologue_customer_ms": "(10 + i % 30) * 1000",
        "transferred_count": _one_if("i % 11 = 0"),
        "resolved_count": _one_if("i % 3 = 0"),
        "follow_up_count": _one_if("i % 5 = 1"),
        "sentiment_tenths": _OVERALL,
        "sentiment_end_tenths": _END,
        "sentiment_shift_tenths": f"{_END} - {_START}",
        "repeat_window_count": _one_if(is_complete),
        "repeated_count": _one_if(f"{is_complete} AND i % 4 = 0"),
        "not_repeated_count": _one_if(f"{is_complete} AND i % 4 <> 0"),
        "sales_count": _one_if(is_sales),
        "sale_count": _one_if(f"{is_sales} AND i % 5 = 0"),
    }
    row = {
        "call_key": "i + 1",
        "call_id": id_text(says, "call"),
        "date_key": day_key,
        "hour_of_day": f"{since_s} % 86400 / 3600",
        "reason_key": reason_key,
        "queue_key": _listed(says, queues, f"i * 13 / 7 % {QUEUES}"),
        "agent_key": _listed(says, [agent for agent, _ in agents], f"i * 31 % {AGENTS}"),
        "team_key": _listed(says, [team for _, team in agents], f"i * 31 % {AGENTS}"),
        "customer_key": f"i / 2 * 48271 % {max(call_count // 10, 1)} + 1",
        "happened_at_utc": moment,
        "modified_at_utc": moment,
        "stage": "'done'",
        "direction": "'inbound'",
        "outcome": _OUTCOME,
        "is_resolved": "(i % 3 = 0)",
        "is_sample": no,
        "is_demo": no,
        "speech_engine": "'bench'",
        "language_model": "'bench'",
        "taxonomy_version": "'bench'",
        "is_window_complete": is_complete,
        **{column.name: "0" for column in fact_call.columns if column.name.endswith(("_count", "_ms", "_microusd"))},
        **{column.name: "0" for column in fact_call.columns if column.name.endswith("_tenths")},
        **parts,
    }
    insert_series(
        connection, f"{schema}fact_call ({', '.join(row)})", f"SELECT {', '.join(row.values())} FROM s", first, end
    )
    into = f"{schema}{fact_call_reason.name} (call_key, reason_key, date_key, rank, is_sample, modified_at_utc)"
    insert_series(connection, into, f"SELECT i + 1, {reason_key}, {day_key}, 1, {no}, {moment} FROM s", first, end)
    beside = _listed(says, reasons, f"i % {REASONS}")
    others = (
        f"SELECT i + 1, {beside}, {day_key}, 2, {no}, {moment} FROM s WHERE i % 5 = 0 AND i % {REASONS} <> {REASON}"
    )
    insert_series(connection, into, others, first, end)


def _listed(says: Dialect, keys: Sequence[int], place: str) -> str:
    """The key at this place of the list."""
    if says.true == "1":
        return f"json_extract('{list(keys)}', '$[' || ({place}) || ']')"
    return f"('{{{','.join(map(str, keys))}}}'::int[])[({place}) + 1]"


def _one_if(condition: str) -> str:
    return f"CASE WHEN {condition} THEN 1 ELSE 0 END"
