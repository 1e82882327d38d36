"""Engines that cost nothing, and a worker that uses them: what is left is the pipeline itself."""

import sys
from dataclasses import replace

import numpy as np

from calls.transcript import Utterance
from engines.audio import DecodedAudio
from engines.language_fake import FakeLanguage
from engines.speech import SPEECH_RATE_HZ, ChannelAudio
from engines.speech_fake import FakeSpeech
from workers.app import bell, make_parts, provide, wiring
from workers.run import run_worker
from workers.steps import Parts

LENGTH_S = 2
SAID = {
    1: [Utterance(1, 0.0, 0.9, "how can I help you")],
    0: [Utterance(0, 1.0, 1.9, "where is my order please")],
}
LOUD = DecodedAudio(
    audio=ChannelAudio(np.full((2, LENGTH_S * SPEECH_RATE_HZ), 1000, dtype=np.int16)),
    container="wav",
    codec="pcm_s16le",
    source_rate_hz=8000,
    source_channel_count=2,
    declared_s=float(LENGTH_S),
    decoded_s=float(LENGTH_S),
    is_truncated=False,
    bad_packet_count=0,
)


def free_parts() -> Parts:
    """The steps' parts of this process, with engines, decoding and playback copies that cost nothing."""
    wired = wiring()
    speech, language = FakeSpeech(SAID), FakeLanguage()
    return replace(
        make_parts(wired, ring=bell(wired.settings)),
        speech=lambda: speech,
        language=lambda: language,
        decode=lambda _path: LOUD,
        write_playback=lambda _source, target: target.write_bytes(b""),
    )


def main() -> None:
    """Run a worker with these engines: `python -m bench.free_engines POOL CONCURRENCY`."""
    provide(free_parts)
    run_worker(wiring().settings, pool=sys.argv[1], concurrency=int(sys.argv[2]))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
