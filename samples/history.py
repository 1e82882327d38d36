"""Generated history: half a year of a service centre's calls with known trends in it, to try and to test trends with.

Nothing of it is real: every call is marked `is_sample`, its texts come from a few templates, and it has no recording
and no words. What is planted stands in samples/history_plan.py; the tests find it again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4, uuid5
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from calls.analysis import Outcome
from calls.pipeline import Stage
from calls.reasons import Taxonomy
from calls.recording import Direction, call_id_for
from crm.database import Database, insert
from crm.tables import agent, call, call_analysis, contact, queue, taxonomy, team, touched_day, transcript
from crm.taxonomies import current_taxonomy, store_taxonomy
from samples import history_plan as plan
from samples.history_calls import Generated, generate
from samples.history_plan import PLANTED
from samples.history_reasons import code_before, earlier_versions

SOURCE_SYSTEM = "sample"
MODEL = "generated history"

_IDS = UUID("0b7c2a0e-58f5-5d0c-9a34-6f2f0f6c9d11")


def load_history(database: Database, given: Taxonomy, until: date, *, zone: str = "UTC") -> int:
    """Put the history into the CRM tables: 26 weeks that end before the day `until` begins; returns how many calls.

    Does nothing, and returns 0, where a history is there already. `zone` is the site's: its opening hours are local.
    """
    generated = generate(given, until, zone=zone)
    with database.write() as connection:
        if connection.execute(sa.select(call.c.id).where(call.c.source_system == SOURCE_SYSTEM).limit(1)).first():
            return 0
        first_day = until - timedelta(weeks=plan.WEEK_COUNT)
        changed_at = datetime.combine(first_day + timedelta(weeks=PLANTED.taxonomy_week), time(), ZoneInfo(zone))
        before = _store_reasons(connection, given, generated[0].happened_at, changed_at)
        people = _store_people(connection, generated)
        rows = _call_rows(generated, people)
        connection.execute(sa.insert(call), rows)
        understood = [item for item in generated if item.reason_code is not None]
        connection.execute(sa.insert(transcript), [_transcript_row(item) for item in understood])
        analyses = [
            _analysis_row(item, before, code_before(item.reason_code))
            if before and item.happened_at < changed_at
            else _analysis_row(item, given.version, item.reason_code)
            for item in understood
        ]
        connection.execute(sa.insert(call_analysis), analyses)
        days = sorted({item.happened_at.astimezone(UTC).date() for item in generated})
        connection.execute(sa.insert(touched_day), [{"id": uuid4(), "utc_day": day} for day in days])
    return len(generated)


def _store_reasons(connection: sa.Connection, given: Taxonomy, first: datetime, changed_at: datetime) -> str:
    """Store the versions of the taxonomy that the history has; returns that of its first weeks, "" for none.

    Calls are classified by the same version afterwards as before, by `given` where there was none.
    """
    current = current_taxonomy(connection)
    versions = earlier_versions(given)
    for version, loaded_at in zip(versions, (first, changed_at), strict=False):
        store_taxonomy(connection, version, loaded_at)
    if connection.execute(sa.select(taxonomy).where(taxonomy.c.version == given.version)).first() is None:
        store_taxonomy(connection, given, changed_at)
    store_taxonomy(connection, current or given, changed_at)
    return versions[0].version if versions else ""


_IS_RESOLVED = {
    Outcome.RESOLVED: True,
    # Whether a sales call was a success is told by its conversion.
    Outcome.SALE: None,
    Outcome.NO_SALE: None,
    Outcome.FOLLOW_UP: False,
    Outcome.UNRESOLVED: False,
    Outcome.ESCALATED: False,
    Outcome.UNKNOWN: None,
}


def number_of(customer: int) -> str:
    """The fictional number of the history's customer."""
    return f"+1{plan.AREAS[customer // 100]}55501{customer % 100:02}"


@dataclass(frozen=True)
class _People:
    agents: dict[str, UUID]
    queues: dict[str, UUID]
    contacts: dict[str, UUID]


def _store_people(connection: sa.Connection, generated: Sequence[Generated]) -> _People:
    teams = _named(connection, team, "name", [{"name": name} for name in plan.TEAMS])
    agents = _named(
        connection,
        agent,
        "display_name",
        [{"display_name": who, "team_id": teams[name]} for name, names in plan.TEAMS.items() for who in names],
    )
    queues = _named(connection, queue, "name", [{"name": name} for name in sorted({item.queue for item in generated})])
    customers = sorted({item.customer for item in generated})
    contacts = [
        {
            "phone_e164": number_of(customer),
            "first_name": plan.FIRST_NAMES[customer % len(plan.FIRST_NAMES)],
            "last_name": plan.LAST_NAMES[customer // len(plan.FIRST_NAMES) % len(plan.LAST_NAMES)],
        }
        for customer in customers
    ]
    return _People(agents, queues, _named(connection, contact, "phone_e164", contacts))


def _named(connection: sa.Connection, table: sa.Table, key: str, rows: list[dict[str, Any]]) -> dict[str, UUID]:
    """Insert those that are not there; the id of each by its name."""
    for row in rows:
        row["id"] = uuid5(_IDS, f"{table.name}\n{row[key]}")
    connection.execute(insert(connection, table).on_conflict_do_nothing(index_elements=[key]), rows)
    return {row[1]: row[0] for row in connection.execute(sa.select(table.c.id, table.c[key]))}


def _call_rows(generated: Sequence[Generated], people: _People) -> list[dict[str, Any]]:
    last: dict[int, UUID] = {}
    rows = []
    for item in generated:
        row = _call_row(item, people, last.get(item.customer))
        last[item.customer] = row["id"]
        rows.append(row)
    return rows


def _id_of(item: Generated) -> UUID:
    return call_id_for(SOURCE_SYSTEM, f"history-{item.number:05}")


def _call_row(item: Generated, people: _People, earlier_id: UUID | None) -> dict[str, Any]:
    ended_at = item.happened_at + timedelta(seconds=item.duration_s)
    customer = number_of(item.customer)
    is_outbound = item.direction is Direction.OUTBOUND
    return {
        "id": _id_of(item),
        "source_system": SOURCE_SYSTEM,
        "external_call_id": f"history-{item.number:05}",
        "profile": SOURCE_SYSTEM,
        "stage": Stage.SKIPPED if item.skip_reason else Stage.DONE,
        "skip_reason": item.skip_reason,
        "received_at": ended_at,
        "finished_at": ended_at,
        "modified_at": ended_at,
        "is_sample": True,
        "direction": item.direction,
        "subject": None if item.skip_reason else item.headline,
        "from_number_e164": plan.SITE_NUMBER if is_outbound else customer,
        "to_number_e164": customer if is_outbound else plan.SITE_NUMBER,
        "contact_id": people.contacts[customer],
        "agent_id": people.agents[item.agent],
        "queue_id": people.queues[item.queue],
        "started_at": item.happened_at,
        "ended_at": ended_at,
        "happened_at": item.happened_at,
        "duration_s": item.duration_s,
        "hold_time_s": item.hold_time_s,
        "hold_count": int(item.hold_time_s > 0),
        "acw_time_s": item.acw_time_s,
        "is_transferred": item.is_transferred,
        "earlier_call_id": earlier_id,
        "attributes": {},
    }


def _transcript_row(item: Generated) -> dict[str, Any]:
    return {
        "id": uuid5(_IDS, f"transcript\n{item.number}"),
        "call_id": _id_of(item),
        "revision": 1,
        "is_current": True,
        "engine": MODEL,
        "is_demo": False,
        "language": "en",
        "created_at": item.happened_at,
        "talk_time_agent_s": item.talk_time_agent_s,
        "talk_time_customer_s": item.talk_time_customer_s,
        "non_talk_time_s": item.hold_time_s,
        "interruption_count": item.interruption_count,
        # Nobody speaks while the customer holds, and somebody does for all the rest of it.
        "conversation_s": round(item.talk_time_agent_s + item.talk_time_customer_s + item.hold_time_s, 3),
        "turn_count": 0,
        "skipped": [{"feature": "words", "code": "generated"}],
    }


def _analysis_row(item: Generated, version: str, reason_code: str | None) -> dict[str, Any]:
    return {
        "id": uuid5(_IDS, f"analysis\n{item.number}"),
        "call_id": _id_of(item),
        "transcript_id": uuid5(_IDS, f"transcript\n{item.number}"),
        "revision": 1,
        "is_current": True,
        "created_at": item.happened_at,
        "headline": item.headline,
        "summary": item.summary,
        "summary_kind": "written",
        "subject": item.headline,
        "reason_code": reason_code,
        "reason_confidence": None,
        "secondary_reason_codes": [],
        "outcome": item.outcome,
        "is_resolved": _IS_RESOLVED[item.outcome],
        "next_steps": [],
        "evidence": [],
        "answers": {},
        "skipped": [{"feature": "evidence", "code": "generated"}],
        "sentiment_customer": round((item.mood_start + item.mood_end) / 2, 1),
        "sentiment_customer_start": item.mood_start,
        "sentiment_customer_end": item.mood_end,
        "model": MODEL,
        "is_demo": False,
        "prompt_version": "generated",
        "taxonomy_version": version,
    }
