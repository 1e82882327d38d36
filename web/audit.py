"""Writing down who read what, before the answer leaves."""

from uuid import UUID

from crm.access import Viewer
from crm.audit import note
from web.site import Site


def note_read(site: Site, viewer: Viewer, action: str, call_id: UUID) -> None:
    """Write down that `viewer` reads or hears this call; the error goes up: what cannot be written is not shown."""
    now = site.clock()
    if site.readings.is_noted(viewer, action, call_id, now):
        return
    with site.wiring.database.write() as connection:
        note(connection, viewer, action, call_id=call_id, now=now)
    site.readings.remember(viewer, action, call_id, now)
