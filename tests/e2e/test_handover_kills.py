"""The hand-over under kills of real processes: at every moment at which another server has the word."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from crm.database import Database
from crm.destinations import destinations_document
from crm.handover_queue import know_destinations
from crm.handover_tables import handover
from crm.schema import upgrade
from tests.e2e.processes import environment
from tests.seeds import seed_call, seed_taxonomy
from tests.servers import hubspot, salesforce, webhook_receiver
from tests.servers.hubspot import HubSpotServer
from tests.servers.salesforce import SalesforceServer
from tests.servers.webhook_receiver import WebhookReceiver

CALLS = 12


class Killer:
    """Kills the process that writes, once for each kind of writing, before the work is done and after it."""

    def __init__(self) -> None:
        self.victim: subprocess.Popen[bytes] | None = None
        self.killed: list[tuple[str, str]] = []

    def around(self, kind: str, work: Callable[[], Any]) -> Any:
        """Do the work, with a death before or after it where there was none yet."""
        self._kill(kind, "before")
        done = work()
        self._kill(kind, "after")
        return done

    def _kill(self, kind: str, moment: str) -> None:
        if kind and self.victim is not None and (kind, moment) not in self.killed:
            self.killed.append((kind, moment))
            os.kill(self.victim.pid, signal.SIGKILL)
            self.victim = None


def killing(killer: Killer) -> tuple[SalesforceServer, HubSpotServer, WebhookReceiver]:
    class Org(SalesforceServer):
        def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Any:
            kind = "upsert at Salesforce" if method == "PATCH" else ""
            return killer.around(kind, lambda: super(Org, self).answer(method, target, headers, body))

    class Portal(HubSpotServer):
        def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Any:
            kind = next((word for word in ("upsert", "associate") if f"batch/{word}" in target), "")
            return killer.around(kind, lambda: super(Portal, self).answer(method, target, headers, body))

    class Receiver(WebhookReceiver):
        def answer(self, headers: dict[str, str], body: bytes) -> Any:
            return killer.around("webhook", lambda: super(Receiver, self).answer(headers, body))

    return Org(), Portal(), Receiver(lambda: datetime.now(UTC))


def test_each_call_is_everywhere_once_whenever_workers_die(tmp_path: Path) -> None:
    killer = Killer()
    database = Database(f"sqlite:///{tmp_path / 'callwise.db'}")
    upgrade(database)
    with ExitStack() as open_servers:
        org, portal, receiver = (open_servers.enter_context(server) for server in killing(killer))
        org.org.contacts.append(("003A", "001A", "5550100"))
        portal.portal.contacts.append(("11", "+15550100", ""))
        hook = {"name": "hook", "url": receiver.url, "secret": webhook_receiver.SECRET, "allow_private": True}
        settings = environment(
            tmp_path,
            CALLWISE_HANDOVER__SALESFORCE__URL=org.url,
            CALLWISE_HANDOVER__SALESFORCE__CLIENT_ID=salesforce.CLIENT_ID,
            CALLWISE_HANDOVER__SALESFORCE__CLIENT_SECRET=salesforce.CLIENT_SECRET,
            CALLWISE_HANDOVER__HUBSPOT__BASE_URL=portal.url,
            CALLWISE_HANDOVER__HUBSPOT__TOKEN=hubspot.TOKEN,
            CALLWISE_HANDOVER__WEBHOOKS=json.dumps([hook]),
        )
        with database.write() as connection:
            kinds = [("salesforce", "salesforce"), ("hubspot", "hubspot"), ("hook", "webhook")]
            know_destinations(connection, kinds, now=datetime.now(UTC))
            seed_taxonomy(connection)
            for _ in range(CALLS):
                seed_call(connection, contact_number="+15550100", modified_at=datetime.now(UTC), said=None)
        rounds = 0
        while True:
            rounds += 1
            assert rounds < 20
            process = subprocess.Popen([sys.executable, "-m", "cli", "handover", "run"], env=settings)
            killer.victim = process
            ended = process.wait(120)
            assert ended in {0, -signal.SIGKILL}
            if ended == 0:
                break
            with database.write() as connection:
                # What a dead one held is free again, at once.
                connection.execute(sa.update(handover).values(due_at=datetime.now(UTC)))
        kinds_of_writing = {"upsert at Salesforce", "upsert", "associate", "webhook"}
        assert set(killer.killed) == {(kind, moment) for kind in kinds_of_writing for moment in ("before", "after")}
        assert rounds == 9
        assert org.org.created_count == portal.portal.created_count == len(receiver.taken) == CALLS
        assert len(portal.portal.associations) == CALLS
        assert {task["WhoId"] for task in org.org.tasks.values()} == {"003A"}
        with database.read() as connection:
            told = destinations_document(connection)
        assert [one["calls"]["sent"] for one in told] == [CALLS] * 3
    database.dispose()
