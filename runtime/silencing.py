"""The sound of a call for those who may not hear everything: what redaction marks in the transcript is silent in it."""

import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from threading import Lock

import structlog

from calls.errors import CallwiseError, ObjectGone
from calls.recording import SILENCED, TEXT_SUFFIXES, ObjectRef, own_key
from calls.redaction_spans import sensitive_spans
from crm.one_call import RecordingRow, TranscriptRow
from crm.redacted import remembering
from engines.audio import decode_beside, write_playback
from engines.objects import ObjectStore
from runtime.wiring import Wiring

log = structlog.get_logger()

# Behind and before what engines say: a copy that is decoded and encoded again is shifted by some frames.
EXTRA_MARGIN_S = 0.1
_SPANS = "silent-spans"
# Decoding and encoding takes a core: however many people press play, one copy is made at a time.
_one_at_a_time = Lock()


class NotSilenced(CallwiseError):
    """Nobody knows yet, or will know, when in this recording something is said that this listener must not hear."""

    code = "not_silenced"


def silent_stretches(wired: Wiring, heard: TranscriptRow) -> list[tuple[float, float]]:
    """From when to when, in seconds, nothing of the recording may be heard; in order, apart."""
    said = [one for group in heard.utterances_by_turn for one in group]
    stretches: list[tuple[float, float]] = []
    for span in sensitive_spans(said, remembering(wired.redaction)):
        start_s, end_s = max(0.0, span.start_s - EXTRA_MARGIN_S), span.end_s + EXTRA_MARGIN_S
        if stretches and start_s <= stretches[-1][1]:
            stretches[-1] = (stretches[-1][0], max(stretches[-1][1], end_s))
        else:
            stretches.append((start_s, end_s))
    return stretches


def silenced_key(wired: Wiring, held: RecordingRow, heard: TranscriptRow | None) -> str | None:
    """The key of the copy without what must not be heard; None where the recording itself holds nothing of that.

    The copy is made when somebody first asks for it, and anew when the transcript or the rules say otherwise than they
    did. Raises NotSilenced, ObjectGone, UndecodableAudio, TransientError.
    """
    if heard is None:
        raise NotSilenced("What must not be heard is known once the call has its transcript.")
    if not heard.has_times:
        raise NotSilenced("The transcript does not say when things were said, so nothing can be silenced.")
    stretches = silent_stretches(wired, heard)
    if not stretches:
        return None
    key, told = own_key(SILENCED, held.id), _told(stretches)
    with _one_at_a_time:
        try:
            if wired.objects.head(key).metadata.get(_SPANS) == told:
                return key
        except ObjectGone:
            pass
        _make(wired, held, stretches, key, told)
    log.info("audio_silenced", recording_id=str(held.id), stretches=len(stretches))
    return key


def _make(wired: Wiring, held: RecordingRow, stretches: Sequence[tuple[float, float]], key: str, told: str) -> None:
    scratch = wired.settings.home_path / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        source, copy = Path(folder) / "sound", Path(folder) / "silenced"
        _fetch(wired.objects, held, source)
        write_playback(decode_beside(source).audio, copy, stretches)
        wired.objects.put(key, copy, metadata={_SPANS: told})


def _fetch(objects: ObjectStore, held: RecordingRow, source: Path) -> None:
    """The original, whose times are those of the transcript; the playback copy where that is a document or gone."""
    if not held.object_key.lower().endswith(TEXT_SUFFIXES):
        try:
            objects.fetch(ObjectRef(held.bucket, held.object_key, held.version_id, held.etag), source)
            return
        except ObjectGone:
            pass
    if not held.playback_key:
        raise ObjectGone("the call has no recording any more")
    objects.fetch(ObjectRef(held.bucket, held.playback_key), source)


def _told(stretches: Sequence[tuple[float, float]]) -> str:
    """What distinguishes one copy of a recording from another."""
    return sha256(repr([(round(a, 3), round(b, 3)) for a, b in stretches]).encode()).hexdigest()[:32]
