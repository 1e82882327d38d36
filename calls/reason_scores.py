"""How well an engine finds reasons: accuracy, macro-F1, confusion, and what its confidence is worth."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_RESAMPLES = 300
_STEPS = 10


@dataclass(frozen=True)
class Judged:
    """One call: the reason that people gave it, the one that was found (None: none) and how sure that was (0..1)."""

    truth: str
    found: str | None
    confidence: float = 0.0
    is_unsure: bool = False

    @property
    def is_right(self) -> bool:
        """Whether both are the same."""
        return self.found == self.truth


def score(judged: Sequence[Judged]) -> dict[str, Any]:
    """The figures over these calls; intervals are of 95 %.

    `accuracy`: the share of right reasons (interval: Wilson, 1927). `macro_f1`: the mean over the reasons that calls
    have of the harmonic mean of precision and recall (interval: bootstrap over calls). `surest_half`: the accuracy of
    the half with the highest confidence. `coverage`: for each tenth of the calls, the surest first, the lowest
    confidence in it and the accuracy of all so far. `sure`: those not called unsure. `confusion`: what was taken for
    what, the commonest first.
    """
    count = len(judged)
    right = sum(one.is_right for one in judged)
    surest = sorted(judged, key=lambda one: -one.confidence)
    low, high = _bootstrap(judged)
    sure = [one for one in judged if not one.is_unsure]
    mistaken = Counter((one.truth, one.found) for one in judged if not one.is_right)
    return {
        "call_count": count,
        "reason_count": len({one.truth for one in judged}),
        "accuracy": share(right, count),
        "macro_f1": {"value": round(macro_f1(judged), 4), "low": low, "high": high},
        "surest_half": share(sum(one.is_right for one in surest[: -(-count // 2)]), -(-count // 2)),
        "sure": {
            "share": round(len(sure) / count, 4) if count else 0.0,
            "accuracy": share(sum(one.is_right for one in sure), len(sure)),
        },
        "coverage": [_covered(surest, -(-count * step // _STEPS)) for step in range(1, _STEPS + 1)] if count else [],
        "confusion": [
            {"truth": truth, "found": found, "calls": calls} for (truth, found), calls in mistaken.most_common()
        ],
        "reasons": [_of_reason(judged, code) for code in sorted({one.truth for one in judged})],
    }


def macro_f1(judged: Sequence[Judged]) -> float:
    """The mean F1 of the reasons that the calls have; 0 where there are no calls."""
    hits, truths = Counter(one.truth for one in judged if one.is_right), Counter(one.truth for one in judged)
    found = Counter(one.found for one in judged)
    return sum(2 * hits[code] / (truths[code] + found[code]) for code in truths) / len(truths) if truths else 0.0


def share(right: int, count: int, z: float = 1.96) -> dict[str, float]:
    """A share with its interval (Wilson, 1927), as `value`, `low`, `high`; all of [0, 1] where nothing was counted."""
    if not count:
        return {"value": 0.0, "low": 0.0, "high": 1.0}
    value = right / count
    middle = (value + z * z / (2 * count)) / (1 + z * z / count)
    half = z * (value * (1 - value) / count + z * z / (4 * count * count)) ** 0.5 / (1 + z * z / count)
    return {"value": round(value, 4), "low": round(middle - half, 4), "high": round(middle + half, 4)}


def _bootstrap(judged: Sequence[Judged]) -> tuple[float, float]:
    if not judged:
        return 0.0, 1.0
    drawn = random.Random(0)
    values = sorted(macro_f1(drawn.choices(judged, k=len(judged))) for _ in range(_RESAMPLES))
    return round(values[round(0.025 * (_RESAMPLES - 1))], 4), round(values[round(0.975 * (_RESAMPLES - 1))], 4)


def _covered(surest: Sequence[Judged], count: int) -> dict[str, float]:
    covered = surest[:count]
    return {
        "share": round(count / len(surest), 4),
        "confidence": round(covered[-1].confidence, 4),
        "accuracy": round(sum(one.is_right for one in covered) / count, 4),
    }


def _of_reason(judged: Sequence[Judged], code: str) -> dict[str, Any]:
    calls = sum(one.truth == code for one in judged)
    found = sum(one.found == code for one in judged)
    hits = sum(one.is_right for one in judged if one.truth == code)
    return {
        "code": code,
        "calls": calls,
        "precision": round(hits / found, 4) if found else None,
        "recall": round(hits / calls, 4),
        "f1": round(2 * hits / (calls + found), 4),
    }
