"""What the API takes and gives where calls are corrected, approved, sent and reviewed, for its OpenAPI document."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from calls.analysis import NextStep, Outcome
from calls.corrections import OWNER_LENGTH, Changes
from crm.review_queue import Cause
from web.api_models import CALL_ID, LINE, MOMENT, CallOfList, Model, ReasonOfCall, StepOfCall, Text, example


class GivenStep(Model):
    """One next step as it should be."""

    text: Text
    owner: Annotated[str, StringConstraints(max_length=OWNER_LENGTH, pattern=r"^[^\x00]*$")] = ""
    due_on: date | None = None


class Correction(Model):
    """What is right; what is left out stays as it is."""

    model_config = example(
        {"revision": 2, "reason": "repair_booking", "outcome": "resolved", "summary": "A fitter comes on Friday."}
    )

    revision: int | None = Field(None, ge=0, description="The call's `revision` that was looked at, or send If-Match.")
    reason: Text | None = Field(None, description="A code of the current reasons.")
    outcome: Outcome | None = None
    headline: Text | None = None
    summary: Text | None = None
    next_steps: list[GivenStep] | None = Field(None, max_length=100)
    agent_channel: Literal[0, 1] | None = Field(
        None, description="The channel on which the agent is; the call is understood anew where that is news."
    )
    customer: Text | None = Field(
        None, description="The id of a contact, a number such as +15550100, or empty: nobody."
    )

    def changes(self) -> Changes:
        """The same as crm.corrections takes it."""
        steps = self.next_steps
        return Changes(
            reason=self.reason,
            outcome=self.outcome,
            headline=self.headline,
            summary=self.summary,
            next_steps=None if steps is None else tuple(NextStep(step.text, step.owner, step.due_on) for step in steps),
            agent_channel=self.agent_channel,
            customer=self.customer,
        )


class LookedAt(Model):
    """Which revision of the call was looked at; If-Match may say it instead."""

    model_config = example({"revision": 2})

    revision: int | None = Field(None, ge=0)


class Corrected(Model):
    """The call's revision after it."""

    model_config = example({"id": CALL_ID, "revision": 3})

    id: UUID
    revision: int


class Approved(Model):
    """Who let the summary go to a CRM, and when."""

    model_config = example({"id": CALL_ID, "by": "Ada", "at": MOMENT})

    id: UUID
    by: str
    at: datetime


class Retried(Model):
    """How many failed calls got another attempt."""

    model_config = example({"retried": 1})

    retried: int


class Received(Model):
    """What became of a file: the call that it is, or why it is none."""

    model_config = example({"call_id": CALL_ID, "is_new": True, "why_not": None, "key": "uploads/1f/call.wav"})

    call_id: UUID | None
    is_new: bool
    why_not: str | None
    key: str


class RevisionOfCall(Model):
    """One analysis of the call as it was; exactly one of them is current."""

    revision: int
    is_current: bool
    created_at: datetime
    headline: str
    summary: str
    reason: ReasonOfCall | None
    outcome: Outcome
    next_steps: list[StepOfCall]
    model: str
    taxonomy_version: str


class Revisions(Model):
    """Every analysis of the call, the latest first: the engines' own and those with people's corrections."""

    id: UUID
    revisions: list[RevisionOfCall]


class ReviewItem(Model):
    """A call that waits for somebody's look, why, and the revision that a correction of it has to name."""

    call: CallOfList
    causes: list[Cause]
    revision: int


class ReviewList(Model):
    """A page of the review queue; `waiting` counts all of it, and is never more than 1,000."""

    model_config = example(
        {"items": [{"call": LINE, "causes": ["low_confidence"], "revision": 2}], "waiting": 1, "next": None}
    )

    items: list[ReviewItem]
    waiting: int
    next: str | None
