"""A new classifier against the one that serves: both are asked about calls that neither was taught with."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from calls.reason_scores import Judged
from engines.offline_reasons import ReasonClassifier
from engines.trained_reasons import LabelledCall

# One call of so many is never taught with, chosen by its id: the same ones in every training, so that they are new to
# the classifier that serves, too.
HELD_OUT_OF = 4
# With fewer of them the better one of two could hardly be told.
MIN_TRIED = 20


@dataclass(frozen=True)
class Trial:
    """What each of the two found for the same calls."""

    candidate: Sequence[Judged]
    serving: Sequence[Judged]

    @property
    def is_better(self) -> bool:
        """Whether the new one was right more often than the one that serves."""
        return sum(one.is_right for one in self.candidate) > sum(one.is_right for one in self.serving)


def is_held_out(call_id: UUID) -> bool:
    """Whether the call is one to try classifiers on."""
    return sha256(call_id.bytes).digest()[0] % HELD_OUT_OF == 0


def try_both(candidate: ReasonClassifier, serving: ReasonClassifier, calls: Sequence[LabelledCall]) -> Trial:
    """Both classifiers on these calls."""
    return Trial(judge(candidate, calls), judge(serving, calls))


def judge(classifier: ReasonClassifier, calls: Sequence[LabelledCall]) -> list[Judged]:
    """What the classifier finds for each call."""
    judged = []
    for one in calls:
        match = classifier.match(one.said.customer.split("\n"), one.said.agent.split("\n"))
        judged.append(Judged(one.reason_code, match.code, match.confidence, match.is_unsure))
    return judged
