"""One site for many tests in a browser, in which each has a desk: calls, agents, a queue and a customer of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from crm.tables import call_analysis, contact
from tests.browser import Visit, Visitors
from tests.seeds import NOW, seed_call
from tests.servers.webhook_receiver import WebhookReceiver
from tests.web_client import Hall

HEADLINES = {"dishwasher": "Dishwasher has not arrived", "oven": "Oven does not heat", "invoice": "Nobody finds it"}


@dataclass
class Centre:
    """One site for all tests of this file, and the CRM that it hands calls over to."""

    hall: Hall
    receiver: WebhookReceiver
    visitors: Visitors
    desk_count: int = 0


@dataclass
class Desk:
    """A reviewer's desk in the centre: a page, and calls of its own (agents, queue and customer) by a short name."""

    centre: Centre
    visit: Visit
    number: int
    ids: dict[str, str]

    @property
    def page(self) -> Any:
        """The browser's."""
        return self.visit.page

    @property
    def queue(self) -> str:
        """Of all calls of this desk, and of no others."""
        return f"Desk {self.number}"

    def open(self, name: str, query: str = "") -> None:
        """Open a call's page."""
        self.visit.go(f"/calls/{self.ids[name]}{query}")

    def analysis(self, name: str) -> Any:
        """What the database has of the call now."""
        with self.centre.hall.wiring.database.read() as connection:
            return connection.execute(
                sa.select(call_analysis).where(
                    call_analysis.c.call_id == UUID(self.ids[name]), call_analysis.c.is_current
                )
            ).one()


@contextmanager
def sitting_at(centre: Centre, name: str = "rita", **options: Any) -> Iterator[Desk]:
    """A desk of somebody's own, with calls that no other test knows."""
    centre.desk_count += 1
    number = centre.desk_count
    with centre.hall.wiring.database.write() as connection:
        ids = {}
        for n, (short, headline) in enumerate(HEADLINES.items()):
            ids[short] = str(
                seed_call(
                    connection,
                    agent=(f"Andrew {number}", f"Priya {number}")[n % 2],
                    queue=f"Desk {number}",
                    contact_number=f"+1555{number:04}" if n < 2 else None,
                    happened_at=NOW - timedelta(hours=n),
                    recording={"object_key": f"{short}{number}.wav", "playback_key": "call.wav"},
                    transcript={"agent_channel": 1},
                    analysis={"headline": headline},
                )
            )
        connection.execute(sa.update(contact).values(first_name="Rosa", last_name="Diaz"))
    with centre.visitors.visit(name, **options) as visit:
        yield Desk(centre, visit, number, ids)
