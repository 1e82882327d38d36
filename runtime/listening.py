"""The composition of ingest: its parts out of the settings, for the commands and for the web app."""

from collections.abc import Callable
from dataclasses import replace

from ingest.awaiting import AwaitedListener
from ingest.intake import Intake, Ring
from ingest.listening import Listener, Source, make_listeners
from ingest.listening import catch_up as drain_all
from ingest.looking import Looker
from ingest.own_patterns import OwnPattern
from ingest.profiles import Profiles
from runtime.settings import Settings
from runtime.wiring import Wiring

Observe = Callable[[str], None]

# A store across a network answers in milliseconds and many questions at once.
LOOKS_SIDE_BY_SIDE = 16


def make_profiles(settings: Settings) -> Profiles:
    """The telephony profiles that the settings choose. Raises SettingsError."""
    telephony = settings.telephony
    patterns = [OwnPattern(**pattern.model_dump()) for pattern in telephony.patterns]
    return Profiles.of(telephony.profiles, region=telephony.region, time_zone=telephony.time_zone, patterns=patterns)


def make_intake(wired: Wiring, ring: Ring | None = None, observe: Observe | None = None) -> Intake:
    """Intake into this process's database; `ring` tells the workers, None where their sweep finds the work.

    `observe` is told of each moment of intake (see Intake.observe).
    """
    profiles, settings = make_profiles(wired.settings), wired.settings
    looker = Looker(
        wired.objects,
        profiles,
        side_by_side=LOOKS_SIDE_BY_SIDE if settings.objects.kind == "s3" else 1,
        reads_tags=settings.telephony.read_tags,
    )
    intake = Intake(wired.database, wired.objects, profiles, ring, looker)
    return replace(intake, observe=observe) if observe else intake


def http_tokens(settings: Settings) -> dict[str, str]:
    """The token of each source that sends its events over HTTP, by the source's name in logs."""
    return {
        f"http events.{place}": source.token.get_secret_value()
        for place, source in enumerate(settings.events)
        if source.kind == "http"
    }


def make_all_listeners(wired: Wiring, ring: Ring | None = None, observe: Observe | None = None) -> list[Listener]:
    """A listener for each source of events in the settings that is listened to, and one for what was announced before
    it was there. Raises SettingsError.
    """
    sources = [
        Source(
            kind=source.kind,
            url=source.url,
            queue=source.queue,
            exchange=source.exchange,
            routing_key=source.routing_key,
            region=source.region,
            access_key=source.access_key,
            secret_key=source.secret_key.get_secret_value(),
        )
        for source in wired.settings.events
    ]
    intake = make_intake(wired, ring, observe)
    return [*make_listeners(intake, sources), AwaitedListener(intake)]


def catch_up(wired: Wiring) -> int:
    """Take in what every source has now, without ringing; returns the number of new calls. Raises TransientError."""
    return drain_all(make_all_listeners(wired))
