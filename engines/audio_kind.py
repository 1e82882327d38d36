"""What a file is by its first bytes, and how long its header says it is. No name and no extension is believed."""

import struct
from dataclasses import dataclass
from pathlib import Path

HEAD_BYTES = 64 * 1024
_STREAMED_SIZES = frozenset({0, 0xFFFFFFFF})
_OGG_PAGE_HEADER_BYTES = 27
# A header has a handful of chunks; a file of nothing but chunks would be read for minutes.
_MAX_CHUNKS = 1000


@dataclass(frozen=True)
class AudioKind:
    """A container: the `name` that people know and the one `demuxer` of FFmpeg that may read it.

    `states_length` says whether the demuxer's duration was written by the recorder; elsewhere it is computed from the
    file as it is, so it cannot tell that something is missing.
    """

    name: str
    demuxer: str
    states_length: bool = False


WAV = AudioKind("wav", "wav")
MP3 = AudioKind("mp3", "mp3")
MP3_WITH_FRAME_COUNT = AudioKind("mp3", "mp3", states_length=True)
MP4 = AudioKind("mp4", "mov", states_length=True)
OGG = AudioKind("ogg", "ogg")
FLAC = AudioKind("flac", "flac", states_length=True)
WEBM = AudioKind("webm", "matroska", states_length=True)
AMR = AudioKind("amr", "amr")
AU = AudioKind("au", "au")
AIFF = AudioKind("aiff", "aiff")
AAC = AudioKind("aac", "aac")

_MAGIC = ((b"OggS", OGG), (b"fLaC", FLAC), (b"\x1aE\xdf\xa3", WEBM), (b"#!AMR", AMR), (b".snd", AU))


def find_kind(head: bytes) -> AudioKind | None:
    """The container that begins with these bytes (HEAD_BYTES of them suffice); None when it is none that we read."""
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return WAV
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return AIFF
    if head[4:8] == b"ftyp":
        return MP4
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    return _find_mp3(head) or _find_aac(head)


def read_kind(path: Path) -> AudioKind | None:
    """The container of a file, by its first bytes; behind a long ID3 tag (a picture, say) it reads on."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        tag_bytes = _id3_bytes(head)
        if not tag_bytes:
            return find_kind(head)
        file.seek(tag_bytes)
        return find_kind(file.read(HEAD_BYTES))


def wav_stated_s(path: Path) -> float | None:
    """The length in seconds that a WAV file's own header states; None for a recorder that never filled it in.

    FFmpeg's duration cannot serve: for a file that was cut off it is computed from what is left.
    """
    with path.open("rb") as file:
        riff = file.read(12)
        long_data_bytes, rate_hz, bytes_per_s, sample_count = None, 0, 0, 0
        for _ in range(_MAX_CHUNKS):
            header = file.read(8)
            if len(header) < 8:
                return None
            name, size = struct.unpack("<4sI", header)
            if name == b"data":
                data_bytes = long_data_bytes if riff[:4] != b"RIFF" and long_data_bytes else size
                if data_bytes in _STREAMED_SIZES:
                    return None
                if bytes_per_s:
                    return float(data_bytes / bytes_per_s)
                # Some writers of ADPCM leave the rate of bytes at 0; the count of samples stands in `fact`.
                return float(sample_count / rate_hz) if sample_count and rate_hz else None
            body = file.read(min(size, 28))
            if name == b"ds64" and len(body) >= 16:
                long_data_bytes = struct.unpack("<Q", body[8:16])[0]
            elif name == b"fmt " and len(body) >= 12:
                rate_hz, bytes_per_s = struct.unpack("<II", body[4:12])
            elif name == b"fact" and len(body) >= 4:
                sample_count = struct.unpack("<I", body[:4])[0]
            file.seek(size + size % 2 - len(body), 1)
    return None


def is_ogg_cut_off(path: Path) -> bool:
    """True when the last page of an Ogg file is not all there; its length says nothing, being read from that page."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        tail_start = max(0, size - 2 * HEAD_BYTES)
        file.seek(tail_start)
        tail = file.read()
    page = tail.rfind(b"OggS")
    if page < 0:
        return True
    body_at = page + _OGG_PAGE_HEADER_BYTES
    if len(tail) < body_at:
        return True
    lacing = tail[body_at : body_at + tail[body_at - 1]]
    return len(lacing) < tail[body_at - 1] or body_at + len(lacing) + sum(lacing) > len(tail)


def _id3_bytes(head: bytes) -> int:
    """Length of the ID3v2 tag that `head` begins with, 0 without one."""
    if not head.startswith(b"ID3") or len(head) < 10:
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte & 0x7F
    return size + 10


def _find_mp3(head: bytes) -> AudioKind | None:
    """MPEG audio, layer II or III: two frame headers in a row, since one alone is too common in any bytes."""
    start = 0
    while start < min(len(head), 4096) and head[start] == 0:
        start += 1
    length = _mpeg_frame_bytes(head, start)
    if not length:
        return None
    following = start + length
    if len(head) >= following + 4 and not _mpeg_frame_bytes(head, following):
        return None
    first_frame = head[start:following]
    states_length = any(mark in first_frame for mark in (b"Xing", b"Info", b"VBRI"))
    return MP3_WITH_FRAME_COUNT if states_length else MP3


_BITRATES_KBPS = {
    (3, 1): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0),
    (3, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 0),
}
_LOW_BITRATES_KBPS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)
_SAMPLE_RATES_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def _mpeg_frame_bytes(head: bytes, at: int) -> int:
    """Length of the MPEG audio frame whose header stands at `at`, 0 without one. Source: ISO 11172-3, 2.4.2.3."""
    if len(head) < at + 4 or head[at] != 0xFF or head[at + 1] & 0xE0 != 0xE0:
        return 0
    version, layer = head[at + 1] >> 3 & 3, head[at + 1] >> 1 & 3
    bitrate_index, rate_index, padding = head[at + 2] >> 4, head[at + 2] >> 2 & 3, head[at + 2] >> 1 & 1
    if version == 1 or layer not in (1, 2) or rate_index == 3:
        return 0
    kbps = _BITRATES_KBPS.get((version, layer), _LOW_BITRATES_KBPS)[bitrate_index]
    samples = 576 if layer == 1 and version != 3 else 1152
    return samples * kbps * 125 // _SAMPLE_RATES_HZ[version][rate_index] + padding if kbps else 0


_AAC_RATE_COUNT = 13
_ADTS_HEADER_BYTES = 7


def _find_aac(head: bytes) -> AudioKind | None:
    """AAC without a container (ADTS): three frame headers in a row, since its mark is as common as MPEG audio's."""
    at = 0
    for _ in range(3):
        length = _adts_frame_bytes(head, at)
        if not length:
            return None
        at += length
        if at >= len(head):
            return AAC
    return AAC


def _adts_frame_bytes(head: bytes, at: int) -> int:
    """Length of the ADTS frame whose header stands at `at`, 0 without one. Source: ISO 14496-3, 1.A.2.2."""
    if len(head) < at + _ADTS_HEADER_BYTES or head[at] != 0xFF or head[at + 1] & 0xF6 != 0xF0:
        return 0
    if head[at + 2] >> 2 & 15 >= _AAC_RATE_COUNT:
        return 0
    length = (head[at + 3] & 3) << 11 | head[at + 4] << 3 | head[at + 5] >> 5
    return length if length > _ADTS_HEADER_BYTES else 0
