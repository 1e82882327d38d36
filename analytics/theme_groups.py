"""Themes: what calls without a reason of the taxonomy have in common, and the reasons that they propose.

Texts come in redacted; nothing here reads a database. It loads scikit-learn, which takes two seconds.
"""

import warnings
from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import silhouette_samples
from sklearn.preprocessing import normalize

from analytics.theme_words import proposed as proposed_reason
from analytics.theme_words import sentences, theme_stems
from analytics.themes import MIN_CALLS, ExampleCall, Theme, ThemeCall, Themes, WeekCount
from calls.reasons import INSUFFICIENT, NO_REASON, OTHER, Taxonomy
from engines.offline_reasons import ReasonMatcher

# A theme has at least so many calls, and this share of those that were looked at.
MIN_SIZE = 10
MIN_SHARE = 0.02
MAX_THEMES = 20
MAX_EXAMPLES = 5
# A reason of the taxonomy explains a theme when its own words name it for this share of the theme's calls.
EXPLAINED_SHARE = 0.5
_SEED = 0
_DIMENSIONS = 10
# Of numbers of groups that are all but as good as the best one, the smallest: a matter is not to fall into pieces.
_NEARLY_BEST = 0.95
_MIN_CALLS_OF_WORD = 3
_MAX_SHARE_OF_WORD = 0.5
# Calls dealt anew so often say how alike calls of one group are by chance alone.
_SHUFFLES = 5
# A theme's lift is so many times the greatest of those: the best of many groups is now and then better by chance than
# the best of a few deals. Of calls of random words the ratio was 1.2 at most, of planted matters 1.4 and more.
_ABOVE_CHANCE = 1.25
# Calls less alike than this are what is left beside the others; the themes of STAR have 0.16 and more.
_LEAST_LIKENESS = 0.05
# Calls that share no word with any other have no lift that could be told.
_MAX_LIFT = 99.0
# A call that stands nearer to another group than to its own says nothing of its own.
_LEAST_SILHOUETTE = 0.05

Floats = NDArray[np.float64]


def find_themes(calls: Sequence[ThemeCall], taxonomy: Taxonomy) -> Themes:
    """Group the calls by their words (TF-IDF of stems, reduced by LSA, k-means on the sphere; the same calls give the
    same themes).

    The number of groups is the smallest of 2..MAX_THEMES whose mean silhouette (Rousseeuw 1987) is 95 % of the greatest
    one or more. A group is a
    theme if it is large enough, has a quarter more lift than any such group among calls over which the same words
    were dealt anew (a permutation test), and no reason of the taxonomy explains it.
    """
    calls = sorted(calls, key=lambda call: (call.day, call.call_id))
    if len(calls) < MIN_CALLS:
        return Themes(len(calls), ())
    vectorizer = TfidfVectorizer(
        analyzer=theme_stems, sublinear_tf=True, min_df=_MIN_CALLS_OF_WORD, max_df=_MAX_SHARE_OF_WORD
    )
    try:
        words = vectorizer.fit_transform([" ".join((call.headline, call.summary, *call.customer)) for call in calls])
    except ValueError:
        # Not one word is said in several calls.
        return Themes(len(calls), ())
    space = _reduced(words)
    groups = _best_groups(space)
    least = max(MIN_SIZE, round(MIN_SHARE * len(calls)))
    bar = _ABOVE_CHANCE * _by_chance(words, len(set(groups)), least)
    matcher = ReasonMatcher(taxonomy) if taxonomy.reasons else None
    explained, found = 0, []
    standing = silhouette_samples(space, groups) if len(set(groups)) > 1 else np.zeros(len(calls))
    for group in sorted(set(groups)):
        places = np.flatnonzero((groups == group) & (standing > _LEAST_SILHOUETTE))
        if len(places) < least or not _is_alike(words, places, bar):
            continue
        if matcher and _is_explained(matcher, [calls[place] for place in places]):
            explained += 1
            continue
        found.append(places)
    found.sort(key=lambda places: (-len(places), places[0]))
    names = np.asarray(vectorizer.get_feature_names_out())
    taken = {*taxonomy.codes, NO_REASON}
    themes = []
    for places in found:
        theme = _theme(calls, words, names, space, places, taken=taken)
        taken.add(theme.reason.code)
        themes.append(theme)
    return Themes(len(calls), tuple(themes), explained)


def _reduced(words: Any) -> Floats:
    size = min(_DIMENSIONS, words.shape[1] - 1, words.shape[0] - 1)
    if size < 2:
        return np.asarray(normalize(words.toarray()), dtype=np.float64)
    return np.asarray(normalize(TruncatedSVD(size, random_state=_SEED).fit_transform(words)), dtype=np.float64)


def _grouped(space: Floats, count: int) -> NDArray[np.int64]:
    with warnings.catch_warnings():
        # Calls of the same few words are fewer places than groups: some groups have none, and nobody is to be told.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.asarray(KMeans(count, n_init=4, random_state=_SEED).fit_predict(space), dtype=np.int64)


def _best_groups(space: Floats) -> NDArray[np.int64]:
    most = min(MAX_THEMES, len(space) // MIN_SIZE)
    tried = [_grouped(space, count) for count in range(2, most + 1)]
    scores = [float(silhouette_samples(space, groups).mean()) if len(set(groups)) > 1 else -1.0 for groups in tried]
    # Where no number of groups is any good, the least bad one.
    nearly = min(_NEARLY_BEST * max(scores), max(scores))
    return tried[int(np.argmax(np.array(scores) >= nearly))]


def _by_chance(words: Any, count: int, least: int) -> float:
    """The greatest lift of a group of `least` calls and more where no two words belong together."""
    chance = np.random.default_rng(_SEED)
    columns = words.tocsc()
    bar = 0.0
    for _ in range(_SHUFFLES):
        dealt = columns.copy()
        for column in range(dealt.shape[1]):
            begin, end = dealt.indptr[column], dealt.indptr[column + 1]
            dealt.indices[begin:end] = chance.choice(dealt.shape[0], end - begin, replace=False)
        dealt.has_sorted_indices = False
        again = normalize(dealt.tocsr())
        groups = _grouped(_reduced(again), count)
        found = [np.flatnonzero(groups == group) for group in sorted(set(groups))]
        bar = max([bar, *(_lift(again, places)[1] for places in found if len(places) >= least)])
    return bar


def _lift(words: Any, places: NDArray[np.intp]) -> tuple[float, float]:
    """The mean cosine of two of these calls, and how many times that of one of them with one of the others it is."""
    size, rest = len(places), words.shape[0] - len(places)
    mine = np.asarray(words[places].sum(axis=0)).ravel()
    others = np.asarray(words.sum(axis=0)).ravel() - mine
    own = float(words[places].multiply(words[places]).sum())
    inside = max(0.0, (float(mine @ mine) - own) / (size * (size - 1))) if size > 1 else 0.0
    across = float(mine @ others) / (size * rest) if rest else 0.0
    return inside, min(_MAX_LIFT, inside / across) if across > 0 else _MAX_LIFT


def _is_alike(words: Any, places: NDArray[np.intp], bar: float) -> bool:
    likeness, lift = _lift(words, places)
    return likeness >= _LEAST_LIKENESS and lift > bar


def _is_explained(matcher: ReasonMatcher, calls: Sequence[ThemeCall]) -> bool:
    named = Counter(matcher.match(call.customer or (call.summary,), call.agent).code for call in calls)
    for code in (OTHER, INSUFFICIENT):
        named.pop(code, None)
    return bool(named) and max(named.values()) >= EXPLAINED_SHARE * len(calls)


def _theme(
    calls: Sequence[ThemeCall],
    words: Any,
    names: NDArray[Any],
    space: Floats,
    places: NDArray[np.intp],
    *,
    taken: set[str],
) -> Theme:
    rest = np.setdiff1d(np.arange(len(calls)), places)
    weights = np.asarray(words[places].mean(axis=0)).ravel()
    if len(rest):
        weights = weights - np.asarray(words[rest].mean(axis=0)).ravel()
    stems = [str(names[place]) for place in np.argsort(-weights, kind="stable")[:8] if weights[place] > 0]
    nearness = space[places] @ space[places].mean(axis=0)
    nearest = [calls[places[place]] for place in np.argsort(-nearness, kind="stable")]
    said = [sentence for call in nearest for sentence in sentences(call.customer)]
    texts = [(call.headline, call.summary, *call.customer) for call in nearest]
    told, reason = proposed_reason(stems, texts, said, taken)
    likeness, lift = _lift(words, places)
    inside = Counter(_monday(calls[place].day) for place in places)
    of_all = Counter(_monday(call.day) for call in calls)
    return Theme(
        calls=len(places),
        share=len(places) / len(calls),
        likeness=likeness,
        lift=lift,
        words=told,
        weeks=tuple(WeekCount(monday, inside[monday], of_all[monday]) for monday in _mondays(min(of_all), max(of_all))),
        examples=tuple(ExampleCall(call.call_id, call.headline) for call in nearest[:MAX_EXAMPLES]),
        reason=reason,
        call_ids=tuple(call.call_id for call in nearest),
    )


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _mondays(first: date, last: date) -> list[date]:
    return [first + timedelta(weeks=count) for count in range((last - first).days // 7 + 1)]
