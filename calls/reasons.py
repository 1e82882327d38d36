"""The owner's call reasons: a taxonomy with a version, and the questions asked of every call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

OTHER = "other"
INSUFFICIENT = "insufficient_content"


@dataclass(frozen=True)
class Reason:
    """One call reason. `code` is stable and snake_case; `examples` are sentences that customers say."""

    code: str
    label: str
    definition: str
    examples: tuple[str, ...] = ()
    parent_code: str | None = None
    is_sales: bool = False


class AnswerKind(StrEnum):
    """What an owner's question is answered with."""

    YES_NO = "yes_no"
    NUMBER = "number"
    CHOICE = "choice"
    TEXT = "text"


@dataclass(frozen=True)
class Question:
    """One question of the owner's, asked of every call; `choices` only where the kind is `choice`."""

    code: str
    text: str
    kind: AnswerKind
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Taxonomy:
    """A version of the owner's reasons. `other` and `insufficient_content` are always allowed and never listed."""

    version: str
    reasons: tuple[Reason, ...]
    questions: tuple[Question, ...] = ()
    title: str = ""
    _by_code: Mapping[str, Reason] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_code", {reason.code: reason for reason in self.reasons})

    @property
    def codes(self) -> Sequence[str]:
        """Every code that a call may get, the two general ones last."""
        return (*(reason.code for reason in self.reasons), OTHER, INSUFFICIENT)

    def label(self, code: str) -> str:
        """What people read for `code`."""
        reason = self._by_code.get(code)
        return reason.label if reason else {OTHER: "Other", INSUFFICIENT: "Not enough said"}.get(code, code)

    def reason(self, code: str) -> Reason | None:
        """The reason of that code; None for the two general codes and for an unknown one."""
        return self._by_code.get(code)
