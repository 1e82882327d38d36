"""Which engine does the work, and why: `auto` takes the best that is configured or already present, and says so.

A configured engine is never replaced by a weaker one. `auto` sends nothing away unless an API was configured in
Callwise's own settings: a key that happens to lie in the environment for another program does not count.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from calls.errors import EngineMisconfigured, SettingsError
from calls.tiers import EscalationRules
from engines.language import LanguageEngine
from engines.meters import MemoryMeters, Meters
from engines.speech import SpeechEngine
from runtime.deployments import price_of, tiers_of
from runtime.settings import Settings

if TYPE_CHECKING:
    # What only those shall load who use it: the SDK behind the provider takes most of a second.
    from calls.redaction import SensitiveFinder
    from engines.language_offline import Learned
    from engines.language_requests import Requests
    from engines.openai_client import Provider

Engine = TypeVar("Engine")

DEFAULT_WHISPER_MODEL = "small"
DEFAULT_SPEECH_API_MODEL = "gpt-4o-transcribe"


@dataclass(frozen=True)
class Choice(Generic[Engine]):
    """An engine by name, the reason it was chosen, and how to make it; nothing is loaded before `make`."""

    name: str
    why: str
    is_demo: bool
    make: Callable[[], Engine]


def choose_speech(settings: Settings) -> Choice[SpeechEngine]:
    """The speech engine for these settings. Raises SettingsError where none may be chosen."""
    wanted = settings.speech.engine
    if wanted != "auto":
        return _speech(settings, wanted, f"speech.engine = {wanted}")
    if settings.speech.api_key.get_secret_value():
        return _speech(settings, "openai", "speech.api_key is set")
    if settings.speech.base_url:
        return _speech(settings, "compatible", "speech.base_url is set")
    for engine in ("faster-whisper", "openai-whisper"):
        place = whisper_model_place(engine, settings.speech.model or DEFAULT_WHISPER_MODEL)
        if place:
            return _speech(settings, engine, f"its model is present at {place}")
    if find_spec("moonshine_voice") and _is_english(settings):
        return _speech(settings, "moonshine", "it is installed, with its model for English")
    return _speech(
        settings, "offline", _why_offline(settings, "speech", "CALLWISE_SPEECH__ENGINE=faster-whisper or openai")
    )


def choose_language(
    settings: Settings, meters: Callable[[], Meters] = MemoryMeters, learned: "Learned | None" = None
) -> Choice[LanguageEngine]:
    """The language engine for these settings, paced by `meters`; `learned` gives the classifier that was trained for a
    taxonomy. Raises SettingsError where none may be chosen.
    """
    wanted = settings.language.engine
    if wanted != "auto":
        return _language(settings, wanted, f"language.engine = {wanted}", meters, learned)
    if settings.language.deployments:
        first = settings.language.deployments[0].provider
        return _language(settings, first, "language.deployments is set", meters, learned)
    if settings.language.api_key.get_secret_value():
        return _language(settings, "openai", "language.api_key is set", meters, learned)
    if settings.language.base_url:
        return _language(settings, "compatible", "language.base_url is set", meters, learned)
    return _language(
        settings, "offline", _why_offline(settings, "language", "CALLWISE_LANGUAGE__ENGINE=openai"), meters, learned
    )


def choose_redaction(settings: Settings) -> "SensitiveFinder":
    """What finds what must not leave: our own rules, with Presidio's where they are wanted.

    Raises EngineMisconfigured.
    """
    if not settings.redaction.presidio:
        from calls.redaction import find_sensitive

        return find_sensitive
    if not find_spec("presidio_analyzer"):
        raise EngineMisconfigured("redaction.presidio needs the extra: pip install 'callwise[presidio]'")
    from engines.redaction_presidio import PresidioFinder

    return PresidioFinder()


def whisper_model_place(engine: str, model: str) -> Path | None:
    """Where the weights of a local Whisper model lie on this machine; None when they or the engine are not there."""
    if find_spec(engine.replace("-", "_") if engine == "faster-whisper" else "whisper") is None:
        return None
    if Path(model).expanduser().exists():
        return Path(model).expanduser()
    caches = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    if engine == "openai-whisper":
        weights = caches / "whisper" / f"{model}.pt"
        return weights if weights.exists() else None
    hub = Path(os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME") or caches / "huggingface") / "hub")
    found = sorted((hub.expanduser() / f"models--Systran--faster-whisper-{model}" / "snapshots").glob("*/model.bin"))
    return found[0].parent if found else None


def _is_english(settings: Settings) -> bool:
    """Whether no setting says that calls are of another language, or to be translated."""
    given = settings.speech
    languages = {given.language or "en", *given.language_by_queue.values()}
    return languages == {"en"} and given.task == "transcribe"


def _why_offline(settings: Settings, part: str, fix: str) -> str:
    if not settings.is_embedded:
        raise SettingsError(
            f"{part}.engine: nothing better than the demo engine is configured or present; set {fix}"
            f" (or CALLWISE_{part.upper()}__ENGINE=offline, for a demo)"
        )
    return "nothing better is configured or present; good for demos and tests only"


def _speech(settings: Settings, engine: str, why: str) -> Choice[SpeechEngine]:
    given = settings.speech

    def make() -> SpeechEngine:
        made = make_any()
        if given.task == "translate" and not made.can_translate:
            raise EngineMisconfigured(
                f"{made.name} cannot translate: set CALLWISE_SPEECH__TASK=transcribe, or CALLWISE_SPEECH__ENGINE and"
                " CALLWISE_SPEECH__MODEL to a Whisper",
                code="unsupported_task",
            )
        return made

    def make_any() -> SpeechEngine:
        if engine == "offline":
            from engines.speech_offline import OfflineSpeech

            return OfflineSpeech()
        if engine == "moonshine":
            from engines.speech_moonshine import MODEL, MoonshineSpeech

            if given.model not in ("", MODEL):
                raise EngineMisconfigured(
                    f"moonshine has no model {given.model}: leave CALLWISE_SPEECH__MODEL empty for its {MODEL}",
                    code="missing_model",
                )
            return MoonshineSpeech()
        if engine == "faster-whisper":
            from engines.speech_faster_whisper import FasterWhisperSpeech

            return FasterWhisperSpeech(
                given.model or DEFAULT_WHISPER_MODEL, device=given.device, download=given.download
            )
        if engine == "openai-whisper":
            from engines.speech_openai_whisper import OpenAIWhisperSpeech

            return OpenAIWhisperSpeech(
                given.model or DEFAULT_WHISPER_MODEL, device=given.device, download=given.download
            )
        from engines.speech_api import ApiSpeech

        model = given.model or DEFAULT_SPEECH_API_MODEL
        return ApiSpeech(
            cast("Provider", engine),
            model=model,
            api_key=given.api_key.get_secret_value(),
            base_url=given.base_url,
            api_version=given.api_version,
            price=price_of(settings, model),
        )

    return Choice(engine, why, engine == "offline", make)


def _language(
    settings: Settings, engine: str, why: str, meters: Callable[[], Meters], learned: "Learned | None"
) -> Choice[LanguageEngine]:
    def make() -> LanguageEngine:
        if engine == "offline":
            from engines.language_offline import OfflineLanguage

            return OfflineLanguage(learned)
        return language_over(settings, tiers_of(settings, engine, meters()), learned)

    return Choice(engine, why, engine == "offline", make)


def language_over(settings: Settings, tiers: "Sequence[Requests]", learned: "Learned | None" = None) -> LanguageEngine:
    """The engine that asks its questions of these, one for each tier in the order in which tiers are asked.

    Before them all comes the trained classifier, where the settings want it.
    """
    from engines.language_api import ApiLanguage
    from engines.language_tiers import TieredLanguage

    given = settings.language
    engines: list[LanguageEngine] = [
        ApiLanguage(
            requests,
            max_output_tokens=given.max_output_tokens,
            summary_language=given.summary_language,
            context_tokens=given.context_tokens,
        )
        for requests in tiers
    ]
    if learned is not None and given.learned_first:
        from engines.language_offline import LearnedLanguage

        engines.insert(0, LearnedLanguage(learned))
    if len(engines) == 1:
        return engines[0]
    return TieredLanguage(engines, EscalationRules(**given.escalation.model_dump()))
