"""What the step `call.transcribe` asks the speech engine for: the words, and where it is wanted a translation."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from calls.money import Charge
from calls.transcript import Utterance
from crm import results
from crm.database import Database
from crm.heard_pieces import keep_answer, kept_answer, queue_of
from engines.speech import ChannelAudio, Heard
from workers.parts import Parts

ENGLISH = "en"


@dataclass(frozen=True)
class StoredPieces:
    """The answers of one recording, kept in the database (see KeptPieces)."""

    database: Database
    recording_id: UUID

    def get(self, key: str) -> str | None:
        """See KeptPieces."""
        with self.database.read() as connection:
            return kept_answer(connection, self.recording_id, key)

    def put(self, key: str, answer: str) -> None:
        """See KeptPieces."""
        with self.database.write() as connection:
            keep_answer(connection, self.recording_id, key, answer, now=datetime.now(UTC))


def hear(
    parts: Parts, work: results.Work, audio: ChannelAudio, pay: Callable[[Charge], None]
) -> tuple[Heard, list[Utterance] | None]:
    """What was heard, and its English translation: None where none is wanted, or where English is spoken.

    The language is that of the call's queue where one is set.
    """
    hints = parts.hints
    if parts.language_by_queue:
        with parts.database.read() as connection:
            queue = queue_of(connection, work.call_id)
        hints = replace(hints, language=parts.language_by_queue.get(queue or "", hints.language))
    engine = parts.speech()
    kept = StoredPieces(parts.database, work.recording_id)
    heard = engine.transcribe(audio, hints, pay, kept)
    if not parts.translates or not heard.utterances or heard.language == ENGLISH:
        return heard, None
    # What was detected holds: the second hearing must not take the call for another language.
    asked = replace(hints, task="translate", language=heard.language or hints.language)
    return heard, engine.transcribe(audio, asked, pay, kept).utterances
