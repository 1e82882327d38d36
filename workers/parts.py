"""What the steps of the pipeline work with, and what each of them answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import sqlalchemy as sa

from calls.errors import EngineMisconfigured
from calls.money import Charge, Service
from calls.pipeline import Lane, SkipReason, Step
from calls.reasons import Taxonomy
from calls.redaction import SensitiveFinder, find_sensitive
from crm.database import Database
from crm.money import note_charge
from engines.audio import DecodedAudio, decode_beside, write_playback
from engines.language import LanguageEngine
from engines.objects import ObjectStore
from engines.speech import ChannelAudio, SpeechEngine, SpeechHints
from workers.leases import Leases
from workers.questions import StoredQuestions

if TYPE_CHECKING:
    from engines.twilio import TwilioRecordings

# Writes what a step found; says why the call is skipped, or which other step of the same stage is to do it.
Write = Callable[[sa.Connection, datetime], SkipReason | Step | None]


def no_twilio() -> "TwilioRecordings":
    """Where no account is configured. Raises EngineMisconfigured: the calls wait until one is."""
    raise EngineMisconfigured(
        "a recording that Twilio keeps cannot be fetched: set CALLWISE_TELEPHONY__TWILIO__ACCOUNT_SID and"
        " CALLWISE_TELEPHONY__TWILIO__AUTH_TOKEN",
        code="missing_auth_token",
    )


@dataclass(frozen=True)
class Parts:
    """What the steps work with; `speech` and `language` are called for on first use, since loading takes time."""

    database: Database
    objects: ObjectStore
    speech: Callable[[], SpeechEngine]
    language: Callable[[], LanguageEngine]
    default_taxonomy: Callable[[], Taxonomy]
    leases: Leases
    # Tells the workers of the step that follows; None where nobody would hear it (the sweep then does).
    ring: Callable[[Step, UUID], None] | None
    # The queues that this worker serves: a call stays with it for as long as it does the next step, too.
    queues: Sequence[str]
    hints: SpeechHints
    scratch: Path
    default_agent_channel: int = 1
    min_speech_s: float = 1.0
    lease_s: float = 10.0
    max_attempts: int = 5
    backoff_s: float = 2.0
    taxonomies: dict[str, Taxonomy] = field(default_factory=dict)
    # Of the calls whose reason people have stated, so many for each reason are shown to engines as examples.
    reviewed_examples: int = 3
    # By the name of the call's queue, where it is not that of `hints`.
    language_by_queue: Mapping[str, str] = field(default_factory=dict)
    translates: bool = False
    redaction: Callable[[], SensitiveFinder] = lambda: find_sensitive
    twilio: Callable[[], "TwilioRecordings"] = no_twilio
    decode: Callable[[Path], DecodedAudio] = decode_beside
    write_playback: Callable[[ChannelAudio, Path], None] = write_playback
    # The engine for one analysis whose questions may wait for a batch; None where they are asked directly.
    batched: Callable[[Lane, StoredQuestions], LanguageEngine | None] = lambda _lane, _questions: None
    # Raises BudgetSpent where the day's money for that service is spent, for work of that lane.
    may_spend: Callable[[Service, Lane], None] = lambda _service, _lane: None
    # Told of each moment of a step: `claimed`, `worked` (the engine has answered), `writing` (before the commit),
    # `committed`. Kill tests kill by it.
    observe: Callable[[Step, str], None] = lambda _step, _moment: None

    def ledger(self, call_id: UUID) -> Callable[[Charge], None]:
        """What an engine tells of each paid request for the call: it is noted at once, whatever becomes of the step."""

        def pay(charge: Charge) -> None:
            if charge.is_booked:
                return
            with self.database.write() as connection:
                note_charge(connection, call_id, charge, now=datetime.now(UTC))

        return pay
