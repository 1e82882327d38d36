"""What the API takes and gives about customers, reasons, the state of the work and exports."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from web.api_models import MOMENT, CallOfList, Model, Text, example

_CONTACT_ID = "0b6f8c1e-3a57-4c0e-8f3d-6f6a2b1c9d44"
_CUSTOMER = {
    "id": _CONTACT_ID,
    "name": "Rosa Diaz",
    "email": None,
    "number": "+15550100",
    "account": {"id": None, "name": None, "domain": None},
    "call_count": 3,
    "first_call_at": MOMENT,
    "last_call_at": MOMENT,
}


class AccountOfCustomer(Model):
    """The company that a customer belongs to."""

    id: UUID | None
    name: str | None
    domain: str | None


class Customer(Model):
    """One customer; what is counted are the calls that the caller may see."""

    model_config = example(_CUSTOMER)

    id: UUID
    name: str | None
    email: str | None
    number: str | None
    account: AccountOfCustomer
    call_count: int
    first_call_at: datetime
    last_call_at: datetime


class CustomerList(Model):
    """Customers in order of their latest call; `next` is the key of the page behind these, null on the last one."""

    model_config = example({"customers": [_CUSTOMER], "next": None})

    customers: list[Customer]
    next: str | None


class ReasonOfCustomer(Model):
    """What a customer calls about; `repeat_count` of the calls followed another within a week."""

    code: str
    label: str
    call_count: int
    repeat_count: int
    last_call_at: datetime


class CustomerInFull(Customer):
    """One customer, what they call about, and their latest calls; `next` is the key of the calls behind these."""

    model_config = example(_CUSTOMER | {"reasons": [], "calls": [], "next": None})

    reasons: list[ReasonOfCustomer]
    calls: list[CallOfList]
    next: str | None


class Reason(Model):
    """One reason; `replaces` are codes of earlier versions that go on as this one."""

    code: str
    label: str
    definition: str
    examples: list[str]
    parent: str | None
    sales: bool
    replaces: list[str]


class Question(Model):
    """One question of the owner's, asked of every call."""

    code: str
    text: str
    kind: Literal["yes_no", "number", "choice", "text"]
    choices: list[str]


class Reasons(Model):
    """One version of the reasons by which calls are classified."""

    version: str
    title: str
    is_current: bool
    reasons: list[Reason]
    questions: list[Question]


class ReasonsVersion(Model):
    """One stored version; `call_count` is of the calls that were classified under it."""

    version: str
    title: str
    loaded_at: datetime
    is_current: bool
    reason_count: int
    call_count: int


class ReasonsVersions(Model):
    """Every version, the one that was loaded last first."""

    versions: list[ReasonsVersion]


class ThemeWeek(Model):
    """The theme's calls of the ISO week that begins on that day, among all calls looked at of that week."""

    starts_on: date
    calls: int
    of_calls: int


class ThemeExample(Model):
    """A call of a theme."""

    id: UUID
    headline: str


class ProposedReason(Model):
    """A draft of a reason, to be reworded."""

    code: str
    label: str
    definition: str
    examples: list[str]


class ReasonTheme(Model):
    """Calls about one matter; `lift`: how many times as alike they are as one of them and a call of another matter."""

    calls: int
    share: float
    likeness: float
    lift: float
    words: list[str]
    weeks: list[ThemeWeek]
    example_calls: list[ThemeExample]
    reason: ProposedReason


class ReasonsThemes(Model):
    """What the newest `at_most` calls whose reason is `other` or none are about; fewer than `at_least` tell nothing."""

    looked_at: int
    at_most: int
    at_least: int
    explained_by_reasons: int
    themes: list[ReasonTheme]


class ReasonsFile(Model):
    """A reasons file as YAML text (docs/reasons.md)."""

    model_config = example(
        {"text": "title: Ours\nreasons:\n- {code: repair, label: Repair, definition: Something is broken.}\n"}
    )

    text: Annotated[str, StringConstraints(min_length=1, max_length=500_000)]


class ReasonsPlan(Model):
    """What these reasons change, against the current ones; `calls_without_counterpart` keep a reason that is gone."""

    version: str
    title: str
    reasons: int
    questions: int
    previous_version: str | None
    changes: dict[str, Any]
    calls_under_other_reasons: int
    calls_without_counterpart: int
    is_current: bool = Field(description="Whether calls are classified by them from now on.")


class Group(Model):
    """Calls that stand at one step for one cause; `next_at` only where they are tried again by themselves."""

    step: str
    code: str
    detail: str
    call_count: int
    next_at: datetime | None


class Process(Model):
    """A process that showed a sign of life within a day."""

    name: str
    kind: str
    state: str
    started_at: datetime
    beat_at: datetime


class Spent(Model):
    """What paid requests cost; `unpriced_count` of them have no known price and are not in the sum."""

    request_count: int
    unpriced_count: int
    cost_microusd: int


class Operations(Model):
    """What went wrong, what waits, who is at work, and what it costs."""

    failures: list[Group]
    waiting: list[Group]
    processes: list[Process]
    unreadable_events: list[dict[str, Any]]
    today: Spent
    month: Spent


class RetryWish(Model):
    """Which failed calls get another attempt: those of one cause, or all of them."""

    model_config = example({"code": "engine_unreachable"})

    code: Text | None = None


class ExportFile(Model):
    """One file of the last exports."""

    path: str
    kind: str
    rows: int
    bytes: int
    sha256: str
    generated_at: datetime
    personal_data: bool = Field(description="Whether names and numbers of customers stand in it.")


class Exports(Model):
    """The files that are there, by path."""

    files: list[ExportFile]
