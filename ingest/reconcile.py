"""The bucket against the database: what lies in the store and is no call yet."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from calls.errors import ObjectGone
from calls.recording import ObjectRef
from crm.database import Database
from crm.intake import known_etags
from engines.objects import ObjectStore
from ingest.events import Announced
from ingest.intake import Intake, take_objects
from ingest.profiles import why_no_recording

# Objects are compared a page at a time: memory is that of one page, however many there are.
PAGE = 1000
# How many missing keys a report names; it counts them all.
NAMED = 10_000


@dataclass
class Report:
    """Recordings in the store (`object_count`), those that are calls (`known_count`), and those that are not.

    `missing` names the first NAMED of `missing_count` keys; `queued_count` of them became calls now.
    """

    object_count: int = 0
    known_count: int = 0
    missing_count: int = 0
    missing: list[str] = field(default_factory=list)
    queued_count: int = 0


def reconcile(intake: Intake, *, fix: bool, since: datetime | None = None) -> Report:
    """Compare every recording in the store with the database; with `fix`, take in what is missing.

    `since` leaves out what was stored before. Raises TransientError when the store or the database cannot be reached.
    """
    report = Report()

    def missing() -> Iterator[Announced]:
        for ref in missing_recordings(intake.database, intake.objects, report=report):
            if since is not None and _is_older(intake.objects, ref, since):
                continue
            report.missing_count += 1
            if len(report.missing) < NAMED:
                report.missing.append(ref.key)
            yield Announced((ref,))

    if fix:
        report.queued_count = take_objects(intake, "reconcile", missing())
    else:
        for _ in missing():
            pass
    return report


def missing_recordings(
    database: Database, objects: ObjectStore, *, prefix: str = "", report: Report | None = None
) -> Iterator[ObjectRef]:
    """The recordings under `prefix` that are no call's or have other content than theirs, in order of key."""
    counts = report or Report()
    recordings = (ref for ref in objects.list(prefix) if why_no_recording(ref.key, ref.size_bytes) is None)
    while page := list(islice(recordings, PAGE)):
        with database.read() as connection:
            known = known_etags(connection, objects.bucket, [ref.key for ref in page])
        for ref in page:
            counts.object_count += 1
            if ref.key in known and ref.etag in {known[ref.key], ""}:
                counts.known_count += 1
            else:
                yield ref


def _is_older(objects: ObjectStore, ref: ObjectRef, since: datetime) -> bool:
    try:
        stored_at = objects.head(ref.key).last_modified_at
    except ObjectGone:
        return True
    return stored_at is not None and stored_at < since
