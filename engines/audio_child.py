"""The program that decodes: a small server that forks a child for each recording, with nothing but what it needs.

    python -I -S engines/audio_child.py SITE_PACKAGES < control socket

It runs by itself, apart from the worker, and knows nothing of it: what a hostile file makes of a decoder then reaches
no database, no key and no other call. Starting Python and FFmpeg costs a fifth of a second; a fork of a process that
has both costs some milliseconds. That is why one server serves all calls of a worker, one child each.

A request is a line of JSON on the control socket, and with it three open files: the recording to read, the file to
write samples to, and a socket for the answer. The child can open nothing else: before it looks at the recording, its
limit of open files is set to none, so that no playlist, no reference and no address in it leads anywhere. The answer is
a line of JSON from the child, if it lived, and one with its exit status from the server. Who closes the answer's socket
ends the child.
"""

import contextlib
import errno
import io
import itertools
import json
import os
import resource
import selectors
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

if __name__ == "__main__":
    # Without `site` (-S) only the standard library is found; with it, every start would run what packages hook in.
    sys.path.append(sys.argv[1])

import av
import av.logging

CODECS = (
    "pcm_s16le,pcm_s16be,pcm_u8,pcm_s8,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,pcm_f64le,pcm_f64be,"
    "pcm_mulaw,pcm_alaw,adpcm_ima_wav,adpcm_ima_qt,adpcm_ms,adpcm_g726,g722,g729,gsm,gsm_ms,truespeech,mp2,mp2float,"
    "mp3,mp3float,aac,alac,opus,libopus,vorbis,libvorbis,flac,amrnb,amrwb,libopencore_amrnb,libopencore_amrwb"
)
MIN_RATE_HZ = 1_000
MAX_RATE_HZ = 768_000
MAX_CHANNELS = 64
_READ_AHEAD_BYTES = 256 * 1024
_BLOCK_BYTES = 256 * 1024
_CPU_GRACE_S = 5
# More than a server ever has open: a socket for each child at work, and a handful.
_FILES_OF_SERVER = 4096
# FFmpeg's resampler costs as much for a frame as for a second of sound, and telephony's frames are of 20 ms.
_SAMPLES_TOGETHER = 32 * 1024
# Eight times FFmpeg's own: each packet passes through Python, which else takes longer than the sound in it.
_WAV_PACKET_BYTES = "32768"

Answer = dict[str, Any]
Read = Callable[[BinaryIO, int, Answer], Answer]


class NotUsable(Exception):
    """The recording cannot be used; `code` says why."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def serve(control: socket.socket, read: Read) -> None:
    """Fork a child for each request until the other side is gone; each child ends with its asker at the latest."""
    av.logging.set_level(None)
    # Who stops the worker by hand or by supervisor means the worker, which lets a call come to its end.
    for kind in (signal.SIGINT, signal.SIGTERM):
        signal.signal(kind, signal.SIG_IGN)
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _kind, _frame: None)
    children: dict[int, socket.socket] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is control:
                    if not _take_request(control, selector, children, read):
                        for pid in children:
                            os.kill(pid, signal.SIGKILL)
                        return
                elif key.fileobj == woken:
                    os.read(woken, 4096)
                    _bury(selector, children)
                elif key.data in children:
                    # Nobody writes to this socket, so that it has something to read means that it was closed.
                    selector.unregister(key.fileobj)
                    os.kill(key.data, signal.SIGKILL)


def _take_request(
    control: socket.socket, selector: selectors.BaseSelector, children: dict[int, socket.socket], read: Read
) -> bool:
    """Start a child for one request and say so; False when there is nobody any more to ask."""
    try:
        line, files, _, _ = socket.recv_fds(control, 65536, 3)
    except OSError:
        return False
    if len(files) != 3:
        return False
    source, samples, answer = files
    pid = os.fork()
    if pid == 0:
        _be_child(json.loads(line), source, samples, answer, read)
    os.close(source)
    os.close(samples)
    children[pid] = socket.socket(fileno=answer)
    selector.register(children[pid], selectors.EVENT_READ, pid)
    try:
        control.sendall(b"+")
    except OSError:
        return False
    return True


def _bury(selector: selectors.BaseSelector, children: dict[int, socket.socket]) -> None:
    """Tell the askers of children that have ended how they ended."""
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        answer = children.pop(pid)
        if answer in selector.get_map():
            selector.unregister(answer)
        with contextlib.suppress(OSError):
            answer.sendall(json.dumps({"exit": os.waitstatus_to_exitcode(status)}).encode() + b"\n")
        answer.close()


def _be_child(wanted: Answer, source: int, samples: int, answer: int, read: Read) -> None:
    """Read the recording, send what was found, and end; never returns."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(1, 0)
        kept = sorted({0, 1, 2, source, samples, answer})
        for low, high in itertools.pairwise([*kept, _FILES_OF_SERVER]):
            os.closerange(low + 1, high)
        _limit_self(wanted)
        with os.fdopen(source, "rb", buffering=_READ_AHEAD_BYTES) as file:
            found = _answer_of(read, file, samples, wanted)
        with socket.socket(fileno=answer) as asker:
            asker.sendall(json.dumps(found).encode() + b"\n")
        status = 0
    finally:
        os._exit(status)


def _limit_self(wanted: Answer) -> None:
    cpu_s = int(wanted["max_wall_s"]) + 1
    for kind, soft, hard in (
        (resource.RLIMIT_AS, wanted["max_memory_bytes"], wanted["max_memory_bytes"]),
        (resource.RLIMIT_CPU, cpu_s, cpu_s + _CPU_GRACE_S),
        (resource.RLIMIT_FSIZE, wanted["max_file_bytes"], wanted["max_file_bytes"]),
        (resource.RLIMIT_CORE, 0, 0),
        # What is open stays open; nothing can be opened any more, be it a file or a connection.
        (resource.RLIMIT_NOFILE, 0, 0),
    ):
        try:
            resource.setrlimit(kind, (soft, hard))
        except (OSError, ValueError):
            continue


def _answer_of(read: Read, file: BinaryIO, samples: int, wanted: Answer) -> Answer:
    try:
        return read(file, samples, wanted)
    except NotUsable as error:
        return {"code": error.code, "detail": error.detail}
    except MemoryError:
        return {"code": "decoder_died", "detail": f"it wanted more than {wanted['max_memory_bytes'] >> 20} MB"}
    except OSError as error:
        if error.errno == errno.EFBIG:
            return {"code": "too_long", "detail": "more sound than may be kept"}
        return {"errno": error.errno or errno.EIO}
    except Exception as error:  # noqa: BLE001 - whatever a broken file brings forth is a broken file
        return {"code": "corrupt", "detail": f"the decoder gave up ({type(error).__name__})"}


def read_recording(file: BinaryIO, samples: int, wanted: Answer) -> Answer:
    """Decode with the one demuxer that is wanted, and write int16 samples: channel after channel, each in its place.

    Raises NotUsable (`corrupt`, `not_audio`, `empty`, `too_long`).
    """
    options = {"protocol_whitelist": "file", "format_whitelist": wanted["demuxer"], "codec_whitelist": CODECS}
    if wanted["demuxer"] == "wav":
        options["max_size"] = _WAV_PACKET_BYTES
    try:
        container: Any = av.open(file, format=wanted["demuxer"], options=options, metadata_errors="ignore")
    except MemoryError:
        raise
    except (av.FFmpegError, ValueError, OverflowError) as error:
        raise NotUsable("corrupt", f"{wanted['name']} that cannot be opened") from error
    if not container.streams.audio:
        raise NotUsable("not_audio", f"{wanted['name']} without a sound track")
    declared_s = float(container.duration / av.time_base) if container.duration else None
    if declared_s and wanted["max_declared_s"] and declared_s > wanted["max_declared_s"]:
        raise NotUsable(
            "too_long", f"{declared_s:.0f} s by its own word, at most {wanted['max_declared_s']:.0f} are read"
        )
    stream = container.streams.audio[0]
    for other in container.streams:
        if other is not stream:
            other.discard = "all"
    packets = _Packets()
    target = _Target(samples, wanted)
    for frame in _resampled(packets.frames(container, stream), wanted["rate_hz"]):
        target.add(frame)
    target.flush()
    if packets.bad_count > packets.good_count:
        raise NotUsable("corrupt", f"{packets.bad_count} broken packets, {packets.good_count} whole")
    if target.sample_count == 0:
        raise NotUsable("empty", f"{wanted['name']} without any sound in it")
    context = stream.codec_context
    return {
        "codec": str(context.codec.canonical_name),
        "source_rate_hz": int(context.sample_rate or 0),
        "source_channel_count": int(context.channels or target.channel_count),
        "declared_s": declared_s,
        "channel_count": target.channel_count,
        "sample_count": target.sample_count,
        "bad_packet_count": packets.bad_count,
    }


def warm_up() -> None:
    """Decode a moment of silence and a broken file: PyAV loads parts of itself when they are first used, and a child
    could not.
    """
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16)
    header = struct.pack("<4sI4s", b"RIFF", 1636, b"WAVE") + form + struct.pack("<4sI", b"data", 1600)
    wanted = {"name": "wav", "demuxer": "wav", "rate_hz": 16000, "max_samples": 16000, "channel_bytes": 32000}
    wanted["max_declared_s"] = None
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - pathlib is nothing that the child needs
        read_recording(io.BytesIO(header + bytes(1600)), nowhere.fileno(), wanted)
        with contextlib.suppress(NotUsable):
            read_recording(io.BytesIO(b"RIFF"), nowhere.fileno(), wanted)


class _Packets:
    """Decoded frames of one stream; a packet that FFmpeg cannot decode is counted, not fatal."""

    def __init__(self) -> None:
        self.good_count = 0
        self.bad_count = 0

    def frames(self, container: Any, stream: Any) -> Iterator[Any]:
        packets = container.demux(stream)
        asker = os.getppid()
        while True:
            try:
                packet = next(packets)
                decoded = packet.decode()
            except StopIteration:
                return
            except av.EOFError:
                continue
            except MemoryError:
                raise
            except av.FFmpegError:
                self.bad_count += 1
                if self.bad_count > 1000 + self.good_count:
                    return
                continue
            self.good_count += bool(decoded)
            if self.good_count % 1000 == 0 and os.getppid() != asker:
                os._exit(1)
            yield from decoded


class _Target:
    """The file of samples: channel 0 from its beginning, channel 1 from `channel_bytes` on, a hole between them."""

    def __init__(self, samples: int, wanted: Answer) -> None:
        self.channel_count = 0
        self.sample_count = 0
        self._file = samples
        self._max_samples = int(wanted["max_samples"])
        self._channel_bytes = int(wanted["channel_bytes"])
        self._held: list[bytearray] = []
        self._written_bytes = 0

    def add(self, frame: Any) -> None:
        """Take the frame's first two channels; a channel that is missing repeats the last one."""
        if not self._held:
            self.channel_count = min(len(frame.planes), 2)
            self._held = [bytearray() for _ in range(self.channel_count)]
        self.sample_count += frame.samples
        if self.sample_count > self._max_samples:
            raise NotUsable("too_long", "longer than is read")
        for channel, held in enumerate(self._held):
            plane = frame.planes[min(channel, len(frame.planes) - 1)]
            held.extend(memoryview(plane)[: 2 * frame.samples])
        if len(self._held[0]) >= _BLOCK_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        for channel, held in enumerate(self._held):
            at = channel * self._channel_bytes + self._written_bytes
            left = memoryview(held)
            while left:
                written = os.pwrite(self._file, left, at)
                at, left = at + written, left[written:]
        if self._held:
            self._written_bytes += len(self._held[0])
            self._held = [bytearray() for _ in self._held]


def _resampled(frames: Iterator[Any], rate_hz: int) -> Iterator[Any]:
    """s16p frames at `rate_hz`, also of a stream that changes its rate or layout midway."""
    resampler, together, shape = None, None, None
    for frame in frames:
        # Times of broken files run backwards, and the resampler's filter would stop at the first that does.
        frame.pts = None
        new_shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if resampler is None or together is None or new_shape != shape:
            _check_shape(frame)
            yield from _rest(resampler, together)
            resampler, together, shape = av.AudioResampler("s16p", frame.layout, rate_hz), av.AudioFifo(), new_shape
        together.write(frame)
        if together.samples >= _SAMPLES_TOGETHER:
            yield from resampler.resample(_taken(together))
    yield from _rest(resampler, together)


def _rest(resampler: Any, together: Any) -> Iterator[Any]:
    if resampler is None:
        return
    if together.samples:
        yield from resampler.resample(_taken(together))
    yield from resampler.resample(None)


def _taken(together: Any) -> Any:
    frame = together.read()
    frame.pts = None
    return frame


def _check_shape(frame: Any) -> None:
    if not MIN_RATE_HZ <= frame.sample_rate <= MAX_RATE_HZ:
        raise NotUsable("corrupt", f"a sample rate of {frame.sample_rate} Hz")
    if not 1 <= frame.layout.nb_channels <= MAX_CHANNELS:
        raise NotUsable("corrupt", f"{frame.layout.nb_channels} channels")


if __name__ == "__main__":
    warm_up()
    serve(socket.socket(fileno=0), read_recording)
