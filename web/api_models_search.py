"""What the API gives of searches and questions, for its OpenAPI document."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, StringConstraints

from calls.asking import QUESTION_LENGTH
from calls.transcript import Speaker
from web.api_models import CALL_ID, LINE, CallOfList, Model, example


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


class Question(Model):
    """What is asked; without `call_id` it is about the calls of the filter in the address."""

    model_config = example({"question": "What did the customer say about the delivery?", "call_id": CALL_ID})

    question: Annotated[str, StringConstraints(min_length=1, max_length=QUESTION_LENGTH, pattern=r"^[^\x00]*$")]
    call_id: UUID | None = None


class QuotedTurn(Model):
    """The words of a call that a statement rests on."""

    call_id: UUID
    turn: int
    start_s: float
    quote: str


class StatementOfCalls(Model):
    """One thing that the calls say."""

    text: str
    quotes: list[QuotedTurn]


class CountedCalls(Model):
    """What a query gave that was checked and run read-only over the star schema."""

    sql: str
    parameters: dict[str, Any]
    columns: list[str]
    rows: list[list[Any]]
    is_cut: bool


class Answer(Model):
    """What the calls say to a question; `text` is empty where there are statements or a count."""

    model_config = example(
        {
            "question": "What did the customer say about the delivery?",
            "text": "",
            "statements": [
                {
                    "text": "The dishwasher has not arrived.",
                    "quotes": [
                        {"call_id": CALL_ID, "turn": 1, "start_s": 3.1, "quote": "My dishwasher has not arrived"}
                    ],
                }
            ],
            "counted": None,
            "call_ids": [CALL_ID],
            "answered_by": "openai/gpt-5.4-mini",
            "is_extractive": False,
            "notes": [],
        }
    )

    question: str
    text: str
    statements: list[StatementOfCalls]
    counted: CountedCalls | None
    call_ids: list[UUID] = Field(description="The calls that were read for the answer.")
    answered_by: str
    is_extractive: bool = Field(description="Whether no model is there: statements are turns as they were said.")
    notes: list[str]
