"""Engines whose words come out of the recording's own bytes, at no cost but an entry for every paid answer.

What stands in the end under a call therefore tells which content was worked on; and how often somebody paid for it is
counted in the side log, not in the database that is on trial.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from hashlib import md5
from pathlib import Path

import numpy as np

from bench.chaos.sidelog import LOG, POINTS, KillPoints, SideLog
from bench.chaos.stories import SILENCE, SPEECH
from calls.analysis import Analysis
from calls.errors import UndecodableAudio
from calls.money import Charge
from calls.pipeline import Step
from calls.reasons import Taxonomy
from calls.recording import OWN_PREFIX, ObjectRef, StoredObject
from calls.transcript import Utterance
from crm import jobs
from crm.database import Database
from engines.audio import DecodedAudio
from engines.language import Conversation
from engines.language_fake import first_words
from engines.objects_folder import FolderStore
from engines.speech import NOTHING_KEPT, ChannelAudio, Heard, KeptPieces, SpeechHints
from workers.app import bell, make_parts, wiring
from workers.leases import Leases
from workers.parts import Parts

LENGTH_S = 4.0
_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")


def words_of(content: bytes) -> str:
    """The content's MD5 in letters: digits could be taken for a card's number and be struck out."""
    return md5(content, usedforsecurity=False).hexdigest().translate(_LETTERS)


def digest_of(word: str) -> str:
    """The MD5 that `words_of` spelled."""
    return word.translate(str.maketrans("abcdefghijklmnop", "0123456789abcdef"))


def decode(path: Path) -> DecodedAudio:
    """Sound of a few samples that carry the content's words. Raises UndecodableAudio as the real one does."""
    content = path.read_bytes()
    if not content.startswith((SPEECH, SILENCE)):
        raise UndecodableAudio("these bytes are no recording", code="not_audio" if content else "empty")
    letters = np.frombuffer(words_of(content).encode(), dtype=np.uint8).astype(np.int16)
    quiet = 0 if content.startswith(SILENCE) else 1000
    return DecodedAudio(
        audio=ChannelAudio(np.stack([letters + quiet, letters + quiet])),
        container="wav",
        codec="pcm_s16le",
        source_rate_hz=8000,
        source_channel_count=2,
        declared_s=LENGTH_S,
        decoded_s=LENGTH_S,
        is_truncated=False,
        bad_packet_count=0,
    )


class Speech:
    """Says the content's words; what it hears is paid for."""

    name = "chaos/speech"
    is_demo = False
    can_translate = False

    def __init__(self, log: SideLog) -> None:
        self._log = log

    def transcribe(
        self,
        audio: ChannelAudio,
        hints: SpeechHints,
        pay: Callable[[Charge], None],
        kept: KeptPieces = NOTHING_KEPT,
    ) -> Heard:
        """See SpeechEngine."""
        samples = audio.samples[0]
        is_quiet = bool(samples[0] < 1000)
        word = (samples - (0 if is_quiet else 1000)).astype(np.uint8).tobytes().decode()
        self._log.write("paid", purpose="speech", content=digest_of(word))
        pay(Charge("chaos", "speech", "transcription", audio_s=LENGTH_S, cost_microusd=100))
        if is_quiet:
            return Heard([])
        return Heard(
            [
                Utterance(1, 0.0, 1.2, "how can I help you"),
                Utterance(0, 1.5, 3.2, f"it is about {word} and nothing else"),
            ],
            "en",
        )

    def check(self) -> None:
        """Nothing can be wrong."""


class Language:
    """The customer's first words under a reason that the words decide; paid for, too."""

    name = "chaos/language"
    prompt_version = "chaos-1"
    is_demo = False

    def __init__(self, log: SideLog) -> None:
        self._log = log

    def analyse(self, conversation: Conversation, taxonomy: Taxonomy, pay: Callable[[Charge], None]) -> Analysis:
        """See LanguageEngine."""
        analysis = first_words(conversation, taxonomy)
        word = analysis.summary.split()[3]
        self._log.write("paid", purpose="language", content=digest_of(word))
        pay(Charge("chaos", "language", "analysis", input_tokens=10, output_tokens=5, cost_microusd=10))
        reason = taxonomy.reasons[ord(word[0]) % len(taxonomy.reasons)]
        return replace(analysis, reason_code=reason.code)

    def check(self) -> None:
        """Nothing can be wrong."""


class Store(FolderStore):
    """The folder as it is, but for playback copies: those cost time and prove nothing here."""

    def put(self, key: str, source: Path | bytes, *, metadata: Mapping[str, str] | None = None) -> StoredObject:
        """See ObjectStore."""
        if key.startswith(OWN_PREFIX):
            return StoredObject(ObjectRef(self.bucket, key))
        return super().put(key, source, metadata=metadata)


class WatchedLeases(Leases):
    """Leases that know, for the side log, which claim this thread works on."""

    def __init__(self, database: Database, lease_s: float, log: SideLog) -> None:
        super().__init__(database, lease_s)
        self._log = log
        self._here = threading.local()

    @property
    def call(self) -> str:
        """The call that this thread works on."""
        return str(self._here.claim.call_id)

    @contextmanager
    def keep(self, claim: jobs.Claim) -> Iterator[None]:
        """See Leases.keep."""
        self._here.claim = claim
        with super().keep(claim):
            try:
                yield
            finally:
                self._log.write("left", call=self.call, step=claim.step.name)


def chaos_parts() -> Parts:
    """This process's parts of the steps with these engines, the side log, and the points at which to die."""
    wired = wiring()
    log, points = SideLog(os.environ[LOG]), KillPoints(Path(os.environ[POINTS]))
    parts = make_parts(wired, ring=bell(wired.settings))
    leases = WatchedLeases(wired.database, wired.settings.work.lease_s, log)
    speech, language = Speech(log), Language(log)

    def observe(step: Step, moment: str) -> None:
        log.write(moment, call=leases.call, step=step.name)
        die_where_told(points, log, f"{step.name} {moment}")

    return replace(
        parts,
        objects=Store(wired.settings.objects_folder, bucket=wired.settings.objects.bucket),
        speech=lambda: speech,
        language=lambda: language,
        decode=decode,
        write_playback=lambda _source, target: target.touch(),
        leases=leases,
        observe=observe,
    )


def die_where_told(points: KillPoints, log: SideLog, moment: str) -> None:
    """End this process, or its whole group, where the harness has armed the moment."""
    whom = points.take(moment)
    if whom is None:
        return
    log.write("killed", moment=moment, whom=whom)
    if whom == "group":
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
