"""Where questions to a language model go: the deployments of the settings, behind their meters."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from calls.meter import Limits
from calls.prices import Price, PriceHistory
from engines.meters import Meters
from runtime.settings import Settings
from runtime.settings_models import DeploymentSettings

if TYPE_CHECKING:
    # The SDK behind them takes most of a second to import, which only those who use it shall pay.
    from engines.deployments import Deployments
    from engines.language_requests import LanguageRequests

TIERS = ("first", "strong")


def tiers_of(settings: Settings, provider: str, meters: Meters) -> list["Deployments"]:
    """The deployments of each tier behind one face, in the order in which tiers are asked; at least one.

    Where the settings list none, the single model of `language` is the only one, at `provider`.
    """
    from engines.deployments import Deployment, Deployments

    every = listed(settings, provider)
    return [
        Deployments(
            [
                Deployment(
                    one.called, requests_to(settings, one), Limits(one.tokens_per_minute, one.requests_per_minute)
                )
                for one in every
                if one.tier == tier
            ],
            meters,
        )
        for tier in TIERS
        if any(one.tier == tier for one in every)
    ]


def listed(settings: Settings, provider: str) -> tuple[DeploymentSettings, ...]:
    """The deployments as the settings list them, or the single one that they describe."""
    given = settings.language
    if given.deployments:
        return given.deployments
    shared = DeploymentSettings.model_fields.keys() & type(given).model_fields.keys()
    single = {name: getattr(given, name) for name in shared}
    return (DeploymentSettings.model_validate({**single, "provider": provider}),)


def requests_to(settings: Settings, one: DeploymentSettings) -> "LanguageRequests":
    """Requests to one deployment. Raises EngineMisconfigured where its token cannot be had."""
    from engines.language_requests import LanguageRequests

    return LanguageRequests(
        one.provider,
        model=one.model,
        api_key=api_key_of(one),
        base_url=one.base_url,
        api_version=one.api_version,
        price=price_of(settings, one.model),
    )


def api_key_of(one: DeploymentSettings) -> str | Callable[[], str]:
    """The key, or what gives an Entra token in its place. Raises EngineMisconfigured where that cannot be had."""
    from engines.entra import entra_token

    return entra_token(one.entra_token) if one.entra_token else one.api_key.get_secret_value()


def price_of(settings: Settings, model: str) -> PriceHistory | None:
    """The owner's prices of a model; None when the table has none: an unknown price is not a price of nothing."""
    found = settings.prices.get(model)
    return PriceHistory([Price(**price.model_dump()) for price in found]) if found else None
