"""What every speech engine keeps to, whoever made it: one suite over all of them."""

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from calls.errors import EngineMisconfigured, TransientError, UndecodableAudio
from calls.money import Charge
from calls.transcript import Speaker
from engines.speech import ChannelAudio, Heard, SpeechEngine, SpeechHints
from engines.speech_api import ApiSpeech
from engines.speech_fake import FakeSpeech
from engines.speech_faster_whisper import FasterWhisperSpeech
from engines.speech_moonshine import MoonshineSpeech
from engines.speech_openai_whisper import OpenAIWhisperSpeech
from engines.speech_windows import pack_windows
from tests.recordings import hiss, one_voice, second_channel_only, silence, two_voices
from tests.servers.openai_server import API_KEY, API_VERSION, OpenAIServer
from tests.whisper_checkpoints import convert_checkpoint, write_checkpoint

WHISPER_LIBRARIES = {
    "whisper": "openai-whisper is not installed: tools/setup_environment.sh openai-whisper",
    "faster_whisper": "faster-whisper is not installed: tools/setup_environment.sh whisper",
}


def need(*libraries: str) -> None:
    """Skip the test, saying how to install it, where a library is not there."""
    for library in libraries:
        if find_spec(library) is None:
            pytest.skip(WHISPER_LIBRARIES[library])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("whisper")
    return write_checkpoint(tmp_path_factory.mktemp("whisper") / "scripted.pt")


@pytest.fixture(scope="module")
def converted(checkpoint: Path) -> Path:
    # The conversion reads the checkpoint with openai-whisper's tokenizer.
    need("faster_whisper")
    return convert_checkpoint(checkpoint, checkpoint.parent / "scripted")


@pytest.fixture(scope="module")
def reference(checkpoint: Path) -> OpenAIWhisperSpeech:
    return OpenAIWhisperSpeech(str(checkpoint), device="cpu")


@pytest.fixture(scope="module")
def faster(converted: Path) -> FasterWhisperSpeech:
    return FasterWhisperSpeech(str(converted), device="cpu")


def api(server: OpenAIServer, provider: str, model: str) -> ApiSpeech:
    address = server.azure_endpoint if provider == "azure" else server.base_url
    return ApiSpeech(provider, model=model, api_key=API_KEY, base_url=address, api_version=API_VERSION)


ENGINES: dict[str, Callable[[pytest.FixtureRequest, OpenAIServer], SpeechEngine]] = {
    "fake": lambda request, server: FakeSpeech(),
    "offline": lambda request, server: offline(),
    "faster-whisper": lambda request, server: request.getfixturevalue("faster"),
    "openai-whisper": lambda request, server: request.getfixturevalue("reference"),
    "moonshine": lambda request, server: moonshine(),
    "openai whisper-1": lambda request, server: api(server, "openai", "whisper-1"),
    "openai gpt-transcribe": lambda request, server: api(server, "openai", "gpt-transcribe"),
    "openai gpt-4o-transcribe": lambda request, server: api(server, "openai", "gpt-4o-transcribe"),
    "openai gpt-4o-transcribe-diarize": lambda request, server: api(server, "openai", "gpt-4o-transcribe-diarize"),
    "azure whisper": lambda request, server: api(server, "azure", "our-whisper"),
    "azure gpt-4o-mini-transcribe": lambda request, server: api(server, "azure", "gpt-4o-mini-transcribe"),
}


@cache
def moonshine() -> SpeechEngine:
    if find_spec("moonshine_voice") is None:
        pytest.skip("the extra `moonshine` is not installed: tools/setup_environment.sh moonshine")
    return MoonshineSpeech()


@cache
def offline() -> SpeechEngine:
    from engines.speech_offline import OfflineSpeech

    return OfflineSpeech()


@pytest.fixture(params=list(ENGINES))
def engine(request: pytest.FixtureRequest, openai_server: OpenAIServer) -> SpeechEngine:
    return ENGINES[request.param](request, openai_server)


def hear(engine: SpeechEngine, audio: ChannelAudio, **hints: object) -> tuple[Heard, list[Charge]]:
    charges: list[Charge] = []
    return engine.transcribe(audio, SpeechHints(**hints), charges.append), charges


def test_silence_is_heard_as_nothing_and_costs_nothing(engine: SpeechEngine, openai_server: OpenAIServer) -> None:
    heard, charges = hear(engine, silence())
    assert heard.utterances == []
    assert charges == []
    assert openai_server.requests == []


def test_noise_is_heard_as_nothing(engine: SpeechEngine) -> None:
    if isinstance(engine, FakeSpeech):
        engine = FakeSpeech({})
    assert hear(engine, hiss())[0].utterances == []


def test_every_channel_that_speaks_is_heard(engine: SpeechEngine) -> None:
    assert {said.channel for said in hear(engine, two_voices())[0].utterances} == {0, 1}


def test_a_silent_channel_is_heard_as_nothing(engine: SpeechEngine) -> None:
    assert {said.channel for said in hear(engine, second_channel_only())[0].utterances} == {1}


def test_a_mono_recording_has_one_channel(engine: SpeechEngine) -> None:
    assert {said.channel for said in hear(engine, one_voice())[0].utterances} == {0}


def test_times_are_within_the_recording_and_in_order(engine: SpeechEngine) -> None:
    audio = two_voices()
    heard, _ = hear(engine, audio)
    starts = [said.start_s for said in heard.utterances]
    assert starts == sorted(starts)
    for said in heard.utterances:
        edges = [said.start_s]
        for word in said.words:
            edges += [word.start_s, word.end_s]
        edges.append(said.end_s)
        assert edges == sorted(edges)
        assert edges[0] >= 0
        assert edges[-1] <= audio.duration_s
        assert all(type(edge) is float for edge in edges)


def test_what_is_heard_has_words_and_believable_confidences(engine: SpeechEngine) -> None:
    for said in hear(engine, two_voices())[0].utterances:
        assert said.text == said.text.strip() != ""
        for confidence in [said.avg_confidence, *(word.confidence for word in said.words)]:
            assert confidence is None or 0 <= confidence <= 1


def test_nobody_is_named_by_an_engine(engine: SpeechEngine) -> None:
    assert {said.speaker for said in hear(engine, two_voices())[0].utterances} == {Speaker.UNKNOWN}


def test_the_same_audio_is_heard_the_same_twice(engine: SpeechEngine) -> None:
    assert hear(engine, two_voices())[0] == hear(engine, two_voices())[0]


def test_threads_that_share_an_engine_hear_what_one_alone_hears(engine: SpeechEngine) -> None:
    audios = [two_voices(), second_channel_only(), one_voice()]
    alone = [hear(engine, audio)[0] for audio in audios]
    with ThreadPoolExecutor(len(audios)) as pool:
        together = list(pool.map(lambda audio: hear(engine, audio)[0], audios))
    assert together == alone


def test_a_stated_language_is_kept(engine: SpeechEngine) -> None:
    heard, _ = hear(engine, two_voices(), language="en")
    assert heard.language == "en"
    assert heard.language_probability is None


def test_vocabulary_is_taken_by_every_engine(engine: SpeechEngine) -> None:
    assert hear(engine, two_voices(), vocabulary=("Harbour & Pine", "Aquaflow"))[0].utterances


def test_translation_is_done_or_refused_as_a_wrong_setting(engine: SpeechEngine) -> None:
    with contextlib.suppress(EngineMisconfigured):
        assert hear(engine, two_voices(), task="translate")[0].utterances


def test_each_paid_request_is_charged_once(engine: SpeechEngine, openai_server: OpenAIServer) -> None:
    _, charges = hear(engine, two_voices())
    assert len(charges) == len(openai_server.requests)
    for charge in charges:
        assert charge.purpose == "speech"
        assert charge.audio_s > 0
        assert charge.request_id


def test_an_engine_has_a_name_of_two_parts_and_says_whether_it_is_for_demos(engine: SpeechEngine) -> None:
    kind, _, model = engine.name.partition("/")
    assert kind
    assert model
    assert engine.is_demo is (kind in {"fake", "pocketsphinx"})


def test_a_working_engine_passes_its_check(engine: SpeechEngine) -> None:
    engine.check()


@pytest.mark.parametrize("make", [FasterWhisperSpeech, OpenAIWhisperSpeech])
def test_a_missing_model_is_a_wrong_setting_with_the_command_that_gets_it(
    make: type[FasterWhisperSpeech | OpenAIWhisperSpeech], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("whisper", "faster_whisper")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    engine = make("tiny", device="cpu")
    with pytest.raises(EngineMisconfigured, match="get it with") as at_check:
        engine.check()
    with pytest.raises(EngineMisconfigured, match="get it with") as at_work:
        hear(engine, one_voice())
    assert at_check.value.code == at_work.value.code == "missing_model"


def test_a_folder_without_a_tokenizer_is_a_missing_model(converted: Path, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes((converted / "model.bin").read_bytes())
    with pytest.raises(EngineMisconfigured, match=r"has no tokenizer\.json"):
        hear(FasterWhisperSpeech(str(tmp_path), device="cpu"), one_voice())


def test_a_damaged_model_is_a_wrong_setting(converted: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"no checkpoint at all")
    folder = tmp_path / "broken"
    folder.mkdir()
    for file in converted.iterdir():
        (folder / file.name).write_bytes(file.read_bytes()[:1000])
    for engine in (OpenAIWhisperSpeech(str(broken)), FasterWhisperSpeech(str(folder), device="cpu")):
        with pytest.raises(EngineMisconfigured) as failure:
            hear(engine, one_voice())
        assert failure.value.code == "unusable_model"


def test_a_language_that_the_model_does_not_know_is_a_wrong_setting(
    faster: FasterWhisperSpeech, reference: OpenAIWhisperSpeech
) -> None:
    for engine in (faster, reference):
        with pytest.raises(EngineMisconfigured, match="CALLWISE_SPEECH__LANGUAGE"):
            hear(engine, one_voice(), language="xx")


def test_both_whisper_libraries_hear_the_same_from_the_same_weights(
    faster: FasterWhisperSpeech, reference: OpenAIWhisperSpeech
) -> None:
    ours, theirs = (hear(engine, two_voices())[0] for engine in (faster, reference))
    assert ours.language == theirs.language == "en"
    told, expected = (
        [(said.channel, word) for said in heard.utterances for word in said.words] for heard in (ours, theirs)
    )
    assert {channel for channel, _ in told} == {0, 1}
    assert [(channel, word.text) for channel, word in told] == [(channel, word.text) for channel, word in expected]
    # Each library smooths a word's times in its own way.
    assert [word.start_s for _, word in told] == pytest.approx([word.start_s for _, word in expected], abs=0.15)


def test_a_call_that_is_heard_part_by_part_is_heard_as_one(converted: Path, faster: FasterWhisperSpeech) -> None:
    audio = ChannelAudio(np.tile(two_voices().samples, 5))
    by_part = FasterWhisperSpeech(str(converted), device="cpu", windows_in_memory=1)
    assert len(pack_windows(audio)) >= 3
    assert hear(by_part, audio)[0] == hear(faster, audio)[0]


def test_a_scripted_failure_of_the_fake_comes_out_as_it_is() -> None:
    def fail(audio: ChannelAudio) -> list:
        raise TransientError("later", retry_after_s=3)

    with pytest.raises(TransientError, match="later"):
        hear(FakeSpeech(fail), one_voice())
    assert not issubclass(TransientError, UndecodableAudio)
