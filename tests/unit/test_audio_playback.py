"""What people hear and see of a recording: the copy that a browser plays, and the outline of its sound."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from engines.audio import decode, write_peaks, write_playback
from engines.audio_playback import PEAK_COUNT
from engines.speech import SPEECH_RATE_HZ, ChannelAudio
from tests.encoded import chirps, write


@pytest.mark.parametrize("channel_count", [1, 2])
def test_the_playback_file_is_a_stereo_mp3_of_the_same_length(tmp_path: Path, channel_count: int) -> None:
    source = write(tmp_path / "c.wav", chirps(7, channel_count), container="wav", codec="pcm_mulaw")
    write_playback(decode(source).audio, tmp_path / "c.mp3")
    with av.open(str(tmp_path / "c.mp3")) as container:
        stream = container.streams.audio[0]
        assert (container.format.name, stream.codec_context.channels) == ("mp3", 2)
        assert container.duration / av.time_base == pytest.approx(7, abs=0.2)
    assert decode(tmp_path / "c.mp3").audio.channel_count == channel_count


def test_what_is_to_be_silent_is_silent_on_both_channels_and_the_rest_is_as_loud_as_it_was(tmp_path: Path) -> None:
    """Also over the edge between two blocks, before the start and behind the end."""
    source = write(tmp_path / "c.wav", chirps(23, 2), container="wav", codec="pcm_s16le")
    before = decode(source).audio.samples
    write_playback(decode(source).audio, tmp_path / "c.mp3", [(-1.0, 0.5), (9.0, 11.0), (22.0, 99.0)])
    after = decode(tmp_path / "c.mp3").audio.samples

    def loudness(samples: NDArray[np.int16], from_s: float, to_s: float) -> list[float]:
        part = samples[:, int(from_s * SPEECH_RATE_HZ) : int(to_s * SPEECH_RATE_HZ)].astype(float)
        return [float(np.sqrt((row**2).mean())) for row in part]

    # A codec smears a few hundredths of a second.
    for from_s, to_s in ((0.05, 0.4), (9.1, 10.9), (22.2, 22.9)):
        assert max(loudness(after, from_s, to_s)) < 5
    for from_s, to_s in ((1, 8.8), (11.2, 21.8)):
        assert loudness(after, from_s, to_s) == pytest.approx(loudness(before, from_s, to_s), rel=0.1)


def outline(audio: ChannelAudio, folder: Path) -> dict:
    write_peaks(audio, folder / "peaks.json")
    return json.loads((folder / "peaks.json").read_text())


def test_the_outline_shows_where_each_channel_is_loud(tmp_path: Path) -> None:
    samples = np.zeros((2, 10 * SPEECH_RATE_HZ), np.int16)
    samples[0, : 5 * SPEECH_RATE_HZ : 2] = 16384
    samples[1, 5 * SPEECH_RATE_HZ :: 2] = -32768
    found = outline(ChannelAudio(samples), tmp_path)
    half = PEAK_COUNT // 2
    assert found["duration_s"] == 10.0
    assert [channel["high"] for channel in found["channels"]] == [[64] * half + [0] * half, [0] * PEAK_COUNT]
    assert [channel["low"] for channel in found["channels"]] == [[0] * PEAK_COUNT, [0] * half + [-128] * half]


def test_the_outline_of_a_moment_has_no_more_points_than_the_moment_has_samples(tmp_path: Path) -> None:
    found = outline(ChannelAudio(np.array([[256, -256, 512]], np.int16)), tmp_path)
    assert found["channels"] == [{"low": [1, -1, 2], "high": [1, -1, 2]}]
