"""From telephony's news of a recording to a durable call: tellings, call, recording and job in one transaction."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from calls.pipeline import SkipReason
from calls.recording import CallFacts, ObjectRef, StoredObject
from calls.telling import Rank, Telling, believable, call_subject, merge_tellings, object_subject
from crm.announced import Without, announce, call_of_recording, is_known, note_without, withdraw
from crm.arrivals import Arrival, Received
from crm.tellings import ToldOf, store_tellings, tellings_about
from ingest.events import Announced, UnreadableEvent
from ingest.intake import Intake
from ingest.looking import Looked
from ingest.merging import Merging
from ingest.profiles import Reading
from ingest.twilio import ORIGIN, SOURCE_SYSTEM, RecordingNews, news_of_listed, recording_key

log = structlog.get_logger()


def take_news(intake: Intake, news: RecordingNews, *, now: datetime) -> bool:
    """Make a call of what Twilio says of a recording; when this returns, it is durable. False where it was known.

    A recording that Twilio keeps waits to be fetched; where there is none, the call is skipped and seen. Raises
    TransientError when the database cannot be reached.
    """
    if news.skip_reason is None:
        received, event = _announce(intake, news, now), "recording_announced"
    else:
        received, event = _note_without(intake, news, news.skip_reason, now), "call_without_recording"
    if received.is_new:
        log.info(event, call_id=str(received.call_id), source=SOURCE_SYSTEM)
    return received.is_new


def _announce(intake: Intake, news: RecordingNews, now: datetime) -> Received:
    ref = ObjectRef(intake.objects.bucket, recording_key(news.call_sid, news.recording_sid))
    with intake.database.write() as connection:
        known = call_of_recording(connection, ref)
        if known is not None:
            return Received(known.hex, is_new=False)
        # Of this recording alone: another one of the same call began at another time.
        told = ToldOf(object_subject(ref.bucket, ref.key), _telling(news))
        store_tellings(connection, [told], now=now)
        withdraw(connection, call_subject(SOURCE_SYSTEM, news.call_sid), ORIGIN)
        looked = Looked(Announced((ref,)), StoredObject(ref), _reading(news))
        [arrival] = Merging(intake.profiles, ref.bucket, [looked], now=now).arrivals(connection)
        return announce(connection, arrival, now=now)


def _note_without(intake: Intake, news: RecordingNews, reason: SkipReason, now: datetime) -> Received:
    subject = call_subject(SOURCE_SYSTEM, news.call_sid)
    with intake.database.write() as connection:
        own = _telling(news)
        told = [one for one in tellings_about(connection, [subject]).get(subject, []) if one.origin != own.origin]
        facts = believable(merge_tellings([*told, own]), now)
        # It lies nowhere, and is named by its call alone.
        nowhere = StoredObject(ObjectRef("", ""))
        arrival = Arrival(nowhere, facts, SOURCE_SYSTEM, SOURCE_SYSTEM)
        received = note_without(connection, Without(arrival, reason), now=now)
        if received.is_new:
            store_tellings(connection, [ToldOf(subject, own)], now=now)
        return received


def _telling(news: RecordingNews) -> Telling:
    return Telling(ORIGIN, Rank.RECORD, news.facts, source_system=SOURCE_SYSTEM)


def _reading(news: RecordingNews) -> Reading:
    return Reading(SOURCE_SYSTEM, SOURCE_SYSTEM, CallFacts(external_call_id=news.call_sid))


@dataclass
class KeptReport:
    """Recordings that telephony lists, and those that are no call here: `queued_count` of them became one now.

    `unread_count` of the listed ones nobody can read.
    """

    listed_count: int = 0
    missing_count: int = 0
    queued_count: int = 0
    unread_count: int = 0


def reconcile_kept(
    intake: Intake, listed: Iterable[Mapping[str, object]], account_sid: str, *, fix: bool
) -> KeptReport:
    """Compare what Twilio lists with the database; with `fix`, take in what no callback told.

    A callback is sent for some seconds and no longer: what comes while nobody listens is found by this alone.
    """
    report = KeptReport()
    for document in listed:
        try:
            news = news_of_listed(document, account_sid)
        except UnreadableEvent:
            report.unread_count += 1
            continue
        if news is None:
            continue
        report.listed_count += 1
        if _is_known(intake, news):
            continue
        report.missing_count += 1
        if fix:
            take_news(intake, news, now=datetime.now(UTC))
            report.queued_count += 1
    return report


def _is_known(intake: Intake, news: RecordingNews) -> bool:
    with intake.database.read() as connection:
        if news.skip_reason is not None:
            return is_known(connection, SOURCE_SYSTEM, news.call_sid)
        key = recording_key(news.call_sid, news.recording_sid)
        return call_of_recording(connection, ObjectRef(intake.objects.bucket, key)) is not None
