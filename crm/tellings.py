"""What was told of calls, as it was told: kept by subject and origin, so that facts may come before, with or after a
recording.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from calls.recording import CallFacts, Direction
from calls.telling import Rank, Telling
from crm.bulk import among
from crm.database import insert
from crm.erased import erased_subjects
from crm.tables import telling

_IS_ANY = sa.select(sa.exists().select_from(telling))
# Kept among the facts: whose call ids these are, and who read them.
_BY = ("source_system", "profile")
_TIMES = ("queued_at", "started_at", "answered_at", "ended_at")


@dataclass(frozen=True)
class ToldOf:
    """A telling and its subject; `etag` is that of the object which held it, empty where none did."""

    subject: str
    telling: Telling
    etag: str = ""


def store_tellings(connection: sa.Connection, told: Iterable[ToldOf], *, now: datetime) -> None:
    """Keep each telling in place of what the same origin said of the subject before.

    What its source wrote earlier than what is kept is dropped: it came late, or again. What is told of something that
    was erased is dropped, too.
    """
    # The last of one origin in a batch is the one that counts; sorted, so that two transactions cannot deadlock.
    latest: dict[tuple[str, str], ToldOf] = {}
    for one in told:
        mark = (one.subject, one.telling.origin)
        if mark not in latest or _is_not_older(one.telling.as_of, latest[mark].telling.as_of):
            latest[mark] = one
    gone = erased_subjects(connection, {subject for subject, _ in latest})
    latest = {mark: one for mark, one in latest.items() if mark[0] not in gone}
    if not latest:
        return
    row = insert(connection, telling)
    new = row.excluded
    statement = row.on_conflict_do_update(
        index_elements=["subject", "origin"],
        set_={name: new[name] for name in ("rank", "as_of", "told_at", "etag", "facts")},
        where=sa.or_(telling.c.as_of.is_(None), new.as_of >= telling.c.as_of),
    )
    connection.execute(statement, [_row(latest[mark], now) for mark in sorted(latest)])


def is_anything_told(connection: sa.Connection) -> bool:
    """Whether anything is kept of any subject: where telephony only names its recordings, nothing ever is."""
    return bool(connection.execute(_IS_ANY).scalar_one())


def tellings_about(connection: sa.Connection, subjects: Collection[str]) -> dict[str, list[Telling]]:
    """What is kept of each of these subjects."""
    found: dict[str, list[Telling]] = {}
    if not subjects:
        return found
    for row in connection.execute(sa.select(telling).where(among(connection, telling.c.subject, subjects))):
        facts, by = _facts(row.facts)
        found.setdefault(row.subject, []).append(Telling(row.origin, Rank(row.rank), facts, row.as_of, **by))
    return found


def known_origins(connection: sa.Connection, origins: Sequence[str]) -> dict[str, str]:
    """The eTag of the object of each of these origins that has told something."""
    is_one = among(connection, telling.c.origin, origins)
    rows = connection.execute(sa.select(telling.c.origin, telling.c.etag).where(is_one))
    return {row.origin: row.etag for row in rows}


def _is_not_older(after: datetime | None, before: datetime | None) -> bool:
    return before is None or (after is not None and after >= before)


def _row(told: ToldOf, now: datetime) -> dict[str, Any]:
    return {
        "subject": told.subject,
        "origin": told.telling.origin,
        "rank": int(told.telling.rank),
        "as_of": told.telling.as_of,
        "told_at": now,
        "etag": told.etag,
        "facts": _document(told.telling),
    }


def _document(telling_: Telling) -> dict[str, Any]:
    by = {name: getattr(telling_, name) for name in _BY}
    said = {name: value for name, value in (asdict(telling_.facts) | by).items() if value is not None and value != {}}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in said.items()}


def _facts(document: dict[str, Any]) -> tuple[CallFacts, dict[str, str | None]]:
    """The facts, and whose they are."""
    said = dict(document)
    by = {name: said.pop(name, None) for name in _BY}
    said |= {name: datetime.fromisoformat(said[name]) for name in _TIMES if name in said}
    if "direction" in said:
        said["direction"] = Direction(said["direction"])
    return CallFacts(**said), by
