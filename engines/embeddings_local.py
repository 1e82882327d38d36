"""Vectors without a download: latent semantic analysis, fitted on the centre's own calls.

Words, their stems and neighbouring pairs, and the letters that words are made of, are hashed into buckets; what buckets
occur in the same calls becomes one direction of the space (Deerwester et al. 1990). The model holds no word, and
nothing of what fewer than MIN_CALLS calls have: reading it runs nothing, and nobody is found in it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.utils.extmath import randomized_svd

from calls.money import Charge
from engines import array_file
from engines.embeddings import MIN_TEXTS, Vectors, unit_rows
from engines.offline_reasons import terms

FORMAT = 1
DIMENSION = 128
# What fewer calls have says who they are rather than what they are about.
MIN_CALLS = 3
# Whoever puts something else in its place in the store shall not fill the memory.
MAX_FILE_BYTES = 128 * 1024 * 1024
_BUCKETS = 1 << 15
_LETTERS = (3, 4, 5)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Fitted:
    """The buckets that count (those of letters behind those of words), how much each does, and where it points."""

    buckets: NDArray[np.int32]
    idf: Floats
    directions: NDArray[np.float16]
    text_count: int


class LocalEmbedder:
    """Gives texts their places in the space that `fit` made; `text_count` texts made it."""

    at_once = 512

    def __init__(self, fitted: _Fitted) -> None:
        self._fitted = fitted
        self.text_count = fitted.text_count
        self.name = f"local/lsa-{self.version}"

    @cached_property
    def version(self) -> str:
        """Ten hex digits that another fit changes."""
        return sha256(self._fitted.directions.tobytes() + self._fitted.idf.tobytes()).hexdigest()[:10]

    def embed(self, texts: Sequence[str], pay: Callable[[Charge], None]) -> Vectors:
        """See Embedder."""
        if not texts:
            return np.zeros((0, DIMENSION), dtype=np.float32)
        weighted = _weighted(_counts(texts)[:, self._fitted.buckets], self._fitted.idf, self._fitted.buckets)
        return unit_rows(np.asarray(weighted @ self._directions))

    def check(self) -> None:
        """See Embedder: it is there."""

    @cached_property
    def _directions(self) -> Floats:
        return self._fitted.directions.astype(np.float64)

    def to_bytes(self) -> bytes:
        """The model as a file: a zip of plain arrays, as `numpy.load` reads it without pickle."""
        about = {"format": FORMAT, "text_count": self.text_count}
        fitted = self._fitted
        arrays = {"buckets": fitted.buckets, "idf": fitted.idf, "directions": fitted.directions}
        return array_file.to_bytes(about, arrays)

    @classmethod
    def from_bytes(cls, content: bytes) -> "LocalEmbedder":
        """The model of a file that `to_bytes` made. Raises UnreadableModel."""
        with array_file.reading(
            content,
            version=FORMAT,
            most_bytes=MAX_FILE_BYTES,
            otherwise="this is no model of this version; `callwise similar build --refit` makes one",
        ) as (about, arrays):
            buckets = np.asarray(arrays["buckets"], dtype=np.int32)
            idf = np.asarray(arrays["idf"], dtype=np.float64)
            directions = np.asarray(arrays["directions"], dtype=np.float16)
            is_whole = directions.shape == (len(buckets), DIMENSION) and idf.shape == buckets.shape
            is_sound = bool(np.isfinite(directions).all() and np.isfinite(idf).all())
            if not is_whole or not is_sound or not _are_buckets(buckets):
                raise ValueError
            return cls(_Fitted(buckets, idf, directions, int(about["text_count"])))


def fit(texts: Sequence[str]) -> LocalEmbedder:
    """The space that these texts make; the same texts in the same order make the same one.

    Raises ValueError for fewer than MIN_TEXTS texts, or texts that have nothing in common.
    """
    if len(texts) < MIN_TEXTS:
        raise ValueError(f"{len(texts)} texts; {MIN_TEXTS} are the least")
    counts = _counts(texts)
    called = np.bincount(counts.indices, minlength=2 * _BUCKETS)
    buckets = np.flatnonzero(called >= MIN_CALLS).astype(np.int32)
    if len(buckets) < 2:
        raise ValueError("these texts have nothing in common")
    idf = np.log((1 + len(texts)) / (1 + called[buckets])) + 1
    weighted = _weighted(counts[:, buckets], idf, buckets)
    rank = min(DIMENSION, min(weighted.shape) - 1)
    _, _, rows = randomized_svd(weighted, rank, n_iter=4, random_state=0)
    directions = np.zeros((len(buckets), DIMENSION), dtype=np.float16)
    directions[:, :rank] = rows.T
    return LocalEmbedder(_Fitted(buckets, idf, directions, len(texts)))


def _counts(texts: Sequence[str]) -> Any:
    """How often each bucket is in each text: words, then letters."""
    sides = [
        HashingVectorizer(analyzer=analyzer, n_features=_BUCKETS, alternate_sign=False, norm=None).transform(texts)
        for analyzer in (_words, _letters)
    ]
    return sp.hstack(sides).tocsr()


def _weighted(counts: Any, idf: Floats, buckets: NDArray[np.int32]) -> Any:
    """Term frequency (its logarithm) by rarity, words and letters each with the length 1."""
    counts = counts.tocsr(copy=True)
    counts.data = np.log1p(counts.data)
    split = int(np.searchsorted(buckets, _BUCKETS))
    weighted = counts @ sp.diags(idf)
    sides = []
    for side in (weighted[:, :split], weighted[:, split:]):
        lengths = np.sqrt(np.asarray(side.multiply(side).sum(axis=1)).ravel())
        sides.append(sp.diags(1 / np.where(lengths > 0, lengths, 1.0)) @ side)
    return sp.hstack(sides).tocsr()


def _words(text: str) -> list[str]:
    """Words, stems and pairs without those that hold digits: numbers tell calls apart, not what they are about."""
    return [term for term in terms(text) if not any(sign.isdigit() for sign in term)]


def _letters(text: str) -> list[str]:
    """Runs of letters within words, their ends marked: forms of one word share most of them, in any language."""
    found = []
    for word in "".join(sign if sign.isalpha() else " " for sign in text.lower()).split():
        ended = f" {word} "
        for length in _LETTERS:
            found += [ended[at : at + length] for at in range(max(1, len(ended) - length + 1))]
    return found


def _are_buckets(buckets: NDArray[np.int32]) -> bool:
    is_rising = len(buckets) > 0 and bool((np.diff(buckets) > 0).all())
    return is_rising and buckets[0] >= 0 and buckets[-1] < 2 * _BUCKETS
