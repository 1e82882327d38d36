"""Engines that cost nothing, and a worker that uses them: what is left is the pipeline itself."""

import sys
from collections.abc import Callable

from calls.analysis import Analysis, Evidence
from calls.money import Charge
from calls.reasons import Taxonomy
from calls.transcript import Utterance
from engines.language import Conversation
from engines.speech import ChannelAudio, Heard, SpeechHints

SAID = (
    Utterance(1, 0.1, 0.4, "how can I help you"),
    Utterance(0, 0.5, 0.8, "where is my order please"),
)


class FreeSpeech:
    """Hears the same two sentences in every recording."""

    name = "free/speech"
    is_demo = True

    def transcribe(self, audio: ChannelAudio, hints: SpeechHints, pay: Callable[[Charge], None]) -> Heard:
        """The two sentences."""
        return Heard(list(SAID), language="en")

    def check(self) -> None:
        """Always fit."""


class FreeLanguage:
    """Gives every conversation the first reason of the taxonomy."""

    name = "free/language"
    prompt_version = "0"
    is_demo = True

    def analyse(self, conversation: Conversation, taxonomy: Taxonomy, pay: Callable[[Charge], None]) -> Analysis:
        """A short analysis, borne out by the customer's turn."""
        quote = conversation.turns[-1].text
        return Analysis(
            headline="Where is the order",
            summary=quote,
            reason_code=taxonomy.reasons[0].code,
            reason_confidence=1.0,
            evidence=tuple(Evidence(name, 1, quote) for name in ("reason", "summary", "outcome")),
            summary_kind="excerpts",
        )

    def check(self) -> None:
        """Always fit."""


def main() -> None:
    """Run a worker with these engines: `python -m bench.free_engines POOL CONCURRENCY`."""
    from workers.app import bell, make_parts, provide, wiring
    from workers.run import run_worker

    wired = wiring()
    wired.__dict__["speech"] = FreeSpeech()
    wired.__dict__["language"] = FreeLanguage()
    provide(lambda: make_parts(wired, ring=bell(wired.settings)))
    run_worker(wired.settings, pool=sys.argv[1], concurrency=int(sys.argv[2]))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
