"""Settings of what goes out: hand-over to CRMs, exports, reports and alerts."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator, model_validator

from runtime.settings_common import MIN_SECRET_CHARS, Part, http_url


class SalesforceSettings(Part):
    url: Annotated[str, AfterValidator(http_url)] = Field(
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
    base_url: Annotated[str, AfterValidator(http_url)] = Field(
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
    url: Annotated[str, AfterValidator(http_url)] = Field(
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

    url: Annotated[str, AfterValidator(http_url)] = ""
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

    url: Annotated[str, AfterValidator(http_url)] = Field(
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
    url: Annotated[str, AfterValidator(http_url)] = Field(
        "", description="Where the report of each week is sent (docs/trends.md). Empty: nowhere."
    )

    @property
    def is_configured(self) -> bool:
        """Whether the workers make reports."""
        return bool(self.folder or self.url)
