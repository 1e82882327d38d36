"""No engine that may not download anything opens a connection, whether its model is there or not."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# The interpreter itself reports every attempt, in whatever library: a fresh one, so that importing counts too.
PROGRAM = """
import sys

attempts = []

def note(event, arguments):
    if event in {"socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"}:
        attempts.append(event)
        raise ConnectionRefusedError(event)

sys.addaudithook(note)

from importlib import import_module
from calls.errors import EngineMisconfigured
from engines.speech import SpeechHints
from tests.recordings import one_voice

module, name, *models = sys.argv[1:]
for model in models or [None]:
    engine = getattr(import_module(f"engines.{module}"), name)(*[model] if model else [])
    for work in (engine.check, lambda: engine.transcribe(one_voice(), SpeechHints(), attempts.append)):
        try:
            work()
            print("worked")
        except EngineMisconfigured as error:
            print("misconfigured", error.code)
print("attempts", attempts)
"""


def run(*arguments: str, cache: Path) -> list[str]:
    """The lines of a fresh interpreter that lets the engine check itself and transcribe."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=ROOT,
        env={"PATH": "", "HOME": str(cache), "XDG_CACHE_HOME": str(cache), "HF_HOME": str(cache)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("library", "extra", "module", "engine"),
    [
        ("faster_whisper", "whisper", "speech_faster_whisper", "FasterWhisperSpeech"),
        ("whisper", "openai-whisper", "speech_openai_whisper", "OpenAIWhisperSpeech"),
    ],
)
def test_a_whisper_engine_without_its_model_asks_nobody(
    library: str, extra: str, module: str, engine: str, tmp_path: Path
) -> None:
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed: tools/setup_environment.sh {extra}")
    lines = run(module, engine, "tiny", "large-v3", cache=tmp_path)
    assert lines == ["misconfigured missing_model"] * 4 + ["attempts []"]


def test_a_whisper_engine_with_its_model_asks_nobody(tmp_path: Path) -> None:
    if find_spec("whisper") is None or find_spec("faster_whisper") is None:
        pytest.skip("tools/setup_environment.sh whisper openai-whisper")
    from tests.whisper_checkpoints import convert_checkpoint, write_checkpoint

    checkpoint = write_checkpoint(tmp_path / "scripted.pt")
    folder = convert_checkpoint(checkpoint, tmp_path / "scripted")
    for arguments in (
        ("speech_faster_whisper", "FasterWhisperSpeech", str(folder)),
        ("speech_openai_whisper", "OpenAIWhisperSpeech", str(checkpoint)),
    ):
        assert run(*arguments, cache=tmp_path) == ["worked", "worked", "attempts []"]


def test_the_offline_engine_asks_nobody(tmp_path: Path) -> None:
    assert run("speech_offline", "OfflineSpeech", cache=tmp_path) == ["worked", "worked", "attempts []"]
