"""Audio in: any recording as samples, decoded by a child that can harm nobody, in memory that does not grow with it.

A recording comes from outside, so nothing of it is believed: the container is found by its first bytes and that one
demuxer of FFmpeg is forced (a playlist that is called call.wav would else be opened, and what it names with it); it is
decoded in a process of its own that can open no file and no connection (see `audio_child`), and its bytes, its length,
its samples, its memory and its time are bounded.
"""

import mmap
import tempfile
from dataclasses import dataclass
from pathlib import Path

from calls.errors import UndecodableAudio
from engines.audio_channels import ChannelFacts, channel_facts, frame_powers, is_copied
from engines.audio_decoder import Decoder, Found, Wanted, decoder
from engines.audio_kind import OGG, WAV, AudioKind, is_ogg_cut_off, read_kind, wav_stated_s
from engines.audio_playback import write_peaks, write_playback
from engines.audio_samples import map_samples
from engines.speech import SPEECH_RATE_HZ, ChannelAudio
from engines.voice_activity import speech_spans

__all__ = [
    "AudioLimits",
    "ChannelFacts",
    "DecodedAudio",
    "decode",
    "decode_beside",
    "speech_spans",
    "write_peaks",
    "write_playback",
]

_SAMPLE_BYTES = 2


@dataclass(frozen=True)
class AudioLimits:
    """How much one recording may be (bytes of the file, seconds of sound), and what decoding it may take.

    `max_stall_s` is how long no new sound may come out, `max_wall_s` how long all may take.
    """

    max_bytes: int = 2 * 1024**3
    max_duration_s: float = 8 * 3600.0
    max_memory_bytes: int = 1024**3
    max_wall_s: float = 1200.0
    max_stall_s: float = 30.0


@dataclass(frozen=True)
class DecodedAudio:
    """A decoded recording and what its file said about itself.

    `declared_s` is the length that the recorder wrote down, None where the format has no such place. `is_truncated`:
    less could be decoded than was declared. `audio` has one channel when the two of the file carry the same sound;
    `channels` says how loud each of its channels is.
    """

    audio: ChannelAudio
    container: str
    codec: str
    source_rate_hz: int
    source_channel_count: int
    declared_s: float | None
    decoded_s: float
    is_truncated: bool
    bad_packet_count: int
    channels: tuple[ChannelFacts, ...] = ()


def decode(
    path: Path, *, limits: AudioLimits = AudioLimits(), scratch: Path | None = None, by: Decoder | None = None
) -> DecodedAudio:
    """The recording's sound, int16 at SPEECH_RATE_HZ, the first two channels at most; its samples lie in a file.

    That file is made in `scratch` (the system's folder for such without it), has no name, and is gone with the last
    array that shows it. Broken packets are left out and counted. Two channels with one and the same sound (a mono call
    copied to both) become one, or every sentence would be heard twice. Raises UndecodableAudio: `empty` (no sound in
    it), `not_audio` (no container that we read), `corrupt` (more broken than whole), `too_long` (beyond `limits`),
    `decoder_died`, `decoder_timed_out`; TransientError when somebody else ended the decoder.
    """
    size_bytes = path.stat().st_size
    if size_bytes == 0:
        raise UndecodableAudio("the object has no bytes", code="empty")
    if size_bytes > limits.max_bytes:
        raise UndecodableAudio(f"{size_bytes} bytes, at most {limits.max_bytes} are read", code="too_long")
    kind = read_kind(path)
    if kind is None:
        raise UndecodableAudio("the first bytes are of no audio container that is read", code="not_audio")
    wanted = _wanted(kind, limits)
    with path.open("rb") as source, tempfile.TemporaryFile(dir=scratch) as samples:
        found = (by or decoder()).decode(source, samples, wanted)
        rows = map_samples(samples, found.channel_count, found.sample_count, wanted.channel_bytes)
    powers = frame_powers(rows)
    if len(rows) == 2 and is_copied(rows, powers):
        rows, powers = rows[:1], powers[:1]
    declared_s = _declared_s(found, kind, path)
    decoded_s = found.sample_count / SPEECH_RATE_HZ
    return DecodedAudio(
        audio=ChannelAudio(rows),
        container=kind.name,
        codec=found.codec,
        source_rate_hz=found.source_rate_hz,
        source_channel_count=found.source_channel_count,
        declared_s=declared_s,
        decoded_s=decoded_s,
        is_truncated=_is_short(declared_s, decoded_s) or (kind is OGG and is_ogg_cut_off(path)),
        bad_packet_count=found.bad_packet_count,
        channels=channel_facts(powers),
    )


def decode_beside(path: Path) -> DecodedAudio:
    """`decode` with the samples in the recording's own folder: where it had room, they are likely to have it, too."""
    return decode(path, scratch=path.parent)


def _wanted(kind: AudioKind, limits: AudioLimits) -> Wanted:
    max_samples = int(limits.max_duration_s * SPEECH_RATE_HZ)
    # The hole between the channels takes no room on the disk, but it has to end on a page to be mapped.
    channel_bytes = -(-max_samples * _SAMPLE_BYTES // mmap.PAGESIZE) * mmap.PAGESIZE
    return Wanted(
        name=kind.name,
        demuxer=kind.demuxer,
        rate_hz=SPEECH_RATE_HZ,
        max_samples=max_samples,
        max_declared_s=limits.max_duration_s if kind.states_length else None,
        channel_bytes=channel_bytes,
        max_file_bytes=2 * channel_bytes,
        max_memory_bytes=limits.max_memory_bytes,
        max_wall_s=limits.max_wall_s,
        max_stall_s=limits.max_stall_s,
    )


def _declared_s(found: Found, kind: AudioKind, path: Path) -> float | None:
    if kind is WAV:
        return wav_stated_s(path)
    return found.declared_s if kind.states_length else None


def _is_short(declared_s: float | None, decoded_s: float) -> bool:
    # Encoders pad and trim: a codec's frame or two, never half a second and a hundredth of the whole.
    return declared_s is not None and declared_s - decoded_s > 0.5 + 0.01 * declared_s
