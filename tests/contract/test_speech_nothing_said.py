"""No invented words: what nobody says costs nothing and gives no text, even where a model always hears its script."""

from collections.abc import Callable
from importlib.util import find_spec

import pytest

from calls.money import Charge
from engines.speech import ChannelAudio, SpeechEngine, SpeechHints
from engines.speech_api import ApiSpeech
from engines.speech_faster_whisper import FasterWhisperSpeech
from engines.speech_openai_whisper import OpenAIWhisperSpeech
from engines.speech_pieces import pack, pack_by_turns
from engines.speech_windows import pack_windows
from tests.recordings import two_voices
from tests.servers.openai_answers import hears
from tests.servers.openai_server import API_KEY, OpenAIServer
from tests.sounds import DURATION_S, SOUNDS, before, on_both_channels
from tests.whisper_checkpoints import convert_checkpoint, write_checkpoint

SCRIPT = ((0.0, 1.8, " Thanks for watching!"),)
LOOP = "Thank you. " * 40


@pytest.fixture(scope="module", params=["faster-whisper", "openai-whisper"])
def scripted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SpeechEngine:
    """A local Whisper that hears its script in every window, whatever is in it."""
    for library in ("whisper", "faster_whisper"):
        if find_spec(library) is None:
            pytest.skip(f"{library} is not installed: tools/setup_environment.sh whisper openai-whisper")
    checkpoint = write_checkpoint(tmp_path_factory.mktemp("whisper") / "scripted.pt", SCRIPT)
    if request.param == "openai-whisper":
        return OpenAIWhisperSpeech(str(checkpoint), device="cpu")
    return FasterWhisperSpeech(str(convert_checkpoint(checkpoint, checkpoint.parent / "scripted")), device="cpu")


def hear(engine: SpeechEngine, audio: ChannelAudio) -> list[str]:
    heard = engine.transcribe(audio, SpeechHints(language="en"), lambda _: None)
    return [said.text for said in heard.utterances]


@pytest.mark.parametrize("name", SOUNDS)
@pytest.mark.parametrize(
    "packing",
    [pack_windows, lambda audio: pack(audio, max_s=600), lambda audio: pack_by_turns(audio, max_s=30)],
    ids=["windows", "pieces", "turns"],
)
def test_what_nobody_says_gives_no_piece(name: str, packing: Callable[[ChannelAudio], list]) -> None:
    assert packing(on_both_channels(SOUNDS[name]())) == []


@pytest.mark.parametrize("name", SOUNDS)
def test_a_model_that_always_hears_something_adds_nothing_where_nobody_speaks(
    scripted: SpeechEngine, name: str
) -> None:
    assert hear(scripted, on_both_channels(SOUNDS[name]())) == []


@pytest.mark.parametrize("name", ["silence", "ringing", "hold music", "comfort noise"])
def test_words_after_a_wait_are_where_somebody_speaks(scripted: SpeechEngine, name: str) -> None:
    audio = before(SOUNDS[name](), two_voices())
    heard = scripted.transcribe(audio, SpeechHints(language="en"), lambda _: None)
    assert heard.utterances
    assert all(said.start_s >= DURATION_S - 0.5 for said in heard.utterances)


def test_a_server_is_not_asked_about_what_nobody_says(openai_server: OpenAIServer) -> None:
    charges: list[Charge] = []
    for model in ("whisper-1", "gpt-4o-transcribe"):
        engine = ApiSpeech("openai", model=model, api_key=API_KEY, base_url=openai_server.base_url)
        for sound in SOUNDS.values():
            engine.transcribe(on_both_channels(sound()), SpeechHints(), charges.append)
    assert openai_server.requests == []
    assert charges == []


@pytest.mark.parametrize("model", ["whisper-1", "gpt-4o-transcribe", "gpt-4o-transcribe-diarize"])
def test_a_loop_is_heard_once_whichever_model_got_stuck(openai_server: OpenAIServer, model: str) -> None:
    openai_server.reply_always(hears([(0.0, 4.0, LOOP)]))
    engine = ApiSpeech("openai", model=model, api_key=API_KEY, base_url=openai_server.base_url)
    assert set(hear(engine, two_voices())) == {"Thank you."}
