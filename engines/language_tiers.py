"""Several language engines, the cheapest first: a stronger one is asked about what the one before left doubtful."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256

from calls.analysis import Analysis, AnsweredBy, SkippedFeature
from calls.checking import check_analysis
from calls.errors import TransientError, UnusableAnswer
from calls.money import Charge
from calls.reasons import Taxonomy
from calls.tiers import EscalationRules, doubt_before, doubt_of
from engines.language import Conversation, LanguageEngine

# Calls whose first answer is kept while the stronger engine cannot be asked: it was paid for.
_KEPT_COUNT = 256


class TieredLanguage:
    """Asks `tiers` in order until `rules` leave no doubt; the last one's word stands.

    The analysis says which tier answered and for what doubt it was asked. Where a later tier's answer is unusable, that
    of the tier before stands, with the later one's code under `second_opinion`.
    """

    def __init__(self, tiers: Sequence[LanguageEngine], rules: EscalationRules) -> None:
        self.name = ">".join(tier.name for tier in tiers)
        self.prompt_version = tiers[-1].prompt_version
        self.is_demo = all(tier.is_demo for tier in tiers)
        self._tiers = tiers
        self._rules = rules
        self._kept: OrderedDict[str, tuple[Analysis, int, str]] = OrderedDict()
        self._lock = threading.Lock()

    def check(self) -> None:
        """Whether each of them could work; see LanguageEngine."""
        for tier in self._tiers:
            tier.check()

    def analyse(self, conversation: Conversation, taxonomy: Taxonomy, pay: Callable[[Charge], None]) -> Analysis:
        """See LanguageEngine. Raises UnusableAnswer where no tier's answer can be used, and then the last one's."""
        key = _key(conversation, taxonomy)
        best, number, doubt = self._take(key) or self._begin(conversation)
        while number < len(self._tiers):
            try:
                found = self._ask(number, doubt, conversation, taxonomy, pay)
            except TransientError:
                self._keep(key, best, number, doubt)
                raise
            except UnusableAnswer as error:
                code = error.code
                if best is not None:
                    best = _with_mark(best, SkippedFeature("second_opinion", code))
                elif number + 1 == len(self._tiers):
                    raise
            else:
                best, code = found, doubt_of(found, taxonomy, self._rules)
                if not code:
                    break
            number, doubt = number + 1, code
        if best is None:
            raise UnusableAnswer("no engine gave an answer", code="invalid_answer")
        return best

    def _begin(self, conversation: Conversation) -> tuple[Analysis | None, int, str]:
        doubt = doubt_before(conversation.duration_s, self._rules)
        return None, len(self._tiers) - 1 if doubt else 0, doubt

    def _ask(
        self,
        number: int,
        doubt: str,
        conversation: Conversation,
        taxonomy: Taxonomy,
        pay: Callable[[Charge], None],
    ) -> Analysis:
        tier = self._tiers[number]
        checked = check_analysis(tier.analyse(conversation, taxonomy, pay), conversation.turns, taxonomy)
        return replace(checked, answered_by=AnsweredBy(tier.name, tier.prompt_version, tier.is_demo, number, doubt))

    def _take(self, key: str) -> tuple[Analysis | None, int, str] | None:
        with self._lock:
            return self._kept.pop(key, None)

    def _keep(self, key: str, best: Analysis | None, number: int, doubt: str) -> None:
        """Keep what the tiers before said for when the call comes again."""
        if best is None:
            return
        with self._lock:
            self._kept[key] = (best, number, doubt)
            if len(self._kept) > _KEPT_COUNT:
                self._kept.popitem(last=False)


def _key(conversation: Conversation, taxonomy: Taxonomy) -> str:
    """The same for the same words under the same reasons, whichever call they are of."""
    said = "\0".join(f"{turn.speaker}\0{turn.text}" for turn in conversation.turns)
    about = (taxonomy.version, str(conversation.direction), str(conversation.started_at), str(conversation.duration_s))
    return sha256("\0".join((*about, said)).encode("utf-8", "surrogatepass")).hexdigest()


def _with_mark(analysis: Analysis, mark: SkippedFeature) -> Analysis:
    return replace(analysis, skipped=(*analysis.skipped, mark))
