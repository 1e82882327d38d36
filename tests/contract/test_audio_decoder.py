"""Whatever a recording makes of its decoder, the call ends in a named state within its time, and the worker lives."""

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from calls.errors import TransientError, UndecodableAudio
from engines.audio import AudioLimits, decode
from engines.audio_decoder import PROGRAM, Decoder
from tests.encoded import chirps, write
from tests.servers.process import wait_until

WORKER = """
import sys
from pathlib import Path
from engines.audio import decode
from engines.audio_decoder import Decoder
decode(Path(sys.argv[2]), by=Decoder(Path(sys.argv[1])))
"""
on_linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found in /proc")
LIMITS = AudioLimits(max_duration_s=60, max_memory_bytes=512 << 20, max_wall_s=4, max_stall_s=2)
# For what ends by itself: a busy machine may need seconds to give and take back the memory.
PATIENT = replace(LIMITS, max_wall_s=120, max_stall_s=60)


@pytest.fixture
def unhealthy() -> Iterator[Decoder]:
    decoder = Decoder(Path(__file__).parents[1] / "unhealthy_decoder.py")
    yield decoder
    decoder.close()


@pytest.fixture
def healthy() -> Iterator[Decoder]:
    decoder = Decoder()
    yield decoder
    decoder.close()


def deed(folder: Path, word: object) -> Path:
    """A recording, to look at it, that makes its decoder do `word`."""
    path = folder / "call.wav"
    path.write_bytes(b"RIFF\x24\x00\x00\x00WAVE " + str(word).encode())
    return path


@pytest.mark.parametrize("word", ["hang", "sleep"])
def test_a_decoder_that_never_ends_is_ended(tmp_path: Path, unhealthy: Decoder, word: str) -> None:
    with pytest.raises(UndecodableAudio) as raised:
        decode(deed(tmp_path, word), limits=LIMITS, by=unhealthy)
    assert raised.value.code == "decoder_timed_out"


@pytest.mark.parametrize(
    ("word", "code"),
    [("crash", "decoder_died"), ("leave", "decoder_died"), ("eat", "decoder_died"), ("flood", "too_long")],
)
def test_a_decoder_that_ends_otherwise_than_it_should_ends_the_call_with_a_code(
    tmp_path: Path, unhealthy: Decoder, word: str, code: str
) -> None:
    with pytest.raises(UndecodableAudio) as raised:
        decode(deed(tmp_path, word), limits=PATIENT, by=unhealthy)
    assert raised.value.code == code


def test_after_any_of_them_the_same_server_serves_the_next_call(tmp_path: Path, unhealthy: Decoder) -> None:
    for word in ("crash", "eat", "leave", "crash"):
        with pytest.raises(UndecodableAudio) as raised:
            decode(deed(tmp_path, word), limits=PATIENT, by=unhealthy)
        assert raised.value.code == "decoder_died"


def test_a_decoder_that_somebody_else_ends_is_another_attempts_work(tmp_path: Path, unhealthy: Decoder) -> None:
    with pytest.raises(TransientError) as raised:
        decode(deed(tmp_path, "killed"), limits=PATIENT, by=unhealthy)
    assert raised.value.code == "decoder_died"


def test_a_decoder_can_open_no_file(tmp_path: Path, unhealthy: Decoder) -> None:
    secret = tmp_path / "secret"
    secret.write_text("nobody may read this")
    with pytest.raises(OSError, match=os.strerror(errno.EMFILE)) as raised:
        decode(deed(tmp_path, secret), limits=PATIENT, by=unhealthy)
    assert raised.value.errno == errno.EMFILE


def test_a_decoder_can_call_no_address(tmp_path: Path, unhealthy: Decoder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
            decode(deed(tmp_path, server.getsockname()[1]), limits=PATIENT, by=unhealthy)
        with pytest.raises(TimeoutError):
            server.accept()


@on_linux
def test_a_server_that_was_ended_is_started_again(tmp_path: Path, healthy: Decoder) -> None:
    path = write(tmp_path / "c.wav", chirps(1), container="wav", codec="pcm_s16le")
    first = decode(path, by=healthy).decoded_s
    [server] = _children_that_run(PROGRAM)
    os.kill(server, signal.SIGKILL)
    assert decode(path, by=healthy).decoded_s == first


@on_linux
def test_who_stops_the_worker_by_hand_does_not_stop_a_call_halfway(tmp_path: Path, healthy: Decoder) -> None:
    path = write(tmp_path / "c.wav", chirps(1), container="wav", codec="pcm_s16le")
    decode(path, by=healthy)
    [server] = _children_that_run(PROGRAM)
    for kind in (signal.SIGINT, signal.SIGTERM):
        os.kill(server, kind)
    assert decode(path, by=healthy).decoded_s == pytest.approx(1, abs=0.1)
    assert _children_that_run(PROGRAM) == [server]


def test_threads_decode_at_the_same_time_each_its_own(tmp_path: Path, healthy: Decoder) -> None:
    lengths = [2, 3, 4, 5, 6, 7, 8, 9]
    paths = [write(tmp_path / f"{n}", chirps(n), container="flac", codec="flac") for n in lengths]
    found = {}

    def hear(path: Path) -> None:
        found[path] = round(decode(path, by=healthy).decoded_s)

    threads = [threading.Thread(target=hear, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[path] for path in paths] == lengths


@on_linux
def test_a_call_that_ran_out_of_time_leaves_no_process_behind(tmp_path: Path, unhealthy: Decoder) -> None:
    with pytest.raises(UndecodableAudio):
        decode(deed(tmp_path, "hang"), limits=LIMITS, by=unhealthy)
    [server] = _children_that_run(Path("unhealthy_decoder.py"))
    wait_until(lambda: _children_of(server) == [], what="the child is gone")


@on_linux
def test_a_worker_that_is_killed_takes_its_decoder_with_it(tmp_path: Path) -> None:
    program = Path(__file__).parents[1] / "unhealthy_decoder.py"
    worker = subprocess.Popen([sys.executable, "-c", WORKER, program, deed(tmp_path, "sleep")], cwd=program.parents[1])
    wait_until(lambda: [child for server in _children_of(worker.pid) for child in _children_of(server)], what="at work")
    [server] = _children_of(worker.pid)
    [child] = _children_of(server)
    worker.kill()
    worker.wait()
    wait_until(lambda: not (_is_running(server) or _is_running(child)), what="server and child are gone")


def test_samples_leave_nothing_on_the_disk(tmp_path: Path) -> None:
    path = write(tmp_path / "c.wav", chirps(2), container="wav", codec="pcm_s16le")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    decoded = decode(path, scratch=scratch)
    assert list(scratch.iterdir()) == []
    assert decoded.audio.samples[0, 8000:9000].any()
    with pytest.raises(ValueError, match="read-only"):
        decoded.audio.samples[0, 0] = 1


def _is_running(pid: int) -> bool:
    """Whether the process is there and has not merely not been buried yet."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _children_of(pid: int) -> list[int]:
    """Processes whose parent is `pid`, as the kernel says."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            stat = (entry / "stat").read_text() if entry.name.isdigit() else ""
        except OSError:
            continue
        if stat and int(stat.rpartition(")")[2].split()[1]) == pid:
            found.append(int(entry.name))
    return found


def _children_that_run(program: Path) -> list[int]:
    """The youngest of our own children that has the program in its command line: older ones serve other tests."""
    ours = [
        pid
        for pid in _children_of(os.getpid())
        if program.name.encode() in (Path("/proc") / str(pid) / "cmdline").read_bytes()
    ]
    return sorted(ours)[-1:]
