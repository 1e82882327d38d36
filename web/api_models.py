"""What the API gives about calls, for its OpenAPI document: the answers themselves are made in crm/.

A test holds every answer against these models, so that the document says what is sent.
"""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from calls.analysis import Outcome
from calls.pipeline import SkipReason, Stage
from calls.recording import Direction
from calls.transcript import Speaker

CALL_ID = "5f0c2a3e-6d0b-4c57-9b1e-2f8a4d7c1e90"
MOMENT = "2026-03-20T09:30:00Z"
# PostgreSQL refuses a NUL in any text.
Text = Annotated[str, StringConstraints(max_length=10_000, pattern=r"^[^\x00]*$")]


class Model(BaseModel):
    """One JSON object; other keys than these are never sent."""

    model_config = ConfigDict(extra="forbid")


def example(document: Any) -> ConfigDict:
    """The configuration of a model with this example."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [document]})


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Not found",
                    "status": 404,
                    "code": "no_such_call",
                    "detail": f"no call has the id {CALL_ID}",
                }
            ]
        },
    )

    type: str = "about:blank"
    title: str
    status: int
    code: str = Field(description="What happened, for programs: it stays the same from version to version.")
    detail: str = Field(description="One sentence for people.")


class CustomerOfCall(Model):
    """Who called or was called; of those who may not be told, the number's last digits."""

    name: str | None
    number: str | None


class LinkedCustomer(CustomerOfCall):
    """The same, with the contact that the call is filed under."""

    id: UUID | None


class ReasonOfCall(Model):
    """Why the customer called: a code of the reasons; `confidence` is 0 to 1, null where a person said it."""

    code: str
    label: str | None
    confidence: float | None


LINE = {
    "id": CALL_ID,
    "external_call_id": "1710927000.42",
    "stage": "done",
    "skip_reason": None,
    "failed_code": None,
    "happened_at": MOMENT,
    "started_at": MOMENT,
    "direction": "inbound",
    "profile": "freepbx",
    "customer": {"name": "Rosa Diaz", "number": "+15550100"},
    "agent": "Andrew K",
    "team": "North",
    "queue": "Deliveries",
    "duration_s": 184.2,
    "headline": "Dishwasher has not arrived",
    "reason": {"code": "delivery_status", "label": "Delivery status", "confidence": 0.87},
    "outcome": "follow_up",
    "is_resolved": False,
    "sentiment": -1.0,
    "is_demo": False,
    "is_sample": False,
    "is_truncated": False,
}


class CallOfList(Model):
    """One call of a list. Times are UTC, `_s` are seconds, `sentiment` is -5 to +5."""

    model_config = example(LINE)

    id: UUID
    external_call_id: str
    stage: Stage
    skip_reason: SkipReason | None
    failed_code: str | None
    happened_at: datetime
    started_at: datetime | None
    direction: Direction | None
    profile: str | None = Field(description="The telephony profile that read the recording's name.")
    customer: CustomerOfCall
    agent: str | None
    team: str | None
    queue: str | None
    duration_s: float | None
    headline: str | None
    reason: ReasonOfCall | None
    outcome: Outcome | None
    is_resolved: bool | None
    sentiment: float | None
    is_demo: bool = Field(description="Whether a demo engine heard or understood the call.")
    is_sample: bool = Field(description="Whether it is generated history.")
    is_truncated: bool


class CallList(Model):
    """A page of calls; `next` is the key of the page behind it, null on the last one."""

    model_config = example({"calls": [LINE], "next": None})

    calls: list[CallOfList]
    next: str | None


class Turn(Model):
    """What one side said in one go."""

    speaker: Speaker
    start_s: float
    end_s: float
    text: str


class StepOfCall(Model):
    """One thing that somebody said they would do; `owner` is `agent`, `customer` or a name that was said."""

    text: str
    owner: str
    due_on: date | None


class ReviewOfCall(Model):
    """What a person said of one field: next steps are JSON text, the customer is a contact's id, speakers a channel."""

    field: str
    before: str | None
    after: str
    by: str
    at: datetime
    revision: int = Field(description="The analysis that was looked at.")


class Analysis(Model):
    """What the call was about. Its evidence names turns by their place in `turns`, counted from 0."""

    headline: str
    summary: str
    summary_kind: Literal["written", "excerpts"]
    subject: str
    reason: ReasonOfCall | None
    secondary_reasons: list[dict[str, str]]
    outcome: Outcome
    is_resolved: bool | None
    is_sale: bool | None
    next_steps: list[StepOfCall]
    evidence: list[dict[str, Any]]
    sentiment: dict[str, float | None]
    answers: dict[str, bool | float | str | None]
    model: str
    is_demo: bool
    prompt_version: str
    tier: int | None
    escalated_for: str | None
    taxonomy_version: str
    reason_said_by: str | None
    said_by: dict[str, str] = Field(description="Fields that a person corrected or confirmed, each with that person.")
    approved: dict[str, Any] | None = Field(description="Who let this revision go to a CRM (`by`) and when (`at`).")
    reviews: list[ReviewOfCall]
    revision: int
    created_at: datetime
    cost_microusd: int | None


class Call(Model):
    """One call in full. `revision` is what a correction has to name; it stands in the ETag, too."""

    id: UUID
    revision: int
    external_call_id: str
    source_system: str
    profile: str | None
    stage: Stage
    skip_reason: SkipReason | None
    failure: dict[str, Any] | None
    waiting: dict[str, Any] | None
    is_sample: bool
    is_demo: bool
    happened_at: datetime
    received_at: datetime
    queued_at: datetime | None
    started_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    finished_at: datetime | None
    modified_at: datetime
    direction: Direction | None
    from_number_e164: str | None
    to_number_e164: str | None
    customer: LinkedCustomer
    agent: str | None
    team: str | None
    queue: str | None
    is_transferred: bool | None
    disconnect_reason: str | None
    earlier_call_id: UUID | None
    attributes: dict[str, str]
    recording: dict[str, Any] | None
    transcript: dict[str, Any] | None
    channels: list[dict[str, Any]]
    turns: list[Turn]
    analysis: Analysis | None
    timing: dict[str, float | None]
    skipped: list[dict[str, str]]
    reviews: list[ReviewOfCall] = Field(description="What people said of the call, in order.")
    cost_microusd: int | None


class StatusOfWork(BaseModel):
    """Calls by stage, and by the cause where they stand still; docs/operations.md says what each key counts."""

    model_config = ConfigDict(extra="allow")

    received: int
    transcribed: int
    understood: int
    done: int
    failed: dict[str, int] = Field(description="By code.")
    skipped: dict[str, int] = Field(description="By reason.")
    oldest_waiting_s: float | None
