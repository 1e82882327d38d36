"""The words of a theme: which tell it apart, and the draft of a reason that is made of them."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence

from calls.reasons import Reason
from engines.offline_reasons import stem, terms

_NAMED_WORDS = 2
_DEFINED_WORDS = 6
_EXAMPLES = 3
# Sentences that are shorter say too little, longer ones tell a story.
_SENTENCE_WORDS = range(4, 26)
_MAX_SENTENCE = 200
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_WORD = re.compile(r"\w\w+")
# What redaction leaves, like [card_number].
_MARK = re.compile(r"\[[\w ]+\]")
_PRIVATE = re.compile(rf"{_MARK.pattern}|\d")
_MAX_CODE = 60


def theme_stems(text: str) -> list[str]:
    """The stems of a text's telling words; no numbers, which tell calls apart and not matters, and no marks."""
    found = terms(_MARK.sub(" ", text))
    return [one[1:] for one in found if one.startswith("~") and " " not in one and not any(c.isdigit() for c in one)]


def sentences(turns: Sequence[str]) -> list[str]:
    """The sentences of these turns that could stand as examples: of some length, without numbers and with nothing
    redacted in them.
    """
    found = [" ".join(part.split()) for turn in turns for part in _SENTENCE_END.split(turn)]
    return [
        one
        for one in found
        if len(_WORD.findall(one)) in _SENTENCE_WORDS and len(one) <= _MAX_SENTENCE and not _PRIVATE.search(one)
    ]


def proposed(
    stems: Sequence[str], said: Sequence[Sequence[str]], candidates: Sequence[str], taken: Collection[str]
) -> tuple[tuple[str, ...], Reason]:
    """The theme's words as they were mostly said, and a draft: `stems` are the most telling first, `candidates` the
    sentences of its calls, the most typical call first. Its code is none of `taken`.
    """
    forms: dict[str, Counter[str]] = {}
    wanted = set(stems)
    for turns in said:
        for turn in turns:
            for word in _WORD.findall(_MARK.sub(" ", turn).lower()):
                if stem(word) in wanted:
                    forms.setdefault(stem(word), Counter())[word] += 1
    words = tuple(
        min(forms[one].items(), key=lambda form: (-form[1], form[0]))[0] if one in forms else one for one in stems
    )
    label = " ".join(words[:_NAMED_WORDS]).capitalize()
    reason = Reason(
        code=_code(words[:_NAMED_WORDS], taken),
        label=label,
        definition=f"The customer's matter is {', '.join(words[:_DEFINED_WORDS])}.",
        examples=_examples(stems, candidates),
    )
    return words, reason


def _code(words: Sequence[str], taken: Collection[str]) -> str:
    plain = unicodedata.normalize("NFKD", "_".join(words)).encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"[^a-z0-9_]+", "", plain).strip("_")[:_MAX_CODE]
    plain = plain if plain[:1].isalpha() else "theme"
    numbered = [plain, *(f"{plain}_{number}" for number in range(2, len(taken) + 3))]
    return next(code for code in numbered if code not in taken)


def _examples(stems: Sequence[str], candidates: Sequence[str]) -> tuple[str, ...]:
    weights = {one: 1 / (rank + 1) for rank, one in enumerate(stems)}
    scored = [
        (-sum(weights.get(one, 0.0) for one in set(theme_stems(text))), place, text)
        for place, text in enumerate(dict.fromkeys(candidates))
    ]
    return tuple(text for score, _, text in sorted(scored)[:_EXAMPLES] if score < 0)
