"""Calls about planted matters, which no two callers word alike, and calls about nothing at all."""

import random
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from uuid import UUID

from analytics.themes import ThemeCall

MATTERS = {
    "parking": (
        ("parking permit", "resident permit", "parking badge"),
        ("street", "garage", "car park", "kerb outside my house"),
        ("expired", "was towed", "got a fine", "need a second vehicle on it"),
    ),
    "allergy": (
        ("nuts", "gluten", "lactose", "shellfish"),
        ("ingredients list", "label on the soup", "allergen table", "recipe of the lasagne"),
        ("my daughter is allergic", "allergy to it", "a rash after eating", "may contain traces"),
    ),
    "newsletter": (
        ("newsletter", "advertising mails", "mailing list", "weekly digest"),
        ("unsubscribe link", "opt out button", "preferences page"),
        ("inbox every morning", "spam folder", "keeps coming after I opted out", "never subscribed"),
    ),
}
_FRAMES = (
    "Hello, it is about the {0} and the {1}, it {2}.",
    "Good morning. The {1}, you know, with the {0}: {2}.",
    "Yes hi, I call because of the {0}. {2}, and I looked at the {1} already.",
    "I have a question on the {1}. {2}. Does the {0} say so?",
)
_CHATTER = ("Thank you so much.", "That is all for today.", "Sorry, could you say that again?", "Wonderful, goodbye.")
_SYLLABLES = [f"{first}{second}" for first in "bcdfglmnprst" for second in "aeiou"]


def planted(sizes: dict[str, int], noise: int = 0, seed: int = 1) -> tuple[list[ThemeCall], dict[UUID, str]]:
    """So many calls of each matter and about nothing, shuffled, over four weeks; and the matter of each call."""
    chance = random.Random(seed)
    told: list[tuple[str, Sequence[str]]] = [
        (name, tuple(_sayings(MATTERS[name], chance))) for name, size in sizes.items() for _ in range(size)
    ]
    told += [("", (words,)) for words in random_words(noise, seed, of_words=300 if not sizes else 5000)]
    chance.shuffle(told)
    calls = [
        ThemeCall(
            UUID(int=number + 1), date(2026, 3, 2) + timedelta(days=number % 28), "", tuple(said), ("How can I help?",)
        )
        for number, (_, said) in enumerate(told)
    ]
    return calls, {call.call_id: name for call, (name, _) in zip(calls, told, strict=True)}


def random_words(count: int, seed: int, *, of_words: int) -> Iterator[str]:
    """Texts of words that have nothing to do with each other, drawn from so many."""
    chance = random.Random(seed)
    words = ["".join(chance.choices(_SYLLABLES, k=3)) for _ in range(of_words)]
    for _ in range(count):
        yield " ".join(chance.choices(words, k=30))


def _sayings(matter: tuple[tuple[str, ...], ...], chance: random.Random) -> Iterator[str]:
    for frame in chance.sample(_FRAMES, 2):
        yield frame.format(*(chance.choice(words) for words in matter))
    yield from chance.sample(_CHATTER, 2)
