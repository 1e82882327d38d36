"""Where speech may be cut: in the pauses inside a stretch, which its level shows."""

import numpy as np
from numpy.typing import NDArray

from engines.speech import ChannelAudio

FRAME_S = 0.01
# A plosive closes the mouth for up to a tenth of a second in mid-word; who is silent for longer has ended a word.
MIN_PAUSE_S = 0.24
_CLOSURE_S = 0.04
_BELOW_SPEECH_DB = 20.0
_ABOVE_NOISE_DB = 3.0
_LEAST_BELOW_DB = 12.0


def pauses(audio: ChannelAudio, channel: int, start_s: float, end_s: float) -> list[float]:
    """The middles of the pauses between the two times, in order; each is silent for MIN_PAUSE_S or longer.

    Silent is what lies 20 dB below the loudest speech, or hardly above the line's noise where that is 12 dB below it.
    The silence at either end of the stretch is no pause in it.
    """
    levels = 10 * np.log10(_power(audio, channel, start_s, end_s) + 1e-9)
    if len(levels) == 0:
        return []
    speech_db, noise_db = np.percentile(levels, [95, 10])
    limit = max(speech_db - _BELOW_SPEECH_DB, min(noise_db + _ABOVE_NOISE_DB, speech_db - _LEAST_BELOW_DB))
    loud = np.flatnonzero(levels > limit)
    long_enough = np.flatnonzero(np.diff(loud) - 1 >= round(MIN_PAUSE_S / FRAME_S))
    return [round(start_s + float(loud[i] + 1 + loud[i + 1]) / 2 * FRAME_S, 3) for i in long_enough]


def quietest_s(audio: ChannelAudio, channel: int, from_s: float, to_s: float) -> float:
    """Where to cut between the two times: in the quietest stretch of a pause's length, there where it is quietest."""
    power = _power(audio, channel, from_s, to_s)
    pause = _quietest_run(power, round(MIN_PAUSE_S / FRAME_S))
    closure = _quietest_run(power[pause], round(_CLOSURE_S / FRAME_S))
    middle = pause.start + (closure.start + closure.stop) / 2
    return round(from_s + float(middle) * FRAME_S, 3)


def _power(audio: ChannelAudio, channel: int, start_s: float, end_s: float) -> NDArray[np.float64]:
    """Mean power of each whole frame."""
    frame = round(FRAME_S * audio.rate_hz)
    sound = audio.samples[channel, round(start_s * audio.rate_hz) : round(end_s * audio.rate_hz)].astype(np.float64)
    power: NDArray[np.float64] = np.square(sound[: len(sound) // frame * frame].reshape(-1, frame)).mean(axis=1)
    return power


def _quietest_run(power: NDArray[np.float64], width: int) -> slice:
    """The run of `width` frames with the least power; of several that are as quiet, the one in the middle."""
    width = min(width, len(power))
    sums = np.convolve(power, np.ones(width), mode="valid").round(3)
    quietest = np.flatnonzero(sums == sums.min())
    start = int(quietest[len(quietest) // 2])
    return slice(start, start + width)
