"""A language engine for tests of everything around it: it says what it is told to."""

from collections.abc import Callable

from calls.analysis import Analysis, Evidence
from calls.money import Charge
from calls.reasons import INSUFFICIENT, Taxonomy
from calls.transcript import Speaker
from engines.language import Conversation

Script = Callable[[Conversation, Taxonomy], Analysis]


class FakeLanguage:
    """Answers what `script` makes of the conversation; the script may raise what an engine may raise.

    Without a script it gives each call the taxonomy's first reason and the customer's first words. `charge`, if there
    is one, is paid for every answer, before the script runs: a paid answer may be unusable.
    """

    name = "fake/script"
    prompt_version = "fake-1"
    is_demo = True

    def __init__(self, script: Script | None = None, *, charge: Charge | None = None) -> None:
        self._script = script or first_words
        self._charge = charge

    def analyse(self, conversation: Conversation, taxonomy: Taxonomy, pay: Callable[[Charge], None]) -> Analysis:
        """See LanguageEngine."""
        if self._charge is not None:
            pay(self._charge)
        return self._script(conversation, taxonomy)

    def check(self) -> None:
        """Nothing can be wrong with a script."""


def first_words(conversation: Conversation, taxonomy: Taxonomy) -> Analysis:
    """The customer's first turn as summary, under the taxonomy's first reason."""
    said = [turn for turn in conversation.turns if turn.speaker is not Speaker.AGENT and turn.text.strip()]
    if not said:
        return Analysis("", "", INSUFFICIENT, language=conversation.language)
    first = said[0]
    return Analysis(
        headline=first.text,
        summary=first.text,
        reason_code=taxonomy.reasons[0].code,
        reason_confidence=0.5,
        language=conversation.language,
        evidence=(Evidence("reason", first.index, first.text), Evidence("summary", first.index, first.text)),
        summary_kind="excerpts",
    )
