"""A contact centre of any size, for benchmarks of lists, search and pages: a million calls in minutes.

Made up from a seed: agents, teams and queues of unlike sizes, customers who call again, reasons from common to rare,
and conversations out of a vocabulary in which words are as unlike in frequency as in a language (Zipf's law). Rows are
written past the triggers, with what the triggers would write, and the indexes are made at the end.
"""

import json
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import numpy as np
import sqlalchemy as sa

from calls.reasons import Reason, Taxonomy
from calls.redaction import find_sensitive
from crm.database import Database
from crm.redacted import rules_of
from crm.search_tables import NUMBER_BITS, UNSURE_BELOW, call_text
from crm.taxonomies import store_taxonomy

TAXONOMY = Taxonomy(
    version="bench-web",
    title="Made up",
    reasons=tuple(
        Reason(code, code.replace("_", " ").capitalize(), f"About {code.replace('_', ' ')}.")
        for code in (
            *("delivery_status", "billing_question", "repair_booking", "technical_fault", "new_order", "cancellation"),
            *("complaint", "account_access", "warranty_claim", "address_change", "product_advice", "lost_parcel"),
        )
    ),
)
FIRST_AT = datetime(2024, 9, 1, tzinfo=UTC)
LAST_AT = datetime(2026, 8, 31, tzinfo=UTC)
AGENTS, TEAMS, QUEUES = 200, 20, 10
UTTERANCES = 8
WORDS_EACH = 12
_COMMON = (
    "the you i to a is and it that we in of my for have on your not this can with be was so do what me but will"
    " are just if at no one know up ok now all thank please order call help number name would there or an get yes"
)
COMMON_WORDS = tuple(_COMMON.split())
_BATCH = 20_000
_VOCABULARY = 20_000
_SENTENCES = 40_000
_OUTCOMES = ("resolved", "follow_up", "unresolved", "escalated", "unknown")
_DIRECTIONS = ("inbound", "outbound", "internal")
_VERSION_7 = 0x7 << 76 | 0b10 << 62

Rows = tuple[Sequence[str], list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Centre:
    """What there is beside the calls: ids by number, and words."""

    agents: list[str]
    queues: list[str]
    contacts: int
    sentences: list[str]


def fill(database: Database, count: int) -> None:
    """Put `count` calls into an empty database at the code's version."""
    with database.write() as connection:
        store_taxonomy(connection, TAXONOMY, FIRST_AT)
    centre = Centre(
        agents=[_id(1, number) for number in range(AGENTS)],
        queues=[_id(3, number) for number in range(QUEUES)],
        contacts=max(20, count // 4),
        sentences=_sentences(),
    )
    with _bare(database) as write:
        for table, rows in _people(centre).items():
            write(table, *rows)
        for start in range(0, count, _BATCH):
            for table, rows in _calls(centre, start, min(_BATCH, count - start), count, database.is_sqlite).items():
                write(table, *rows)


def rare_words(count: int) -> list[str]:
    """Words that some calls in ten thousand have, by the frequencies of the vocabulary."""
    words = _vocabulary()
    return random.Random(3).sample(words[_VOCABULARY // 4 :], count)


def names_of(number: int) -> tuple[str, str]:
    """First and last name of the customer of that number."""
    firsts, lasts = _names()
    return firsts[number % len(firsts)], lasts[number * 7919 % len(lasts)]


def phone_of(number: int) -> str:
    """The number of the customer of that number, in E.164 form."""
    return f"+4930{(number * 7_368_787) % 100_000_000:08d}"


def _people(centre: Centre) -> dict[str, Rows]:
    firsts, lasts = _names()
    contacts = [(_id(4, n), *names_of(n), phone_of(n)) for n in range(centre.contacts)]
    agents = [(key, f"{firsts[n]} {lasts[-n - 1]}", _id(2, n % TEAMS), True) for n, key in enumerate(centre.agents)]
    return {
        "team": (("id", "name"), [(_id(2, n), f"Team {n + 1}") for n in range(TEAMS)]),
        "agent": (("id", "display_name", "team_id", "is_active"), agents),
        "queue": (("id", "name"), [(key, f"Queue {n + 1}") for n, key in enumerate(centre.queues)]),
        "contact": (("id", "first_name", "last_name", "phone_e164"), contacts),
    }


def _calls(centre: Centre, start: int, size: int, whole: int, on_sqlite: bool) -> dict[str, Rows]:
    chance = np.random.default_rng(start)
    every = (LAST_AT - FIRST_AT) / whole
    agents = _pick(chance, AGENTS, size, 0.3)
    queues = _pick(chance, QUEUES, size, 0.7)
    reasons = _pick(chance, len(TAXONOMY.reasons), size, 0.9)
    outcomes = _pick(chance, len(_OUTCOMES), size, 1.2)
    directions = chance.choice(3, size, p=(0.84, 0.15, 0.01)).tolist()
    contacts = chance.integers(0, centre.contacts, size).tolist()
    moods = np.round(chance.normal(0.2, 1.6, size).clip(-5, 5), 1).tolist()
    sure = np.round(chance.beta(8, 1.6, size), 3).tolist()
    fates = chance.choice(4, size, p=(0.96, 0.02, 0.015, 0.005)).tolist()
    said = chance.integers(0, len(centre.sentences), (size, UTTERANCES + 2)).tolist()
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in _COLUMNS}
    zone = "" if on_sqlite else "+00"
    for place in range(size):
        number = start + place
        happened_at = FIRST_AT + every * number
        moment = happened_at.replace(tzinfo=None).isoformat(" ", "microseconds") + zone
        key = _time_ordered_id(happened_at, number)
        direction = _DIRECTIONS[directions[place]]
        customer = contacts[place]
        phone, desk = phone_of(customer), "+493055500"
        stage, skipped, failed = (
            ("done", None, None), ("skipped", "voicemail", None), ("failed", None, "not_audio"),
            ("received", None, None),
        )[fates[place]]  # fmt: skip
        understood = stage == "done"
        code = TAXONOMY.reasons[reasons[place]].code
        mood = moods[place]
        faceted = (
            (code, _OUTCOMES[outcomes[place]], "low" if mood <= -1 else "high" if mood >= 1 else "even",
             sure[place] < UNSURE_BELOW)
            if understood else (None, None, None, None)
        )  # fmt: skip
        rows["call"].append(
            (key, "bench", f"b{number:09d}", "plain", stage, skipped, failed, moment, moment, moment, moment,
             direction, *((desk, phone) if direction == "outbound" else (phone, desk)),
             " ".join(names_of(customer)), _id(4, customer) if stage != "received" else None,
             centre.agents[agents[place]], centre.queues[queues[place]], 60.0 + said[place][0] % 600, False, "{}",
             *faceted)
        )  # fmt: skip
        rows["recording"].append(
            (_id(5, number), key, "recordings", f"{moment[:10]}/{number:09d}.wav", "", f"{number:x}", 960_044, True,
             False, "wav", "pcm_s16le", 2, 8000, 60.0, "")
        )  # fmt: skip
        if not understood:
            continue
        sentences = [centre.sentences[one] for one in said[place]]
        sentences[3] = f"my order number is {number * 7_368_787 % 90_000_000 + 10_000_000}"
        rows["transcript"].append(
            (_id(6, number), key, _id(5, number), 1, True, "bench/made-up", False, "en", moment, 30.0, 24.0, 6.0, 1,
             UTTERANCES, "[]")
        )  # fmt: skip
        # Nobody says anything in this centre that must not leave; each utterance is a turn.
        rows["sensitive_finding"].append((_id(6, number), _rules(), UTTERANCES, "[]"))
        for seq in range(UTTERANCES):
            side = seq % 2
            rows["utterance"].append(
                (_id(6, number), seq, ("agent", "customer")[side], side, seq * 7.0, seq * 7.0 + 6, sentences[seq], "[]")
            )
        headline = f"{TAXONOMY.label(code)}: {sentences[-1][:50]}"
        summary = f"The customer said that {sentences[-2]}. The agent said that {sentences[-1]}."
        evidence = [{"field": "summary", "turn": 1, "quote": sentences[1]}]
        rows["call_analysis"].append(
            (_id(7, number), key, _id(6, number), 1, True, moment, headline, summary, "written", "", code, sure[place],
             "[]", _OUTCOMES[outcomes[place]], outcomes[place] == 0, "[]", json.dumps(evidence), "{}", "[]", mood,
             mood, mood, "bench/made-up", False, "1", TAXONOMY.version)
        )  # fmt: skip
        base = int(happened_at.timestamp()) * 1000 + happened_at.microsecond // 1000
        about, spoken = f"{headline}\n{summary}", "\n".join(sentences[:UTTERANCES])
        rows["call_text"].append((base << NUMBER_BITS, key, about, spoken))
    return {name: (columns, rows[name]) for name, columns in _COLUMNS.items()}


_COLUMNS = {
    "call": (
        *("id", "source_system", "external_call_id", "profile", "stage", "skip_reason", "failed_code", "received_at"),
        *("modified_at", "happened_at", "started_at", "direction", "from_number_e164", "to_number_e164"),
        *("customer_name", "contact_id", "agent_id", "queue_id", "duration_s", "is_sample", "attributes"),
        *("reason_code", "outcome", "mood", "needs_review"),
    ),
    "recording": (
        *("id", "call_id", "bucket", "object_key", "version_id", "etag", "size_bytes", "is_current", "is_text"),
        *("container", "codec", "channel_count", "sample_rate_hz", "duration_s", "playback_key"),
    ),
    "transcript": (
        *("id", "call_id", "recording_id", "revision", "is_current", "engine", "is_demo", "language", "created_at"),
        *("talk_time_agent_s", "talk_time_customer_s", "non_talk_time_s", "interruption_count", "turn_count"),
        "skipped",
    ),
    "utterance": ("transcript_id", "seq", "speaker", "channel", "start_s", "end_s", "text", "words"),
    "call_analysis": (
        *("id", "call_id", "transcript_id", "revision", "is_current", "created_at", "headline", "summary"),
        *("summary_kind", "subject", "reason_code", "reason_confidence", "secondary_reason_codes", "outcome"),
        *("is_resolved", "next_steps", "evidence", "answers", "skipped", "sentiment_customer"),
        *("sentiment_customer_start", "sentiment_customer_end", "model", "is_demo", "prompt_version"),
        "taxonomy_version",
    ),
    call_text.name: ("number", "call_id", "about", "said"),
    "sensitive_finding": ("transcript_id", "rules", "turn_count", "findings"),
}


@contextmanager
def _bare(database: Database) -> Iterator[Any]:
    """A way to write rows fast: no trigger and no secondary index of `call` until the end."""
    if database.is_sqlite:
        with database.engine.connect() as connection, _bare_sqlite(connection) as write:
            yield write
    else:
        with database.engine.connect() as connection, _bare_postgresql(connection) as write:
            yield write
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.exec_driver_sql("ANALYZE" if database.is_sqlite else "VACUUM (ANALYZE)")


@contextmanager
def _bare_sqlite(connection: sa.Connection) -> Iterator[Any]:
    raw: Any = connection.connection.dbapi_connection
    raw.execute("PRAGMA foreign_keys=OFF")
    raw.execute("PRAGMA synchronous=OFF")
    made = raw.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    indexes = raw.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'call' AND sql IS NOT NULL"
    ).fetchall()
    for name, _ in made:
        raw.execute(f"DROP TRIGGER {name}")
    for name, _ in indexes:
        raw.execute(f"DROP INDEX {name}")

    def write(table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        raw.execute("BEGIN")
        raw.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})", rows)
        raw.execute("COMMIT")

    yield write
    raw.execute(
        "INSERT INTO contact_text (contact_id, name, phone)"
        " SELECT id, first_name || ' ' || last_name, phone_e164 FROM contact"
    )
    for table in ("call_words", "contact_words"):
        raw.execute(f"INSERT INTO {table} ({table}) VALUES ('rebuild')")
        raw.execute(f"INSERT INTO {table} ({table}) VALUES ('optimize')")
    for _, statement in [*indexes, *made]:
        raw.execute(statement)
    raw.execute("PRAGMA synchronous=NORMAL")
    raw.execute("PRAGMA foreign_keys=ON")


@contextmanager
def _bare_postgresql(connection: sa.Connection) -> Iterator[Any]:
    raw: Any = connection.connection.dbapi_connection
    raw.autocommit = True
    raw.execute("SET session_replication_role = replica")
    raw.execute("SET maintenance_work_mem = '1GB'")
    raw.execute("SET synchronous_commit = off")
    indexes = raw.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE (tablename = 'call' AND indexdef NOT LIKE '%UNIQUE%')"
        " OR indexname LIKE '%trigrams' OR indexname = 'ix_call_text_words'"
    ).fetchall()
    for name, _ in indexes:
        raw.execute(f"DROP INDEX {name}")

    def write(table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        with raw.cursor() as cursor, cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    yield write
    for _, statement in indexes:
        raw.execute(statement)
    raw.execute("RESET ALL")
    raw.autocommit = False


@cache
def _rules() -> str:
    return rules_of(find_sensitive)


def _pick(chance: np.random.Generator, choices: int, size: int, slope: float) -> list[int]:
    """Numbers below `choices`, the first the likeliest."""
    weights = 1 / np.arange(1, choices + 1) ** slope
    picked: list[int] = chance.choice(choices, size, p=weights / weights.sum()).tolist()
    return picked


@cache
def _sentences() -> list[str]:
    words = np.array(_vocabulary())
    weights = 1 / (np.arange(len(words)) + 2.7) ** 1.05
    chosen = np.random.default_rng(2).choice(len(words), (_SENTENCES, WORDS_EACH), p=weights / weights.sum())
    return [" ".join(line) for line in words[chosen].tolist()]


@cache
def _vocabulary() -> list[str]:
    made = _made_words(_VOCABULARY * 2, syllables=(2, 4), seed=1)
    return [*COMMON_WORDS, *(word for word in made if word not in COMMON_WORDS)][:_VOCABULARY]


@cache
def _names() -> tuple[list[str], list[str]]:
    return (
        [name.capitalize() for name in _made_words(400, syllables=(2, 3), seed=5)],
        [name.capitalize() for name in _made_words(3001, syllables=(2, 4), seed=6)],
    )


def _made_words(count: int, *, syllables: tuple[int, int], seed: int) -> list[str]:
    chance = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        parts = chance.randint(*syllables)
        word = "".join(chance.choice("bdfgklmnprstvz") + chance.choice("aeiou") for _ in range(parts))
        found.setdefault(word + chance.choice(("", "n", "r", "s")))
    return list(found)


def _id(kind: int, number: int) -> str:
    return f"{kind:08x}{number:024x}"


def _time_ordered_id(moment: datetime, number: int) -> str:
    milliseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return UUID(int=milliseconds << 80 | _VERSION_7 | number).hex
