"""When what must not leave was said, so that the sound can be silenced there too."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from calls.redaction import Finding, SensitiveFinder, find_sensitive
from calls.transcript import Utterance, Word, group_turns

# Words end in the sound a little after an engine says so; findings that are this near are silenced as one.
MARGIN_S = 0.1
_JOINED_S = 0.5


@dataclass(frozen=True)
class SensitiveSpan:
    """From `start_s` to `end_s` of the recording, `channel` says something of `kind`, a mark's word."""

    channel: int
    start_s: float
    end_s: float
    kind: str


def sensitive_spans(utterances: Sequence[Utterance], find: SensitiveFinder = find_sensitive) -> list[SensitiveSpan]:
    """When, and on which channel, something is said that redaction marks; in order of start, in seconds.

    The words' own times count; an utterance of which the engine gives no words, or others than its text has, is meant
    as a whole: silencing too much is the safer error. The stored transcript is all that this needs, so that a better
    finder finds more in old calls too: nothing of it is stored.
    """
    groups = group_turns(utterances)
    turns = [" ".join(one.text.strip() for one in said) for said in groups]
    found = find(turns, [said[0].speaker for said in groups])
    spans = [span for said, here in zip(groups, found, strict=True) for span in _spans(said, here)]
    return _joined(spans)


def _spans(said: Sequence[Utterance], found: Sequence[Finding]) -> Iterator[SensitiveSpan]:
    """The spans of one turn: its text is that of its utterances, with a space between two."""
    begin = 0
    for utterance in said:
        text = utterance.text.strip()
        for finding in found:
            start, end = max(finding.start - begin, 0), min(finding.end - begin, len(text))
            if start < end:
                start_s, end_s = _times(utterance, text, start, end)
                yield SensitiveSpan(utterance.channel, max(0.0, start_s - MARGIN_S), end_s + MARGIN_S, finding.kind)
        begin += len(text) + 1


def _times(utterance: Utterance, text: str, start: int, end: int) -> tuple[float, float]:
    """When `text[start:end]` of the utterance is said."""
    touched: list[Word] = []
    position = 0
    for word in utterance.words:
        told = word.text.strip()
        at = text.find(told, position)
        if not told or at < 0:
            return utterance.start_s, utterance.end_s
        position = at + len(told)
        if at < end and position > start:
            touched.append(word)
    if not touched:
        return utterance.start_s, utterance.end_s
    return min(word.start_s for word in touched), max(word.end_s for word in touched)


def _joined(spans: Sequence[SensitiveSpan]) -> list[SensitiveSpan]:
    """The spans in order; those of one channel and kind that are near each other, as one."""
    joined: list[SensitiveSpan] = []
    latest: dict[tuple[int, str], int] = {}
    for span in sorted(spans, key=lambda one: (one.start_s, one.channel, one.end_s)):
        at = latest.get((span.channel, span.kind))
        if at is not None and span.start_s - joined[at].end_s <= _JOINED_S:
            before = joined[at]
            joined[at] = SensitiveSpan(span.channel, before.start_s, max(before.end_s, span.end_s), span.kind)
        else:
            latest[span.channel, span.kind] = len(joined)
            joined.append(span)
    return joined
