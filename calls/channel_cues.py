"""What agents and customers say, in English: the cues by which `calls.channels` tells whose channel is whose.

Each list is one cue: regular expressions, read without regard to case from the beginning of a word. A cue counts once
for a channel, however often it is heard. Its weight is in natural logarithms of odds, and lower than what was counted
on 1,000 typed dialogues (STAR): people on the telephone keep less to a script.
"""

import re
from typing import NamedTuple


class Cue(NamedTuple):
    """What one side says and the other hardly does."""

    weight: float
    pattern: re.Pattern[str]


def _cue(weight: float, *phrases: str) -> Cue:
    return Cue(weight, re.compile(rf"\b(?:{'|'.join(phrases)})", re.IGNORECASE))


_YOURS = (
    r"(?:account|order|balance|card|polic|bill|invoice|reservation|booking|appointment|ride|deliver|warranty"
    r"|subscription)"
)

AGENT = (
    # The greeting.
    _cue(
        3.0,
        r"thank(?:s| you) for (?:calling|contacting|choosing)",
        r"how (?:can|may|could) (?:i|we) (?:help|assist|be of)",
        r"what can (?:i|we) do for you",
        r"(?:you have|you've|you're) (?:reached|through to)",
        r"welcome to",
    ),
    # The last offer.
    _cue(
        3.0,
        r"(?:anything|something) else (?:that )?(?:i|we) (?:can|may|could)",
        r"(?:help|assist) you with anything else",
        r"anything else for you",
    ),
    # Asking who calls.
    _cue(
        2.0,
        r"(?:may|can|could) i (?:please )?(?:have|get|ask for|take) (?:your|the)",
        r"(?:could|can|would) you (?:please )?(?:provide|confirm|verify|spell|repeat|tell me|give me|specify)",
        r"please (?:provide|confirm|verify|specify|enter)",
        r"what(?:'s| is) your (?:\w+ ){0,2}(?:name|number|address|date of birth|pin|account|order|zip|postcode)",
    ),
    # Looking something up.
    _cue(
        1.0,
        r"let me (?:just |quickly )?(?:check|look|pull|find|verify|transfer|connect)",
        r"bear with me",
        r"please hold",
        r"(?:one|just a) (?:moment|second) please",
        r"(?:i|we) (?:have|can) (?:located|found|see) (?:your|that you)",
    ),
    _cue(1.5, r"thank(?:s| you) for (?:waiting|holding|your patience|being a|confirming|providing)"),
    _cue(
        1.5,
        r"(?:i'm|i am|we're|we are) (?:so |very |really |terribly |truly )?sorry (?:to hear|for (?:the|any))",
        r"i (?:sincerely |do |deeply )?apologi[sz]e",
        r"sorry for (?:the|any) inconvenience",
    ),
    _cue(1.5, rf"your {_YOURS}"),
    _cue(0.5, r"have a (?:great|nice|good|wonderful|lovely)"),
)
CUSTOMER = (
    # What they call for.
    _cue(
        2.0,
        r"(?:i'd|i would) like to",
        r"i (?:need|want|wanted) (?:to|a|an|some|my) (?!check|verify|confirm|ask|transfer|know|make sure)",
        r"i(?:'ve| have) (?:a|an) (?:problem|question|issue|complaint)",
        r"can you help me",
        r"i lost my",
        r"i was (?:wondering|charged|told)",
    ),
    _cue(2.0, rf"my (?:{_YOURS}|phone|car|address|password|pin\b)"),
    _cue(
        1.5,
        r"(?:that|this)(?:'s| is| was| will be| would be|'ll be) (?:all|it|everything)\b",
        r"that was going to be it",
        r"no,? (?:that's|thanks|thank you|nothing)",
        r"nothing else",
        r"thank(?:s| you) (?:so much |very much )?for your (?:help|assistance|time)",
    ),
)
# Whoever rings says why.
CALLER = (_cue(1.5, r"(?:i'm|i am|i was) calling (?:to|about|because|regarding|for|from|on behalf)", r"calling from"),)
