"""Recordings out of a watched folder: seen as they arrive, taken when they are whole."""

from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import monotonic, time

import structlog
from watchfiles import Change, watch

from calls.errors import TransientError
from calls.recording import ObjectRef
from engines.objects_folder import FolderStore
from ingest.events import Announced
from ingest.intake import Intake, take_objects
from ingest.looking import may_tell
from ingest.profiles import why_no_recording
from ingest.reconcile import missing_objects

log = structlog.get_logger()

# A file that nobody renamed into place counts as whole when it has not grown for so long.
SETTLE_S = 3.0
# Network shares report no changes, and a burst can overflow the kernel's queue: the folder is read whole this often.
RESCAN_S = 60.0
LONGEST_PAUSE_S = 30.0
FOLDER_PAUSE_S = 2.0


@dataclass
class _Waiting:
    size_bytes: int
    mtime_ns: int
    seen_at: float


class FolderListener:
    """Watches the folder of `store`. What arrived while nobody watched is found when it starts."""

    def __init__(
        self, intake: Intake, store: FolderStore, *, settle_s: float = SETTLE_S, rescan_s: float = RESCAN_S
    ) -> None:
        self.name = "folder"
        self._intake = intake
        self._store = store
        self._settle_s = settle_s
        self._rescan_s = rescan_s
        self._waiting: dict[str, _Waiting] = {}
        # Folders, by prefix, that have to be read whole.
        self._unread: set[str] = set()

    def run(self, stop: Event) -> None:
        """Watch until `stop` is set. A store or a database that is away is waited for."""
        # It is not made here: it may be a disk that is not mounted yet.
        while not self._store.root.is_dir():
            log.warning("listener_waits", source=self.name, code="folder_missing", detail=str(self._store.root))
            if stop.wait(FOLDER_PAUSE_S):
                return
        log.info("listening", source=self.name)
        rescan_at = monotonic()
        pause_s = 1.0
        # The first round comes after the watch is set up: what arrives during the first scan is not missed.
        for changes in watch(
            self._store.root,
            watch_filter=None,
            debounce=200,
            step=20,
            rust_timeout=200,
            yield_on_timeout=True,
            stop_event=stop,
            raise_interrupt=False,
            ignore_permission_denied=True,
        ):
            self._note(changes)
            if monotonic() >= rescan_at:
                self._unread.add("")
                rescan_at = monotonic() + self._rescan_s
            try:
                self._scan()
                self._take_whole()
                pause_s = 1.0
            except TransientError as error:
                log.warning("listener_waits", source=self.name, code=error.code, detail=error.detail, pause_s=pause_s)
                stop.wait(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            if stop.is_set():
                return

    def drain(self) -> int:
        """Take what is in the folder now, waiting for files that still grow; returns the number of new calls."""
        self._unread.add("")
        self._scan()
        new_count = self._take_whole()
        pause = Event()
        deadline = monotonic() + 20 * self._settle_s
        while self._waiting and monotonic() < deadline:
            pause.wait(min(0.1, self._settle_s))
            new_count += self._take_whole()
        return new_count

    def _note(self, changes: set[tuple[Change, str]]) -> None:
        for change, text in changes:
            path = Path(text)
            if change is Change.deleted:
                continue
            if path.is_dir():
                # It may have been moved in, or filled before it was watched.
                prefix = self._store.prefix_of(path)
                if prefix is not None:
                    self._unread.add(prefix)
                continue
            key = self._store.key_of(path)
            if key is not None and (why_no_recording(key, None) is None or may_tell(key)):
                self._observe(key)

    def _scan(self) -> None:
        for prefix in sorted(self._unread):
            for ref in missing_objects(self._intake.database, self._store, prefix=prefix, dooms=True):
                self._observe(ref.key)
            self._unread.discard(prefix)

    def _observe(self, key: str) -> None:
        """Note how the file looks now; a file that looks as before keeps the time when it was first seen so."""
        found = self._store.size_and_mtime(key)
        if found is None:
            self._waiting.pop(key, None)
            return
        size_bytes, mtime_ns = found
        before = self._waiting.get(key)
        if before is None or (before.size_bytes, before.mtime_ns) != found:
            # What was last written long ago is whole already, by the clock that wrote it.
            age_s = time() - mtime_ns / 1e9 if before is None else 0.0
            seen_at = monotonic() - (self._settle_s if age_s >= self._settle_s else 0.0)
            self._waiting[key] = _Waiting(size_bytes, mtime_ns, seen_at)

    def _take_whole(self) -> int:
        """Take in every file that is whole; what cannot be taken now stays noted."""
        for key in list(self._waiting):
            self._observe(key)
        now = monotonic()
        whole = [
            key
            for key, seen in self._waiting.items()
            if now - seen.seen_at >= self._settle_s or self._store.was_put_whole(key)
        ]
        if not whole:
            return 0
        refs = [ObjectRef(self._store.bucket, key) for key in whole]
        new_count = take_objects(self._intake, self.name, (Announced((ref,)) for ref in refs))
        for key in whole:
            self._waiting.pop(key, None)
        return new_count
