"""What an engine makes of labelled conversations: how often its reason is right, how near its summary is to people's.

Peers are measured on the same conversations in the same run: for reasons the one that shares the most words with the
call, for summaries its first three sentences (lead-3) and plain LexRank.
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import numpy as np

from calls.analysis import Analysis, SkippedFeature
from calls.checking import check_analysis
from calls.errors import EngineMisconfigured, TerminalError, TransientError
from calls.money import Charge
from calls.reason_scores import Judged, score, share
from calls.reasons import Taxonomy
from calls.rouge import rouge_1, rouge_2, rouge_l
from calls.transcript import Turn
from cli.dialogue_data import Dialogue
from engines.language import Conversation, LanguageEngine
from engines.language_offline import UNSURE, excerpts
from engines.offline_reasons import described
from engines.offline_sentences import lexrank, likeness_of, sentences_of
from engines.trained_reasons import LabelledCall, TrainedReasons, said_in, train

_RESAMPLES = 1000
_SENTENCES = 3
_WORD = re.compile(r"[a-z]+")
_ROUGES: dict[str, Callable[[str, Sequence[str]], float]] = {
    "rouge_1": rouge_1,
    "rouge_2": rouge_2,
    "rouge_l": rouge_l,
}


@dataclass
class Bill:
    """What the engine was paid for in this run; it is in no ledger."""

    charges: list[Charge] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Requests, tokens and millionths of a dollar; the price is None where a model has none in the price table."""
        costs = [charge.cost_microusd for charge in self.charges]
        known = [cost for cost in costs if cost is not None]
        return {
            "request_count": len(costs),
            "input_tokens": sum(charge.input_tokens for charge in self.charges),
            "cached_tokens": sum(charge.cached_tokens for charge in self.charges),
            "output_tokens": sum(charge.output_tokens for charge in self.charges),
            "cost_microusd": sum(known) if len(known) == len(costs) else None,
        }


@dataclass(frozen=True)
class Answered:
    """One conversation, what the engine said of it before and after the check, or the code of why it said nothing."""

    dialogue: Dialogue
    given: Analysis | None
    checked: Analysis | None
    failed_code: str = ""


def ask(
    dialogues: Sequence[Dialogue],
    engine: LanguageEngine,
    taxonomy: Taxonomy,
    bill: Bill,
    tell: Callable[[int], None] = lambda _number: None,
) -> list[Answered]:
    """The engine's analyses of the conversations, checked as in the pipeline.

    Raises EngineMisconfigured: nothing else would answer either.
    """
    answered = []
    for number, one in enumerate(dialogues, start=1):
        tell(number)
        try:
            given = engine.analyse(Conversation(one.turns), taxonomy, bill.charges.append)
        except EngineMisconfigured:
            raise
        except (TerminalError, TransientError) as error:
            answered.append(Answered(one, None, None, error.code))
            continue
        answered.append(Answered(one, given, check_analysis(given, one.turns, taxonomy)))
    return answered


def judge_reasons(answered: Sequence[Answered], taxonomy: Taxonomy) -> dict[str, Any]:
    """The figures of `calls.reason_scores.score`, those of the keyword peer, and what got no answer."""
    judged = [
        Judged(
            truth=one.dialogue.reason_code or "",
            found=one.checked.reason_code if one.checked else None,
            confidence=(one.checked.reason_confidence or 0.0) if one.checked else 0.0,
            is_unsure=one.checked is None or SkippedFeature("reason", UNSURE) in one.checked.skipped,
        )
        for one in answered
    ]
    by_words = [keyword_reason(one.dialogue.turns, taxonomy) == one.dialogue.reason_code for one in answered]
    return {
        **score(judged),
        "keyword_accuracy": share(sum(by_words), len(by_words)),
        "failed": dict(Counter(one.failed_code for one in answered if one.failed_code)),
    }


def keyword_reason(turns: Sequence[Turn], taxonomy: Taxonomy) -> str:
    """The peer: the reason that shares the most words with the call."""
    said = set(_WORD.findall(" ".join(turn.text for turn in turns).lower()))
    shared = {reason.code: len(said & set(_WORD.findall(described(reason).lower()))) for reason in taxonomy.reasons}
    return max(shared, key=lambda code: shared[code])


def halves(dialogues: Sequence[Dialogue], seed: int) -> tuple[list[Dialogue], list[Dialogue]]:
    """The conversations in two halves, drawn by chance: to learn from, and to be tried on."""
    drawn = random.Random(seed).sample(list(dialogues), len(dialogues))
    return drawn[: len(drawn) // 2], drawn[len(drawn) // 2 :]


def learn(dialogues: Sequence[Dialogue], taxonomy: Taxonomy) -> TrainedReasons:
    """A classifier that these labels taught. Raises ValueError where they are too few."""
    labelled = [LabelledCall(said_in(one.turns), one.reason_code) for one in dialogues if one.reason_code]
    return train(labelled, taxonomy)


def judge_summaries(answered: Sequence[Answered]) -> dict[str, Any]:
    """ROUGE of the engine and of the peers over the conversations with a reference, and how the quotes stand.

    `quotes`: of those under `summary` the share that stands in the conversation, and of the summaries the share that
    have one that does. `over_lead_3`: the mean difference in ROUGE-1; intervals by the bootstrap over conversations.
    """
    compared = [one for one in answered if one.dialogue.summaries]
    systems = {
        "engine": [one.checked.summary if one.checked else "" for one in compared],
        "lead_3": [lead(one.dialogue.turns) for one in compared],
        "lexrank": [plain_lexrank(one.dialogue.turns) for one in compared],
    }
    scores = {
        name: {
            rouge: [how(text, one.dialogue.summaries) for text, one in zip(texts, compared, strict=True)]
            for rouge, how in _ROUGES.items()
        }
        for name, texts in systems.items()
    }
    ahead = [
        ours - theirs for ours, theirs in zip(scores["engine"]["rouge_1"], scores["lead_3"]["rouge_1"], strict=True)
    ]
    return {
        "call_count": len(answered),
        "with_reference_count": len(compared),
        "systems": {
            name: {
                **{rouge: mean_of(values) for rouge, values in of_system.items()},
                "words": round(fmean(len(text.split()) for text in systems[name]), 1) if compared else None,
            }
            for name, of_system in scores.items()
        },
        "over_lead_3": mean_of(ahead),
        "quotes": _quotes([one for one in answered if one.given is not None]),
        "failed": dict(Counter(one.failed_code for one in answered if one.failed_code)),
    }


def lead(turns: Sequence[Turn]) -> str:
    """A peer: the first sentences of the conversation, in the form in which excerpts are shown."""
    return excerpts(sentences_of(turns)[:_SENTENCES])


def plain_lexrank(turns: Sequence[Turn]) -> str:
    """A peer: the sentences with the highest LexRank (Erkan and Radev, 2004), in order."""
    sentences = sentences_of(turns)
    if not sentences:
        return ""
    rank = lexrank(likeness_of([sentence.text for sentence in sentences]))
    return excerpts([sentences[i] for i in sorted(int(i) for i in np.argsort(-rank, kind="stable")[:_SENTENCES])])


def mean_of(values: Sequence[float]) -> dict[str, float] | None:
    """The mean with its 95 % interval by the bootstrap; None of nothing."""
    if not values:
        return None
    drawn = np.random.default_rng(0).choice(np.asarray(values), size=(_RESAMPLES, len(values)))
    low, high = np.quantile(drawn.mean(axis=1), (0.025, 0.975))
    return {"value": round(fmean(values), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def _quotes(answered: Sequence[Answered]) -> dict[str, Any]:
    given = found = supported = written = 0
    for one in answered:
        if one.given is None or one.checked is None:
            continue
        stands = sum(item.field == "summary" for item in one.checked.evidence)
        given += sum(item.field == "summary" for item in one.given.evidence)
        found += stands
        written += bool(one.given.summary)
        supported += bool(one.given.summary) and stands > 0
    return {
        "quote_count": given,
        "found": share(found, given),
        "summary_count": written,
        "supported": share(supported, written),
    }
