"""The bucket against the database: what lies in the store and is no call yet, and which calls nobody works on."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

from calls.errors import ObjectGone, TerminalError
from calls.recording import ObjectRef
from crm import retries
from crm.database import Database
from crm.erased import doom_again, erased_objects
from crm.intake import known_etags
from crm.tellings import known_origins
from engines.objects import ObjectStore
from ingest.events import Announced
from ingest.intake import Intake, take_objects
from ingest.looking import may_tell
from ingest.profiles import why_no_recording

# Objects are compared a page at a time: memory is that of one page, however many there are.
PAGE = 1000
# How many missing keys a report names; it counts them all.
NAMED = 10_000


@dataclass
class Report:
    """Recordings in the store (`object_count`), those that are calls (`known_count`), and those that are not.

    `missing` names the first NAMED of `missing_count` keys; `queued_count` of them became calls now. Documents that may
    be sidecars, contact records or conversations are counted by themselves: `unread_count` of them nobody has read.
    `stranded_count` unfinished calls had no job, and `requeued_count` of them have one again. Of what was
    erased, `erased_count` objects lie there again.
    """

    object_count: int = 0
    known_count: int = 0
    missing_count: int = 0
    missing: list[str] = field(default_factory=list)
    queued_count: int = 0
    document_count: int = 0
    unread_count: int = 0
    stranded_count: int = 0
    requeued_count: int = 0
    erased_count: int = 0

    @property
    def is_well(self) -> bool:
        """Whether every object is known and every unfinished call is on its way, now."""
        return not self.missing_count and not self.unread_count and not self.stranded_count


def reconcile(intake: Intake, *, fix: bool, since: datetime | None = None) -> Report:
    """Compare every recording in the store with the database; with `fix`, take in what is missing.

    `since` leaves out what was stored before. Raises TransientError when the store or the database cannot be reached.
    """
    report = Report()

    def missing() -> Iterator[Announced]:
        for ref in missing_objects(intake.database, intake.objects, report=report, dooms=fix):
            if since is not None and _is_older(intake.objects, ref, since):
                continue
            if may_tell(ref.key):
                report.unread_count += 1
            else:
                report.missing_count += 1
                if len(report.missing) < NAMED:
                    report.missing.append(ref.key)
            yield Announced((ref,))

    if fix:
        report.queued_count = take_objects(intake, "reconcile", missing())
    else:
        for _ in missing():
            pass
    _look_for_stranded(intake.database, report, fix=fix)
    return report


def missing_objects(
    database: Database, objects: ObjectStore, *, prefix: str = "", report: Report | None = None, dooms: bool = False
) -> Iterator[ObjectRef]:
    """What nobody has taken in under `prefix`, in order of key: recordings that are no call's or have other content
    than theirs, and documents that nobody has read.

    With `dooms`, what was erased and lies there again as it was is noted to be deleted.
    """
    counts = report or Report()
    wanted = (ref for ref in objects.list(prefix) if _is_wanted(ref))
    while page := list(islice(wanted, PAGE)):
        told = [ref.key for ref in page if may_tell(ref.key)]
        with database.read() as connection:
            known = known_etags(connection, objects.bucket, [ref.key for ref in page])
            read = known_origins(connection, told) if told else {}
            erased = erased_objects(connection, page)
        if dooms and any(erased[ref.key].etag == ref.etag != "" for ref in page if ref.key in erased):
            with database.write() as connection:
                doom_again(connection, [ref for ref in page if ref.key in erased], now=datetime.now(UTC))
        for ref in page:
            if ref.key in erased:
                # Somebody has put it back; it does not become a call again.
                counts.erased_count += 1
                continue
            is_known = ref.etag in known.get(ref.key, ()) or (ref.key in known and not ref.etag)
            if may_tell(ref.key):
                counts.document_count += 1
                is_known = is_known or (ref.key in read and read[ref.key] == ref.etag)
            else:
                counts.object_count += 1
                counts.known_count += is_known
            if not is_known:
                yield ref


def _is_wanted(ref: ObjectRef) -> bool:
    why_not = why_no_recording(ref.key, ref.size_bytes)
    return why_not is None or (why_not not in {"own", "folder_marker"} and may_tell(ref.key))


def _look_for_stranded(database: Database, report: Report, *, fix: bool) -> None:
    while True:
        with database.read() as connection:
            stranded = retries.stranded(connection)
        report.stranded_count += len(stranded)
        if not fix or not stranded:
            return
        with database.write() as connection:
            queued = retries.requeue(connection, stranded, now=datetime.now(UTC))
        report.requeued_count += queued
        if not queued:
            return


def _is_older(objects: ObjectStore, ref: ObjectRef, since: datetime) -> bool:
    try:
        stored_at = objects.head(ref.key).last_modified_at
    except ObjectGone:
        return True
    except TerminalError:
        # Whoever looks at it closer says why it is no call.
        return False
    return stored_at is not None and stored_at < since
