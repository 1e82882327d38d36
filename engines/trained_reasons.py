"""The reason of a call by what labelled calls taught: a linear classifier over words, with a confidence that was tried.

It is trained on calls whose reason a person (or a better engine) has stated, beside the taxonomy's own words, so that a
reason without a label is still known. It is kept as plain numbers and words: reading a file runs nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from calls.reasons import INSUFFICIENT, OTHER, Taxonomy
from calls.transcript import Speaker, Turn
from engines import array_file
from engines.offline_reasons import MIN_CUSTOMER_WORDS, Match, count_words, described, terms

FORMAT = 1
# Fewer labels teach less than the taxonomy's own words already tell.
MIN_LABELS = 40
# Of the calls that it does not call unsure, this share was right when it was tried on calls that it had not seen.
SURE_ACCURACY = 0.98
# Whoever puts something else in its place in the store shall not fill the memory.
MAX_FILE_BYTES = 256 * 1024 * 1024
_FOLDS = 5
# A runner-up's score is at most so far from the best one's; scores are distances in units of the margin.
_CLOSE = 0.3

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Said:
    """The redacted words of a call, each side's by itself; where nobody knows who spoke, all are the customer's."""

    customer: str
    agent: str


@dataclass(frozen=True)
class LabelledCall:
    """A call and the reason that somebody stated."""

    said: Said
    reason_code: str


@dataclass(frozen=True)
class _Calibration:
    """The share of right answers over the margin between the two best scores: logistic, as Platt (1999) fits it."""

    slope: float
    offset: float
    unsure_below: float

    def confidence(self, margin: float) -> float:
        return float(1 / (1 + np.exp(-(self.slope * margin + self.offset))))


@dataclass(frozen=True)
class _Taught:
    """All that training leaves: the words of each side with their weight in general, and for each of `codes` a row of
    `weights` (the customer's words, then the agent's) and an offset.
    """

    taxonomy_version: str
    codes: tuple[str, ...]
    words: tuple[Sequence[str], Sequence[str]]
    idf: tuple[Floats, Floats]
    weights: Floats
    offsets: Floats
    calibration: _Calibration
    label_count: int


class TrainedReasons:
    """Classifies calls under the taxonomy `taxonomy_version`; `label_count` labels taught it.

    `unsure_below`: with a lower confidence the answer is a guess that somebody better should make.
    """

    def __init__(self, taught: _Taught) -> None:
        self.taxonomy_version = taught.taxonomy_version
        self.codes = taught.codes
        self.label_count = taught.label_count
        self._taught = taught
        self._vectorizers = tuple(_vectorizer(*pair) for pair in zip(taught.words, taught.idf, strict=True))

    @property
    def unsure_below(self) -> float:
        """See the class."""
        return self._taught.calibration.unsure_below

    @cached_property
    def version(self) -> str:
        """Ten hex digits that another training changes."""
        return sha256(self._taught.weights.tobytes() + self._taught.offsets.tobytes()).hexdigest()[:10]

    def match(self, customer_turns: Sequence[str], agent_turns: Sequence[str]) -> Match:
        """The reason of a call in which these redacted turns were said."""
        count = sum(count_words(turn) for turn in customer_turns)
        if count < MIN_CUSTOMER_WORDS:
            return Match(INSUFFICIENT, round(1 - count / (2 * MIN_CUSTOMER_WORDS), 3))
        vectors = _vectors(self._vectorizers, [Said("\n".join(customer_turns), "\n".join(agent_turns))])
        if not vectors.nnz:
            # Not one word of the call was ever heard before.
            return Match(OTHER, 0.0, is_unsure=True)
        scores = np.asarray(vectors @ self._taught.weights.T + self._taught.offsets, dtype=np.float64).ravel()
        order = np.argsort(-scores, kind="stable")
        confidence = self._taught.calibration.confidence(float(scores[order[0]] - scores[order[1]]))
        runners_up = [self.codes[i] for i in order[1:3] if scores[i] > scores[order[0]] - _CLOSE]
        return Match(
            self.codes[order[0]],
            round(confidence, 3),
            tuple(code for code in runners_up if code not in {OTHER, INSUFFICIENT}),
            is_unsure=confidence < self.unsure_below,
        )

    def closest(self, code: str, texts: Sequence[str]) -> int | None:
        """Which of the customer's `texts` speaks most for `code`; None when none does."""
        if code not in self.codes or not texts:
            return None
        weights = self._taught.weights[self.codes.index(code), : len(self._taught.words[0])]
        speaks = np.asarray(self._vectorizers[0].transform(texts) @ weights).ravel()
        return int(speaks.argmax()) if speaks.max() > 0 else None

    def to_bytes(self) -> bytes:
        """The model as a file: a zip of plain arrays, as `numpy.load` reads it without pickle."""
        calibration = self._taught.calibration
        about = {
            "format": FORMAT,
            "taxonomy_version": self.taxonomy_version,
            "codes": self.codes,
            "words": [list(words) for words in self._taught.words],
            "calibration": [calibration.slope, calibration.offset, calibration.unsure_below],
            "label_count": self.label_count,
        }
        arrays = {
            "customer_idf": self._vectorizers[0].idf_,
            "agent_idf": self._vectorizers[1].idf_,
            "weights": self._taught.weights.astype(np.float32),
            "offsets": self._taught.offsets,
        }
        return array_file.to_bytes(about, arrays)

    @classmethod
    def from_bytes(cls, content: bytes) -> "TrainedReasons":
        """The model of a file that `to_bytes` made. Raises UnreadableModel."""
        with array_file.reading(
            content,
            version=FORMAT,
            most_bytes=MAX_FILE_BYTES,
            otherwise="this is no trained model of this version; train it again",
        ) as (about, arrays):
            words = tuple([str(word) for word in side] for side in about["words"])
            idf = tuple(np.asarray(arrays[name], dtype=np.float64) for name in ("customer_idf", "agent_idf"))
            weights = np.asarray(arrays["weights"], dtype=np.float64)
            offsets = np.asarray(arrays["offsets"], dtype=np.float64)
            codes = [str(code) for code in about["codes"]]
            sizes = [len(side) for side in words]
            if len(codes) < 2 or weights.shape != (len(codes), sum(sizes)) or offsets.shape != (len(codes),):
                raise ValueError
            if [side.shape for side in idf] != [(size,) for size in sizes] or not np.isfinite(weights).all():
                raise ValueError
            return cls(
                _Taught(
                    str(about["taxonomy_version"]),
                    tuple(codes),
                    words=(words[0], words[1]),
                    idf=(idf[0], idf[1]),
                    weights=weights,
                    offsets=offsets,
                    calibration=_Calibration(*(float(number) for number in about["calibration"])),
                    label_count=int(about["label_count"]),
                )
            )


def said_in(turns: Sequence[Turn]) -> Said:
    """Each side's words of a call."""
    return Said(
        "\n".join(turn.text for turn in turns if turn.speaker is not Speaker.AGENT),
        "\n".join(turn.text for turn in turns if turn.speaker is Speaker.AGENT),
    )


def train(calls: Sequence[LabelledCall], taxonomy: Taxonomy) -> TrainedReasons:
    """The classifier that these calls teach, its confidence fitted on calls that a part of them did not teach.

    Labels outside the taxonomy are left out. The same calls give the same classifier. Raises ValueError for fewer than
    MIN_LABELS labels or two reasons.
    """
    known = [call for call in calls if call.reason_code in taxonomy.codes]
    if len(known) < MIN_LABELS or len({call.reason_code for call in known}) < 2:
        raise ValueError(f"{len(known)} labels; {MIN_LABELS} of two reasons are the least")
    classifier, vectorizers = _fit(known, taxonomy)
    words = tuple([str(word) for word in one.get_feature_names_out()] for one in vectorizers)
    weights, offsets = _scorer(classifier)
    return TrainedReasons(
        _Taught(
            taxonomy.version,
            tuple(str(code) for code in classifier.classes_),
            words=(words[0], words[1]),
            idf=(vectorizers[0].idf_, vectorizers[1].idf_),
            weights=weights,
            offsets=offsets,
            calibration=_calibrate(known, taxonomy),
            label_count=len(known),
        )
    )


def _fit(calls: Sequence[LabelledCall], taxonomy: Taxonomy) -> tuple[Any, tuple[Any, Any]]:
    """A linear support vector machine, one reason against the rest; the taxonomy's words are one more call of each."""
    own = [described(reason) for reason in taxonomy.reasons]
    said = [*(call.said for call in calls), *(Said(text, text) for text in own)]
    codes = [*(call.reason_code for call in calls), *(reason.code for reason in taxonomy.reasons)]
    vectorizers = (_vectorizer(), _vectorizer())
    vectorizers[0].fit([one.customer for one in said])
    vectorizers[1].fit([one.agent for one in said])
    return LinearSVC(random_state=0).fit(_vectors(vectorizers, said), codes), vectorizers


def _scorer(classifier: Any) -> tuple[Floats, Floats]:
    """Weights and offsets with a row for each class; of two classes the machine itself keeps one row only."""
    weights, offsets = classifier.coef_, classifier.intercept_
    if len(classifier.classes_) == 2:
        weights, offsets = np.vstack([-weights, weights]), np.concatenate([-offsets, offsets])
    return np.asarray(weights, dtype=np.float32).astype(np.float64), np.asarray(offsets, dtype=np.float64)


def _calibrate(calls: Sequence[LabelledCall], taxonomy: Taxonomy) -> _Calibration:
    """What margins mean, from each fifth of the calls under what the others taught."""
    order = np.random.default_rng(0).permutation(len(calls))
    margins, is_right = np.zeros(len(calls)), np.zeros(len(calls), dtype=bool)
    for fold in range(_FOLDS):
        tried = order[fold::_FOLDS]
        classifier, vectorizers = _fit([calls[i] for i in np.setdiff1d(order, tried)], taxonomy)
        weights, offsets = _scorer(classifier)
        scores = _vectors(vectorizers, [calls[i].said for i in tried]) @ weights.T + offsets
        best = np.sort(scores, axis=1)
        margins[tried] = best[:, -1] - best[:, -2]
        found = classifier.classes_[scores.argmax(axis=1)]
        is_right[tried] = found == np.array([calls[i].reason_code for i in tried])
    # Platt's targets: one right and one wrong answer more than were seen, so that no confidence is 1.
    spread = [float(np.median(margins)), 0.0]
    fitted = LogisticRegression(C=100.0).fit(np.array([*margins, *spread])[:, None], [*is_right, True, False])
    slope, offset = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    unfitted = _Calibration(max(slope, 0.0), offset, 0.5)
    confidences = np.array([unfitted.confidence(margin) for margin in margins])
    return _Calibration(unfitted.slope, offset, _least_sure(confidences, is_right))


def _least_sure(confidences: Floats, is_right: NDArray[np.bool_]) -> float:
    """The lowest confidence from which on SURE_ACCURACY of the answers were right, and 1 where there is none.

    It is not above that share itself: where all were right, being as sure as the least sure of them is not needed.
    """
    order = np.argsort(-confidences, kind="stable")
    shares = np.cumsum(is_right[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero(shares >= SURE_ACCURACY)
    if not len(enough):
        return 1.0
    return round(min(SURE_ACCURACY, max(0.5, float(confidences[order[enough[-1]]]))), 3)


def _vectorizer(words: Sequence[str] | None = None, idf: Floats | None = None) -> Any:
    made = TfidfVectorizer(analyzer=_terms, sublinear_tf=True, vocabulary=None if words is None else list(words))
    if idf is not None:
        made.idf_ = idf
    return made


def _terms(text: str) -> list[str]:
    """The terms without those that hold digits: numbers tell calls apart, not reasons."""
    return [term for term in terms(text) if not any(sign.isdigit() for sign in term)]


def _vectors(vectorizers: Sequence[Any], said: Sequence[Said]) -> Any:
    sides = ([one.customer for one in said], [one.agent for one in said])
    return sp.hstack([one.transform(texts) for one, texts in zip(vectorizers, sides, strict=True)]).tocsr()
