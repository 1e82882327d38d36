"""Which words of a transcript its engine was not sure of: they are kept, and marked where they are read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from calls.transcript import Utterance


@dataclass(frozen=True)
class Run:
    """Words that follow each other and are all sure, or all unsure."""

    text: str
    is_unsure: bool


def mark_unsure(utterances: Sequence[Utterance], below: float) -> list[Run]:
    """The text of the utterances, joined by spaces as in a turn, in runs; unsure is a confidence less than `below`.

    Where an engine gives no confidence by word that of the utterance counts; without any, nothing is marked.
    """
    runs: list[Run] = []
    for said in utterances:
        for run in ([Run(" ", False)] if runs else []) + list(_runs(said, below)):
            if runs and runs[-1].is_unsure == run.is_unsure:
                runs[-1] = Run(runs[-1].text + run.text, run.is_unsure)
            else:
                runs.append(run)
    return runs


def _runs(said: Utterance, below: float) -> Iterator[Run]:
    text = said.text.strip()
    if all(word.confidence is None for word in said.words):
        yield Run(text, said.avg_confidence is not None and said.avg_confidence < below)
        return
    at = told = 0
    for word in said.words:
        found = text.find(word.text, at)
        if found < 0:
            continue
        at = found + len(word.text)
        if word.confidence is None or word.confidence >= below:
            continue
        if found > told:
            yield Run(text[told:found], False)
        yield Run(word.text, True)
        told = at
    if told < len(text):
        yield Run(text[told:], False)
