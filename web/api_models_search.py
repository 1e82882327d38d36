"""What the API gives of searches, for its OpenAPI document."""

from datetime import datetime

from pydantic import Field

from calls.transcript import Speaker
from web.api_models import LINE, CallOfList, Model, example


class Excerpt(Model):
    """A part of a text; `places` are where it has what was looked for: first character and the one behind the last."""

    text: str
    places: list[tuple[int, int]]


class SaidExcerpt(Excerpt):
    """What was said there; `turn` counts from 0, `start_s` are seconds from the start of the recording."""

    turn: int
    speaker: Speaker
    start_s: float


class SearchHit(Model):
    """One call that was found; `about` is of its headline and summary."""

    call: CallOfList
    score: float = Field(description="The higher, the better it fits; comparable within one answer.")
    about: Excerpt | None
    said: list[SaidExcerpt]


class SearchResult(Model):
    """Calls that have the words, the best of the newest first."""

    model_config = example(
        {
            "hits": [
                {
                    "call": LINE,
                    "score": 0.77,
                    "about": {"text": "Dishwasher has not arrived", "places": [[0, 10]]},
                    "said": [
                        {
                            "turn": 1,
                            "speaker": "customer",
                            "start_s": 3.1,
                            "text": "My dishwasher has not arrived",
                            "places": [[3, 13]],
                        }
                    ],
                }
            ],
            "back_to": "2026-03-20T09:30:00Z",
            "next": None,
        }
    )

    hits: list[SearchHit]
    back_to: datetime | None = Field(description="When the oldest call of this window was.")
    next: str | None
