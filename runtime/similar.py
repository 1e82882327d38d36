"""Vectors for similar calls, made beside the pipeline: no call waits for its vector, and none is forgotten."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import structlog
from numpy.typing import NDArray

from calls.errors import NotYet, ObjectGone, Paced, TransientError, UnusableAnswer
from calls.meter import Limits
from calls.money import Charge
from calls.pipeline import Lane
from calls.recording import OWN_PREFIX
from calls.redaction import redact
from crm import vector_index
from crm.money import note_charge
from crm.vectors import (
    Place,
    dimension_of,
    due_calls,
    keep_turn,
    looked_until,
    newest_texts,
    note_looked,
    save_vectors,
    take_turn,
    text_count,
)
from engines.embeddings import MIN_TEXTS, Embedder
from engines.meters import Meters
from engines.objects import ObjectStore
from runtime.deployments import price_of
from runtime.settings import Settings
from runtime.wiring import Wiring

if TYPE_CHECKING:
    # scikit-learn takes a second to import, which only those who use it shall pay.
    from engines.embeddings_local import LocalEmbedder
    from engines.openai_client import Provider

log = structlog.get_logger()

# A model of the centre's own is fitted on so many calls at most, and again once there are so many times as many.
FITTED_ON = 20_000
FITTED_AGAIN_AT = 4
# The work of one stroke, so that a pile does not hold a worker for long; the next goes on.
AT_ONE_STROKE = 5_000
# A turn that nobody ends is over then: its process was killed.
TURN = timedelta(minutes=10)
# Its turn must not be over meanwhile.
_LONGEST_PAUSE_S = 60.0
LOCAL_KEY = f"{OWN_PREFIX}similar/lsa.npz"

Vector = NDArray[np.float32]

# The model that was read last, by its eTag: it is some megabytes, and looked for every minute.
_latest: dict[str, "LocalEmbedder"] = {}


@dataclass(frozen=True)
class Built:
    """What `build` did; `model` is None where there are too few calls to fit one on, `is_indexed` says whether pgvector
    finds them.
    """

    model: str | None
    vector_count: int
    is_indexed: bool


class SomebodyElse(TransientError):
    """Vectors are being made by another process at this moment."""

    code = "busy"


class Similar:
    """Makes vectors as the settings say."""

    def __init__(self, wired: Wiring, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._wired = wired
        self._database = wired.database
        self._settings = wired.settings
        self._clock = clock

    def tend(self, *, at_most: int = AT_ONE_STROKE) -> int:
        """Make the vectors that are missing, newest calls first; returns how many calls got theirs.

        What cannot be had now (a budget that is spent, a server that does not answer) comes with a later stroke.
        """
        try:
            return self.build(at_most=at_most).vector_count
        except SomebodyElse:
            return 0
        except NotYet as error:
            log.info("vectors_wait", code=error.code)
        except TransientError as error:
            log.warning("vectors_postponed", code=error.code)
        return 0

    def build(
        self,
        *,
        at_most: int | None = None,
        at_once: int | None = None,
        refit: bool = False,
        told: Callable[[int], None] = lambda _: None,
        pause: Callable[[float], None] | None = None,
    ) -> Built:
        """Make the vectors that are missing, `at_once` in a transaction; `told` is called after each with how many
        there are.

        With `pause` (seconds) somebody asks for all of it: every call is looked at, not only those that have changed
        since the last look, the minute's budget is waited for, and PostgreSQL gets pgvector where the server has it.
        Raises SomebodyElse, BudgetSpent, and what an embedder raises.
        """
        with self._database.write() as connection:
            if not take_turn(connection, now=self._clock(), lease=TURN):
                raise SomebodyElse("another process makes vectors; one that was killed is waited for ten minutes")
        try:
            embedder = self._embedder(refit=refit, looks_at_all=pause is not None)
            if embedder is None:
                return Built(None, 0, is_indexed=False)
            count, is_whole = self._make(embedder, at_most, at_once or embedder.at_once, told, pause)
            # Once all are there: an index is built faster than it is added to.
            is_indexed = is_whole and self._index(embedder, creates_extension=pause is not None)
            return Built(embedder.name, count, is_indexed)
        finally:
            with self._database.write() as connection:
                keep_turn(connection, until=self._clock())

    def _make(
        self,
        embedder: Embedder,
        at_most: int | None,
        at_once: int,
        told: Callable[[int], None],
        pause: Callable[[float], None] | None,
    ) -> tuple[int, bool]:
        """How many were made, and whether none is missing now."""
        began = self._clock()
        since = None
        if pause is None:
            with self._database.read() as connection:
                since = looked_until(connection, embedder.name)
        count = 0
        place: Place | None = None
        while at_most is None or count < at_most:
            with self._database.read() as connection:
                due = due_calls(connection, embedder.name, limit=at_once, since=since, after=place)
            if not due:
                with self._database.write() as connection:
                    note_looked(connection, embedder.name, at=began)
                return count, True
            if self._settings.similar.is_paid:
                self._wired.budgets.require("language", Lane.BACKFILL)
            try:
                vectors = self._vectors(embedder, [redact(one.text, self._wired.redaction) for one in due])
            except Paced as error:
                if pause is None:
                    raise
                pause(min(error.retry_after_s or 1.0, _LONGEST_PAUSE_S))
                continue
            made = {one.call_id: (one, vector) for one, vector in zip(due, vectors, strict=True)}
            with self._database.write() as connection:
                count += save_vectors(connection, embedder.name, made)
                keep_turn(connection, until=self._clock() + TURN)
            place = (due[-1].happened_at, due[-1].call_id)
            told(count)
        return count, False

    def _index(self, embedder: Embedder, *, creates_extension: bool) -> bool:
        with self._database.read() as connection:
            dimension = dimension_of(connection, embedder.name)
        return vector_index.prepare(self._database, dimension, creates_extension=creates_extension)

    def _vectors(self, embedder: Embedder, texts: Sequence[str]) -> list[Vector | None]:
        """A vector for each text; None for one that the model can say nothing of, or will not."""
        try:
            rows = embedder.embed(texts, self._pay)
        except UnusableAnswer as error:
            if len(texts) == 1:
                log.warning("text_without_vector", code=error.code)
                return [None]
            # One of them is not taken: the others must not go without.
            half = len(texts) // 2
            return [*self._vectors(embedder, texts[:half]), *self._vectors(embedder, texts[half:])]
        return [row if row.any() else None for row in rows]

    def _pay(self, charge: Charge) -> None:
        with self._database.write() as connection:
            note_charge(connection, None, charge, now=self._clock())

    def _embedder(self, *, refit: bool, looks_at_all: bool) -> Embedder | None:
        if self._settings.similar.is_paid:
            return embedder_by_api(self._settings, lambda: self._wired.meters)
        return self._local(refit=refit, looks_at_all=looks_at_all)

    def _local(self, *, refit: bool, looks_at_all: bool) -> "LocalEmbedder | None":
        """The model in use, or a new one where there is none or the centre has outgrown it."""
        known = None if refit else kept_model(self._wired.objects)
        if known is not None and known.text_count >= FITTED_ON:
            return known
        with self._database.read() as connection:
            if known is not None:
                # Only where there is something new at all: else a stroke would count calls every minute.
                since = None if looks_at_all else looked_until(connection, known.name)
                enough = FITTED_AGAIN_AT * known.text_count
                if not due_calls(connection, known.name, limit=1, since=since):
                    return known
                if text_count(connection, enough) < enough:
                    return known
            texts = newest_texts(connection, FITTED_ON)
        if len(texts) < MIN_TEXTS:
            return known
        from engines.embeddings_local import fit

        try:
            fitted = fit([redact(text, self._wired.redaction) for text in texts])
        except ValueError as error:
            log.info("no_model_fitted", texts=len(texts), why=str(error))
            return known
        self._wired.objects.put(LOCAL_KEY, fitted.to_bytes())
        log.info("model_fitted", model=fitted.name, texts=len(texts))
        return fitted


def embedder_by_api(settings: Settings, meters: Callable[[], Meters]) -> Embedder:
    """The embedder by API that the settings name. Raises EngineMisconfigured where its token cannot be had."""
    from engines.embeddings_api import ApiEmbedder, EmbeddingRequests
    from engines.entra import entra_token

    given = settings.similar
    requests = EmbeddingRequests(
        cast("Provider", given.engine),
        model=given.model,
        dimension=given.dimension,
        api_key=entra_token(given.entra_token) if given.entra_token else given.api_key.get_secret_value(),
        base_url=given.base_url,
        api_version=given.api_version,
        price=price_of(settings, given.model),
    )
    return ApiEmbedder(requests, meters(), limits=Limits(given.tokens_per_minute, given.requests_per_minute))


def kept_model(objects: ObjectStore) -> "LocalEmbedder | None":
    """The local model in use; None where there is none, or none that can be read. Raises TransientError."""
    try:
        there = objects.head(LOCAL_KEY).ref
    except ObjectGone:
        return None
    from engines.array_file import UnreadableModel
    from engines.embeddings_local import LocalEmbedder

    try:
        model = _latest.get(there.etag)
        if model is None:
            with tempfile.TemporaryDirectory() as folder:
                objects.fetch(there, Path(folder) / "model")
                model = LocalEmbedder.from_bytes((Path(folder) / "model").read_bytes())
            _latest.clear()
            _latest[there.etag] = model
        return model
    except ObjectGone:
        return None
    except UnreadableModel as error:
        log.warning("local_model_unreadable", code=error.code)
        return None
