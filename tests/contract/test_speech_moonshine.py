"""What Moonshine alone promises: English by a model that came with its package, and when it is chosen."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from calls.errors import EngineMisconfigured
from engines.audio import decode
from engines.speech import SpeechHints
from engines.speech_moonshine import MoonshineSpeech
from runtime.choice import choose_speech
from runtime.settings import Settings
from tests.contract.test_speech_offline import RECORDINGS, errors_and_words
from tests.recordings import one_voice

IS_THERE = find_spec("moonshine_voice") is not None
needs_moonshine = pytest.mark.skipif(not IS_THERE, reason="the extra `moonshine` is not installed")
# Of four calls by synthetic voices, which it has never heard; this says that nothing broke, not how good it is.
MAX_WORD_ERROR_RATE = 0.3


@needs_moonshine
def test_calls_that_no_model_was_made_for_are_heard() -> None:
    engine, errors, words = MoonshineSpeech(), 0, 0
    for name in ("05-dryer-stopped", "09-child-lock", "11-charged-twice", "18-adds-a-protection-plan"):
        heard = engine.transcribe(decode(RECORDINGS[name].path).audio, SpeechHints(), lambda _: None)
        assert heard.language == "en"
        wrong, count = errors_and_words(RECORDINGS[name], heard.utterances)
        errors, words = errors + wrong, words + count
    assert errors / words < MAX_WORD_ERROR_RATE


def test_another_language_is_a_wrong_setting() -> None:
    with pytest.raises(EngineMisconfigured, match="English alone") as failure:
        MoonshineSpeech().transcribe(one_voice(), SpeechHints(language="de"), lambda _: None)
    assert failure.value.code == "unknown_language"


@pytest.mark.skipif(IS_THERE, reason="the extra `moonshine` is installed")
def test_a_library_that_is_not_there_is_a_wrong_setting_with_the_command_that_gets_it() -> None:
    for used in (MoonshineSpeech().check, lambda: MoonshineSpeech().transcribe(one_voice(), SpeechHints(), print)):
        with pytest.raises(EngineMisconfigured, match=r"setup_environment\.sh moonshine") as failure:
            used()
        assert failure.value.code == "not_installed"


def test_a_release_without_its_model_is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "moonshine_voice").mkdir()
    (tmp_path / "moonshine_voice" / "__init__.py").touch()
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import engines.speech_moonshine as m; m.find_model()"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "missing_model: moonshine has come without its model" in ended.stderr


def test_a_model_that_it_does_not_bring_is_a_wrong_setting(tmp_path: Path) -> None:
    choice = choose_speech(Settings(home=tmp_path, speech={"engine": "moonshine", "model": "small"}))
    with pytest.raises(EngineMisconfigured, match="CALLWISE_SPEECH__MODEL"):
        choice.make()


@pytest.mark.parametrize(
    ("speech", "chosen"),
    [
        ({}, "moonshine"),
        ({"language": "en"}, "moonshine"),
        ({"language": "de"}, "offline"),
        ({"language_by_queue": {"Kiel": "de"}}, "offline"),
        ({"task": "translate"}, "offline"),
        ({"api_key": "a-key"}, "openai"),
    ],
)
@needs_moonshine
def test_it_is_chosen_for_english_where_nothing_better_is_there(
    speech: dict[str, object], chosen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HOME", raising=False)
    assert choose_speech(Settings(home=tmp_path, speech=speech)).name == chosen
