"""What may be spent today, out of the settings and the ledger: asked before work that is paid for begins."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from calls.errors import BudgetSpent, EngineMisconfigured
from calls.money import Budget, Service, day_of
from calls.pipeline import TRANSCRIBE, Lane
from crm.database import Database
from crm.money import parked_counts, spent_microusd, wake_parked
from runtime.choice import DEFAULT_SPEECH_API_MODEL, choose_language, choose_speech
from runtime.deployments import listed
from runtime.settings import Settings

SERVICES: tuple[Service, ...] = ("speech", "language")
_SERVICES: Mapping[str, Service] = {TRANSCRIBE.name: "speech"}
_PAID_ENGINES = frozenset({"openai", "azure", "compatible"})
# Waking more at once would only make them wait in the broker.
WOKEN_AT_ONCE = 200


@dataclass(frozen=True)
class Spent:
    """One service's day: what was spent, or is promised to batches, of what may be, in millionths of a dollar."""

    service: Service
    spent_microusd: int
    budget: Budget
    unpriced_models: tuple[str, ...]

    def room_microusd(self, lane: Lane) -> int:
        """What work of that lane may still spend."""
        return self.budget.room_microusd(self.spent_microusd, lane)


class Budgets:
    """The budgets of these settings; none for a service whose engine costs nothing or that has no bound."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._zone = ZoneInfo(settings.site.time_zone)
        self._budgets: dict[Service, Budget] = {}
        for service in SERVICES:
            usd: float | None = getattr(settings.budgets, f"{service}_usd_per_day")
            if usd is not None and is_paid(settings, service):
                self._budgets[service] = Budget(usd, settings.budgets.live_share)

    def require(self, service: Service, lane: Lane) -> None:
        """Let work of that lane begin, or raise BudgetSpent, which ends with the day.

        Raises EngineMisconfigured where a budget is set and a model has no price: nobody could keep to it.
        """
        if service not in self._budgets:
            return
        now = datetime.now(UTC)
        with self._database.read() as connection:
            spent = self.spent(connection, service, now)
        if spent is None:
            return
        if spent.unpriced_models:
            raise EngineMisconfigured(
                f"budgets.{service}_usd_per_day cannot be kept to: {', '.join(spent.unpriced_models)} has no price that"
                " counts today; add one to prices",
                code="price_unknown",
            )
        if spent.room_microusd(lane) == 0:
            raise BudgetSpent(
                f"budgets.{service}_usd_per_day = {spent.budget.usd_per_day:g} is spent;"
                " work goes on at the day's turn, or when the setting is raised",
                retry_after_s=(day_of(now, self._zone)[1] - now).total_seconds(),
            )

    def spent(self, connection: sa.Connection, service: Service, now: datetime) -> Spent | None:
        """The service's day so far; None where nothing bounds it."""
        budget = self._budgets.get(service)
        if budget is None:
            return None
        since, _ = day_of(now, self._zone)
        return Spent(
            service, spent_microusd(connection, service, since), budget, unpriced_models(self._settings, service)
        )

    def room_microusd(self, service: Service, lane: Lane) -> int | None:
        """What work of that lane may still spend today; None where nothing bounds it."""
        with self._database.read() as connection:
            spent = self.spent(connection, service, datetime.now(UTC))
        return None if spent is None else spent.room_microusd(lane)

    def document(self, connection: sa.Connection, now: datetime) -> dict[str, Any]:
        """Each service's day for `status` and `costs`: what is spent, what may be (None: no bound), how many wait."""
        since, _ = day_of(now, self._zone)
        parked = parked_counts(connection, now=now)
        document: dict[str, Any] = {}
        for service in SERVICES:
            budget = self._budgets.get(service)
            waiting = sum(calls for (step, _), calls in parked.items() if _SERVICES.get(step, "language") == service)
            document[service] = {
                "spent_microusd": spent_microusd(connection, service, since),
                "budget_microusd": budget and budget.room_microusd(0, Lane.LIVE),
                "parked": waiting,
            }
        return document

    def wake(self) -> int:
        """Let what waits for a budget go on where there is room again; returns how many calls.

        A budget that is raised, or taken away, is so for a process that was started after it: its sweep sees to this.
        """
        now, woken = datetime.now(UTC), 0
        with self._database.read() as connection:
            parked = parked_counts(connection, now=now)
            spent = {service: self.spent(connection, service, now) for service in SERVICES} if parked else {}
        for step, lane in sorted(parked):
            found = spent.get(_SERVICES.get(step, "language"))
            if found is None or found.room_microusd(lane) > 0:
                with self._database.write() as connection:
                    woken += wake_parked(connection, step, lane, now=now, limit=WOKEN_AT_ONCE)
        return woken


def is_paid(settings: Settings, service: Service) -> bool:
    """Whether the service's engine is one that is paid for by the request."""
    choice = choose_speech(settings) if service == "speech" else choose_language(settings)
    # Vectors by API are a language model's, too.
    return choice.name in _PAID_ENGINES or (service == "language" and settings.similar.is_paid)


def paid_models(settings: Settings, service: Service) -> tuple[str, ...]:
    """The models, or deployments, that the settings name for a service that is paid for."""
    if service == "speech":
        return (settings.speech.model or DEFAULT_SPEECH_API_MODEL,)
    chosen = choose_language(settings).name
    models = [one.model for one in listed(settings, chosen)] if chosen in _PAID_ENGINES else []
    models += [settings.similar.model] if settings.similar.is_paid else []
    return tuple(dict.fromkeys(models))


def unpriced_models(settings: Settings, service: Service) -> tuple[str, ...]:
    """Those of them that have no price today."""
    today = datetime.now(UTC).date()
    return tuple(
        model
        for model in paid_models(settings, service)
        if not any(price.valid_from <= today for price in settings.prices.get(model, ()))
    )
