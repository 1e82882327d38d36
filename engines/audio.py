"""Audio in: decoding by forced demuxer, bounded and tolerant of broken packets; and the playback file out.

A recording comes from outside, so nothing of it is believed: the container is found by its first bytes and that one
demuxer of FFmpeg is forced (a playlist that is called call.wav would else be opened, and what it names with it), only
local files and the codecs that telephony uses are allowed, and length in bytes and seconds is bounded.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from calls.errors import UndecodableAudio
from engines.audio_kind import OGG, WAV, AudioKind, is_ogg_cut_off, read_kind, wav_stated_s
from engines.speech import SPEECH_RATE_HZ, ChannelAudio
from engines.voice_activity import speech_spans

__all__ = ["AudioLimits", "DecodedAudio", "decode", "speech_spans", "write_playback"]

_CODECS = (
    "pcm_s16le,pcm_s16be,pcm_u8,pcm_s8,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,pcm_f64le,"
    "pcm_mulaw,pcm_alaw,adpcm_ima_wav,adpcm_ms,adpcm_g726,g722,g729,gsm,gsm_ms,truespeech,mp2,mp2float,mp3,mp3float,"
    "aac,alac,opus,libopus,vorbis,libvorbis,flac,amrnb,amrwb,libopencore_amrnb,libopencore_amrwb"
)
_BLOCK_S = 60
_SAME_CHANNEL_SHARE = 1e-4
_PLAYBACK_BITS_PER_S = 48_000
_PLAYBACK_FRAME_S = 10


@dataclass(frozen=True)
class AudioLimits:
    """How much one recording may be: the file in bytes, the sound in seconds."""

    max_bytes: int = 2 * 1024**3
    max_duration_s: float = 6 * 3600.0


@dataclass(frozen=True)
class DecodedAudio:
    """A decoded recording and what its file said about itself.

    `declared_s` is the length that the recorder wrote down, None where the format has no such place. `is_truncated`:
    less could be decoded than was declared. `audio` has one channel when the two of the file carry the same sound.
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


def decode(path: Path, *, limits: AudioLimits = AudioLimits()) -> DecodedAudio:
    """The recording's sound, int16 at SPEECH_RATE_HZ, the first two channels at most.

    Broken packets are left out and counted. Two channels with one and the same sound (a mono call copied to both)
    become one, or every sentence would be heard twice. Raises UndecodableAudio: `empty` (no sound in it), `not_audio`
    (no container that we read), `corrupt` (more broken than whole), `too_long` (beyond `limits`).
    """
    size_bytes = path.stat().st_size
    if size_bytes == 0:
        raise UndecodableAudio("the object has no bytes", code="empty")
    if size_bytes > limits.max_bytes:
        raise UndecodableAudio(f"{size_bytes} bytes, at most {limits.max_bytes} are read", code="too_long")
    kind = read_kind(path)
    if kind is None:
        raise UndecodableAudio("the first bytes are of no audio container that is read", code="not_audio")
    with _open(path, kind) as container:
        return _read(container, kind, path, limits)


def write_playback(path_in: Path, path_out: Path) -> None:
    """Write the recording as an MP3 for a browser's player: two channels at SPEECH_RATE_HZ, a mono call on both.

    Raises UndecodableAudio like `decode`.
    """
    audio = decode(path_in).audio
    rows = audio.samples if audio.channel_count == 2 else np.repeat(audio.samples, 2, axis=0)
    with av.open(f"file:{path_out}", "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=audio.rate_hz, layout="stereo")
        stream.bit_rate = _PLAYBACK_BITS_PER_S
        step = _PLAYBACK_FRAME_S * audio.rate_hz
        for start in range(0, rows.shape[1], step):
            block = np.ascontiguousarray(rows[:, start : start + step])
            frame = av.AudioFrame.from_ndarray(block, format="s16p", layout="stereo")
            frame.sample_rate = audio.rate_hz
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _open(path: Path, kind: AudioKind) -> "av.container.InputContainer":
    options = {"protocol_whitelist": "file", "format_whitelist": kind.demuxer, "codec_whitelist": _CODECS}
    try:
        return av.open(f"file:{path}", format=kind.demuxer, options=options, metadata_errors="ignore")
    except (av.FFmpegError, ValueError) as error:
        raise UndecodableAudio(f"{kind.name} that cannot be opened", code="corrupt") from error


def _read(container: "av.container.InputContainer", kind: AudioKind, path: Path, limits: AudioLimits) -> DecodedAudio:
    if not container.streams.audio:
        raise UndecodableAudio(f"{kind.name} without a sound track", code="not_audio")
    stream = container.streams.audio[0]
    packets = _Packets()
    samples = _collect(packets.frames(container, stream), limits)
    if packets.bad_count > packets.good_count:
        raise UndecodableAudio(f"{packets.bad_count} broken packets, {packets.good_count} whole", code="corrupt")
    if samples.shape[1] == 0:
        raise UndecodableAudio(f"{kind.name} without any sound in it", code="empty")
    source_channel_count = int(stream.codec_context.channels or samples.shape[0])
    if samples.shape[0] == 2 and _is_same_sound(samples):
        samples = samples[:1].copy()
    declared_s = _declared_s(container, kind, path)
    decoded_s = samples.shape[1] / SPEECH_RATE_HZ
    return DecodedAudio(
        audio=ChannelAudio(samples),
        container=kind.name,
        codec=str(stream.codec_context.codec.canonical_name),
        source_rate_hz=int(stream.codec_context.sample_rate or 0),
        source_channel_count=source_channel_count,
        declared_s=declared_s,
        decoded_s=decoded_s,
        is_truncated=_is_short(declared_s, decoded_s) or (kind is OGG and is_ogg_cut_off(path)),
        bad_packet_count=packets.bad_count,
    )


class _Packets:
    """Decoded frames of one stream; a packet that FFmpeg cannot decode is counted, not fatal."""

    def __init__(self) -> None:
        self.good_count = 0
        self.bad_count = 0

    def frames(
        self, container: "av.container.InputContainer", stream: "av.audio.AudioStream"
    ) -> Iterator["av.AudioFrame"]:
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
                decoded = packet.decode()
            except StopIteration:
                return
            except av.EOFError:
                continue
            except av.FFmpegError:
                self.bad_count += 1
                if self.bad_count > 1000 + self.good_count:
                    return
                continue
            self.good_count += bool(decoded)
            yield from decoded


def _collect(frames: Iterator["av.AudioFrame"], limits: AudioLimits) -> NDArray[np.int16]:
    """The frames' first two channels, resampled; held in blocks of a minute, so that joining costs no second copy."""
    blocks: list[NDArray[np.int16]] = []
    parts: list[NDArray[np.int16]] = []
    part_count, sample_count, channel_count = 0, 0, 0
    for rows in _resampled(frames):
        channel_count = channel_count or min(len(rows), 2)
        parts.append(_fit(rows, channel_count))
        part_count += rows.shape[1]
        if part_count >= _BLOCK_S * SPEECH_RATE_HZ:
            blocks.append(np.concatenate(parts, axis=1))
            sample_count += part_count
            parts, part_count = [], 0
        if sample_count + part_count > limits.max_duration_s * SPEECH_RATE_HZ:
            raise UndecodableAudio(f"longer than {limits.max_duration_s:.0f} s", code="too_long")
    if parts:
        blocks.append(np.concatenate(parts, axis=1))
        sample_count += part_count
    whole = np.empty((channel_count or 1, sample_count), dtype=np.int16)
    start = 0
    while blocks:
        block = blocks.pop(0)
        whole[:, start : start + block.shape[1]] = block
        start += block.shape[1]
    return whole


def _resampled(frames: Iterator["av.AudioFrame"]) -> Iterator[NDArray[np.int16]]:
    """int16 rows [channel, sample] at SPEECH_RATE_HZ, also of a stream that changes its rate or layout midway."""
    resampler, shape = None, None
    for frame in frames:
        # Times of broken files run backwards, and the resampler's filter would stop at the first that does.
        frame.pts = None
        new_shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if resampler is None or new_shape != shape:
            if resampler is not None:
                yield from _rows(resampler.resample(None))
            resampler, shape = av.AudioResampler("s16p", frame.layout, SPEECH_RATE_HZ), new_shape
        yield from _rows(resampler.resample(frame))
    if resampler is not None:
        yield from _rows(resampler.resample(None))


def _rows(frames: Iterable["av.AudioFrame"]) -> Iterator[NDArray[np.int16]]:
    for frame in frames:
        yield frame.to_ndarray().astype(np.int16, copy=False)


def _fit(rows: NDArray[np.int16], channel_count: int) -> NDArray[np.int16]:
    """The first `channel_count` rows; a row that is missing repeats the last one."""
    if len(rows) >= channel_count:
        return rows[:channel_count]
    return np.repeat(rows[-1:], channel_count, axis=0)


def _is_same_sound(samples: NDArray[np.int16]) -> bool:
    """True when the second channel is the first one, but for what a codec changes; two silent channels are not."""
    sound, difference = 0.0, 0.0
    step = _BLOCK_S * SPEECH_RATE_HZ
    for start in range(0, samples.shape[1], step):
        first, second = samples[:, start : start + step].astype(np.float32)
        sound += float(np.square(first).sum() + np.square(second).sum())
        difference += float(np.square(first - second).sum())
    return sound > 0 and difference < _SAME_CHANNEL_SHARE * sound


def _declared_s(container: "av.container.InputContainer", kind: AudioKind, path: Path) -> float | None:
    if kind is WAV:
        return wav_stated_s(path)
    if kind.states_length and container.duration:
        return float(container.duration / av.time_base)
    return None


def _is_short(declared_s: float | None, decoded_s: float) -> bool:
    # Encoders pad and trim: a codec's frame or two, never half a second and a hundredth of the whole.
    return declared_s is not None and declared_s - decoded_s > 0.5 + 0.01 * declared_s
