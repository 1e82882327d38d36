"""Settings of the models: speech, language, similar calls, their prices and budgets."""

from datetime import date
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from runtime.settings_common import Part

BaseUrl = Annotated[
    str, Field(description="Base URL of an OpenAI-compatible server; for azure the resource's endpoint.")
]
ApiKey = Annotated[SecretStr, Field(description="API key. Empty: OPENAI_API_KEY or AZURE_OPENAI_API_KEY.")]
ApiVersion = Annotated[str, Field(description="Azure api-version.")]
EntraToken = Annotated[
    str,
    Field(
        description="For azure, in place of a key: azure-identity (extra `azure`), or a command that prints a token."
    ),
]
TokensPerMinute = Annotated[
    int,
    Field(ge=0, description="Tokens per minute that all workers together may use. 0: as many as the server says."),
]
RequestsPerMinute = Annotated[
    int,
    Field(ge=0, description="Requests per minute that all workers together may send. 0: as many as the server says."),
]


class SpeechSettings(Part):
    engine: Literal[
        "auto", "offline", "faster-whisper", "openai-whisper", "moonshine", "openai", "azure", "compatible"
    ] = Field("auto", description="Speech engine; auto: the best that is configured or present.")
    model: str = Field(
        "", description="Model name, local path to weights, or Azure deployment. Empty: the engine's default."
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where local models run.")
    download: bool = Field(False, description="Whether a local model that is missing may be downloaded.")
    language: str = Field("", description="Language of the calls (ISO 639-1). Empty: detect.")
    language_by_queue: dict[str, str] = Field(
        {}, description="Language of the calls of a queue (its name: ISO 639-1), where it differs from `language`."
    )
    task: Literal["transcribe", "translate"] = Field(
        "transcribe",
        description="translate: an English translation is kept beside the transcript, at the price of hearing each call"
        " twice.",
    )
    unsure_below: float = Field(
        0.5, ge=0, le=1, description="Words that the engine is less sure of than this are marked on a call's page."
    )
    vocabulary: tuple[str, ...] = Field((), description="Names and products of the owner's, to help the engine.")
    base_url: BaseUrl = ""
    api_key: ApiKey = SecretStr("")
    api_version: ApiVersion = "2025-04-01-preview"
    min_speech_s: float = Field(1.0, ge=0, description="A recording with less speech than this is skipped(no_speech).")


class DeploymentSettings(Part):
    provider: Literal["openai", "azure", "compatible"] = Field("openai", description="Whose API it speaks.")
    name: str = Field("", description="Its name in messages. Empty: the provider, the model and the host.")
    model: str = Field("gpt-5.4-mini", description="Model name or Azure deployment.")
    base_url: BaseUrl = ""
    api_key: ApiKey = SecretStr("")
    api_version: ApiVersion = "2025-04-01-preview"
    entra_token: EntraToken = ""
    tokens_per_minute: TokensPerMinute = 0
    requests_per_minute: RequestsPerMinute = 0
    tier: Literal["first", "strong"] = Field(
        "first", description="first: asked about every call; strong: about those that the first one left doubtful."
    )

    @property
    def called(self) -> str:
        """What it is called in messages, and its meter: whoever asks the same deployment shares that."""
        host = urlsplit(self.base_url).hostname
        return self.name or f"{self.provider}/{self.model}" + (f"@{host}" if host else "")


def _told_apart(deployments: tuple[DeploymentSettings, ...]) -> tuple[DeploymentSettings, ...]:
    names = [(one.tier, one.called) for one in deployments]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise ValueError(f"two of a tier are called {name[1]}; give each a name of its own")
    return deployments


class EscalationSettings(Part):
    """When the strong tier is asked about a call that the first tier was asked about."""

    min_confidence: float = Field(0.7, ge=0, le=1, description="A reason that the first tier is less sure of.")
    general_reasons: bool = Field(True, description="A reason that is `other` or `insufficient_content`.")
    dropped_claims: bool = Field(True, description="A claim that the call's own words do not bear out.")
    sales_reasons: bool = Field(False, description="A reason with the sales flag.")
    long_call_s: float = Field(
        0.0, ge=0, description="A call longer than this goes to the strong tier alone. 0: none does."
    )


class LanguageSettings(Part):
    engine: Literal["auto", "offline", "openai", "azure", "compatible"] = Field(
        "auto", description="Language engine; auto: the best that is configured."
    )
    model: str = Field("gpt-5.4-mini", description="Model name or Azure deployment.")
    base_url: BaseUrl = ""
    api_key: ApiKey = SecretStr("")
    api_version: ApiVersion = "2025-04-01-preview"
    entra_token: EntraToken = ""
    tokens_per_minute: TokensPerMinute = 0
    requests_per_minute: RequestsPerMinute = 0
    deployments: Annotated[tuple[DeploymentSettings, ...], AfterValidator(_told_apart)] = Field(
        (),
        description="Several deployments at once, in place of the single model above; see language.deployments[].",
    )
    escalation: EscalationSettings = Field(
        EscalationSettings(), description="Which calls the strong tier is asked about, where deployments have tiers."
    )
    context_tokens: int = Field(
        128_000,
        ge=2_000,
        description="The model's window, question and answer together. A call that does not fit is asked about in"
        " parts, and once more about what was found in them.",
    )
    max_output_tokens: int = Field(1200, ge=1, description="Upper bound of an answer.")
    learned_first: bool = Field(
        False,
        description="Whether the classifier of `callwise learn` is asked first: calls that it is sure of cost nothing,"
        " and get excerpts in place of a summary; the others go to the models.",
    )
    reviewed_examples: int = Field(
        3,
        ge=0,
        le=10,
        description="Of the calls whose reason people have stated, so many for each reason are shown to the engine as"
        " examples, redacted. 0: none.",
    )
    batch: bool = Field(
        False,
        description="Old recordings and re-classification go over the Batch API of OpenAI or Azure: half the price, an"
        " answer within a day, most within the hour.",
    )
    batch_gather_s: float = Field(
        120.0, ge=0, description="How long a question waits for others to go with it in one batch."
    )
    batch_poll_s: float = Field(60.0, gt=0, description="How often batches are looked after.")
    summary_language: str = Field("", description="Language of summaries (ISO 639-1). Empty: the caller's.")


class SimilarSettings(Part):
    """Calls that are about the same (docs/search.md)."""

    engine: Literal["none", "local", "openai", "azure", "compatible"] = Field(
        "none",
        description="What similar calls are found by. local: a model that is fitted on the centre's own calls, on this"
        " machine; the others: embeddings by API. none: nothing is computed.",
    )
    model: str = Field("text-embedding-3-small", description="By API: model name or Azure deployment.")
    dimension: int = Field(
        256,
        ge=0,
        le=4096,
        description="By API: numbers a vector, where the model can shorten its own. 0: as the model gives them.",
    )
    base_url: BaseUrl = ""
    api_key: ApiKey = SecretStr("")
    api_version: ApiVersion = "2025-04-01-preview"
    entra_token: EntraToken = ""
    tokens_per_minute: TokensPerMinute = 0
    requests_per_minute: RequestsPerMinute = 0

    @property
    def is_on(self) -> bool:
        """Whether similar calls are looked for at all."""
        return self.engine != "none"

    @property
    def is_paid(self) -> bool:
        """Whether vectors come by API."""
        return self.engine not in {"none", "local"}


class RedactionSettings(Part):
    presidio: bool = Field(
        False,
        description="Also let Presidio's pattern recognisers look for the papers of more countries (extra `presidio`);"
        " nothing is downloaded.",
    )


class Price(Part):
    """Dollars per million tokens, or per minute of audio, from a day on."""

    input: float = Field(0, ge=0, description="Per million input tokens.")
    cached: float | None = Field(None, ge=0, description="Per million cached input tokens; empty: as input.")
    output: float = Field(0, ge=0, description="Per million output tokens.")
    minute: float = Field(0, ge=0, description="Per minute of audio.")
    batch: float = Field(0.5, ge=0, le=1, description="What the Batch API charges of these prices, as a share of 1.")
    valid_from: date = Field(
        date.min, description="First day (UTC) on which this price counts; the one before counts until then."
    )


def as_dated(given: object) -> object:
    """One price where the model has only one, else the list of its prices, each with the day from which it counts."""
    if not isinstance(given, dict):
        return given
    return {model: [prices] if isinstance(prices, dict) else prices for model, prices in given.items()}


def distinct_days(prices: tuple[Price, ...]) -> tuple[Price, ...]:
    """The prices of one model, unchanged. Raises ValueError where two count from the same day."""
    days = [price.valid_from for price in prices]
    if len(set(days)) < len(days):
        raise ValueError("two prices of one model count from the same day; give each its own valid_from")
    return prices


class BudgetSettings(Part):
    language_usd_per_day: float | None = Field(
        None,
        ge=0,
        description="Dollars a day for the language engine; what comes after they are spent waits for the next day in"
        " site.time_zone. Empty: no bound.",
    )
    speech_usd_per_day: float | None = Field(None, ge=0, description="Dollars a day for the speech engine; likewise.")
    live_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of each budget that is kept for calls that just ended: old recordings wait when the rest is"
        " spent.",
    )
