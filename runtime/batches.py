"""The batch lane out of the settings: which deployment takes the batches of each tier, and the engine over them."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from calls.errors import SettingsError
from calls.pipeline import Lane
from engines.language import LanguageEngine
from runtime.choice import choose_language, language_over
from runtime.deployments import TIERS, api_key_of, listed, price_of, tiers_of
from runtime.settings import Settings
from runtime.settings_models import DeploymentSettings

if TYPE_CHECKING:
    # The SDK behind them takes most of a second to import, which only those who use it shall pay.
    from engines.batched_requests import Questions
    from engines.deployments import Deployments
    from engines.language_batch import BatchApi
    from engines.language_offline import Learned
    from engines.meters import Meters

# Other servers have no Batch API that is known to be like OpenAI's.
_PROVIDERS = ("openai", "azure")


class BatchLane:
    """The lane of these settings: of each tier, the first deployment that has a Batch API takes the batches."""

    def __init__(self, settings: Settings, meters: "Callable[[], Meters]", learned: "Learned | None" = None) -> None:
        self._settings = settings
        self._meters = meters
        self._learned = learned
        self._provider = _provider(settings)
        self._chosen: dict[str, DeploymentSettings] = {}
        for one in listed(settings, self._provider) if self._provider != "offline" else ():
            if one.provider in _PROVIDERS:
                self._chosen.setdefault(one.tier, one)

    @property
    def is_possible(self) -> bool:
        """Whether any deployment takes batches at all."""
        return bool(self._chosen)

    @property
    def is_on(self) -> bool:
        """Whether old work's questions are to go in batches."""
        return self._settings.language.batch and self.is_possible

    @cached_property
    def apis(self) -> "Mapping[str, BatchApi]":
        """The deployments' batches, by the name under which their questions are kept."""
        from engines.language_batch import BatchApi

        made = {}
        for one in self._chosen.values():
            api = BatchApi(
                one.provider,
                model=one.model,
                api_key=api_key_of(one),
                base_url=one.base_url,
                api_version=one.api_version,
                price=price_of(self._settings, one.model),
            )
            made[api.name] = api
        return made

    def language(self, lane: Lane, questions: "Questions") -> LanguageEngine | None:
        """The engine for one analysis of that lane, whose questions wait there; None where it asks directly."""
        if lane is Lane.LIVE or not self.is_possible:
            return None
        from engines.batched_requests import BatchedRequests

        every = listed(self._settings, self._provider)
        tiers = [tier for tier in TIERS if any(one.tier == tier for one in every)]
        return language_over(
            self._settings,
            [
                BatchedRequests(
                    requests, questions, deployment=f"{one.provider}/{one.model}", model=one.model, defers=self.is_on
                )
                if (one := self._chosen.get(tier)) is not None
                else requests
                for tier, requests in zip(tiers, self._direct, strict=True)
            ],
            self._learned,
        )

    @cached_property
    def _direct(self) -> "list[Deployments]":
        return tiers_of(self._settings, self._provider, self._meters())


def _provider(settings: Settings) -> str:
    """The language engine of these settings; where none may be chosen, that is said by who needs one at once."""
    try:
        return choose_language(settings).name
    except SettingsError:
        return "offline"
