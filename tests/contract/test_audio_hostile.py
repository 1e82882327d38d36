"""Files that mean harm, or are merely broken: each ends in a named state, reads nothing else and calls nobody."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.fuzz import MUST_BE_ZERO, NAMED, End, end_of, fuzz, hostile_texts, summary
from bench.witness import Witness
from calls.errors import UndecodableAudio
from engines.audio import AudioLimits, decode
from tests.encoded import write
from tests.servers.process import wait_until


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Witness]:
    with Witness(tmp_path / "planted.wav") as entered:
        yield entered


def test_the_witness_sees_who_reads_and_who_calls(witness: Witness) -> None:
    assert (witness.read_count, witness.call_count) == (0, 0)
    witness.planted.read_bytes()
    socket.create_connection(("127.0.0.1", witness.port)).close()
    wait_until(lambda: witness.call_count == 1, what="the call is counted")
    if witness.is_watching:
        assert witness.read_count > 0


def test_the_planted_file_is_one_that_would_be_heard(witness: Witness) -> None:
    decoded = decode(witness.planted)
    assert decoded.decoded_s == pytest.approx(2, abs=0.1)
    assert decoded.container == "wav"


def test_texts_that_a_player_would_follow_are_no_audio_and_lead_nowhere(tmp_path: Path, witness: Witness) -> None:
    texts = hostile_texts(witness)
    for number, text in enumerate(texts):
        path = tmp_path / f"{number}.wav"
        path.write_bytes(text)
        with pytest.raises(UndecodableAudio) as raised:
            decode(path)
        assert raised.value.code == "not_audio"
    assert len(texts) > 50
    assert (witness.read_count, witness.call_count) == (0, 0)


@pytest.mark.parametrize("magic", [b"RIFF\xff\xff\0\0WAVE", b"OggS", b"fLaC", b"\0\0\0\x18ftypM4A ", b"#!AMR\n"])
def test_nor_do_they_behind_the_first_bytes_of_a_recording(tmp_path: Path, witness: Witness, magic: bytes) -> None:
    path = tmp_path / "call.wav"
    for text in hostile_texts(witness)[::7]:
        path.write_bytes(magic + text * 20)
        assert end_of(path).code in NAMED
    assert (witness.read_count, witness.call_count) == (0, 0)


def test_a_long_silence_in_a_small_file_is_too_long_soon(tmp_path: Path) -> None:
    path = tmp_path / "silence.flac"
    write(path, np.zeros((1, 3600 * 8000), np.int16), container="flac", codec="flac")
    assert path.stat().st_size < 1 << 20
    started_at = time.monotonic()
    with pytest.raises(UndecodableAudio) as raised:
        decode(path, limits=AudioLimits(max_duration_s=900, max_memory_bytes=256 << 20))
    assert raised.value.code == "too_long"
    assert time.monotonic() - started_at < 5


def test_nor_is_it_read_for_longer_when_its_header_hides_how_long_it_is(tmp_path: Path) -> None:
    path = tmp_path / "silence.flac"
    write(path, np.zeros((1, 3600 * 8000), np.int16), container="flac", codec="flac")
    content = bytearray(path.read_bytes())
    # The count of samples in STREAMINFO: zero is "unknown".
    content[22:26] = bytes(4)
    content[21] &= 0xF0
    path.write_bytes(bytes(content))
    with pytest.raises(UndecodableAudio) as raised:
        decode(path, limits=AudioLimits(max_duration_s=900, max_memory_bytes=256 << 20))
    assert (raised.value.code, raised.value.detail) == ("too_long", "longer than is read")


def test_a_header_that_promises_the_moon_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    content = bytearray(write(path, np.full((2, 8000), 999, np.int16), container="wav", codec="pcm_s16le").read_bytes())
    content[22:24], content[24:28] = (60_000).to_bytes(2, "little"), (2**31 - 1).to_bytes(4, "little")
    path.write_bytes(bytes(content))
    with pytest.raises(UndecodableAudio) as raised:
        decode(path, limits=AudioLimits(max_memory_bytes=256 << 20))
    assert raised.value.code in {"corrupt", "empty"}


def test_mutated_recordings_end_in_named_states_and_lead_nowhere() -> None:
    found = fuzz(300, seed=20261127)
    assert {key: found[key] for key in MUST_BE_ZERO} == dict.fromkeys(MUST_BE_ZERO, 0)
    assert found["inputs"] == 300
    # Were nearly all of them recognised as no audio, nothing would have been tried.
    assert found["ends"]["ok"] + found["ends"]["corrupt"] > 100


def test_what_must_not_happen_is_counted(witness: Witness) -> None:
    ends = [End("ok", 1.0), End("crash:IndexError", 0.1), End("ok", 1e6), End("strange", 0.1), End("corrupt", 0.1)]
    found = summary(ends, witness)
    assert [found[key] for key in ("inputs", "crashes", "hangs", "unnamed_ends")] == [5, 1, 1, 1]
