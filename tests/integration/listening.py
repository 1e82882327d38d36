"""What the tests of listeners share: an intake over any store, a running listener, the calls that came of it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import sqlalchemy as sa

from crm.database import Database
from crm.tables import call, recording, unreadable_event
from engines.objects import ObjectStore
from ingest.intake import Intake
from ingest.listening import Listener
from ingest.names import NAME_PROFILES
from ingest.profiles import PLAIN, Profiles

PROFILES = Profiles.of((PLAIN, *NAME_PROFILES), region="US", time_zone="UTC")
EVENTS = Path(__file__).parents[1] / "fixtures" / "events"


def make_intake(database: Database, objects: ObjectStore) -> Intake:
    return Intake(database, objects, PROFILES)


@contextmanager
def running(listener: Listener) -> Iterator[None]:
    """The listener in a thread of its own, stopped at the end."""
    stop = threading.Event()
    thread = threading.Thread(target=listener.run, args=(stop,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


def keys(database: Database) -> list[str]:
    """The keys of the current recordings, in order."""
    with database.read() as connection:
        return list(
            connection.execute(
                sa.select(recording.c.object_key).where(recording.c.is_current).order_by(recording.c.object_key)
            ).scalars()
        )


def calls(database: Database) -> list[sa.Row[Any]]:
    with database.read() as connection:
        return list(connection.execute(sa.select(call).order_by(call.c.received_at)))


def unreadable(database: Database) -> list[str]:
    """The codes of the events that nobody could read."""
    with database.read() as connection:
        return list(connection.execute(sa.select(unreadable_event.c.code).order_by(unreadable_event.c.code)).scalars())


def s3_event(*object_keys: str, bucket: str = "recordings") -> str:
    """One S3 message about these objects, as a store encodes them."""
    records = [
        {
            "eventSource": "aws:s3",
            "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": bucket}, "object": {"key": quote_plus(key, safe="/"), "size": 1, "eTag": "old"}},
        }
        for key in object_keys
    ]
    return json.dumps({"Records": records})
