"""A speech engine for tests of everything around it: it says what it is told to."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from calls.money import Charge
from calls.transcript import Utterance
from engines.speech import NOTHING_KEPT, ChannelAudio, Heard, KeptPieces, SpeechHints
from engines.speech_pieces import in_order

# Below this a channel is silent: the rounding of a decoder is not speech.
_SILENCE_LEVEL = 33

Script = Mapping[int, Sequence[Utterance]] | Callable[[ChannelAudio], Sequence[Utterance]]


class FakeSpeech:
    """Hears what `script` says: utterances by channel, or what a function makes of the audio (it may raise, too).

    Without a script it hears one utterance on each channel that is not silent, from its first sound to its last. A
    scripted utterance that the recording has no place for is not heard. Nothing is ever charged or kept.
    """

    name = "fake/script"
    is_demo = True
    can_translate = True

    def __init__(self, script: Script | None = None, *, language: str = "en") -> None:
        self._script = script
        self._language = language

    def transcribe(
        self,
        audio: ChannelAudio,
        hints: SpeechHints,
        pay: Callable[[Charge], None],
        kept: KeptPieces = NOTHING_KEPT,
    ) -> Heard:
        """See SpeechEngine."""
        if self._script is None:
            said = [_whole_channel(audio, channel) for channel in range(audio.channel_count)]
            heard = [utterance for utterance in said if utterance is not None]
        elif callable(self._script):
            heard = list(self._script(audio))
        else:
            heard = [utterance for channel in self._script.values() for utterance in channel]
        heard = in_order([utterance for utterance in heard if _has_place(utterance, audio)])
        return Heard(heard, hints.language or self._language if heard else "")

    def check(self) -> None:
        """Nothing can be wrong with a script."""


def _has_place(said: Utterance, audio: ChannelAudio) -> bool:
    if said.channel >= audio.channel_count or said.end_s > audio.duration_s:
        return False
    return _whole_channel(audio, said.channel) is not None


def _whole_channel(audio: ChannelAudio, channel: int) -> Utterance | None:
    loud = np.flatnonzero(np.abs(audio.samples[channel].astype(np.int32)) > _SILENCE_LEVEL)
    if len(loud) == 0:
        return None
    start_s, end_s = int(loud[0]) / audio.rate_hz, (int(loud[-1]) + 1) / audio.rate_hz
    return Utterance(channel, start_s, end_s, f"Words on channel {channel}.", avg_confidence=1.0)
