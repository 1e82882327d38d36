"""Whisper over two-channel telephone calls: ours beside openai-whisper and faster-whisper on whole channels, windows
beside the fewest possible, minutes billed by an API beside whole channels, and decoding.

    python -m bench.speech --json [--sizes tiny base] [--call-s 100] [--rounds 1] [--tokens 20] [--same-text]
        [--peers openai_whisper faster_whisper_batched ...]

Models have the true sizes and random weights, and decode `--tokens` tokens in each window (see bench.whisper_sizes).
Time is CPU seconds of this process on one thread, one after the other in each round, after a first hearing that is not
counted; ratios are taken within a round, and their median is told, of several sizes the least. The peers:

- openai_whisper: `transcribe` of each whole channel, with what ours gives, too: five beams, word times;
- openai_whisper_as_it_comes: the same with its own defaults: one beam, no word times;
- faster_whisper_batched: its batched pipeline over each whole channel in windows of 30 s, five beams, word times;
- faster_whisper_batched_with_vad: the same behind its own voice activity detection, for each channel.

`--same-text`: a window of a whole channel decodes no more than its share of speech, as it would of a real call.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from bench.made_calls import SILENT_SHARE, made_call, speech_s, write_telephone_wav
from bench.whisper_sizes import SIZES, write_sized_checkpoint
from calls.money import Charge
from engines.audio import decode
from engines.speech import ChannelAudio, SpeechHints
from engines.speech_api import ApiSpeech
from engines.speech_faster_whisper import WINDOWS_AT_ONCE, FasterWhisperSpeech
from engines.speech_windows import WINDOW_S, pack_windows

BEAMS = 5
PEERS = (
    "openai_whisper",
    "faster_whisper_batched",
    "faster_whisper_batched_with_vad",
    "openai_whisper_as_it_comes",
)
WARM_UP_S = 12
DECODED_S = 1800.0
Run = Callable[[ChannelAudio], object]
LENGTHS_S = (60.0, 90.0, 120.0, 180.0, 240.0, 300.0, 420.0, 600.0)


def main() -> None:
    """Run the rounds and print the document."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--json", action="store_true")
    options.add_argument("--sizes", nargs="*", default=["tiny"], choices=[*SIZES])
    options.add_argument("--call-s", type=float, default=100.0)
    options.add_argument("--rounds", type=int, default=1)
    options.add_argument("--tokens", type=int, default=20)
    options.add_argument("--same-text", action="store_true")
    options.add_argument("--peers", nargs="*", default=[*PEERS[:3]], choices=PEERS)
    given = options.parse_args()
    call = made_call(given.call_s)
    document: dict[str, Any] = {
        "call_s": given.call_s,
        "speech_s": round(speech_s(call), 1),
        "tokens_per_window": given.tokens,
        "rounds": given.rounds,
    }
    with tempfile.TemporaryDirectory() as folder:
        by_size = {size: _compare(call, size, given, Path(folder)) for size in given.sizes}
        document |= {"sizes": by_size}
        for key in ("speech_s_per_cpu_s", "vs_openai_whisper", "vs_faster_whisper_batched"):
            document[key] = min((figures[key] for figures in by_size.values() if key in figures), default=None)
        document |= _count_windows()
        document["billed_minutes_share"] = _billed_share(call)
        document["decode_x_realtime"] = _decode_speed(Path(folder))
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def _compare(call: ChannelAudio, size: str, given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    runs = _runs(size, given, folder)
    first = ChannelAudio(call.samples[:, : WARM_UP_S * call.rate_hz])
    for run in runs.values():
        run(first)
    cpu_s: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(given.rounds):
        for name, run in runs.items():
            started = time.process_time()
            run(call)
            cpu_s[name].append(time.process_time() - started)
    figures: dict[str, Any] = {"speech_s_per_cpu_s": round(speech_s(call) / statistics.median(cpu_s["ours"]), 2)}
    for name, taken in cpu_s.items():
        figures[f"{name}_cpu_s"] = round(statistics.median(taken), 2)
        if name != "ours":
            ratios = [theirs / mine for theirs, mine in zip(taken, cpu_s["ours"], strict=True)]
            figures[f"vs_{name}"] = round(statistics.median(ratios), 2)
    return figures


def _runs(size: str, given: argparse.Namespace, folder: Path) -> dict[str, Run]:
    """Ours and the peers that were asked for, each as a function that hears a call."""
    from tests.whisper_checkpoints import convert_checkpoint

    packed = write_sized_checkpoint(folder / f"{size}.pt", size, given.tokens)
    converted = convert_checkpoint(packed, folder / size)
    whole, whole_converted = packed, converted
    if given.same_text:
        whole = write_sized_checkpoint(folder / f"{size}-w.pt", size, round(given.tokens * (1 - SILENT_SHARE)))
        whole_converted = convert_checkpoint(whole, folder / f"{size}-w")
    ours = FasterWhisperSpeech(str(converted), device="cpu")
    hints = SpeechHints(language="en")
    peers = {
        "openai_whisper": lambda: _openai_whisper(whole, beam_size=BEAMS, word_timestamps=True),
        "openai_whisper_as_it_comes": lambda: _openai_whisper(whole),
        "faster_whisper_batched": lambda: _batched(whole_converted, vad=False),
        # Behind voice activity its windows are as full as ours.
        "faster_whisper_batched_with_vad": lambda: _batched(converted, vad=True),
    }
    return {"ours": lambda call: ours.transcribe(call, hints, lambda _: None)} | {
        name: peers[name]() for name in given.peers
    }


def _openai_whisper(checkpoint: Path, **how: Any) -> Run:
    import torch
    import whisper

    torch.set_num_threads(1)
    model = whisper.load_model(str(checkpoint), device="cpu")

    def run(call: ChannelAudio) -> list[Any]:
        # A prompt would shift the script's positions; without one, the peer decodes less than by default.
        fixed = {"language": "en", "fp16": False, "condition_on_previous_text": False, "temperature": 0.0}
        return [model.transcribe(channel, **fixed, **how) for channel in _as_float(call)]

    return run


def _batched(model: Path, *, vad: bool) -> Run:
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    pipeline = BatchedInferencePipeline(WhisperModel(str(model), device="cpu", compute_type="int8", cpu_threads=1))

    def run(call: ChannelAudio) -> list[Any]:
        starts = np.arange(0, call.duration_s, WINDOW_S)
        clips = [{"start": start, "end": min(start + WINDOW_S, call.duration_s)} for start in starts]
        heard = []
        for channel in _as_float(call):
            segments, _ = pipeline.transcribe(
                channel,
                language="en",
                beam_size=BEAMS,
                batch_size=WINDOWS_AT_ONCE,
                word_timestamps=True,
                without_timestamps=False,
                clip_timestamps=None if vad else clips,
            )
            heard.append(list(segments))
        return heard

    return run


def _as_float(call: ChannelAudio) -> list[np.ndarray]:
    return [row.astype(np.float32) / 32768.0 for row in call.samples]


def _count_windows() -> dict[str, Any]:
    """Windows over calls of many lengths beside the fewest that their seconds of speech could take."""
    windows, fewest = 0, 0
    worst = 1.0
    for number, length_s in enumerate(LENGTHS_S):
        pieces = pack_windows(made_call(length_s, first=number))
        least = ceil(sum(piece.duration_s for piece in pieces) / WINDOW_S)
        windows, fewest, worst = windows + len(pieces), fewest + least, max(worst, len(pieces) / least)
    return {
        "windows_over_optimum": round(windows / fewest, 3),
        "windows_over_optimum_worst": round(worst, 3),
        "windows": windows,
        "windows_at_least": fewest,
    }


def _billed_share(call: ChannelAudio) -> float:
    """Seconds that an API bills, as a share of those of two whole channels."""
    from tests.servers.openai_server import API_KEY, OpenAIServer

    charges: list[Charge] = []
    with OpenAIServer() as server:
        engine = ApiSpeech("openai", model="whisper-1", api_key=API_KEY, base_url=server.base_url)
        engine.transcribe(call, SpeechHints(language="en"), charges.append)
    return round(sum(charge.audio_s for charge in charges) / (call.channel_count * call.duration_s), 3)


def _decode_speed(folder: Path) -> float:
    """Seconds of an 8 kHz two-channel recording per second of decoding, splitting and resampling it."""
    path = write_telephone_wav(made_call(DECODED_S), folder / "call.wav")
    decode(path)
    started = time.perf_counter()
    decode(path)
    return round(DECODED_S / (time.perf_counter() - started), 0)


if __name__ == "__main__":
    main()
