"""Every setting, typed and documented, read once: environment (`CALLWISE_...`), `.env`, `callwise.toml`."""

from datetime import date
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from calls.errors import SettingsError

# Sixteen letters and digits are some 80 bits: nobody guesses them over a network.
MIN_TOKEN_CHARS = 16
# Standard Webhooks asks for 24 bytes at least.
MIN_SECRET_CHARS = 24
BROKERS = ("amqp", "amqps", "redis", "rediss", "sqs", "memory")


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{name!r} is no IANA time zone; write one like Europe/Berlin") from None
    return name


def _http_url(url: str) -> str:
    parts = urlsplit(url)
    is_plain = parts.scheme in {"http", "https"} and parts.hostname and not (parts.query or parts.fragment)
    if url and (not is_plain or "@" in parts.netloc):
        raise ValueError(f"{url!r} is no such address; write one like https://calls.example.org")
    return url.rstrip("/")


def _known_broker(url: str) -> str:
    if url.partition("://")[0] not in BROKERS:
        raise ValueError(f"a broker's URL begins with one of {', '.join(f'{name}://' for name in BROKERS)}")
    return url


def _fits_a_header(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


class Part(BaseModel):
    """A frozen group of settings; an unknown name in it is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DatabaseSettings(Part):
    url: str = Field(
        "",
        description="sqlite:///PATH or postgresql+psycopg://USER:PASSWORD@HOST/NAME. Empty: callwise.db in the home.",
    )


class BrokerSettings(Part):
    url: Annotated[str, AfterValidator(_known_broker)] = Field(
        "memory://",
        description="Celery's broker: amqp://, redis://, sqs://, or memory:// (embedded: workers ask the database).",
    )


class ObjectSettings(Part):
    kind: Literal["folder", "s3"] = Field(
        "folder", description="Where recordings lie: a folder, or an S3-compatible store."
    )
    folder: Path | None = Field(
        None, description="The folder that serves as object store. Empty: objects/ in the home."
    )
    bucket: str = Field("recordings", description="Bucket name; for a folder, the name under which it is shown.")
    endpoint_url: str = Field("", description="S3 endpoint; empty: AWS.")
    region: str = Field("us-east-1", description="S3 region.")
    access_key: str = Field("", description="S3 access key; empty: the usual AWS places.")
    secret_key: SecretStr = Field(SecretStr(""), description="S3 secret key.")


class EventSource(Part):
    kind: Literal["folder", "amqp", "sqs", "http"] = Field(
        description="folder: watch objects.folder; amqp, sqs: events in a queue; http: events that are sent to"
        " /events/objects of the pages."
    )
    url: str = Field("", description="amqp://USER:PASSWORD@HOST:PORT/VHOST; for sqs the endpoint (empty: AWS).")
    queue: str = Field("callwise-events", description="AMQP queue name, or the SQS queue's URL or name.")
    exchange: str = Field(
        "", description="AMQP exchange that the store publishes to; the queue is bound to it. Empty: no binding."
    )
    routing_key: str = Field("#", description="AMQP binding key.")
    region: str = Field("us-east-1", description="SQS region.")
    access_key: str = Field("", description="SQS access key; empty: the usual AWS places.")
    secret_key: SecretStr = Field(SecretStr(""), description="SQS secret key.")
    token: SecretStr = Field(
        SecretStr(""),
        validate_default=True,
        description="For http: what senders show (Authorization: Bearer TOKEN); at least 16 characters.",
    )

    @field_validator("token")
    @classmethod
    def _hard_to_guess(cls, token: SecretStr, given: ValidationInfo) -> SecretStr:
        text = token.get_secret_value()
        if given.data.get("kind") == "http" and (len(text) < MIN_TOKEN_CHARS or not _fits_a_header(text)):
            raise ValueError(f"http needs a token of at least {MIN_TOKEN_CHARS} letters and digits, without spaces")
        return token


class TwilioSettings(Part):
    account_sid: str = Field("", description="Account SID (AC...) whose recordings are fetched. Empty: none are.")
    auth_token: SecretStr = Field(
        SecretStr(""), description="The account's auth token: it proves callbacks, and fetches recordings."
    )
    api_base_url: Annotated[str, AfterValidator(_http_url)] = Field(
        "https://api.twilio.com", description="Twilio's API; another address for another region or a test."
    )

    @property
    def is_configured(self) -> bool:
        """Whether callbacks are taken and recordings fetched."""
        return bool(self.account_sid and self.auth_token.get_secret_value())


class NamePattern(Part):
    name: str = Field(description="The profile's name: small letters, digits, - and _.")
    pattern: str = Field(
        description="Regular expression that is searched in the object's key. Its named groups are facts: `call_id`,"
        " `from`, `to`, `agent`, `queue`, `direction`, `started_at` (or `date` and `time`, or `epoch`), `attr_NAME`"
        " (docs/telephony.md)."
    )
    time_format: str = Field(
        "",
        description="Form of `started_at`, or of `date` and `time` joined by a blank, as strptime has it. Empty: the"
        " digits YYYYMMDDHHMMSS with anything between them, or ISO.",
    )
    source_system: str = Field(
        "", description="Whose call ids these are; two systems with the same ids need two. Empty: the profile's name."
    )
    agent_channel: Literal[0, 1] | None = Field(
        None, description="Channel of the agent in these recordings. Empty: telephony.agent_channel."
    )
    time_zone: str = Field("", description="Zone of these times (IANA name). Empty: telephony.time_zone.")


class TelephonySettings(Part):
    profiles: tuple[str, ...] = Field(
        (
            *("plain", "pca", "connect", "genesys", "freepbx", "ringcentral", "eightbyeight", "twilio"),
            *("google", "vcon"),
        ),
        description="Telephony profiles that may read a recording's name, metadata and sidecars, in order.",
    )
    patterns: tuple[NamePattern, ...] = Field(
        (), description="Profiles of the owner's own for names, asked before the others; see telephony.patterns[]."
    )
    region: str = Field("US", description="Default region of phone numbers without a country code (ISO 3166).")
    time_zone: Annotated[str, AfterValidator(_known_zone)] = Field(
        "UTC", description="Zone of times that telephony writes without one (IANA name)."
    )
    agent_channel: Literal[0, 1] = Field(
        1, description="Channel of the agent in two-channel recordings whose profile says nothing else."
    )
    read_tags: bool = Field(
        False, description="Read the tags of S3 objects like their metadata: one request more for each recording."
    )
    twilio: TwilioSettings = Field(
        TwilioSettings(), description="Recordings that Twilio announces by its status callback (docs/telephony.md)."
    )


class SpeechSettings(Part):
    engine: Literal["auto", "offline", "faster-whisper", "openai-whisper", "openai", "azure", "compatible"] = Field(
        "auto", description="Speech engine; auto: the best that is configured or present."
    )
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
    base_url: str = Field("", description="Base URL of an OpenAI-compatible server; for azure the resource's endpoint.")
    api_key: SecretStr = Field(SecretStr(""), description="API key. Empty: OPENAI_API_KEY or AZURE_OPENAI_API_KEY.")
    api_version: str = Field("2025-04-01-preview", description="Azure api-version.")
    min_speech_s: float = Field(1.0, ge=0, description="A recording with less speech than this is skipped(no_speech).")


class DeploymentSettings(Part):
    provider: Literal["openai", "azure", "compatible"] = Field("openai", description="Whose API it speaks.")
    name: str = Field("", description="Its name in messages. Empty: the provider, the model and the host.")
    model: str = Field("gpt-5.4-mini", description="Model name or Azure deployment.")
    base_url: str = Field("", description="Base URL of a compatible server; for azure the resource's endpoint.")
    api_key: SecretStr = Field(SecretStr(""), description="API key. Empty: OPENAI_API_KEY or AZURE_OPENAI_API_KEY.")
    api_version: str = Field("2025-04-01-preview", description="Azure api-version.")
    entra_token: str = Field(
        "",
        description="For azure, in place of a key: azure-identity (extra `azure`), or a command that prints a token.",
    )
    tokens_per_minute: int = Field(
        0, ge=0, description="Tokens per minute that all workers together may use. 0: as many as the server says."
    )
    requests_per_minute: int = Field(0, ge=0, description="Requests per minute; likewise.")
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
    base_url: str = Field("", description="Base URL of a compatible server; for azure the resource's endpoint.")
    api_key: SecretStr = Field(SecretStr(""), description="API key. Empty: OPENAI_API_KEY or AZURE_OPENAI_API_KEY.")
    api_version: str = Field("2025-04-01-preview", description="Azure api-version.")
    entra_token: str = Field("", description="As in language.deployments[].")
    tokens_per_minute: int = Field(0, ge=0, description="As in language.deployments[].")
    requests_per_minute: int = Field(0, ge=0, description="As in language.deployments[].")
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
    base_url: str = Field("", description="Base URL of a compatible server; for azure the resource's endpoint.")
    api_key: SecretStr = Field(SecretStr(""), description="API key. Empty: OPENAI_API_KEY or AZURE_OPENAI_API_KEY.")
    api_version: str = Field("2025-04-01-preview", description="Azure api-version.")
    entra_token: str = Field("", description="As in language.deployments[].")
    tokens_per_minute: int = Field(0, ge=0, description="As in language.deployments[].")
    requests_per_minute: int = Field(0, ge=0, description="As in language.deployments[].")

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


class KeptFor(Part):
    recordings_days: int | None = Field(
        None, ge=1, description="Days after a call until its sound is deleted. Empty: never by itself."
    )
    words_days: int | None = Field(
        None,
        ge=1,
        description="Days after a call until transcript, summary and next steps are deleted; reason, outcome, times and"
        " customer stay. Empty: never by itself.",
    )
    calls_days: int | None = Field(
        None,
        ge=1,
        description="Days after a call until it is erased: its place in the figures stays, nothing else does. Empty:"
        " never by itself.",
    )


class RetentionSettings(KeptFor):
    queues: dict[str, KeptFor] = Field(
        {}, description="The same for single queues, by name; for these, nothing of the general setting counts."
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


def _as_dated(given: object) -> object:
    """One price where the model has only one, else the list of its prices, each with the day from which it counts."""
    if not isinstance(given, dict):
        return given
    return {model: [prices] if isinstance(prices, dict) else prices for model, prices in given.items()}


def _distinct_days(prices: tuple[Price, ...]) -> tuple[Price, ...]:
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


class WorkSettings(Part):
    concurrency: int = Field(0, ge=0, description="Worker processes; 0: one per core.")
    lease_s: float = Field(10.0, gt=0, description="How long a claim on a call stands without a sign of life.")
    max_attempts: int = Field(5, ge=1, description="Attempts at one step before the call is failed.")
    backoff_s: float = Field(2.0, ge=0, description="Wait before the second attempt; it doubles with each further one.")
    sweep_s: float = Field(
        2.0, gt=0, description="How often the database is searched for work that nobody rang for (embedded: 0.25 s)."
    )
    backfill_per_minute: float = Field(
        0.0,
        ge=0,
        description="How many recordings that were stored over a day before they came are let in per minute and queue;"
        " they come behind every call of today in any case. 0: as many as the workers can do.",
    )


class SiteSettings(Part):
    name: str = Field("Callwise", description="The owner's name, shown on pages and files.")
    time_zone: Annotated[str, AfterValidator(_known_zone)] = Field(
        "UTC", description="Zone in which days and weeks are counted (IANA name)."
    )
    fiscal_year_starts_in: int = Field(
        1, ge=1, le=12, description="Month in which the fiscal year begins, for the table of dates."
    )
    reasons_file: Path | None = Field(
        None, description="The owner's reasons.yaml. Empty: the bundled service-centre taxonomy."
    )


class OidcSettings(Part):
    """People who sign in elsewhere (docs/access.md)."""

    issuer: Annotated[str, AfterValidator(_http_url)] = Field(
        "", description="URL of an OpenID Connect provider. Empty: people sign in with passwords of Callwise only."
    )
    client_id: str = Field("", description="Id of Callwise at the provider.")
    client_secret: SecretStr = Field(
        SecretStr(""), description="Secret of Callwise at the provider; empty: PKCE alone."
    )
    label: str = Field("Single sign-on", description="What the button on the sign-in page says.")
    scopes: tuple[str, ...] = Field(("profile", "email"), description="What is asked for besides `openid`.")
    name_claim: str = Field("preferred_username", description="Claim that becomes the account's name.")
    role_claim: str = Field("groups", description="Claim with one value or a list, from which the role follows.")
    roles: dict[str, Literal["agent", "lead", "analyst", "reviewer", "admin"]] = Field(
        {}, description="Role by a value of that claim; the first that somebody has counts. Nobody else gets in."
    )
    team_claim: str = Field("groups", description="Claim from which a lead's teams follow.")
    teams: dict[str, str] = Field(
        {}, description="Team by a value of that claim. Empty: the values are the names of teams."
    )
    agent_claim: str = Field(
        "email", description="Claim by which an agent is known to telephony: an e-mail address or a name."
    )

    @property
    def is_configured(self) -> bool:
        """Whether people may sign in elsewhere."""
        return bool(self.issuer and self.client_id)


class WebSettings(Part):
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8321, ge=0, le=65535, description="Port to listen on; 0: any free one.")
    processes: int = Field(
        1,
        ge=1,
        le=64,
        description="So many processes serve the pages and the API of `callwise web`: one a core, or two.",
    )
    allowed_hosts: tuple[str, ...] = Field(
        ("127.0.0.1", "localhost", "[::1]"), description="Host names under which the pages are served."
    )
    public_url: Annotated[str, AfterValidator(_http_url)] = Field(
        "",
        description="Address under which the world reaches the pages (https://calls.example.org): what Twilio signs."
        " Its host is served, too.",
    )
    secret: SecretStr = Field(SecretStr(""), description="Signs sessions. Empty: one is made and kept in the home.")
    secure_cookies: bool = Field(False, description="Set when the pages are served over HTTPS.")
    max_upload_mb: int = Field(500, ge=1, description="So many megabytes of files are taken at once by the upload.")
    passwords: bool = Field(True, description="Whether people may sign in with passwords of Callwise, too.")
    oidc: OidcSettings = Field(
        OidcSettings(), description="Where people sign in elsewhere: an OpenID Connect provider (docs/access.md)."
    )
    api_requests_per_minute: int = Field(
        6000, ge=0, description="How many requests one caller may send to the API; 0: as many as one likes."
    )


class SalesforceSettings(Part):
    url: Annotated[str, AfterValidator(_http_url)] = Field(
        "", description="My Domain of the org (https://example.my.salesforce.com). Empty: nothing is sent there."
    )
    client_id: str = Field("", description="Consumer key of the connected app.")
    client_secret: SecretStr = Field(
        SecretStr(""), description="Consumer secret of the connected app: for the client-credentials flow."
    )
    refresh_token: SecretStr = Field(SecretStr(""), description="For the refresh-token flow, beside the secret.")
    private_key_file: Path | None = Field(
        None,
        description="For the JWT flow (extra `salesforce`), in place of a secret: the app's RSA key, as PEM.",
    )
    username: str = Field("", description="For the JWT flow: the user in whose name calls are sent.")
    audience: str = Field(
        "https://login.salesforce.com", description="For the JWT flow; https://test.salesforce.com for a sandbox."
    )
    api_version: str = Field("62.0", pattern=r"^\d+\.\d$", description="Version of the REST API.")
    external_id_field: str = Field(
        "Callwise_Id__c",
        pattern=r"^[A-Za-z]\w*$",
        description="Custom text field of Task, unique and external id, that holds our id of the call.",
    )

    @property
    def is_configured(self) -> bool:
        """Whether calls are handed over to Salesforce."""
        has_key = bool(self.private_key_file and self.username)
        return bool(self.url and self.client_id and (has_key or self.client_secret.get_secret_value()))


class HubSpotSettings(Part):
    token: SecretStr = Field(SecretStr(""), description="Token of the private app. Empty: nothing is sent there.")
    base_url: Annotated[str, AfterValidator(_http_url)] = Field(
        "https://api.hubapi.com", description="HubSpot's API; another address for a test."
    )
    id_property: str = Field(
        "callwise_id",
        pattern=r"^[a-z][a-z0-9_]*$",
        description="Text property of calls, with unique values, that holds our id of the call.",
    )

    @property
    def is_configured(self) -> bool:
        """Whether calls are handed over to HubSpot."""
        return bool(self.token.get_secret_value())


class WebhookSettings(Part):
    name: str = Field(
        pattern=r"^[a-z][a-z0-9_-]{0,39}$", description="Its name in messages and lists: letters, digits, - and _."
    )
    url: Annotated[str, AfterValidator(_http_url)] = Field(
        description="Where calls are sent to: https, or http where private addresses are allowed."
    )
    secret: SecretStr = Field(
        description="Signs what is sent (HMAC-SHA256, docs/handover.md): `whsec_` and base64, or 24 characters."
    )
    allow_private: bool = Field(
        False,
        validate_default=True,
        description="Whether it may be at an address of a private network or of this machine.",
    )

    @field_validator("secret")
    @classmethod
    def _hard_to_guess(cls, secret: SecretStr) -> SecretStr:
        if len(secret.get_secret_value()) < MIN_SECRET_CHARS:
            raise ValueError(f"a webhook needs a secret of at least {MIN_SECRET_CHARS} characters")
        return secret

    @field_validator("allow_private")
    @classmethod
    def _encrypted(cls, allow_private: bool, given: ValidationInfo) -> bool:
        if not allow_private and given.data.get("url", "").startswith("http:"):
            raise ValueError("a webhook in the open net needs https")
        return allow_private


def _named_apart(webhooks: tuple[WebhookSettings, ...]) -> tuple[WebhookSettings, ...]:
    names = [one.name for one in webhooks]
    for number, name in enumerate(names):
        if name in names[:number] or name in {"salesforce", "hubspot"}:
            raise ValueError(f"the name {name} is taken; give each webhook its own")
    return webhooks


class HandoverSettings(Part):
    needs_approval: bool = Field(
        False, description="Whether a person has to approve a call's summary before it goes to a CRM."
    )
    unredacted: bool = Field(
        False, description="Whether CRMs get text as it was said, card numbers and addresses included."
    )
    demo_results: bool = Field(False, description="Whether what the demo engines wrote goes to a CRM, too.")
    poll_s: float = Field(5.0, gt=0, description="How often it is looked for calls that are to be handed over.")
    salesforce: SalesforceSettings = Field(
        SalesforceSettings(), description="Calls become Tasks of Salesforce (docs/handover.md)."
    )
    hubspot: HubSpotSettings = Field(HubSpotSettings(), description="Calls become calls of HubSpot (docs/handover.md).")
    webhooks: Annotated[tuple[WebhookSettings, ...], AfterValidator(_named_apart)] = Field(
        (), description="Signed webhooks that get every call; see handover.webhooks[]."
    )

    @property
    def is_configured(self) -> bool:
        """Whether calls are handed over to anybody."""
        return self.salesforce.is_configured or self.hubspot.is_configured or bool(self.webhooks)


class ExportSettings(Part):
    folder: str = Field(
        "",
        description="Where exports are written: a folder, or s3://bucket/prefix (with the endpoint, region and keys of"
        " `objects`). Empty: exports/ in the home.",
    )
    personal_data: bool = Field(False, description="Whether phone numbers and customers' names leave with exports.")
    kinds: tuple[Literal["csv", "parquet", "xlsx", "vcon", "pca", "powerbi", "ossie", "lake", "hyper"], ...] = Field(
        (), description="What the workers export by themselves, every `every_h` hours. Empty: nothing."
    )
    every_h: float = Field(24.0, ge=0.05, description="Hours from one export by the workers to the next.")


class ReceiverSettings(Part):
    """A webhook that is told something by the clock; `_name` is that of the part of the settings."""

    _name: ClassVar[str]

    url: Annotated[str, AfterValidator(_http_url)] = ""
    secret: SecretStr = Field(
        SecretStr(""),
        description="Signs what is sent (HMAC-SHA256, docs/handover.md): `whsec_` and base64, or 24 characters.",
    )
    allow_private: bool = Field(
        False, description="Whether it may be at an address of a private network or of this machine."
    )

    @model_validator(mode="after")
    def _can_be_signed(self) -> Self:
        if not self.url:
            return self
        if len(self.secret.get_secret_value()) < MIN_SECRET_CHARS:
            raise ValueError(f"{self._name}.secret needs at least {MIN_SECRET_CHARS} characters")
        if not self.allow_private and self.url.startswith("http:"):
            raise ValueError(f"{self._name}.url is in the open net and needs https")
        return self


class AlertSettings(ReceiverSettings):
    _name: ClassVar[str] = "alerts"

    url: Annotated[str, AfterValidator(_http_url)] = Field(
        "", description="Where it is told which reasons have risen (docs/trends.md). Empty: nobody is told."
    )
    period: Literal["day", "week", "month"] = Field("week", description="The complete periods that are compared.")
    false_share: float = Field(
        0.01, gt=0, lt=0.5, description="Of the reasons that are said to have risen, so many may be so by chance."
    )
    settle_h: float = Field(
        6.0,
        ge=0,
        description="Hours for which a period's last calls are waited for, after its end, before it is looked at.",
    )
    min_calls: int = Field(10, ge=1, description="Calls of a reason in the period from which on it is told of.")

    @property
    def is_configured(self) -> bool:
        """Whether anybody is told."""
        return bool(self.url)


class ReportSettings(ReceiverSettings):
    _name: ClassVar[str] = "reports"

    folder: str = Field(
        "",
        description="Where the workers write the report of each week, a day after its end: a folder, or a path in the"
        " home. Empty: nowhere.",
    )
    url: Annotated[str, AfterValidator(_http_url)] = Field(
        "", description="Where the report of each week is sent (docs/trends.md). Empty: nowhere."
    )

    @property
    def is_configured(self) -> bool:
        """Whether the workers make reports."""
        return bool(self.folder or self.url)


class Settings(BaseSettings):
    """All settings of one process. Environment wins over `.env`, that over `callwise.toml`, that over the defaults."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="CALLWISE_",
        env_nested_delimiter="__",
        env_file=".env",
        # A `.env` is shared: docker compose's own variables and other programs' keys stand in it, too.
        dotenv_filtering="match_prefix",
        toml_file="callwise.toml",
    )

    home: Path = Field(Path("~/.callwise"), description="Folder for everything that Callwise keeps on this machine.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe log line that is written."
    )
    site: SiteSettings = SiteSettings()
    database: DatabaseSettings = DatabaseSettings()
    broker: BrokerSettings = BrokerSettings()
    objects: ObjectSettings = ObjectSettings()
    events: Annotated[
        tuple[EventSource, ...], Field(description="Where events come from; several at once are fine.")
    ] = (EventSource(kind="folder"),)
    telephony: TelephonySettings = TelephonySettings()
    speech: SpeechSettings = SpeechSettings()
    language: LanguageSettings = LanguageSettings()
    similar: SimilarSettings = SimilarSettings()
    redaction: RedactionSettings = RedactionSettings()
    retention: RetentionSettings = RetentionSettings()
    prices: Annotated[
        dict[str, Annotated[tuple[Price, ...], AfterValidator(_distinct_days)]],
        BeforeValidator(_as_dated),
        Field(description="Price table in dollars, by model name: one price, or a list of dated ones."),
    ] = {}
    budgets: BudgetSettings = BudgetSettings()
    work: WorkSettings = WorkSettings()
    web: WebSettings = WebSettings()
    handover: HandoverSettings = HandoverSettings()
    exports: ExportSettings = ExportSettings()
    reports: ReportSettings = ReportSettings()
    alerts: AlertSettings = AlertSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, dotenv_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def home_path(self) -> Path:
        """The home, absolute."""
        return self.home.expanduser().absolute()

    @property
    def database_url(self) -> str:
        """The database's URL, the embedded default included."""
        return self.database.url or f"sqlite:///{self.home_path / 'callwise.db'}"

    @property
    def objects_folder(self) -> Path:
        """The folder store's root."""
        return (self.objects.folder or self.home_path / "objects").expanduser().absolute()

    @property
    def exports_place(self) -> str:
        """Where exports are written: an absolute folder, or s3://bucket/prefix."""
        if self.exports.folder.startswith("s3://"):
            return self.exports.folder
        folder = Path(self.exports.folder) if self.exports.folder else self.home_path / "exports"
        return str(folder.expanduser().absolute())

    @property
    def is_embedded(self) -> bool:
        """True when workers ring themselves from the database instead of through a broker."""
        return self.broker.url.startswith("memory://")


def read_settings(**overrides: object) -> Settings:
    """The settings of this process. Raises SettingsError with one line that names the setting and the fix."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        variable = "CALLWISE_" + "__".join(str(part) for part in first["loc"]).upper()
        what = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{name}: {what} (set {variable} or {name} in callwise.toml)") from None
    except ValueError as error:
        raise SettingsError(str(error)) from None
