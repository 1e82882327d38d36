"""Settings of what comes in: where events come from, and how telephony names things."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator

from runtime.settings_common import Part, fits_a_header, http_url, known_zone

# Sixteen letters and digits are some 80 bits: nobody guesses them over a network.
MIN_TOKEN_CHARS = 16


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
        if given.data.get("kind") == "http" and (len(text) < MIN_TOKEN_CHARS or not fits_a_header(text)):
            raise ValueError(f"http needs a token of at least {MIN_TOKEN_CHARS} letters and digits, without spaces")
        return token


class TwilioSettings(Part):
    account_sid: str = Field("", description="Account SID (AC...) whose recordings are fetched. Empty: none are.")
    auth_token: SecretStr = Field(
        SecretStr(""), description="The account's auth token: it proves callbacks, and fetches recordings."
    )
    api_base_url: Annotated[str, AfterValidator(http_url)] = Field(
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
    time_zone: Annotated[str, AfterValidator(known_zone)] = Field(
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
