"""Where trained classifiers of reasons are kept: in the object store, so that every worker finds the same one."""

import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from threading import Lock

import structlog

from calls.errors import ObjectGone
from calls.reasons import Taxonomy
from calls.recording import OWN_PREFIX
from engines.array_file import UnreadableModel
from engines.objects import ObjectStore
from engines.trained_reasons import TrainedReasons

log = structlog.get_logger()

# Workers take over another training within so long, without a restart.
LOOK_AGAIN_S = 60.0


def learned_key(taxonomy_version: str) -> str:
    """Where the classifier for that version of the taxonomy lies; a version may hold signs that no key should."""
    return f"{OWN_PREFIX}reasons/{sha256(taxonomy_version.encode()).hexdigest()[:32]}.npz"


class LearnedReasons:
    """The classifier in use for each taxonomy; `clock` is in seconds."""

    def __init__(self, objects: Callable[[], ObjectStore], clock: Callable[[], float] = time.monotonic) -> None:
        self._objects = objects
        self._clock = clock
        self._lock = Lock()
        # By taxonomy version: when it was looked for, the eTag of what was there, and what it held.
        self._known: dict[str, tuple[float, str, TrainedReasons | None]] = {}

    def __call__(self, taxonomy: Taxonomy) -> TrainedReasons | None:
        """The classifier for `taxonomy`; None where none is in use, or where what lies there cannot be read.

        Raises TransientError when the store cannot be reached.
        """
        with self._lock:
            looked_at_s, etag, model = self._known.get(taxonomy.version, (-LOOK_AGAIN_S, "", None))
            if self._clock() - looked_at_s < LOOK_AGAIN_S:
                return model
            found_etag, found = self._look(taxonomy.version, etag, model)
            self._known[taxonomy.version] = (self._clock(), found_etag, found)
            return found

    def keep(self, model: TrainedReasons) -> None:
        """Put the classifier to use, in the place of any other for the same taxonomy."""
        self._objects().put(learned_key(model.taxonomy_version), model.to_bytes())
        with self._lock:
            self._known.pop(model.taxonomy_version, None)

    def forget(self, taxonomy_version: str) -> None:
        """Take the classifier for that version out of use."""
        self._objects().delete(learned_key(taxonomy_version))
        with self._lock:
            self._known.pop(taxonomy_version, None)

    def _look(self, version: str, etag: str, model: TrainedReasons | None) -> tuple[str, TrainedReasons | None]:
        objects = self._objects()
        try:
            there = objects.head(learned_key(version)).ref
            if etag and there.etag == etag:
                return etag, model
            with tempfile.TemporaryDirectory() as folder:
                objects.fetch(there, Path(folder) / "model")
                found = TrainedReasons.from_bytes((Path(folder) / "model").read_bytes())
        except ObjectGone:
            return "", None
        except UnreadableModel as error:
            log.warning("trained_reasons_unreadable", code=error.code, taxonomy_version=version)
            return "", None
        return (there.etag, found) if found.taxonomy_version == version else ("", None)
