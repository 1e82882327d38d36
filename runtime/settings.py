"""Every setting, typed and documented, read once: environment (`CALLWISE_...`), `.env`, `callwise.toml`."""

import json
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings.exceptions import SettingsError as NotJson

from calls.errors import SettingsError
from runtime.settings_intake import EventSource, TelephonySettings
from runtime.settings_models import (
    BudgetSettings,
    LanguageSettings,
    Price,
    RedactionSettings,
    SimilarSettings,
    SpeechSettings,
    as_dated,
    distinct_days,
)
from runtime.settings_outgoing import AlertSettings, ExportSettings, HandoverSettings, ReportSettings
from runtime.settings_site import (
    BrokerSettings,
    DatabaseSettings,
    ObjectSettings,
    RetentionSettings,
    SiteSettings,
    WorkSettings,
)
from runtime.settings_web import WebSettings


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
        dict[str, Annotated[tuple[Price, ...], AfterValidator(distinct_days)]],
        BeforeValidator(as_dated),
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
    except NotJson:
        named = ", ".join(filter(_should_be_json, sorted(os.environ))) or "a value in .env"
        raise SettingsError(
            f"{named}: lists and tables are JSON in the environment: "
            """CALLWISE_WEB__ALLOWED_HOSTS='["calls.example.org"]'"""
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"callwise.toml cannot be read: {error}; mend it, it is TOML in UTF-8") from None
    except OSError as error:
        raise SettingsError(f"{error.filename} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise SettingsError(str(error)) from None


def settings_by_source() -> dict[str, dict[str, Any]]:
    """What each source of settings says, the one that wins first."""
    return {
        "environment": EnvSettingsSource(Settings)(),
        ".env": DotEnvSettingsSource(Settings)(),
        "callwise.toml": TomlConfigSettingsSource(Settings)(),
    }


def _should_be_json(variable: str) -> bool:
    """Whether this variable of the environment is a list or a table of the settings, and its value is no JSON."""
    prefix, _, rest = variable.lower().partition("_")
    kind: object = Settings
    for part in rest.split("__"):
        if prefix != "callwise" or not isinstance(kind, type) or not issubclass(kind, BaseModel):
            return False
        kind = kind.model_fields[part].annotation if part in kind.model_fields else None
    is_table = isinstance(kind, type) and issubclass(kind, BaseModel)
    if not is_table and get_origin(kind) not in {tuple, list, dict, frozenset}:
        return False
    try:
        json.loads(os.environ[variable])
    except ValueError:
        return True
    return False
