"""Signs of life: one thread per process renews the leases of whatever the process is working on."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import structlog

from calls.errors import CallwiseError
from crm import jobs
from crm.database import Database

log = structlog.get_logger()

# The share of a lease after which it is renewed.
RENEWED_EVERY = 1 / 3


class Leases:
    """Keeps claims alive while their work is done; a process that dies stops renewing, and the calls become due
    again.
    """

    def __init__(self, database: Database, lease_s: float) -> None:
        self._database = database
        self._lease_s = lease_s
        self._held: dict[jobs.Claim, None] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    @contextmanager
    def keep(self, claim: jobs.Claim) -> Iterator[None]:
        """Renew the claim every third of its lease until the block ends."""
        with self._lock:
            self._held[claim] = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._renew_all, name="leases", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._held.pop(claim, None)

    def _renew_all(self) -> None:
        while not self._ended.wait(self._lease_s * RENEWED_EVERY):
            with self._lock:
                held = list(self._held)
            if not held:
                continue
            try:
                with self._database.write() as connection:
                    jobs.renew(connection, held, now=datetime.now(UTC), lease_s=self._lease_s)
            except CallwiseError as error:
                log.warning("leases_not_renewed", code=error.code, claims=len(held))
            except Exception:
                # Whatever it is, this thread must live: without it, others would do the same work beside us.
                log.exception("leases_not_renewed", claims=len(held))

    def close(self) -> None:
        """Stop renewing."""
        self._ended.set()
