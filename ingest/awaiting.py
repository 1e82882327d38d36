"""Objects that were announced before they were there, looked for again."""

from datetime import UTC, datetime
from threading import Event

import structlog

from calls.errors import TransientError
from calls.recording import ObjectRef
from crm.awaited import due_awaited
from ingest.events import Announced
from ingest.intake import BATCH, Intake, take_surely

log = structlog.get_logger()

PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0


class AwaitedListener:
    """Beside the other listeners: it announces again what was not there when they looked."""

    def __init__(self, intake: Intake) -> None:
        self.name = "awaited objects"
        self._intake = intake

    def run(self, stop: Event) -> None:
        """Look again when it is time, until `stop` is set. A store or a database that is away is waited for."""
        pause_s = PAUSE_S
        while not stop.wait(pause_s):
            try:
                self.drain()
                pause_s = PAUSE_S
            except TransientError as error:
                log.warning("listener_waits", source=self.name, code=error.code, detail=error.detail, pause_s=pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def drain(self) -> int:
        """Look for what is due now; returns the number of new calls. Raises TransientError."""
        new_count = 0
        while True:
            with self._intake.database.read() as connection:
                due = due_awaited(connection, now=datetime.now(UTC), limit=BATCH)
            announced = [Announced(tuple(ObjectRef(one.bucket, key) for key in one.candidates)) for one in due]
            new_count += len(take_surely(self._intake, self.name, announced).new)
            if len(due) < BATCH:
                return new_count
