"""Writing down who read what, before the answer leaves."""

from uuid import UUID

from crm.access import Viewer
from web.site import Site


def note_read(site: Site, viewer: Viewer, action: str, call_id: UUID) -> None:
    """Write down that `viewer` reads or hears this call; the error goes up: what cannot be written is not shown."""
    site.readings.note(site.wiring.database, viewer, action, call_id, site.clock())
