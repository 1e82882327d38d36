"""A conversation cut into sentences, and those that matter most picked from them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calls.transcript import Speaker, Turn
from engines.tfidf import TfIdf

# A sentence of fewer words seldom says what a call is about: "Fine.", "Two of us."
SUBSTANTIVE_WORDS = 5
# Speech engines that write no full stops give whole turns: these are cut before a word that may begin a clause.
LONGEST_WORDS = 24
# A longer sentence that begins or ends with a greeting says more than that.
_LONGEST_SMALL_TALK = 10
_CLAUSE_WORDS = 10
_CLAUSE_STARTS = frozenset({"and", "but", "so", "because", "then", "i", "we", "you", "can", "could", "when", "what"})

_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_ANY_WORD = re.compile(r"\w+")
_SMALL_TALK = re.compile(
    r"^(?:(?:hi|hello|hey|good (?:morning|afternoon|evening|day)|yes|no|okay|ok|sure|oh|well)\b[\s,.!]*)*"
    r"(?:there|it is me(?: again)?|(?:my name is|this is|i am|i'm) \w+(?: \w+){0,3}(?: speaking| calling)?"
    r"|how are you.*|.*\bspeaking|(?:thank you|thanks)\b.{0,30}|(?:good)?bye.*|.*\bthis is (?-i:[A-Z])\w+"
    r"|have a (?:nice|good|great|wonderful) .*)?[\s,.!?]*$",
    re.IGNORECASE,
)
_AGENT_ROUTINE = re.compile(
    r"\bhow (?:can|may) (?:i|we) help\b|\bwhat can i do for you\b|\banything else\b|\bone moment\b|\bplease hold\b"
    r"|\b(?:put you|stay) on (?:hold|the line)\b|\bthank(?:s| you) for (?:calling|waiting|holding|your patience)\b"
    r"|\byou(?: are|'re) (?:very )?welcome\b|\blet me (?:check|look|see)\b|\bwhat is your\b|\b(?:can|may) i have your\b"
    r"|\bsorry (?:to hear|about|for)\b|\b(?:can|could|may|would) (?:i|you) (?:please |also )?(?:have|get|ask|tell"
    r"|provide|give|confirm|repeat|verify|describe|remember|spell)\b|\bfor (?:verification|security) purposes\b"
    r"|\bthank(?:s| you) for (?:bringing|your (?:time|feedback|call|help)|reaching|providing|contacting|choosing)\b"
    r"|\b(?:nice|pleasure) to meet you\b|\b(?:my|a) pleasure\b|\bfeel free to\b|\btop priority\b"
    r"|\b(?:give|allow) me (?:just )?a moment\b|\bi(?:'d| would| will|'ll) be happy to\b"
    r"|\bi (?:completely )?understand (?:your|how|that|why)\b",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"\bth(?:at|is)(?:['’]s|['’]ll| is| will| was)(?: going to)? be (?:it|all|everything)\b"
    r"|\bthat(?:['’]s| is) (?:all|it|everything)\b|\bappreciate (?:your|the|that|it)\b"
    r"|\b(?:thank you|thanks) (?:so much |again )?for (?:your|the|all|making)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Sentence:
    """One sentence as it stands in turn `turn`; `place` counts the call's sentences from 0."""

    place: int
    turn: int
    speaker: Speaker
    text: str

    @property
    def word_count(self) -> int:
        """How many words it has."""
        return len(_WORD.findall(self.text))

    @property
    def is_customers(self) -> bool:
        """True unless an agent says it: where speakers are unknown, each sentence may be the customer's."""
        return self.speaker is not Speaker.AGENT

    @property
    def is_of_unknown(self) -> bool:
        """True where nobody knows who says it."""
        return self.speaker is Speaker.UNKNOWN


def sentences_of(turns: Sequence[Turn]) -> list[Sentence]:
    """Every sentence of the conversation, in order, each a verbatim piece of its turn."""
    found: list[Sentence] = []
    for turn in turns:
        for piece in _SENTENCE_END.split(turn.text.strip()):
            for clause in _clauses(piece):
                found.append(Sentence(len(found), turn.index, turn.speaker, clause))
    return [sentence for sentence in found if sentence.word_count]


def _clauses(text: str) -> Iterator[str]:
    words = list(_WORD.finditer(text))
    if len(words) <= LONGEST_WORDS:
        yield text
        return
    start, counted = 0, 0
    for number, word in enumerate(words):
        is_room_left = len(words) - number >= SUBSTANTIVE_WORDS
        may_begin = word.group().lower() in _CLAUSE_STARTS and counted >= _CLAUSE_WORDS and is_room_left
        if may_begin or counted >= LONGEST_WORDS:
            yield text[start : word.start()].strip()
            start, counted = word.start(), 0
        counted += 1
    yield text[start:].strip()


def is_substantive(sentence: Sentence) -> bool:
    """Whether it may say something about the matter: long enough, no greeting, no introduction, no routine phrase."""
    if sentence.word_count < SUBSTANTIVE_WORDS:
        return False
    if sentence.word_count <= _LONGEST_SMALL_TALK and (
        _SMALL_TALK.match(sentence.text) or _CLOSING.search(sentence.text)
    ):
        return False
    return sentence.speaker is Speaker.CUSTOMER or not _AGENT_ROUTINE.search(sentence.text)


def key_sentences(sentences: Sequence[Sentence], count: int = 3) -> list[Sentence]:
    """Up to `count` sentences that stand for the call, in order.

    The customer's first substantive one comes first, since callers begin with their matter; the others are those with
    the highest LexRank (Erkan and Radev, 2004) that do not repeat what is picked already.
    """
    candidates = [sentence for sentence in sentences if is_substantive(sentence)]
    if not candidates:
        longest = sorted((s for s in sentences if s.is_customers), key=lambda s: -s.word_count)
        return longest[:1]
    likeness = likeness_of([sentence.text for sentence in candidates])
    first = next((i for i, sentence in enumerate(candidates) if sentence.is_customers), 0)
    picked = [first]
    for i in np.argsort(-lexrank(likeness), kind="stable"):
        if len(picked) < count and i > first and all(likeness[i, j] < _REPEATS for j in picked):
            picked.append(int(i))
    return sorted((candidates[i] for i in picked), key=lambda sentence: sentence.place)


# Above this cosine two sentences say the same.
_REPEATS = 0.5
# Edges below this cosine are noise; the value is that of the paper.
_EDGE = 0.1
_DAMPING = 0.85


def lexrank(likeness: NDArray[np.float64]) -> NDArray[np.float64]:
    """How central each sentence is, summing to 1; `likeness` is the symmetric matrix of cosines between sentences."""
    count = len(likeness)
    edges = (likeness >= _EDGE).astype(np.float64)
    np.fill_diagonal(edges, 1.0)
    step = edges / edges.sum(axis=1, keepdims=True)
    rank = np.full(count, 1.0 / count)
    for _ in range(100):
        after = (1 - _DAMPING) / count + _DAMPING * rank @ step
        if np.abs(after - rank).max() < 1e-9:
            break
        rank = after
    return rank


def likeness_of(texts: Sequence[str]) -> NDArray[np.float64]:
    """The cosine of each text with each other one, by TF-IDF within these texts."""
    vectors = TfIdf(texts, lambda text: _ANY_WORD.findall(text.lower())).vectors
    return np.asarray((vectors @ vectors.T).todense(), dtype=np.float64)
