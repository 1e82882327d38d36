"""The composition: settings in, ready parts out. Each part is made on first use, once per process."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from calls.errors import SettingsError
from calls.reasons import Taxonomy
from crm.database import Database
from engines.identity import IdentityProvider
from engines.language import LanguageEngine
from engines.meters import Meters
from engines.objects import ObjectStore
from engines.speech import SpeechEngine
from runtime.batches import BatchLane
from runtime.budgets import Budgets
from runtime.choice import choose_language, choose_redaction, choose_speech
from runtime.settings import Settings

if TYPE_CHECKING:
    from calls.redaction import SensitiveFinder
    from engines.trained_reasons import TrainedReasons
    from engines.twilio import TwilioRecordings
    from runtime.handover import Handovers
    from runtime.learned import LearnedReasons

BUNDLED_REASONS = Path(__file__).parent / "taxonomies" / "service_centre.yaml"


def bundled_reasons() -> dict[str, Path]:
    """The ready taxonomies that come with Callwise, by name."""
    return {path.stem: path for path in sorted(BUNDLED_REASONS.parent.glob("*.yaml"))}


class Wiring:
    """Every part of one process, made from its settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def database(self) -> Database:
        """The CRM database."""
        return Database(self.settings.database_url)

    @cached_property
    def objects(self) -> ObjectStore:
        """The store that recordings lie in."""
        chosen = self.settings.objects
        if chosen.kind == "s3":
            from engines.objects_s3 import S3Store

            return S3Store(
                chosen.bucket,
                endpoint_url=chosen.endpoint_url,
                region=chosen.region,
                access_key=chosen.access_key,
                secret_key=chosen.secret_key.get_secret_value(),
            )
        from engines.objects_folder import FolderStore

        if chosen.folder is None:
            # A folder of the owner's own is never made: it may be a disk that is not mounted.
            self.settings.objects_folder.mkdir(parents=True, exist_ok=True)
        return FolderStore(self.settings.objects_folder, bucket=chosen.bucket)

    @cached_property
    def speech(self) -> SpeechEngine:
        """The speech engine that the settings choose; nothing is loaded before its first use."""
        return choose_speech(self.settings).make()

    @cached_property
    def language(self) -> LanguageEngine:
        """The language engine that the settings choose."""
        return choose_language(self.settings, lambda: self.meters, self._learned_for).make()

    @cached_property
    def learned(self) -> "LearnedReasons":
        """The classifiers of reasons that labelled calls taught."""
        from runtime.learned import LearnedReasons

        return LearnedReasons(lambda: self.objects)

    @cached_property
    def redaction(self) -> "SensitiveFinder":
        """What finds in a transcript what must not leave."""
        return choose_redaction(self.settings)

    def _learned_for(self, taxonomy: Taxonomy) -> "TrainedReasons | None":
        # Loaded when first asked for: set-ups with an API alone need no scikit-learn in their workers.
        return self.learned(taxonomy)

    @cached_property
    def meters(self) -> Meters:
        """The meters that all workers share: in the broker where that is Redis, else in the database."""
        url = self.settings.broker.url
        if url.startswith(("redis://", "rediss://")):
            from engines.pacing_redis import RedisMeters

            return RedisMeters(url)
        from crm.pacing import DatabaseMeters

        return DatabaseMeters(self.database)

    @cached_property
    def twilio(self) -> "TwilioRecordings | None":
        """The recordings that Twilio keeps; None where no account is configured."""
        chosen = self.settings.telephony.twilio
        if not chosen.is_configured:
            return None
        from engines.twilio import API_URL, TwilioRecordings

        return TwilioRecordings(
            chosen.account_sid, chosen.auth_token.get_secret_value(), api_base_url=chosen.api_base_url or API_URL
        )

    @cached_property
    def identity_provider(self) -> IdentityProvider | None:
        """Where people sign in elsewhere; None where nothing is configured. Raises SettingsError."""
        chosen = self.settings.web.oidc
        if not chosen.is_configured:
            return None
        try:
            from engines.oidc import OidcProvider
        except ModuleNotFoundError:
            raise SettingsError("web.oidc needs the extra `oidc`: pip install callwise[oidc]") from None
        return OidcProvider(
            chosen.issuer, chosen.client_id, chosen.client_secret.get_secret_value(), scopes=chosen.scopes
        )

    @cached_property
    def budgets(self) -> Budgets:
        """What may be spent today."""
        return Budgets(self.settings, self.database)

    @cached_property
    def batches(self) -> BatchLane:
        """The lane in which old work's questions to a language model go in batches."""
        return BatchLane(self.settings, lambda: self.meters, self._learned_for)

    @cached_property
    def handovers(self) -> "Handovers":
        """What calls are handed over to."""
        from runtime.handover import Handovers

        return Handovers(self.settings, self.redaction)

    def taxonomy_from_file(self) -> Taxonomy:
        """The owner's reasons as their file says, the bundled ones where the owner has none. Raises SettingsError."""
        from calls.taxonomy_file import parse_taxonomy

        own = self.settings.site.reasons_file
        path = own.expanduser() if own else BUNDLED_REASONS
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"site.reasons_file: cannot read {path} ({type(error).__name__}); correct CALLWISE_SITE__REASONS_FILE,"
                " or leave it empty for the bundled reasons"
            ) from error
        return parse_taxonomy(text)
