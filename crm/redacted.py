"""What a viewer gets to read: the words of a call as they were said, or with what must not leave replaced by marks.

Deny by default: who may not READ_UNREDACTED gets marks in every text, numbers by their last digits alone, and customers
by name only where that viewer may hear the calls (a name is not silenced in the sound either). What is found is known
by the text alone, so that a better finder hides more in old calls, too; nothing of it is stored.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from inspect import getsourcefile
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import calls
from calls.redaction import Finding, SensitiveFinder, find_sensitive, mark, mark_turns
from calls.transcript import Turn, Utterance, Word
from crm.access import Permission, Viewer

if TYPE_CHECKING:
    from crm.call_lines import CallLine
    from crm.one_call import AnalysisRow, CallInFull, TranscriptRow
    from crm.reviews import Review

# What is left of a number that one may not see whole: enough to know a customer again, too little to call.
SHOWN_DIGITS = 4
_KNOWN_BY_DIGITS = 7
_KNOWN_CALLS = 512

# What might be part of a number or an address: of these, marks are made.
_TELLING = re.compile(r"\d{3}|(?:\d[\W_]*){4}|@")

Findings = list[list[Finding]]

# What the rules are made of, in `calls`.
_RULES = ("redaction*.py", "spoken_digits.py")


def rules_of(find: SensitiveFinder) -> str:
    """What tells the rules of one finder from others, and from those of another version of the same."""
    kind: Any = find if hasattr(find, "__qualname__") else type(find)
    return _rules(kind)


@lru_cache(maxsize=32)
def _rules(kind: Any) -> str:
    name, file = f"{kind.__module__}.{kind.__qualname__}", getsourcefile(kind) or ""
    folder = Path(calls.__file__ or "").parent
    files = sorted({path for pattern in _RULES for path in folder.glob(pattern)} | {Path(file)})
    digest = sha256(name.encode())
    for path in files:
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


class _Known:
    """What was found in the latest conversations, by a hash of their words: places and kinds, no word of them."""

    def __init__(self) -> None:
        self._found: OrderedDict[bytes, Findings] = OrderedDict()
        self._lock = Lock()

    def remember(self, find: SensitiveFinder, texts: Sequence[str], speakers: Sequence[str], found: Findings) -> None:
        """What `find` would say, known from elsewhere."""
        self._keep(_key(find, texts, speakers), found)

    def find(self, find: SensitiveFinder, texts: Sequence[str], speakers: Sequence[str] | None) -> Findings:
        """As `find`, which takes a tenth of a second for a long conversation."""
        said = _key(find, texts, speakers)
        with self._lock:
            if said in self._found:
                self._found.move_to_end(said)
                return self._found[said]
        found = find(texts, speakers)
        self._keep(said, found)
        return found

    def _keep(self, said: bytes, found: Findings) -> None:
        with self._lock:
            self._found[said] = found
            if len(self._found) > _KNOWN_CALLS:
                self._found.popitem(last=False)


def _key(find: SensitiveFinder, texts: Sequence[str], speakers: Sequence[str] | None) -> bytes:
    said = repr((rules_of(find), list(texts), [str(one) for one in speakers or ()]))
    return sha256(said.encode("utf-8", "surrogatepass")).digest()


_known = _Known()


def remembering(find: SensitiveFinder) -> SensitiveFinder:
    """The same finder, which need not look through one of the latest conversations again."""
    return lambda texts, speakers=None: _known.find(find, texts, speakers)


def remember(find: SensitiveFinder, turns: Sequence[Turn], found: Findings) -> None:
    """That `find` found this in the turns of a conversation: the next look need not search."""
    _known.remember(find, [turn.text for turn in turns], [turn.speaker for turn in turns], found)


def is_redacted(viewer: Viewer) -> bool:
    """Whether this viewer reads marks in place of what must not leave."""
    return not viewer.may(Permission.READ_UNREDACTED)


def sees_names(viewer: Viewer) -> bool:
    """Whether this viewer is told who the customer is."""
    return viewer.may(Permission.READ_UNREDACTED) or viewer.may(Permission.HEAR_CALLS)


def may_look_for(viewer: Viewer, words: str) -> bool:
    """Whether this viewer may look for these words in what was said: numbers and addresses are not even looked for.

    What else stands behind a mark, as numbers in words do, is left out of what was found (crm.search_shown).
    """
    return not is_redacted(viewer) or not _TELLING.search(words)


def shown_text(viewer: Viewer, text: str, find: SensitiveFinder = find_sensitive) -> str:
    """A text that stands alone (a summary, a note, a title) as this viewer may read it."""
    if not text or not is_redacted(viewer):
        return text
    return mark(text, _known.find(find, [text], None)[0])


def shown_turns(viewer: Viewer, turns: Sequence[Turn], find: SensitiveFinder = find_sensitive) -> list[Turn]:
    """All turns of one conversation, in order: what a number is may stand in the turn before it.

    A snippet is cut out of what this gives: in a part alone, less would be found.
    """
    if not is_redacted(viewer):
        return list(turns)
    return mark_turns(turns, found_in(find, turns))


def found_in(find: SensitiveFinder, turns: Sequence[Turn]) -> Findings:
    """What must not leave, turn by turn of one conversation; not looked for again in the latest ones."""
    return _known.find(find, [turn.text for turn in turns], [turn.speaker for turn in turns])


def shown_number(viewer: Viewer, number: str | None) -> str | None:
    """A phone number in E.164: whole, or its last digits behind an ellipsis."""
    if not number or not is_redacted(viewer):
        return number
    return f"\N{HORIZONTAL ELLIPSIS}{number[-SHOWN_DIGITS:]}"


def shown_line(viewer: Viewer, line: "CallLine", find: SensitiveFinder = find_sensitive) -> "CallLine":
    """One call of a list."""
    if not is_redacted(viewer):
        return line
    numbers = [line.customer_number, line.told_number]
    return replace(
        line,
        headline=line.headline and shown_text(viewer, line.headline, find),
        customer_name=line.customer_name if sees_names(viewer) else None,
        customer_number=shown_number(viewer, line.customer_number),
        told_number=shown_number(viewer, line.told_number),
        external_call_id=_without(line.external_call_id, numbers),
    )


def shown_transcript(viewer: Viewer, heard: "TranscriptRow", find: SensitiveFinder = find_sensitive) -> "TranscriptRow":
    """A transcript: its turns, what they are made of, word by word, and its translation."""
    if not is_redacted(viewer):
        return heard
    found = found_in(find, heard.turns)
    return replace(
        heard,
        turns=tuple(shown_turns(viewer, heard.turns, find)),
        utterances_by_turn=tuple(
            tuple(_marked(said, here)) for said, here in zip(heard.utterances_by_turn, found, strict=True)
        ),
        translation=tuple(_shown_utterances(heard.translation, find)),
    )


def shown_analysis(viewer: Viewer, given: "AnalysisRow", find: SensitiveFinder = find_sensitive) -> "AnalysisRow":
    """An analysis. An engine's is made of marked text already; a person may have typed anything."""
    if not is_redacted(viewer):
        return given

    def shown(text: str) -> str:
        return shown_text(viewer, text, find)

    return replace(
        given,
        headline=shown(given.headline),
        summary=shown(given.summary),
        subject=shown(given.subject),
        next_steps=tuple(_shown_values(step, shown) for step in given.next_steps),
        evidence=tuple(_shown_values(item, shown) for item in given.evidence),
        answers=_shown_values(given.answers, shown),
        reviews=_shown_reviews(given.reviews, shown),
    )


def shown_call(viewer: Viewer, found: "CallInFull", find: SensitiveFinder = find_sensitive) -> "CallInFull":
    """One call in full, whatever it is rendered as: page, API, CSV, a CRM's payload."""
    if not is_redacted(viewer):
        return found
    numbers = [found.from_number_e164, found.to_number_e164]
    held, held_up = found.recording, found.attempt
    return replace(
        found,
        line=replace(
            shown_line(viewer, found.line, find),
            external_call_id=_without(found.line.external_call_id, numbers),
        ),
        from_number_e164=shown_number(viewer, found.from_number_e164),
        to_number_e164=shown_number(viewer, found.to_number_e164),
        failed_detail=found.failed_detail and shown_text(viewer, _without(found.failed_detail, numbers), find),
        # Whatever telephony put there, under whatever name: nobody knows which of it is a person's.
        attributes={
            name: shown_text(viewer, _without(value, numbers), find) for name, value in found.attributes.items()
        }
        if sees_names(viewer)
        else {},
        recording=held and replace(held, object_key=_without(held.object_key, numbers)),
        attempt=held_up
        and replace(
            held_up,
            last_detail=held_up.last_detail and shown_text(viewer, _without(held_up.last_detail, numbers), find),
        ),
        transcript=found.transcript and shown_transcript(viewer, found.transcript, find),
        analysis=found.analysis and shown_analysis(viewer, found.analysis, find),
        reviews=_shown_reviews(found.reviews, lambda text: shown_text(viewer, text, find)),
    )


def _without(text: str, numbers: Sequence[str | None]) -> str:
    """Without the numbers of the call, which recorders write into names and ids."""
    for number in numbers:
        # With the country's code, with a zero in its place, or with neither: the end is the same.
        end = (number or "").lstrip("+")[-_KNOWN_BY_DIGITS:]
        if len(end) > SHOWN_DIGITS:
            text = re.sub(rf"\+?\d*{re.escape(end)}", f"\N{HORIZONTAL ELLIPSIS}{end[-SHOWN_DIGITS:]}", text)
    return text


def _shown_reviews(said: "Sequence[Review]", shown: Callable[[str], str]) -> "tuple[Review, ...]":
    return tuple(replace(one, before=one.before and shown(one.before), after=shown(one.after)) for one in said)


def _shown_values(values: Mapping[str, Any], shown: Callable[[str], str]) -> dict[str, Any]:
    return {name: shown(value) if isinstance(value, str) else value for name, value in values.items()}


def _shown_utterances(said: Sequence[Utterance], find: SensitiveFinder) -> list[Utterance]:
    """Utterances that are shown one by one, as a translation's are."""
    found = _known.find(find, [one.text for one in said], [f"{one.channel}" for one in said]) if said else []
    return [replace(one, text=mark(one.text, here), words=()) for one, here in zip(said, found, strict=True)]


def _marked(said: Sequence[Utterance], found: Sequence[Finding]) -> list[Utterance]:
    """The utterances of one turn, whose text they are with a space between two; those that a mark covers wholly stay
    as empty ones. What reaches into the next utterance is marked where it begins.
    """
    if not found:
        return list(said)
    marked = []
    begin = 0
    for one in said:
        text = one.text.strip()
        end = begin + len(text)
        here = [
            (max(hit.start - begin, 0), min(hit.end, end) - begin, f"[{hit.kind}]" if hit.start >= begin else "")
            for hit in found
            if hit.start < end and hit.end > begin
        ]
        marked.append(_one_marked(one, text, here) if here else one)
        begin = end + 1
    return marked


def _one_marked(one: Utterance, text: str, hits: Sequence[tuple[int, int, str]]) -> Utterance:
    words: list[Word] = []
    at = 0
    for word in one.words:
        told = word.text.strip()
        place = text.find(told, at)
        if not told or place < 0:
            # The engine's words are others than its text: nobody knows which of them a mark covers.
            words = []
            break
        at = place + len(told)
        if not any(start < at and end > place for start, end, _ in hits):
            words.append(word)
    for start, end, shown in reversed(hits):
        text = f"{text[:start]}{shown}{text[end:]}"
    return replace(one, text=text, words=tuple(words))
