"""What was erased does not come back: objects, calls and what is told of them are known by a hash of their names."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID

import sqlalchemy as sa

from calls.recording import ObjectRef
from calls.telling import object_subject
from crm.bulk import among
from crm.database import insert
from crm.privacy_tables import doomed_object, erased_call, erased_mark
from crm.tables import call, transcript

_IS_ANY = sa.select(sa.exists().select_from(erased_mark))


@dataclass(frozen=True)
class Erased:
    """The call that something was erased with, and the content that an object had; "" for what is no object."""

    call_id: UUID
    etag: str


def mark_of(subject: str) -> str:
    """What is kept of a subject."""
    return sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()


def is_anything_erased(connection: sa.Connection) -> bool:
    """Whether anything ever was: where nothing was, nobody has to be asked about by name."""
    return bool(connection.execute(_IS_ANY).scalar_one())


def erased_subjects(connection: sa.Connection, subjects: Collection[str]) -> dict[str, Erased]:
    """Those of the subjects that were erased. Where nothing ever was, this costs one look."""
    if not subjects or not is_anything_erased(connection):
        return {}
    by_mark = {mark_of(subject): subject for subject in subjects}
    rows = connection.execute(sa.select(erased_mark).where(among(connection, erased_mark.c.mark, by_mark)))
    return {by_mark[row.mark]: Erased(row.call_id, row.etag) for row in rows}


def erased_objects(connection: sa.Connection, refs: Iterable[ObjectRef]) -> dict[str, Erased]:
    """Those of the objects that were erased, by key."""
    by_subject = {object_subject(ref.bucket, ref.key): ref for ref in refs}
    found = erased_subjects(connection, by_subject)
    return {by_subject[subject].key: erased for subject, erased in found.items()}


def doom_again(connection: sa.Connection, refs: Iterable[ObjectRef], *, now: datetime) -> None:
    """Have those of these objects deleted that were erased and lie in the store again, with the content of then."""
    if not is_anything_erased(connection):
        return
    known = {ref.key: ref for ref in refs}
    gone = erased_objects(connection, known.values())
    back = [known[key] for key, erased in gone.items() if erased.etag == known[key].etag != ""]
    doom(connection, [(ref.bucket, ref.key) for ref in back], now=now)


def doom(
    connection: sa.Connection, objects: Iterable[tuple[str, str]], *, now: datetime, again_at: datetime | None = None
) -> None:
    """Have these objects, (bucket, key) each, deleted in the store: after the commit, and once more at `again_at`."""
    rows = [
        {"bucket": bucket, "object_key": key, "due_at": now, "again_at": again_at}
        for bucket, key in sorted(set(objects))
    ]
    if rows:
        statement = insert(connection, doomed_object)
        new = statement.excluded
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["bucket", "object_key"],
                set_={
                    "due_at": new.due_at,
                    # What was to be deleted once more still is.
                    "again_at": sa.func.coalesce(new.again_at, doomed_object.c.again_at),
                },
            ),
            rows,
        )


def is_erased() -> sa.ColumnElement[bool]:
    """Whether the call of the row was erased."""
    return sa.exists().where(erased_call.c.call_id == call.c.id).correlate(call)


def words_are_gone() -> sa.ColumnElement[bool]:
    """Whether the words of the row's call have been deleted because their time was over: nobody can look at them."""
    return (
        sa.exists()
        .where(transcript.c.call_id == call.c.id, transcript.c.is_current, transcript.c.recording_id.is_(None))
        .correlate(call)
    )


def what_is_gone(connection: sa.Connection, call_id: UUID) -> str:
    """What of a call is gone: "call" for one that was erased, "words" where these alone are not kept, else ""."""
    told = sa.select(is_erased(), sa.and_(call.c.is_sample.is_(False), words_are_gone())).where(call.c.id == call_id)
    found = connection.execute(told).one_or_none()
    if found is None:
        return ""
    return "call" if found[0] else "words" if found[1] else ""


def erased_among(connection: sa.Connection, call_ids: Collection[UUID]) -> set[UUID]:
    """Those of these calls that were erased."""
    wanted = sa.select(erased_call.c.call_id).where(among(connection, erased_call.c.call_id, call_ids))
    return set(connection.execute(wanted).scalars())
