"""Weighted terms, against scikit-learn, whose formula they are."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer

from engines.offline_reasons import terms
from engines.tfidf import STOP_WORDS, TfIdf

TEXTS = [
    "I want to book a service for my car, so please book it.",
    "",
    "The bill is too high: I will not pay such a bill.",
    "The booking of the service was on the bill.",
]
OTHERS = ["Book a table", "", "nothing of it, nothing at all", "bill bill bill service"]


def test_texts_weigh_what_scikit_learn_says() -> None:
    theirs = TfidfVectorizer(analyzer=terms, sublinear_tf=True)
    expected = theirs.fit_transform(TEXTS).toarray()
    ours = TfIdf(TEXTS, terms)
    assert ours.vectors.toarray() == pytest.approx(expected, abs=1e-12)
    assert ours.weigh(OTHERS).toarray() == pytest.approx(theirs.transform(OTHERS).toarray(), abs=1e-12)


def test_texts_without_any_term_weigh_nothing() -> None:
    assert TfIdf(["", "of the"], terms).weigh(["a bill"]).shape == (1, 0)
    assert np.count_nonzero(TfIdf(TEXTS, terms).weigh(["zebra"]).toarray()) == 0


def test_the_commonest_words_are_those_of_scikit_learn() -> None:
    assert STOP_WORDS == ENGLISH_STOP_WORDS
