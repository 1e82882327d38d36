"""Settings of the site: name and zone, database, broker and store, how work is done and how long things are kept."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from runtime.settings_common import Part, known_zone

BROKERS = ("amqp", "amqps", "redis", "rediss", "sqs", "memory")


class SiteSettings(Part):
    name: str = Field("Callwise", description="The owner's name, shown on pages and files.")
    time_zone: Annotated[str, AfterValidator(known_zone)] = Field(
        "UTC",
        description="Zone in which days and weeks are counted (IANA name). Where nobody names one, days stay as they"
        " were counted last.",
    )
    fiscal_year_starts_in: int = Field(
        1, ge=1, le=12, description="Month in which the fiscal year begins, for the table of dates."
    )
    reasons_file: Path | None = Field(
        None, description="The owner's reasons.yaml. Empty: the bundled service-centre taxonomy."
    )

    @property
    def named_zone(self) -> str | None:
        """The zone, None where nobody names one: a command that does not see the owner's settings must not count all
        days anew.
        """
        return self.time_zone if "time_zone" in self.model_fields_set else None


class DatabaseSettings(Part):
    url: str = Field(
        "",
        description="sqlite:///PATH or postgresql+psycopg://USER:PASSWORD@HOST/NAME. Empty: callwise.db in the home.",
    )


def _known_broker(url: str) -> str:
    if url.partition("://")[0] not in BROKERS:
        raise ValueError(f"a broker's URL begins with one of {', '.join(f'{name}://' for name in BROKERS)}")
    return url


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
