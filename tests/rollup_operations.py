"""Operations on a contact centre by the hundred thousand: a model in memory that writes what each one changed.

Each operation changes one call, an agent, or the reasons, as the product's own functions leave the rows, and marks it
for the roll-ups; the rows of one batch are written together, so that a batch costs the database what its calls do.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import sqlalchemy as sa

from calls.reasons import Taxonomy
from crm.database import Database
from crm.jobs import touch
from crm.reason_tables import review
from crm.tables import agent, call, call_analysis, paid_request, transcript
from crm.taxonomies import store_taxonomy
from crm.touched_tables import touched_call
from tests.calls_made_up import NOON, id_of

Rows = dict[str, Any]

_IDS = UUID(int=7)
_OUTCOMES = ("resolved", "sale", "no_sale", "follow_up", "escalated", "unknown")
_MARK = sa.insert(touched_call)
_ERASE = [
    *(
        sa.delete(table).where(table.c.call_id == sa.bindparam("gone"))
        for table in (review, paid_request, call_analysis, transcript)
    ),
    sa.delete(call).where(call.c.id == sa.bindparam("gone")),
]


@dataclass
class _Call:
    """One call with its current rows; `charges` and `reviews` are those that are still to be written."""

    row: Rows
    heard: Rows | None
    understood: Rows | None
    charges: list[Rows] = field(default_factory=list)
    reviews: list[Rows] = field(default_factory=list)


class Centre:
    """The calls of a centre, and what may happen to them; `count` says how many operations there were."""

    def __init__(self, database: Database, edges: Iterable[datetime], taxonomies: tuple[Taxonomy, ...]) -> None:
        self.database = database
        self.now = datetime(2026, 4, 20, tzinfo=UTC)
        self.count = 0
        self._edges = tuple(edges)
        self._taxonomies = taxonomies
        self._current = taxonomies[0]
        self._calls: dict[UUID, _Call] = {}
        self._number = 0
        self._changed: dict[UUID, None] = {}
        self._marks: list[UUID] = []
        self._erased: list[UUID] = []

    def happen(self, chance: random.Random, count: int) -> None:
        """Let so many things happen, in one transaction."""
        weights = list(_WEIGHTS.values())
        with self.database.write() as connection:
            for drawn in chance.choices(list(_WEIGHTS), weights, k=count):
                what, before = drawn if self._calls else _ends, len(self._marks)
                what(self, connection, chance)
                # What could not happen to that call did not.
                self.count += int(len(self._marks) > before or what is _changes_the_team)
            self._write(connection)

    def load(self, number: int) -> None:
        """The owner loads other reasons."""
        self._current = self._taxonomies[number]
        with self.database.write() as connection:
            store_taxonomy(connection, self._current, self.now)
        self.count += 1

    def add(self, found: _Call) -> None:
        """A call that was not there."""
        self._calls[found.row["id"]] = found
        self.touch(found)

    def any_call(self, chance: random.Random) -> _Call:
        """One of the calls."""
        # Old calls change seldom: most of what happens, happens to the newest.
        ids = list(self._calls)
        place = int(len(ids) * (1 - chance.random() ** 2))
        return self._calls[ids[min(place, len(ids) - 1)]]

    def touch(self, found: _Call) -> None:
        """Note that this call's rows are to be written, and that the roll-ups have to look at it."""
        self._changed[found.row["id"]] = None
        self._marks.append(found.row["id"])

    def erase(self, found: _Call) -> None:
        """Take a call away with all that was said in it."""
        call_id = found.row["id"]
        self.touch(found)
        self._erased.append(call_id)
        del self._calls[call_id], self._changed[call_id]

    def next_number(self) -> int:
        """A number that nothing has."""
        self._number += 1
        return self._number

    def moment(self, chance: random.Random) -> datetime:
        """Some time around the changes of clocks."""
        return chance.choice(self._edges) + timedelta(minutes=chance.randint(-12 * 1440, 12 * 1440))

    def code(self, chance: random.Random) -> str:
        """A code of the reasons of now."""
        return chance.choice([reason.code for reason in self._current.reasons] + ["other"])

    @property
    def taxonomy_version(self) -> str:
        """The version of the reasons of now."""
        return self._current.version

    def _write(self, connection: sa.Connection) -> None:
        changed = [self._calls[call_id] for call_id in self._changed]
        if self._erased:
            for erase in _ERASE:
                connection.execute(erase, [{"gone": call_id} for call_id in self._erased])
        # The rows as they are now take the place of those that are there.
        for table, rows in (
            (call, [found.row for found in changed]),
            (transcript, [found.heard for found in changed if found.heard]),
            (call_analysis, [found.understood for found in changed if found.understood]),
        ):
            if rows:
                connection.execute(_put(table), [dict(row) for row in rows])
        for table, added in (
            (paid_request, [row for found in changed for row in found.charges]),
            (review, [row for found in changed for row in found.reviews]),
        ):
            if added:
                connection.execute(sa.insert(table), added)
        for found in changed:
            found.charges, found.reviews = [], []
        if self._marks:
            marks = [{"id": self.id("mark"), "call_id": call_id} for call_id in self._marks]
            connection.execute(_MARK, marks)
        self._changed, self._marks, self._erased = {}, [], []

    def id(self, kind: str) -> UUID:
        """An id that nothing has."""
        return uuid5(_IDS, f"{kind} {self.next_number()}")


def _put(table: sa.Table) -> Any:
    from sqlalchemy.dialects.sqlite import insert

    statement = insert(table)
    return statement.on_conflict_do_update(
        index_elements=["id"], set_={c.name: statement.excluded[c.name] for c in table.columns if c.name != "id"}
    )


def _telephony(centre: Centre, chance: random.Random) -> Rows:
    def seconds() -> float | None:
        return None if chance.random() < 0.2 else chance.uniform(0, 900)

    return {
        "contact_id": None if chance.random() < 0.2 else id_of("contact", chance.randrange(5)),
        "agent_id": None if chance.random() < 0.1 else id_of("agent", chance.randrange(3)),
        "queue_id": None if chance.random() < 0.1 else id_of("queue", chance.randrange(2)),
        "duration_s": seconds(),
        "hold_time_s": seconds(),
        "acw_time_s": seconds(),
        "is_transferred": chance.choice([True, False, None]),
    }


def _hearing(chance: random.Random) -> Rows:
    names = ("talk_time_agent_s", "talk_time_customer_s", "non_talk_time_s", "conversation_s")
    names += ("interruption_time_agent_s", "interruption_time_customer_s")
    names += ("longest_monologue_agent_s", "longest_monologue_customer_s")
    heard = {name: None if chance.random() < 0.1 else chance.uniform(0, 300) for name in names}
    return heard | {"interruption_count": chance.choice([None, 0, 1, 4]), "is_demo": chance.random() < 0.1}


def _understanding(centre: Centre, chance: random.Random) -> Rows:
    moods = ("sentiment_customer", "sentiment_customer_start", "sentiment_customer_end")
    return {
        "reason_code": chance.choice([centre.code(chance), centre.code(chance), "insufficient_content", None]),
        "secondary_reason_codes": [centre.code(chance) for _ in range(chance.choice([0, 0, 1, 2]))],
        "outcome": chance.choice(_OUTCOMES),
        "is_resolved": chance.choice([True, False, None]),
        "taxonomy_version": centre.taxonomy_version,
        **{name: None if chance.random() < 0.2 else chance.uniform(-5, 5) for name in moods},
    }


def _ends(centre: Centre, connection: sa.Connection, chance: random.Random) -> None:
    """A call ends its way, understood or not."""
    number, moment = centre.next_number(), centre.moment(chance)
    call_id = id_of("call", number)
    stage = chance.choice(["done"] * 6 + ["skipped", "failed", "received"])
    row = dict.fromkeys((column.name for column in call.columns), None) | {
        "id": call_id,
        "source_system": "test",
        "external_call_id": f"call-{number}",
        "stage": stage,
        "received_at": moment,
        "modified_at": moment,
        "started_at": moment,
        "happened_at": moment,
        "is_sample": chance.random() < 0.2,
        "attributes": {},
        **_telephony(centre, chance),
    }
    empty = dict.fromkeys((column.name for column in transcript.columns), None)
    heard = empty | {
        "id": centre.id("transcript"),
        "call_id": call_id,
        "revision": 1,
        "is_current": True,
        "engine": "test",
        "created_at": NOON,
        "turn_count": 0,
        "skipped": [],
        **_hearing(chance),
    }
    empty = dict.fromkeys((column.name for column in call_analysis.columns), None)
    understood = empty | {
        "id": centre.id("analysis"),
        "call_id": call_id,
        "revision": 1,
        "is_current": True,
        "created_at": NOON,
        "headline": "",
        "summary": "",
        "subject": "",
        "summary_kind": "written",
        "next_steps": [],
        "evidence": [],
        "skipped": [],
        "answers": {},
        "model": "test",
        "is_demo": False,
        "prompt_version": "1",
        **_understanding(centre, chance),
    }
    is_heard = stage in {"done", "failed"} and chance.random() < 0.9
    is_understood = stage == "done" and chance.random() < 0.95
    centre.add(_Call(row, heard if is_heard else None, understood if is_understood else None))


def _is_classified_again(centre: Centre, connection: sa.Connection, chance: random.Random) -> None:
    found = centre.any_call(chance)
    if found.understood:
        found.understood |= _understanding(centre, chance) | {"is_current": True}
        centre.touch(found)


def _is_corrected(centre: Centre, connection: sa.Connection, chance: random.Random) -> None:
    """A person states the reason: another one, or the one that is there."""
    found = centre.any_call(chance)
    if not found.understood or not found.understood["is_current"]:
        return
    before = found.understood["reason_code"]
    after = before if before and chance.random() < 0.4 else centre.code(chance)
    word = {"revision": 1, "taxonomy_version": centre.taxonomy_version, "field": "reason", "reviewed_by": "x"}
    # Two words of one moment would have no order: this is how many there were.
    said_at = NOON + timedelta(seconds=centre.next_number())
    found.reviews.append(
        word
        | {"id": centre.id("review"), "call_id": found.row["id"], "before": before, "after": after}
        | {"reviewed_at": said_at}
    )
    found.understood |= {"reason_code": after, "taxonomy_version": centre.taxonomy_version}
    centre.touch(found)


def _is_told_late(centre: Centre, connection: sa.Connection, chance: random.Random) -> None:
    found = centre.any_call(chance)
    found.row |= _telephony(centre, chance)
    centre.touch(found)


def _was_at_another_time(centre: Centre, connection: sa.Connection, chance: random.Random) -> None:
    found = centre.any_call(chance)
    moment = centre.moment(chance)
    found.row |= {"happened_at": moment, "started_at": moment}
    centre.touch(found)


def _is_swapped(centre: Centre, connection: sa.Connection, chance: random.Random) -> None:
    """The speakers were the other way round: the call is to be understood again, or just was."""
    found = centre.any_call(chance)
    if not found.heard or not found.understood or found.row["stage"] not in {"done", "transcribed"}:
        return
    heard = found.heard
    for name in ("talk_time", "interruption_time", "longest_monologue"):
        agent_s, customer_s = heard[f"{name}_agent_s"], heard[f"{name}_customer_s"]
        heard |= {f"{name}_agent_s": customer_s, f"{name}_customer_s": agent_s}
    is_done = found.row["stage"] == "done"
    found.row["stage"] = "transcribed" if is_done else "done"
    found.understood["is_current"] = not is_done
    centre.touch(found)


def _fails_or_is_tried_again(centre: Centre, connection: sa.Connection, chance: random.Random) -> None:
    found = centre.any_call(chance)
    found.row["stage"] = chance.choice(["failed", "received", "done", "skipped"])
    if found.understood:
        found.understood["is_current"] = found.row["stage"] == "done"
    centre.touch(found)


def _is_charged(centre: Centre, connection: sa.Connection, chance: random.Random) -> None:
    found = centre.any_call(chance)
    found.charges.append(
        {
            "id": centre.id("charge"),
            "call_id": found.row["id"],
            "paid_at": NOON,
            **dict.fromkeys(("provider", "model", "purpose", "request_id"), "test"),
            **dict.fromkeys(("input_tokens", "cached_tokens", "output_tokens"), 1),
            "audio_s": 0.0,
            "cost_microusd": chance.choice([None, 0, 12, 3456]),
            "is_batch": False,
        }
    )
    centre.touch(found)


def _is_erased(centre: Centre, connection: sa.Connection, chance: random.Random) -> None:
    centre.erase(centre.any_call(chance))


def _is_anonymised(centre: Centre, connection: sa.Connection, chance: random.Random) -> None:
    """The person goes, the call stays and counts."""
    found = centre.any_call(chance)
    found.row |= {"contact_id": None, "from_number_e164": None, "to_number_e164": None, "customer_name": None}
    centre.touch(found)


def _changes_the_team(centre: Centre, connection: sa.Connection, chance: random.Random) -> None:
    """An agent does; a day is marked, as nothing marks the agent."""
    team_id = id_of("team", chance.randrange(2))
    at = agent.c.id == id_of("agent", chance.randrange(3))
    connection.execute(sa.update(agent).where(at).values(team_id=team_id))
    touch(connection, NOON)


_WEIGHTS: dict[Callable[[Centre, sa.Connection, random.Random], None], float] = {
    _ends: 20,
    _is_classified_again: 20,
    _is_corrected: 12,
    _is_told_late: 12,
    _was_at_another_time: 6,
    _is_swapped: 5,
    _fails_or_is_tried_again: 5,
    _is_charged: 6,
    _is_erased: 12,
    _is_anonymised: 2,
    _changes_the_team: 0.1,
}
