"""Similar calls: how often the nearest are about the same, and what finding them costs.

    python -m bench.similar --json [--dialogues N] [--calls N] [--database sqlite|postgres|both]

Quality is measured on STAR (../shared/data/star or CALLWISE_SHARED, named under "missing" where absent): the offline
engine analyses each dialogue, one half of them is fitted on and searched, and for each dialogue of the other half the
five nearest are looked at: which share has the same true reason, by the vectors and by SQLite's own BM25 over the same
text, on the same dialogues. `analysis` is the text that the product compares, `excerpts` the summary alone, without
the reason's label, which the engine has said.

Speed is measured over made-up vectors (a few hundred directions, and noise) of calls in a database: by who sees
everything, by an agent with a hundredth of the calls, one by one and by pgvector where the server has it, interleaved.
`cpu` is this process's processor time, `wall` also counts the database's and whatever else the machine does.
"""

import argparse
import json
import os
import random
import re
import resource
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from bench.reasons import SHARED
from calls.errors import UnusableAnswer
from calls.likeness import text_of
from calls.taxonomy_file import parse_taxonomy
from calls.transcript import Speaker, Turn
from crm import similar, vector_index
from crm.access import OPERATOR, Role, Viewer
from crm.bulk import insert_new, time_ordered_hexes
from crm.database import Database
from crm.schema import upgrade
from crm.similar import similar_calls
from crm.tables import agent, call
from crm.vector_tables import call_vector
from crm.vectors import to_bytes
from engines.embeddings_local import DIMENSION, fit
from engines.language import Conversation
from engines.language_offline import OfflineLanguage
from tests.servers.postgres import PostgresServer

_NEAREST = 5
_TOP = 10
_DIRECTIONS = 400
_AGENTS = 100
_AT_ONCE = 5000
_LAST_AT = datetime(2026, 3, 20, tzinfo=UTC)

Floats = NDArray[np.float64]


def star_dialogues() -> list[tuple[str, list[Turn]]]:
    """The true reason and the turns of each STAR dialogue; [] where they are not at hand."""
    path = SHARED / "data" / "star" / "dialogues.jsonl"
    if not path.is_file():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        speakers = [Speaker.AGENT if one["speaker"] == "agent" else Speaker.CUSTOMER for one in row["turns"]]
        said = [one["text"] for one in row["turns"]]
        turns = [Turn(at, who, at, at + 1.0, text) for at, (who, text) in enumerate(zip(speakers, said, strict=True))]
        found.append((row["reason"], turns))
    return [one for one in found if one[1]]


def measure_quality(dialogues: Sequence[tuple[str, list[Turn]]], count: int) -> dict[str, Any]:
    """The shares, over `count` dialogues drawn at random."""
    taxonomy = parse_taxonomy(Path(__file__).with_name("star_reasons.yaml").read_text(encoding="utf-8"))
    engine = OfflineLanguage()
    drawn = random.Random(0).sample(list(dialogues), min(count, len(dialogues)))
    texts: dict[str, list[str]] = {"analysis": [], "excerpts": []}
    reasons: list[str] = []
    for reason, turns in drawn:
        try:
            found = engine.analyse(Conversation(turns, language="en"), taxonomy, lambda _: None)
        except UnusableAnswer:
            continue
        if not found.summary or found.reason_code is None:
            continue
        label = taxonomy.label(found.reason_code)
        texts["analysis"].append(text_of(found.headline, found.summary, label, found.subject))
        texts["excerpts"].append(found.summary)
        reasons.append(reason)
    half = len(reasons) // 2
    known, asked = reasons[:half], reasons[half:]
    chance = float(np.mean([known.count(reason) / half for reason in asked]))
    document: dict[str, Any] = {"searched": half, "asked": len(asked), "chance": round(chance, 4)}
    for name, of_kind in texts.items():
        shares = {
            "vectors": _share(_by_vectors(of_kind, half), known, asked),
            "bm25": _share(_by_words(of_kind, half), known, asked),
        }
        document[name] = shares
    return document


def _share(nearest: Sequence[Sequence[int]], known: Sequence[str], asked: Sequence[str]) -> float:
    right = sum(known[at] == reason for row, reason in zip(nearest, asked, strict=True) for at in row)
    return round(right / (_NEAREST * len(asked)), 4)


def _by_vectors(texts: Sequence[str], half: int) -> list[list[int]]:
    model = fit(texts[:half])
    rows = model.embed(texts, lambda _: None)
    order = np.argsort(-(rows[half:] @ rows[:half].T), axis=1, kind="stable")
    return [[int(at) for at in row] for row in order[:, :_NEAREST]]


def _by_words(texts: Sequence[str], half: int) -> list[list[int]]:
    """SQLite's FTS5 with its BM25, asked for any of the words."""
    held = sqlite3.connect(":memory:")
    held.execute("CREATE VIRTUAL TABLE words USING fts5(text)")
    held.executemany("INSERT INTO words (rowid, text) VALUES (?, ?)", enumerate(texts[:half]))
    found = []
    for text in texts[half:]:
        words = sorted(set(re.findall(r"\w+", text.lower())))
        any_word = " OR ".join(f'"{word}"' for word in words)
        rows = held.execute(
            "SELECT rowid FROM words WHERE words MATCH ? ORDER BY bm25(words), rowid LIMIT ?", (any_word, _NEAREST)
        )
        found.append([row[0] for row in rows])
    return found


def measure_speed(database: Database, count: int, rounds: int) -> dict[str, Any]:
    """What `similar_calls` takes over so many calls."""
    upgrade(database)
    began = time.process_time()
    ids, agent_id = _fill(database, count)
    document: dict[str, Any] = {"calls": count, "fill_cpu_s": round(time.process_time() - began, 1)}
    began = time.monotonic()
    has_index = vector_index.prepare(database, DIMENSION, creates_extension=True)
    document["index_build_wall_s"] = round(time.monotonic() - began, 1) if has_index else None
    drawn = random.Random(1).sample(ids, rounds)
    person = Viewer("a", Role.AGENT, agent_id=agent_id)
    with database.read() as connection:
        own = sa.select(call.c.id).where(call.c.agent_id == agent_id).order_by(call.c.id).limit(rounds)
        theirs = list(connection.execute(own).scalars())
    ways: dict[str, tuple[Viewer, Sequence[UUID], bool]] = {
        "everything_one_by_one": (OPERATOR, drawn, False),
        "agent": (person, theirs, False),
    }
    if has_index:
        ways["everything_by_index"] = (OPERATOR, drawn, True)
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    answers: dict[str, list[list[UUID]]] = {name: [] for name in ways}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for at in range(rounds):
        for name, (viewer, asked, with_index) in ways.items():
            with database.read() as connection:
                wall, cpu = time.monotonic(), time.process_time()
                found = similar_calls(connection, viewer, asked[at % len(asked)], limit=_TOP, with_index=with_index)
                took[name].append((time.monotonic() - wall, time.process_time() - cpu))
            answers[name].append([one.line.id for one in found.calls])
    document["peak_memory_added_mb"] = round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, 1)
    document["compared_at_most"] = similar.COMPARED
    for name, of_way in took.items():
        document[name] = {
            "wall_ms": round(1000 * median(wall for wall, _ in of_way), 1),
            "cpu_ms": round(1000 * median(cpu for _, cpu in of_way), 1),
            "least_found": min(len(row) for row in answers[name]),
        }
    if has_index:
        pairs = zip(answers["everything_by_index"], answers["everything_one_by_one"], strict=True)
        document["recall_at_10"] = round(float(np.mean([len(set(a) & set(b)) / len(b) for a, b in pairs])), 4)
    return document


def _fill(database: Database, count: int) -> tuple[list[UUID], UUID]:
    agents = [uuid4() for _ in range(_AGENTS)]
    with database.write() as connection:
        names = [{"id": one, "display_name": f"Agent {at}"} for at, one in enumerate(agents)]
        connection.execute(sa.insert(agent), names)
    noise = np.random.default_rng(0)
    directions = noise.normal(size=(_DIRECTIONS, DIMENSION))
    made: list[UUID] = []
    ids = map(UUID, time_ordered_hexes())
    while len(made) < count:
        some = list(islice(ids, min(_AT_ONCE, count - len(made))))
        rows = directions[noise.integers(_DIRECTIONS, size=len(some))] + noise.normal(size=(len(some), DIMENSION))
        vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        with database.write() as connection:
            insert_new(connection, call, list(_calls(some, agents, len(made), count)), key="id")
            same = {"model": "m", "analysis_revision": 1, "dimension": DIMENSION}
            kept = [{"call_id": one, "vector": to_bytes(row), **same} for one, row in zip(some, vectors, strict=True)]
            connection.execute(sa.insert(call_vector), kept)
        made += some
    return made, agents[0]


def _calls(ids: Sequence[UUID], agents: Sequence[UUID], at: int, count: int) -> Iterator[dict[str, Any]]:
    for number, one in enumerate(ids, at):
        moment = _LAST_AT - timedelta(seconds=count - number)
        yield {
            "id": one,
            "source_system": "made",
            "external_call_id": one.hex,
            "stage": "done",
            "received_at": moment,
            "finished_at": moment,
            "modified_at": moment,
            "happened_at": moment,
            "is_sample": False,
            "agent_id": agents[number % len(agents)],
            "attributes": {},
        }


def main() -> None:
    """Measure, and print one document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--dialogues", type=int, default=600, help="of STAR; 0: none")
    parser.add_argument("--calls", type=int, default=10_000, help="with a vector; 0: none")
    parser.add_argument("--database", choices=("sqlite", "postgres", "both"), default="sqlite")
    parser.add_argument("--rounds", type=int, default=10)
    given = parser.parse_args()
    document: dict[str, Any] = {"load": round(os.getloadavg()[0], 1), "missing": []}
    dialogues = star_dialogues()
    if dialogues and given.dialogues:
        document["quality"] = measure_quality(dialogues, given.dialogues)
    elif not dialogues:
        document["missing"] += ["star: put the dialogues under ../shared/data/star or set CALLWISE_SHARED"]
    makers: dict[str, Callable[[ExitStack], str]] = {"sqlite": _sqlite_url, "postgres": _postgres_url}
    for kind, make in makers.items():
        if given.calls and given.database in {kind, "both"}:
            with ExitStack() as stack:
                database = Database(make(stack))
                stack.callback(database.dispose)
                document[kind] = measure_speed(database, given.calls, given.rounds)
                if kind == "postgres" and document[kind]["index_build_wall_s"] is None:
                    document["missing"] += ["pgvector: this PostgreSQL has no extension `vector`"]
    sys.stdout.write((json.dumps(document, indent=2) if given.json else str(document)) + "\n")


def _sqlite_url(stack: ExitStack) -> str:
    return f"sqlite:///{stack.enter_context(TemporaryDirectory())}/callwise.db"


def _postgres_url(stack: ExitStack) -> str:
    server = PostgresServer()
    stack.callback(server.close)
    return server.url(server.create_database())


if __name__ == "__main__":
    main()
