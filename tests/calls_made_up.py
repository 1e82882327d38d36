"""Calls for the tests of the analytics: inserted as the steps of the pipeline would leave them."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa

from calls.reasons import Reason, Taxonomy
from crm.jobs import touch
from crm.tables import agent, call, call_analysis, contact, paid_request, queue, team, transcript
from crm.taxonomies import store_taxonomy

TAXONOMY = Taxonomy(
    version="v1",
    title="Test",
    reasons=(
        Reason("delivery", "Delivery", "Where is it?"),
        Reason("repair", "Repair", "It is broken."),
        Reason("order", "New order", "I want one.", is_sales=True),
    ),
)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def prepare(connection: sa.Connection, taxonomy: Taxonomy = TAXONOMY) -> None:
    """Two teams, three agents, two queues and five customers, with ids that `id_of` gives; and the taxonomy."""
    store_taxonomy(connection, taxonomy, NOON)
    connection.execute(sa.insert(team), [{"id": id_of("team", n), "name": f"Team {n}"} for n in range(2)])
    connection.execute(
        sa.insert(agent),
        [{"id": id_of("agent", n), "display_name": f"Agent {n}", "team_id": id_of("team", n % 2)} for n in range(3)],
    )
    connection.execute(sa.insert(queue), [{"id": id_of("queue", n), "name": f"Queue {n}"} for n in range(2)])
    connection.execute(
        sa.insert(contact),
        [
            {
                "id": id_of("contact", n),
                "phone_e164": f"+1206555010{n}",
                "first_name": "Ann",
                "last_name": f"Example {n}",
            }
            for n in range(5)
        ],
    )


def id_of(kind: str, number: int) -> UUID:
    """The id of the nth agent, queue, ..."""
    kinds = ("team", "agent", "queue", "contact", "call")
    return UUID(int=(kinds.index(kind) + 1) << 64 | number)


def add_call(connection: sa.Connection, number: int, happened_at: datetime, **facts: Any) -> UUID:
    """The nth call, understood unless `stage` says otherwise, its day marked as touched.

    `facts` are columns of `call`; those of the transcript and of the analysis come as dictionaries of these names, None
    for a call that has none.
    """
    heard, understood = facts.pop("transcript", {}), facts.pop("analysis", {})
    call_id = id_of("call", number)
    row = {
        "id": call_id,
        "source_system": "test",
        "external_call_id": f"call-{number}",
        "stage": "done",
        "received_at": happened_at,
        "modified_at": happened_at,
        "started_at": happened_at,
        "happened_at": happened_at,
        "attributes": {},
    }
    connection.execute(sa.insert(call).values(**row | facts))
    if heard is not None:
        add_transcript(connection, call_id, **heard)
    if understood is not None:
        add_analysis(connection, call_id, **understood)
    touch(connection, happened_at)
    return call_id


def add_transcript(connection: sa.Connection, call_id: UUID, **facts: Any) -> None:
    """A transcript that becomes the current one."""
    row = {
        "id": uuid4(),
        "call_id": call_id,
        "revision": _next(connection, transcript, call_id),
        "is_current": True,
        "engine": "test",
        "is_demo": False,
        "created_at": NOON,
        "turn_count": 0,
        "skipped": [],
    }
    connection.execute(sa.insert(transcript).values(**row | facts))


def add_analysis(connection: sa.Connection, call_id: UUID, **facts: Any) -> None:
    """An analysis that becomes the current one; `reason_code` and `outcome` are the facts that matter most."""
    row = {
        "id": uuid4(),
        "call_id": call_id,
        "revision": _next(connection, call_analysis, call_id),
        "is_current": True,
        "created_at": NOON,
        **dict.fromkeys(("headline", "summary", "subject"), "text"),
        "summary_kind": "written",
        "reason_code": "delivery",
        "outcome": "resolved",
        **{name: [] for name in ("secondary_reason_codes", "next_steps", "evidence", "skipped")},
        "answers": {},
        "model": "test",
        "is_demo": False,
        "prompt_version": "1",
        "taxonomy_version": TAXONOMY.version,
    }
    connection.execute(sa.insert(call_analysis).values(**row | facts))


def add_charge(connection: sa.Connection, call_id: UUID, cost_microusd: int | None) -> None:
    """A paid request of the call."""
    connection.execute(
        sa.insert(paid_request).values(
            id=uuid4(),
            call_id=call_id,
            paid_at=NOON,
            **dict.fromkeys(("provider", "model", "purpose", "request_id"), "test"),
            **dict.fromkeys(("input_tokens", "cached_tokens", "output_tokens"), 1),
            audio_s=0,
            cost_microusd=cost_microusd,
        )
    )


def _next(connection: sa.Connection, table: sa.Table, call_id: UUID) -> int:
    connection.execute(sa.update(table).where(table.c.call_id == call_id).values(is_current=False))
    latest = connection.execute(sa.select(sa.func.max(table.c.revision)).where(table.c.call_id == call_id)).scalar_one()
    return (latest or 0) + 1
