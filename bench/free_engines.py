"""Engines that cost nothing, and a worker that uses them: what is left is the pipeline itself."""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from calls.errors import ObjectGone
from calls.recording import ObjectRef, StoredObject
from calls.transcript import Utterance
from engines.audio import DecodedAudio
from engines.language_fake import FakeLanguage
from engines.objects_memory import MemoryStore
from engines.speech import SPEECH_RATE_HZ, ChannelAudio
from engines.speech_fake import FakeSpeech
from workers.app import bell, make_parts, provide, wiring
from workers.parts import Parts
from workers.run import run_worker

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


class FreeStore(MemoryStore):
    """Fetches an empty file for every name and forgets what is put, at no cost."""

    def fetch(self, ref: ObjectRef, into: Path) -> None:
        """An empty file."""
        into.touch()

    def put(self, key: str, source: Path | bytes, *, metadata: Mapping[str, str] | None = None) -> StoredObject:
        """Nothing."""
        return StoredObject(ObjectRef(self.bucket, key))


class NamedStore(MemoryStore):
    """Has every recording that it is asked for, and no document, at no cost; lists what it is told to."""

    def __init__(self, bucket: str, listing: Callable[[], Iterator[ObjectRef]] = lambda: iter(())) -> None:
        super().__init__(bucket)
        self._listing = listing

    def head(self, key: str, version_id: str = "") -> StoredObject:
        """Every recording is there."""
        if not key.endswith(".wav"):
            raise ObjectGone
        return StoredObject(ObjectRef(self.bucket, key, etag="e", size_bytes=1))

    def list(self, prefix: str = "", after: str = "") -> Iterator[ObjectRef]:
        """What it was told to list."""
        return self._listing()


def free_parts() -> Parts:
    """The steps' parts of this process with engines that cost nothing: store, decoding, speech, language, playback."""
    wired = wiring()
    speech, language = FakeSpeech(SAID), FakeLanguage()
    return replace(
        make_parts(wired, ring=bell(wired.settings)),
        objects=FreeStore("recordings"),
        speech=lambda: speech,
        language=lambda: language,
        decode=lambda _path: LOUD,
        write_playback=lambda _source, target: target.touch(),
    )


def main() -> None:
    """Run a worker with these engines: `python -m bench.free_engines POOL CONCURRENCY`."""
    provide(free_parts)
    run_worker(wiring().settings, pool=sys.argv[1], concurrency=int(sys.argv[2]))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
