"""How a run ended: every row of every call, in a form that can be compared between runs, and what differs.

Left out is what may differ: ids, times of processing, attempts, revisions of a recording that was put again, places of
playback copies, and what was paid (which is compared with the side log instead).
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from bench.chaos.stories import Expected
from crm import tables
from crm.database import Database

Document = dict[str, Any]
_PAGE = 500
_IDS = {"id", "call_id", "recording_id", "transcript_id", "contact_id", "account_id", "agent_id", "queue_id", "team_id"}
_TIMES = {"received_at", "finished_at", "modified_at", "created_at", "stored_at", "happened_at"}
_LEFT_OUT = _IDS | _TIMES | {"bucket", "playback_key", "earlier_call_id", "revision"}


@dataclass
class Ends:
    """Every call of a database by its current recording's key; `without_key` and `twice` are calls too many."""

    documents: dict[str, Document] = field(default_factory=dict)
    twice: list[str] = field(default_factory=list)
    without_key: int = 0
    unfinished: int = 0
    # What was told of calls, as it was told: by subject and origin.
    tellings: dict[str, Document] = field(default_factory=dict)


def read_ends(database: Database) -> Ends:
    """Read everything, a page of calls at a time."""
    ends = Ends()
    with database.read() as connection:
        keys: dict[Any, str] = {}
        current = sa.select(tables.recording.c.call_id, tables.recording.c.object_key).where(
            tables.recording.c.is_current
        )
        for call_id, key in connection.execute(current):
            keys[call_id] = key
        ends.unfinished = connection.execute(sa.select(sa.func.count()).select_from(tables.job)).scalar_one()
        told_by = sa.select(*(tables.telling.c[name] for name in ("subject", "origin", "rank", "etag", "facts")))
        for row in connection.execute(told_by).mappings():
            ends.tellings[f"{row['subject']} {row['origin']}"] = dict(row)
        names = _Names(connection)
        ids = connection.execute(sa.select(tables.call.c.id).order_by(tables.call.c.id)).scalars().all()
        for start in range(0, len(ids), _PAGE):
            page = ids[start : start + _PAGE]
            for call_id, document in _documents(connection, page, keys, names):
                key = keys.get(call_id)
                if key is None:
                    ends.without_key += 1
                elif key in ends.documents:
                    ends.twice.append(key)
                else:
                    ends.documents[key] = document
    _forget_names_of_the_past(ends)
    return ends


def _forget_names_of_the_past(ends: Ends) -> None:
    """A customer keeps the name that was told with a recording which has since been replaced by silence: compare only
    the names that a call tells which is filed in the end.
    """
    filed = [one for one in ends.documents.values() if one["customer"]]
    named = {one["customer"][0] for one in filed if one["call"]["customer_name"]}
    for one in filed:
        if one["customer"][0] not in named:
            one["customer"] = (one["customer"][0], None, None)


class _Names:
    def __init__(self, connection: sa.Connection) -> None:
        teams = dict(connection.execute(sa.select(tables.team.c.id, tables.team.c.name)).all())
        agents = connection.execute(sa.select(tables.agent.c.id, tables.agent.c.display_name, tables.agent.c.team_id))
        self.agents = {row[0]: (row[1], teams.get(row[2])) for row in agents}
        self.queues = dict(connection.execute(sa.select(tables.queue.c.id, tables.queue.c.name)).all())
        contact = tables.contact.c
        contacts = connection.execute(sa.select(contact.id, contact.phone_e164, contact.first_name, contact.last_name))
        self.contacts = {row[0]: tuple(row[1:]) for row in contacts}


def _documents(
    connection: sa.Connection, page: Any, keys: Mapping[Any, str], names: _Names
) -> Iterator[tuple[Any, Document]]:
    by_call: dict[str, dict[Any, list[Any]]] = {}
    for name in ("recording", "transcript", "call_analysis"):
        table = tables.metadata.tables[name]
        rows = connection.execute(sa.select(table).where(table.c.call_id.in_(page))).mappings()
        by_call[name] = {}
        for row in rows:
            by_call[name].setdefault(row["call_id"], []).append(row)
    heard = {row["id"]: call for call, rows in by_call["transcript"].items() for row in rows if row["is_current"]}
    said = tables.utterance
    by_call["utterance"] = {}
    if heard:
        utterances = sa.select(said).where(said.c.transcript_id.in_(list(heard))).order_by(said.c.seq)
        for row in connection.execute(utterances).mappings():
            by_call["utterance"].setdefault(heard[row["transcript_id"]], []).append(row)
    for call in connection.execute(sa.select(tables.call).where(tables.call.c.id.in_(page))).mappings():
        parts = {name: rows.get(call["id"], []) for name, rows in by_call.items()}
        current = {name: [_plain(row) for row in rows if row.get("is_current", True)] for name, rows in parts.items()}
        document: Document = {
            "call": _plain(call) | {"happened_at": call["happened_at"] if call["started_at"] else None},
            "earlier": keys.get(call["earlier_call_id"]),
            "agent": names.agents.get(call["agent_id"]),
            "queue": names.queues.get(call["queue_id"]),
            "customer": names.contacts.get(call["contact_id"]),
            "has_playback": any(row["playback_key"] for row in parts["recording"] if row["is_current"]),
            "revisions": {name: len(parts[name]) for name in ("recording", "transcript", "call_analysis")},
            **current,
        }
        # Of two calls with one id, the one that came second carries a mark of its key, and the id as its conversation.
        own_id, mark, _ = call["external_call_id"].rpartition("~")
        if mark:
            document["call"] = document["call"] | {"external_call_id": own_id, "initial_call_id": None}
        yield call["id"], document


def _plain(row: Any) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _LEFT_OUT}


@dataclass(frozen=True)
class Verdict:
    """What is wrong at the end of a run, by key."""

    lost: list[str]
    doubled: list[str]
    unlike_expected: list[str]

    @property
    def is_clean(self) -> bool:
        """Whether nothing is."""
        return not (self.lost or self.doubled or self.unlike_expected)


def judge(ends: Ends, expected: Mapping[str, Expected]) -> Verdict:
    """Compare with what the stream has to come to. A call that has not ended is lost, one too many is doubled."""
    lost, unlike = [], []
    doubled = list(ends.twice) + ["(no recording)"] * ends.without_key
    doubled += [key for key in ends.documents if key not in expected]
    for key, wanted in expected.items():
        document = ends.documents.get(key)
        if document is None or document["call"]["stage"] not in {"done", "skipped", "failed"}:
            lost.append(key)
            continue
        if _content(document) != wanted.etag or document["call"]["stage"] != wanted.stage:
            lost.append(key)
        if any(count > wanted.version_count for count in document["revisions"].values()):
            doubled.append(key)
        if told(document, wanted) != wanted.facts:
            unlike.append(key)
    return Verdict(sorted(lost), sorted(doubled), sorted(unlike))


def told(document: Document, wanted: Expected) -> dict[str, object]:
    """What the call's row says of the facts that are expected."""
    call = document["call"]
    agent, team = document["agent"] or (None, None)
    found = call | {"agent": agent, "team": team, "queue": document["queue"]}
    return {name: _utc(found[name]) for name in wanted.facts}


def differences(ends: Ends, fault_free: Ends, expected: Mapping[str, Expected]) -> dict[str, list[str]]:
    """By key, which parts of its document are not as in the other run."""
    found = {}
    for key in ends.documents.keys() | fault_free.documents.keys():
        here, there = ends.documents.get(key), fault_free.documents.get(key)
        if here is None or there is None:
            found[key] = ["call"]
            continue
        anew = key in expected and expected[key].version_count > 1
        parts = [part for part in here if here[part] != there[part] and not (anew and part == "revisions")]
        if parts:
            found[key] = parts
    for subject in ends.tellings.keys() | fault_free.tellings.keys():
        if ends.tellings.get(subject) != fault_free.tellings.get(subject):
            found[subject] = ["telling"]
    return found


def why(found: Mapping[str, list[str]]) -> dict[str, int]:
    """How many calls differ in which part."""
    return dict(Counter(part for parts in found.values() for part in parts))


def _content(document: Document) -> str | None:
    return document["recording"][0]["etag"] if document["recording"] else None


def _utc(value: object) -> object:
    return value.astimezone(UTC) if isinstance(value, datetime) else value
