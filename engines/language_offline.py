"""The offline language engine: reasons by likeness or as labelled calls taught, excerpts instead of a summary, outcome
and mood by stated rules.

For demos and tests: it needs no key, no network and no download, it writes nothing of its own, and what it says is
marked as a demo's wherever it appears.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from calls.analysis import Analysis, AnsweredBy, Evidence, SkippedFeature
from calls.errors import UnusableAnswer
from calls.money import Charge
from calls.reasons import INSUFFICIENT, AnswerKind, Question, Taxonomy
from calls.transcript import Speaker, Turn
from engines.language import Conversation
from engines.offline_cues import find_mood, find_next_steps, find_outcome
from engines.offline_reasons import ReasonClassifier, ReasonMatcher
from engines.offline_sentences import Sentence, key_sentences, sentences_of

if TYPE_CHECKING:
    from engines.trained_reasons import TrainedReasons

    Learned = Callable[[Taxonomy], TrainedReasons | None]

# Under `skipped`: the reason is a guess that somebody better should make.
UNSURE = "unsure"
TRAINED = "scikit-learn/trained-reasons"
_NAMES = {Speaker.AGENT: "Agent: ", Speaker.CUSTOMER: "Customer: ", Speaker.UNKNOWN: ""}
_matcher_of = lru_cache(maxsize=8)(ReasonMatcher)


class OfflineLanguage:
    """Analyses by words and rules alone; the same conversation always gets the same analysis.

    `learned` gives the classifier that was trained for a taxonomy, None where there is none: then the taxonomy's own
    words have to do.
    """

    name = "callwise/tfidf-lexrank"
    prompt_version = "rules-2"
    is_demo = True

    def __init__(self, learned: "Learned | None" = None) -> None:
        self._learned = learned

    def analyse(self, conversation: Conversation, taxonomy: Taxonomy, pay: Callable[[Charge], None]) -> Analysis:
        """See LanguageEngine."""
        sentences = sentences_of(conversation.turns)
        customer = [turn.text for turn in conversation.turns if turn.speaker is not Speaker.AGENT]
        agent = [turn.text for turn in conversation.turns if turn.speaker is Speaker.AGENT]
        trained = self._learned(taxonomy) if self._learned else None
        classifier: ReasonClassifier = trained or _matcher_of(taxonomy)
        match = classifier.match(customer, agent)
        if match.code == INSUFFICIENT:
            return Analysis(
                "", "", INSUFFICIENT, match.confidence, language=conversation.language, summary_kind="excerpts"
            )
        reason, also = taxonomy.reason(match.code), match.runners_up
        key = key_sentences(sentences)
        ending = find_outcome(sentences, is_sales=bool(reason and reason.is_sales))
        mood, mood_sentences = find_mood(sentences)
        called_on = conversation.started_at.date() if conversation.started_at else None
        steps = find_next_steps(sentences, called_on)
        answers = {question.code: _named_choice(question, sentences) for question in taxonomy.questions}
        grounds = {
            "reason": _reason_sentences(match.code, classifier, sentences),
            "summary": key,
            "outcome": [ending.sentence] if ending.sentence else [],
            "sentiment": mood_sentences,
            **{
                f"secondary_reasons.{code}": _reason_sentences(code, classifier, sentences) for code in match.runners_up
            },
            **{f"next_steps.{number}": [sentence] for number, (_, sentence) in enumerate(steps)},
            **{f"answers.{code}": [found[1]] for code, found in answers.items() if found},
        }
        subject = next((found[0] for found in answers.values() if found), "")
        return Analysis(
            headline=f"{taxonomy.label(match.code)}: {subject or key[0].text}",
            summary=excerpts(key),
            reason_code=match.code,
            reason_confidence=match.confidence,
            secondary_reason_codes=also,
            outcome=ending.outcome,
            is_resolved=ending.is_resolved,
            next_steps=tuple(step for step, _ in steps),
            sentiment=mood,
            subject=subject,
            language=conversation.language,
            answers={code: found[0] if found else None for code, found in answers.items()},
            evidence=tuple(_evidence(grounds, conversation.turns)),
            skipped=(
                *((SkippedFeature("reason", UNSURE),) if match.is_unsure else ()),
                *(
                    SkippedFeature(f"answers.{question.code}", "engine_cannot_judge")
                    for question in taxonomy.questions
                    if question.kind is not AnswerKind.CHOICE
                ),
            ),
            summary_kind="excerpts",
            answered_by=AnsweredBy(TRAINED, f"labels-{trained.version}", self.is_demo, tier=None) if trained else None,
        )

    def check(self) -> None:
        """Nothing can be missing."""


class LearnedLanguage:
    """The offline engine where a trained classifier is sure of the reason: a first tier that costs nothing.

    Everything else is left to the next tier.
    """

    name = TRAINED
    prompt_version = OfflineLanguage.prompt_version
    is_demo = True

    def __init__(self, learned: "Learned") -> None:
        self._learned = learned
        self._offline = OfflineLanguage(learned)

    def analyse(self, conversation: Conversation, taxonomy: Taxonomy, pay: Callable[[Charge], None]) -> Analysis:
        """See LanguageEngine. Raises UnusableAnswer: `not_trained` under another taxonomy, `unsure`."""
        if self._learned(taxonomy) is None:
            raise UnusableAnswer("no classifier is in use for these reasons", code="not_trained")
        analysis = self._offline.analyse(conversation, taxonomy, pay)
        if SkippedFeature("reason", UNSURE) in analysis.skipped:
            raise UnusableAnswer("the trained classifier is not sure of the reason", code=UNSURE)
        return analysis

    def check(self) -> None:
        """Nothing can be missing: without a classifier every call goes to the next tier."""


def excerpts(sentences: Sequence[Sentence]) -> str:
    """Sentences of a call as a summary shows them, each with its speaker."""
    return "\n".join(f"{_NAMES[sentence.speaker]}“{sentence.text}”" for sentence in sentences)


def _evidence(grounds: Mapping[str, Sequence[Sentence]], turns: Sequence[Turn]) -> Iterator[Evidence]:
    """A quote for each sentence that a field rests on; of a single word ("Perfect.") the whole turn is quoted."""
    whole = {turn.index: turn.text for turn in turns}
    for field, sentences in grounds.items():
        for sentence in sentences:
            quote = sentence.text if sentence.word_count > 1 else whole[sentence.turn]
            yield Evidence(field, sentence.turn, quote)


def _reason_sentences(code: str, classifier: ReasonClassifier, sentences: Sequence[Sentence]) -> list[Sentence]:
    """The customer's sentence that is most like the reason; anybody's where none of the customer's is."""
    for said in ([s for s in sentences if s.is_customers], list(sentences)):
        closest = classifier.closest(code, [sentence.text for sentence in said])
        if closest is not None:
            return [said[closest]]
    return []


def _named_choice(question: Question, sentences: Sequence[Sentence]) -> tuple[str, Sentence] | None:
    """The choice that is named most often, and the sentence that names it first; None where none is named.

    What the agent alone names once may be an offer or misheard, and does not count.
    """
    if question.kind is not AnswerKind.CHOICE:
        return None
    named = {
        choice: [sentence for sentence in sentences if f" {choice.lower()}" in f" {sentence.text.lower()}"]
        for choice in question.choices
    }
    # "Other" is a word of everyday speech as well as a choice.
    named.pop("other", None)
    named = {choice: said for choice, said in named.items() if len(said) > 1 or any(s.is_customers for s in said)}
    best = max(named, key=lambda choice: len(named[choice]), default="")
    return (best, named[best][0]) if best and named[best] else None
