"""The owner's reasons in the database, one set of rows per version; exactly one version is current."""

from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from calls.errors import CallwiseError, SettingsError
from calls.reasons import AnswerKind, Question, Reason, Taxonomy, successors
from crm import jobs
from crm.database import insert
from crm.reason_tables import reason_successor, review
from crm.tables import call, call_analysis, reason, taxonomy

_CURRENT = sa.select(taxonomy).where(taxonomy.c.is_current)


class NoSuchVersion(CallwiseError):
    """No taxonomy of that version is stored."""

    code = "no_such_version"


@dataclass(frozen=True)
class TaxonomyVersion:
    """One stored version; `call_count` is of the calls whose current analysis was made under it."""

    version: str
    title: str
    loaded_at: datetime
    is_current: bool
    reason_count: int
    call_count: int


def store_taxonomy(connection: sa.Connection, given: Taxonomy, now: datetime) -> None:
    """Make `given` the current version; a version that is there already is only made current again.

    Codes of earlier versions that `given` has not are mapped to those that replace them, and the days of their calls
    are marked for the roll-ups, which file them under the current version. Raises SettingsError where the version is
    there with other content.
    """
    current = connection.execute(_CURRENT).one_or_none()
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
    elif stored_taxonomy(connection, given.version) != given:
        raise SettingsError(
            f"reasons file: version `{given.version}` is stored with other content: give the file another `version`,"
            " or none (then the content itself is the version)",
            code="wrong_reasons_file",
        )
    connection.execute(
        sa.update(taxonomy).where(taxonomy.c.is_current, taxonomy.c.version != given.version).values(is_current=False)
    )
    connection.execute(sa.update(taxonomy).where(taxonomy.c.version == given.version).values(is_current=True))
    _map_to(connection, given, is_other=current is None or current.version != given.version)


def is_reason_of_any_version(connection: sa.Connection, code: str) -> bool:
    """Whether some version of the reasons that is stored has, or had, this code."""
    return connection.execute(sa.select(sa.exists().where(reason.c.code == code))).scalar_one()


def take_from_file(connection: sa.Connection, given: Taxonomy, now: datetime, *, is_own: bool) -> bool:
    """Take over what the reasons file of the settings says, where that is news; returns whether it was.

    A file that says what it said before leaves alone what `reasons load` brought since. The bundled file, which is
    not the owner's own, never takes the place of loaded reasons.
    """
    current = connection.execute(_CURRENT).one_or_none()
    last = connection.execute(
        sa.select(taxonomy.c.version)
        .where(taxonomy.c.taken_from_file_at.is_not(None))
        .order_by(taxonomy.c.taken_from_file_at.desc())
        .limit(1)
    ).scalar_one_or_none()
    if current is not None and last is not None:
        is_loaded_since = current.version != last
        if last == given.version or (is_loaded_since and not is_own):
            return False
    is_news = current is None or current.version != given.version
    if is_news:
        store_taxonomy(connection, given, now)
    connection.execute(sa.update(taxonomy).where(taxonomy.c.version == given.version).values(taken_from_file_at=now))
    return is_news


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


def stored_taxonomy(connection: sa.Connection, version: str) -> Taxonomy:
    """The reasons of that version. Raises NoSuchVersion."""
    found = connection.execute(sa.select(taxonomy).where(taxonomy.c.version == version)).one_or_none()
    if found is None:
        raise NoSuchVersion(f"no version `{version}` of the reasons is stored; `callwise reasons show` lists them")
    return _of_version(connection, found)


def taxonomy_versions(connection: sa.Connection) -> list[TaxonomyVersion]:
    """Every stored version, the one that was loaded last first; generated history is not counted."""
    version = call_analysis.c.taxonomy_version
    by_version = sa.select(version, sa.func.count()).group_by(version)
    # All of them, less those that do not count: a million analyses are not read to learn which is which. The first is
    # asked in the words of its index (SQLite takes it for no others), the second begins with the few samples.
    counts: dict[str, int] = dict(connection.execute(by_version.where(sa.text("call_analysis.is_current"))).all())
    of_samples = call_analysis.c.call_id.in_(sa.select(call.c.id).where(call.c.is_sample))
    for one, calls in connection.execute(by_version.where(call_analysis.c.is_current, of_samples)):
        counts[one] -= calls
    reasons = sa.select(sa.func.count()).where(reason.c.taxonomy_version == taxonomy.c.version)
    rows = connection.execute(
        sa.select(
            *(taxonomy.c[name] for name in ("version", "title", "loaded_at", "is_current")),
            reasons.scalar_subquery().label("reason_count"),
        ).order_by(taxonomy.c.loaded_at.desc(), taxonomy.c.version)
    )
    return [TaxonomyVersion(**row._mapping, call_count=counts.get(row.version, 0)) for row in rows]


def known_successors(connection: sa.Connection) -> dict[str, str]:
    """From codes that the current version has not to those of it that go on in their place."""
    return {row.code: row.successor_code for row in connection.execute(sa.select(reason_successor))}


def successors_under(connection: sa.Connection, given: Taxonomy) -> dict[str, str]:
    """What `known_successors` would be if `given` were the current version."""
    others = connection.execute(
        sa.select(taxonomy)
        .where(taxonomy.c.version != given.version)
        .order_by(taxonomy.c.loaded_at.desc(), taxonomy.c.version)
    )
    return successors(given, [_of_version(connection, row) for row in others])


def _map_to(connection: sa.Connection, given: Taxonomy, *, is_other: bool) -> None:
    before, after = known_successors(connection), successors_under(connection, given)
    if before != after:
        connection.execute(sa.delete(reason_successor))
        if after:
            rows = [{"code": code, "successor_code": successor} for code, successor in after.items()]
            connection.execute(sa.insert(reason_successor), rows)
    # A call of a replaced code counts as its successor in the version that is current, with what that says of it: under
    # another version that is another one, of the same code or not.
    changed = [code for code in before.keys() | after.keys() if is_other or before.get(code) != after.get(code)]
    for day in sorted(_days_of(connection, changed)):
        jobs.touch(connection, datetime(day.year, day.month, day.day, tzinfo=UTC))


def _days_of(connection: sa.Connection, codes: Iterable[str]) -> set[date]:
    """The UTC days of the calls that have one of these codes, beside another one, or by the word of a person."""
    named = sorted(codes)
    unpacked = sa.func.json_each if connection.dialect.name == "sqlite" else sa.func.jsonb_array_elements_text
    each = unpacked(call_analysis.c.secondary_reason_codes).table_valued("value")
    is_beside = sa.select(each.c.value).where(each.c.value.in_(named)).correlate(call_analysis).exists()
    said = sa.or_(review.c.before.in_(named), review.c.after.in_(named))
    moments = connection.execute(
        sa.select(call.c.happened_at)
        .join_from(call_analysis, call, call.c.id == call_analysis.c.call_id)
        .where(
            call_analysis.c.is_current,
            sa.or_(
                call_analysis.c.reason_code.in_(named),
                is_beside,
                call.c.id.in_(sa.select(review.c.call_id).where(said)),
            ),
        )
    ).scalars()
    return {moment.astimezone(UTC).date() for moment in moments}


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
                replaces=tuple(row.replaces),
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
        "replaces": list(given.replaces),
    }
