"""The owner's reasons in the database, one set of rows per version; exactly one version is current."""

from collections.abc import MutableMapping
from datetime import datetime
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from calls.reasons import AnswerKind, Question, Reason, Taxonomy
from crm.database import insert
from crm.tables import reason, taxonomy

_CURRENT = sa.select(taxonomy).where(taxonomy.c.is_current)


def store_taxonomy(connection: sa.Connection, given: Taxonomy, now: datetime) -> None:
    """Make `given` the current version; a version that is there already is only made current again."""
    added = connection.execute(
        insert(connection, taxonomy)
        .values(
            version=given.version,
            title=given.title,
            questions=[
                {"code": q.code, "text": q.text, "kind": q.kind.value, "choices": list(q.choices)}
                for q in given.questions
            ],
            loaded_at=now,
            is_current=False,
        )
        .on_conflict_do_nothing(index_elements=["version"])
        # PostgreSQL's driver counts no rows for an INSERT that may do nothing.
        .returning(taxonomy.c.version)
    ).one_or_none()
    if added is not None:
        connection.execute(sa.insert(reason), [_row(given.version, n, r) for n, r in enumerate(given.reasons)])
    connection.execute(
        sa.update(taxonomy).where(taxonomy.c.is_current, taxonomy.c.version != given.version).values(is_current=False)
    )
    connection.execute(sa.update(taxonomy).where(taxonomy.c.version == given.version).values(is_current=True))


def current_taxonomy(connection: sa.Connection, known: MutableMapping[str, Taxonomy] | None = None) -> Taxonomy | None:
    """The version by which calls are classified now; None before one was stored.

    `known` keeps the versions that were read before: what a version says never changes.
    """
    found = connection.execute(_CURRENT).one_or_none()
    if found is None:
        return None
    if known is None:
        return _of_version(connection, found)
    if found.version not in known:
        known[found.version] = _of_version(connection, found)
    return known[found.version]


def _of_version(connection: sa.Connection, found: sa.Row[Any]) -> Taxonomy:
    rows = connection.execute(
        sa.select(reason).where(reason.c.taxonomy_version == found.version).order_by(reason.c.position)
    )
    return Taxonomy(
        version=found.version,
        title=found.title,
        questions=tuple(
            Question(q["code"], q["text"], AnswerKind(q["kind"]), tuple(q["choices"])) for q in found.questions
        ),
        reasons=tuple(
            Reason(
                code=row.code,
                label=row.label,
                definition=row.definition,
                examples=tuple(row.examples),
                parent_code=row.parent_code,
                is_sales=row.is_sales,
            )
            for row in rows
        ),
    )


def _row(version: str, position: int, given: Reason) -> dict[str, object]:
    return {
        "id": uuid4(),
        "taxonomy_version": version,
        "position": position,
        "code": given.code,
        "label": given.label,
        "definition": given.definition,
        "examples": list(given.examples),
        "parent_code": given.parent_code,
        "is_sales": given.is_sales,
    }
