"""What a language engine is: a conversation in, an unchecked analysis out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from calls.analysis import Analysis
from calls.money import Charge
from calls.pipeline import Lane
from calls.reasons import Taxonomy
from calls.recording import Direction
from calls.transcript import Turn


@dataclass(frozen=True)
class Conversation:
    """What an engine is shown of a call: redacted turns and the few facts that help to read them."""

    turns: Sequence[Turn]
    direction: Direction | None = None
    started_at: datetime | None = None
    duration_s: float | None = None
    language: str = ""
    # A call that just ended is asked about before old ones.
    lane: Lane = Lane.LIVE


class LanguageEngine(Protocol):
    """Says what a conversation was about.

    `name` ("engine/model") is stored beside every analysis, `prompt_version` too; `is_demo` marks an engine that is
    good for demos and tests only and is labelled as such wherever its text appears.
    """

    name: str
    prompt_version: str
    is_demo: bool

    def analyse(self, conversation: Conversation, taxonomy: Taxonomy, pay: Callable[[Charge], None]) -> Analysis:
        """The engine's analysis, not yet checked against the conversation (calls.checking does that).

        `pay` is called once per paid request, as soon as its answer is there, usable or not. Raises UnusableAnswer
        (terminal) or TransientError (EngineMisconfigured among them), and nothing else.
        """

    def check(self) -> None:
        """Find out whether the engine could work: configured, key accepted, model known. Costs nothing.

        Raises EngineMisconfigured, whose text names the setting and the fix, or TransientError when a server does not
        answer.
        """
