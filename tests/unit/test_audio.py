"""Recordings of every kind become sound, and what is no recording gets its code."""

import os
import shutil
import struct
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest

from calls.errors import UndecodableAudio
from engines.audio import AudioLimits, decode
from engines.audio_kind import find_kind
from tests.encoded import RATE_HZ, amr_wideband, chirps, gsm_wav, write


@pytest.mark.parametrize(
    ("container", "codec", "rate_hz", "channel_count", "name"),
    [
        ("wav", "pcm_s16le", 8000, 2, "wav"),
        ("wav", "pcm_u8", 8000, 1, "wav"),
        ("wav", "pcm_s24le", 8000, 2, "wav"),
        ("wav", "pcm_s32le", 8000, 2, "wav"),
        ("wav", "pcm_mulaw", 8000, 2, "wav"),
        ("wav", "pcm_alaw", 8000, 2, "wav"),
        ("wav", "pcm_f32le", 8000, 2, "wav"),
        ("wav", "pcm_f64le", 8000, 2, "wav"),
        ("wav", "adpcm_ima_wav", 8000, 2, "wav"),
        ("wav", "adpcm_ms", 8000, 2, "wav"),
        ("wav", "pcm_s16le", 4000, 2, "wav"),
        ("wav", "pcm_s16le", 96000, 2, "wav"),
        ("mp3", "libmp3lame", 8000, 2, "mp3"),
        ("mp4", "aac", 8000, 2, "mp4"),
        ("ipod", "aac", 16000, 2, "mp4"),
        ("3gp", "libopencore_amrnb", 8000, 1, "mp4"),
        ("adts", "aac", 16000, 2, "aac"),
        ("ogg", "libopus", 48000, 2, "ogg"),
        ("ogg", "vorbis", 16000, 2, "ogg"),
        ("flac", "flac", 8000, 2, "flac"),
        ("flac", "flac", 96000, 2, "flac"),
        ("webm", "libopus", 48000, 2, "webm"),
        ("amr", "libopencore_amrnb", 8000, 1, "amr"),
        ("au", "pcm_mulaw", 8000, 2, "au"),
        ("aiff", "pcm_s16be", 8000, 2, "aiff"),
    ],
)
def test_each_kind_is_found_by_its_bytes_and_decoded_whole(
    tmp_path: Path, container: str, codec: str, rate_hz: int, channel_count: int, name: str
) -> None:
    path = write(tmp_path / "call.bin", chirps(6, channel_count), container=container, codec=codec, rate_hz=rate_hz)
    decoded = decode(path)
    assert decoded.container == name
    assert decoded.audio.channel_count == channel_count
    assert decoded.audio.rate_hz == 16_000
    assert decoded.audio.samples.dtype == np.int16
    assert decoded.decoded_s == pytest.approx(6, abs=0.2)
    assert decoded.source_channel_count == channel_count
    assert not decoded.is_truncated
    assert decoded.bad_packet_count == 0


@pytest.mark.parametrize(
    ("content", "name", "codec"),
    [(gsm_wav(6), "wav", "gsm_ms"), (amr_wideband(6), "amr", "amr_wb")],
    ids=["GSM 6.10", "AMR-WB"],
)
def test_what_cannot_be_encoded_here_is_decoded_whole_from_frames_made_by_hand(
    tmp_path: Path, content: bytes, name: str, codec: str
) -> None:
    path = tmp_path / "call.bin"
    path.write_bytes(content)
    decoded = decode(path)
    assert (decoded.container, decoded.codec) == (name, codec)
    assert decoded.decoded_s == pytest.approx(6, abs=0.1)
    assert not decoded.channels[0].is_empty
    assert decoded.bad_packet_count == 0


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg, which has the encoder")
def test_a_gsm_recording_of_a_real_encoder_sounds_like_what_was_recorded(tmp_path: Path) -> None:
    said = write(tmp_path / "said.wav", chirps(6, 1), container="wav", codec="pcm_s16le")
    recorded = tmp_path / "call.bin"
    command = ["ffmpeg", "-v", "error", "-i", said, "-c:a", "libgsm_ms", "-f", "wav", recorded]
    subprocess.run(command, check=True)
    decoded = decode(recorded)
    assert (decoded.container, decoded.codec) == ("wav", "gsm_ms")
    sent, heard = (found.audio.samples[0].astype(np.float64) for found in (decode(said), decoded))
    # The codec works in blocks: what comes out is a little longer.
    assert len(sent) <= len(heard) <= len(sent) + 16_000 // 20
    assert np.corrcoef(sent, heard[: len(sent)])[0, 1] > 0.9


def test_channels_keep_their_order(tmp_path: Path) -> None:
    rows = chirps(3)
    rows[0] = 0
    decoded = decode(write(tmp_path / "c.flac", rows, container="flac", codec="flac"))
    loud = np.abs(decoded.audio.samples.astype(np.int32)).max(axis=1)
    assert loud[0] < 10 < 5000 < loud[1]


@pytest.mark.parametrize("channel_count", range(3, 9))
def test_of_many_channels_the_first_two_are_kept(tmp_path: Path, channel_count: int) -> None:
    rows = chirps(3, channel_count)
    rows[2:] = 0
    decoded = decode(write(tmp_path / "c.wav", rows, container="wav", codec="pcm_s16le"))
    assert decoded.source_channel_count == channel_count
    assert decoded.audio.channel_count == 2
    assert np.abs(decoded.audio.samples).max(axis=1).min() > 5000


@pytest.mark.parametrize(("container", "codec"), [("wav", "pcm_s16le"), ("mp3", "libmp3lame")])
def test_a_mono_call_copied_to_both_channels_becomes_one_channel(tmp_path: Path, container: str, codec: str) -> None:
    rows = np.repeat(chirps(4, 1), 2, axis=0)
    decoded = decode(write(tmp_path / "c", rows, container=container, codec=codec))
    assert decoded.source_channel_count == 2
    assert decoded.audio.channel_count == 1


def test_two_silent_channels_stay_two(tmp_path: Path) -> None:
    rows = np.zeros((2, 4 * RATE_HZ), dtype=np.int16)
    assert decode(write(tmp_path / "c.wav", rows, container="wav", codec="pcm_s16le")).audio.channel_count == 2


@pytest.mark.parametrize(
    ("container", "codec", "rate_hz"),
    [
        ("wav", "pcm_s16le", 8000),
        ("wav", "pcm_mulaw", 8000),
        ("wav", "adpcm_ima_wav", 8000),
        ("flac", "flac", 8000),
        ("mp3", "libmp3lame", 8000),
        ("ogg", "libopus", 48000),
    ],
)
def test_a_recording_cut_in_the_middle_is_truncated(tmp_path: Path, container: str, codec: str, rate_hz: int) -> None:
    whole = write(tmp_path / "whole", chirps(20), container=container, codec=codec, rate_hz=rate_hz).read_bytes()
    cut = tmp_path / "cut"
    cut.write_bytes(whole[: len(whole) * 6 // 10])
    decoded = decode(cut)
    assert decoded.is_truncated
    assert 5 < decoded.decoded_s < 16


def test_a_wav_whose_recorder_never_wrote_the_length_is_not_called_truncated(tmp_path: Path) -> None:
    path = tmp_path / "c.wav"
    write(path, chirps(4), container="wav", codec="pcm_s16le")
    head = bytearray(path.read_bytes())
    at = head.index(b"data") + 4
    head[at : at + 4] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(bytes(head))
    decoded = decode(path)
    assert decoded.declared_s is None
    assert not decoded.is_truncated
    assert decoded.decoded_s == pytest.approx(4, abs=0.1)


def test_broken_packets_are_left_out_and_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "c.mp3", chirps(30), container="mp3", codec="libmp3lame")
    sound = bytearray(path.read_bytes())
    for start in range(len(sound) // 3, len(sound) // 2, 400):
        sound[start : start + 3] = b"\x00\x00\x00"
    path.write_bytes(bytes(sound))
    decoded = decode(path)
    assert decoded.decoded_s > 20


@pytest.mark.parametrize(
    "content",
    [
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        b"This is a note that somebody has renamed to call.wav.\n" * 40,
        b"\xff\xfeH\x00e\x00l\x00l\x00o\x00" * 50,
        b"<html><body>404 Not Found</body></html>",
        b"%PDF-1.7\n",
        b"PK\x03\x04" + bytes(100),
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(500),
        b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(500),
        np.random.default_rng(5).bytes(4000),
        bytes(chirps(1).tobytes()),
        b"\x00" * 5000,
        b"RIFF\x24\x00\x00\x00AVI LIST",
        b"x",
    ],
)
def test_what_is_no_recording_is_not_audio_whatever_its_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(content)
    with pytest.raises(UndecodableAudio) as raised:
        decode(path)
    assert raised.value.code == "not_audio"


def test_a_file_that_only_begins_like_a_recording_is_corrupt(tmp_path: Path) -> None:
    for magic in (b"OggS", b"fLaC", b"\x1aE\xdf\xa3", b"\x00\x00\x00\x20ftypM4A ", b"RIFF\x00\x00\x00\x00WAVEjunk"):
        path = tmp_path / "c.bin"
        path.write_bytes(magic + b"nothing of the kind " * 30)
        with pytest.raises(UndecodableAudio) as raised:
            decode(path)
        assert raised.value.code == "corrupt"


def test_a_file_without_bytes_or_without_sound_is_empty(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.wav"
    nothing.write_bytes(b"")
    header_only = tmp_path / "header.wav"
    with wave.open(str(header_only), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
    for path in (nothing, header_only):
        with pytest.raises(UndecodableAudio) as raised:
            decode(path)
        assert raised.value.code == "empty"


def test_what_is_beyond_the_limits_is_too_long(tmp_path: Path) -> None:
    path = write(tmp_path / "c.wav", chirps(5), container="wav", codec="pcm_s16le")
    for limits in (AudioLimits(max_duration_s=4), AudioLimits(max_bytes=1000)):
        with pytest.raises(UndecodableAudio) as raised:
            decode(path, limits=limits)
        assert raised.value.code == "too_long"
    assert decode(path, limits=AudioLimits(max_duration_s=5.5)).decoded_s == pytest.approx(5, abs=0.1)


def test_long_recordings_are_joined_without_a_seam(tmp_path: Path) -> None:
    rows = chirps(130)
    samples = decode(write(tmp_path / "c.flac", rows, container="flac", codec="flac")).audio.samples
    assert samples.shape[1] == pytest.approx(130 * 16_000, abs=200)
    assert np.abs(samples[0, ::2][: rows.shape[1]].astype(np.int32) - rows[0][: samples.shape[1] // 2]).mean() < 200


def test_one_frame_header_alone_is_no_mp3() -> None:
    frame = b"\xff\xfb\x90\x00" + bytes(413)
    assert find_kind(frame + b"something else entirely") is None
    assert find_kind(frame + frame) is not None


def shared_recordings() -> Path:
    """Recordings of others, for evaluation only; they are not part of the project."""
    beside = os.environ.get("CALLWISE_SHARED") or Path(__file__).parents[2].parent / "shared"
    return Path(beside) / "data" / "callaudio" / "audio"


@pytest.mark.skipif(not shared_recordings().is_dir(), reason="no ../shared/data/callaudio (set CALLWISE_SHARED)")
def test_recordings_of_real_telephony_decode_as_their_kind() -> None:
    kinds = {}
    for path in sorted(shared_recordings().iterdir()):
        try:
            decoded = decode(path)
            kinds[path.name] = (decoded.container, decoded.codec, decoded.is_truncated)
        except UndecodableAudio as error:
            kinds[path.name] = (error.code,)
    assert kinds.pop("azure_missing_wav_header.wav") == ("not_audio",)
    assert kinds["azure_voicemail_mulaw_8k.wav"] == ("wav", "pcm_mulaw", False)
    assert kinds["aws_pca_Auto0_mono_8k_u8.wav"] == ("wav", "pcm_u8", False)
    assert kinds["azure_voicemail_8k_1.mp3"] == ("mp3", "mp3", False)
    assert all(len(kind) == 3 and not kind[2] for kind in kinds.values())
