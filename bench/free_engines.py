"""Engines that cost nothing, and a worker that uses them: what is left is the pipeline itself."""

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from calls.analysis import Analysis, Evidence
from calls.money import Charge
from calls.reasons import Taxonomy
from calls.transcript import Utterance
from engines.audio import DecodedAudio
from engines.language import Conversation
from engines.speech import SPEECH_RATE_HZ, ChannelAudio, Heard, SpeechHints
from workers.app import bell, make_parts, provide, wiring
from workers.run import run_worker
from workers.steps import Parts

SAID = (
    Utterance(1, 0.0, 0.9, "how can I help you"),
    Utterance(0, 1.0, 1.9, "where is my order please"),
)


class FreeSpeech:
    """Hears the same two sentences in every recording."""

    name = "free/speech"
    is_demo = True

    def transcribe(self, audio: ChannelAudio, hints: SpeechHints, pay: Callable[[Charge], None]) -> Heard:
        """The two sentences."""
        return Heard(list(SAID), language="en")

    def check(self) -> None:
        """Always fit."""


class FreeLanguage:
    """Gives every conversation the first reason of the taxonomy."""

    name = "free/language"
    prompt_version = "0"
    is_demo = True

    def analyse(self, conversation: Conversation, taxonomy: Taxonomy, pay: Callable[[Charge], None]) -> Analysis:
        """A short analysis, borne out by the customer's turn."""
        quote = conversation.turns[-1].text
        return Analysis(
            headline="Where is the order",
            summary=quote,
            reason_code=taxonomy.reasons[0].code,
            reason_confidence=1.0,
            evidence=tuple(Evidence(name, 1, quote) for name in ("reason", "summary", "outcome")),
            summary_kind="excerpts",
        )

    def check(self) -> None:
        """Always fit."""


SILENCE = DecodedAudio(
    audio=ChannelAudio(np.zeros((2, 2 * SPEECH_RATE_HZ), dtype=np.int16)),
    container="wav",
    codec="pcm_s16le",
    source_rate_hz=8000,
    source_channel_count=2,
    declared_s=2.0,
    decoded_s=2.0,
    is_truncated=False,
    bad_packet_count=0,
)


def free_parts() -> Parts:
    """The steps' parts of this process, with engines, decoding and playback copies that cost nothing."""
    wired = wiring()
    return replace(
        make_parts(wired, ring=bell(wired.settings)),
        speech=FreeSpeech,
        language=FreeLanguage,
        decode=lambda _path: SILENCE,
        write_playback=lambda _source, target: target.write_bytes(b""),
    )


def main() -> None:
    """Run a worker with these engines: `python -m bench.free_engines POOL CONCURRENCY`."""
    provide(free_parts)
    run_worker(wiring().settings, pool=sys.argv[1], concurrency=int(sys.argv[2]))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
