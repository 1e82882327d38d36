"""What every page and API route shares: the parts of this process, the clock, sessions, templates."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import Depends, Request
from starlette.templating import Jinja2Templates

from calls.reasons import Taxonomy
from ingest.intake import Intake
from runtime.listening import make_intake
from runtime.wiring import Wiring
from web.proven import ProvenPasswords
from web.ratelimit import RateLimit
from web.readings import Readings
from web.sessions import Sessions
from web.throttle import LoginThrottle


@dataclass(frozen=True)
class Site:
    """One web process. `zone` is the site's time zone, in which days and times are shown."""

    wiring: Wiring
    clock: Callable[[], datetime]
    sessions: Sessions
    throttle: LoginThrottle
    templates: Jinja2Templates
    proven: ProvenPasswords = field(default_factory=ProvenPasswords)
    readings: Readings = field(default_factory=Readings)
    # By version; what a version says never changes, and there are as many as people have loaded.
    known_taxonomies: dict[str, Taxonomy] = field(default_factory=dict)

    @property
    def zone(self) -> ZoneInfo:
        """The site's time zone."""
        return ZoneInfo(self.wiring.settings.site.time_zone)

    @cached_property
    def rates(self) -> RateLimit:
        """How much each caller may ask of the API."""
        return RateLimit(self.wiring.settings.web.api_requests_per_minute)

    @cached_property
    def intake(self) -> Intake:
        """Intake of what is sent to this process; the workers' sweep finds the work."""
        return make_intake(self.wiring)


def site_of(request: Request) -> Site:
    """The site that serves this request."""
    site: Site = request.app.state.site
    return site


async def _our_site(request: Request) -> Site:
    # A dependency that is no coroutine is called in a thread of its own, which takes longer than all it does.
    return site_of(request)


OurSite = Annotated[Site, Depends(_our_site)]
