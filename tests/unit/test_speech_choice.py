"""Which speech engine is chosen, and that a setting which it cannot follow is told before a call is heard."""

import pytest

from calls.errors import EngineMisconfigured
from runtime.choice import choose_speech
from runtime.settings import read_settings


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HOME", raising=False)
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)


def configure(monkeypatch, **speech):
    for name, value in speech.items():
        monkeypatch.setenv(f"CALLWISE_SPEECH__{name.upper()}", value)
    return read_settings()


def test_a_key_means_the_vendor_and_an_address_alone_means_a_server_of_ones_own(monkeypatch):
    assert choose_speech(configure(monkeypatch, base_url="http://127.0.0.1:9/v1")).name == "compatible"
    chosen = choose_speech(configure(monkeypatch, api_key="a-key"))
    assert (chosen.name, chosen.why) == ("openai", "speech.api_key is set")


def test_a_compatible_server_needs_an_address_and_no_key(monkeypatch):
    engine = choose_speech(configure(monkeypatch, engine="compatible", model="parakeet")).make()
    assert engine.name == "compatible/parakeet"
    with pytest.raises(EngineMisconfigured, match="base_url"):
        engine.check()


@pytest.mark.parametrize(
    ("engine", "model"),
    [("offline", ""), ("openai", "gpt-4o-transcribe"), ("openai", "gpt-transcribe"), ("azure", "gpt-4o-transcribe")],
)
def test_an_engine_that_cannot_translate_is_refused_by_the_name_of_the_setting(monkeypatch, engine, model):
    settings = configure(monkeypatch, engine=engine, model=model, task="translate")
    with pytest.raises(EngineMisconfigured, match="CALLWISE_SPEECH__TASK"):
        choose_speech(settings).make()


@pytest.mark.parametrize(
    ("engine", "model"), [("openai", "whisper-1"), ("azure", "our-whisper"), ("faster-whisper", "small")]
)
def test_an_engine_that_translates_is_taken(monkeypatch, engine, model):
    settings = configure(monkeypatch, engine=engine, model=model, task="translate")
    assert choose_speech(settings).make().name == f"{engine}/{model}"


def test_languages_by_queue_are_read_from_the_environment(monkeypatch):
    settings = configure(monkeypatch, language_by_queue='{"Hotline Wien": "de"}')
    assert settings.speech.language_by_queue == {"Hotline Wien": "de"}
