"""Texts as weighted terms, for engines that every worker loads: TF-IDF as scikit-learn's TfidfVectorizer reckons it.

scikit-learn itself takes two seconds of the processor to load, and one formula of it is needed here.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

# The commonest words of English, as scikit-learn has them of the Glasgow Information Retrieval Group.
STOP_WORDS = frozenset(Path(__file__).with_name("stop_words.txt").read_text(encoding="ascii").split())


class TfIdf:
    """Weighs the terms that the texts it was made of have: 1 + ln(how often a text has the term), times
    1 + ln((1 + texts) / (1 + texts that have it)); the weights of a text have the length 1, or 0 without any such term.

    `terms` cuts a text into terms; `vectors` are the weights of the texts themselves, sparse, of shape [text, term].
    """

    def __init__(self, texts: Sequence[str], terms: Callable[[str], Iterable[str]]) -> None:
        self._terms = terms
        counted = [Counter(terms(text)) for text in texts]
        had_by = Counter(chain.from_iterable(counted))
        self._columns = {term: column for column, term in enumerate(sorted(had_by))}
        had = np.array([had_by[term] for term in self._columns], dtype=np.float64)
        self._rarity = np.log((1 + len(texts)) / (1 + had)) + 1
        self.vectors: Any = self._weighted(counted)

    def weigh(self, texts: Sequence[str]) -> Any:
        """The weights of other texts, sparse, of shape [text, term]; terms that are not known count for nothing."""
        return self._weighted([Counter(self._terms(text)) for text in texts])

    def _weighted(self, counted: Sequence[Counter[str]]) -> Any:
        known = [
            [(self._columns[term], n) for term, n in counts.items() if term in self._columns] for counts in counted
        ]
        columns = np.array([column for row in known for column, _ in row], dtype=np.int32)
        counts = np.array([n for row in known for _, n in row], dtype=np.float64)
        ends = np.cumsum([0, *(len(row) for row in known)])
        shape = (len(counted), len(self._columns))
        weighted = sp.csr_matrix(((np.log(counts) + 1) * self._rarity[columns], columns, ends), shape)
        lengths = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
        weighted.data /= np.repeat(lengths, np.diff(ends))
        return weighted
