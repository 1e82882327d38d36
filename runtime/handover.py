"""What calls are handed over to, as the settings say it, and a call as each of these takes it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import UUID
from zoneinfo import ZoneInfo

from calls.crm_payloads import MAPPERS, Payload, salesforce_task
from calls.handover import CrmIds, HandedCall, Rules
from calls.redaction import SensitiveFinder
from crm.access import Viewer
from crm.handover import MARKED, UNMARKED
from engines.handover import Destination
from runtime.settings import Settings

if TYPE_CHECKING:
    from engines.crm_salesforce_key import SigningKey


@dataclass(frozen=True)
class Place:
    """One destination: its name, the kind of it, which is the name of its mapper, too, and the engine."""

    name: str
    kind: str
    engine: Destination


class Handovers:
    """The destinations of this process, made once; nothing is asked of them before the first call."""

    def __init__(
        self, settings: Settings, find: SensitiveFinder, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.settings = settings
        self.find = find
        self.clock = clock

    @property
    def rules(self) -> Rules:
        """What the owner lets go."""
        chosen = self.settings.handover
        return Rules(needs_approval=chosen.needs_approval, demo_results=chosen.demo_results)

    @property
    def viewer(self) -> Viewer:
        """Whose eyes those of a CRM are."""
        return UNMARKED if self.settings.handover.unredacted else MARKED

    @property
    def zone(self) -> tzinfo:
        """In which the day of a call is counted."""
        return ZoneInfo(self.settings.site.time_zone)

    @cached_property
    def places(self) -> Mapping[str, Place]:
        """Every destination that is configured, by name."""
        chosen = self.settings.handover
        places = []
        if chosen.salesforce.is_configured:
            places.append(Place("salesforce", "salesforce", self._salesforce()))
        if chosen.hubspot.is_configured:
            places.append(Place("hubspot", "hubspot", self._hubspot()))
        places += [Place(name, "webhook", engine) for name, engine in self._webhooks()]
        return {place.name: place for place in places}

    def page_url(self, call_id: UUID) -> str:
        """The call's page, as the world reaches it; "" where that is not known."""
        public = self.settings.web.public_url
        return f"{public}/calls/{call_id}" if public else ""

    def payload(self, system: str, call: HandedCall, ids: CrmIds) -> Payload:
        """The call as the system of that name, one of MAPPERS, takes it."""
        if system == "salesforce":
            return salesforce_task(call, ids, zone=self.zone)
        return MAPPERS[system](call, ids)

    def _salesforce(self) -> Destination:
        from engines.crm_salesforce import SalesforceCrm

        chosen = self.settings.handover.salesforce
        return SalesforceCrm(
            chosen.url,
            client_id=chosen.client_id,
            client_secret=chosen.client_secret.get_secret_value(),
            refresh_token=chosen.refresh_token.get_secret_value(),
            key=self._salesforce_key(),
            api_version=chosen.api_version,
            external_id_field=chosen.external_id_field,
        )

    def _salesforce_key(self) -> "SigningKey | None":
        chosen = self.settings.handover.salesforce
        if chosen.private_key_file is None or not chosen.username:
            return None
        from engines.crm_salesforce_key import SigningKey

        return SigningKey(
            chosen.private_key_file.expanduser(),
            issuer=chosen.client_id,
            subject=chosen.username,
            audience=chosen.audience,
            clock=self.clock,
        )

    def _hubspot(self) -> Destination:
        from engines.crm_hubspot import HubSpotCrm

        chosen = self.settings.handover.hubspot
        return HubSpotCrm(chosen.token.get_secret_value(), base_url=chosen.base_url, id_property=chosen.id_property)

    def _webhooks(self) -> list[tuple[str, Destination]]:
        from engines.webhook import Webhook

        return [
            (
                one.name,
                Webhook(one.url, one.secret.get_secret_value(), allow_private=one.allow_private, clock=self.clock),
            )
            for one in self.settings.handover.webhooks
        ]
