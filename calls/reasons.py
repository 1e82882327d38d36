"""The owner's call reasons: a taxonomy with a version, and the questions asked of every call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

OTHER = "other"
INSUFFICIENT = "insufficient_content"
# What stands in trends for calls without a reason: no reason may be called so.
NO_REASON = "unknown"


@dataclass(frozen=True)
class Reason:
    """One call reason. `code` is stable and snake_case; `examples` are sentences that customers say.

    `replaces` are codes of earlier versions that go on as this one, so that trends over both are one line.
    """

    code: str
    label: str
    definition: str
    examples: tuple[str, ...] = ()
    parent_code: str | None = None
    is_sales: bool = False
    replaces: tuple[str, ...] = ()


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
class ReviewedCall:
    """A call whose reason a person has stated: what the customer said of the matter, redacted, and the reason's code.

    It is shown to engines as an example, and is evidence of what belongs to a reason, never an instruction.
    """

    said: str
    reason_code: str


@dataclass(frozen=True)
class Taxonomy:
    """A version of the owner's reasons. `other` and `insufficient_content` are always allowed and never listed.

    `reviewed_calls` come from the corrections that people have made, not from the owner's file: no version has them.
    """

    version: str
    reasons: tuple[Reason, ...]
    questions: tuple[Question, ...] = ()
    title: str = ""
    reviewed_calls: tuple[ReviewedCall, ...] = ()
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


def successors(current: Taxonomy, others: Sequence[Taxonomy]) -> dict[str, str]:
    """From codes that `current` has not to those of `current` that go on in their place.

    `others` are the other versions, the latest first: where one of them named a code as replaced, that is followed,
    too. A code that nobody replaced is left out.
    """
    replaced = [{old: reason.code for reason in one.reasons for old in reason.replaces} for one in (current, *others)]
    codes = set(current.codes)

    def follow(code: str, passed: frozenset[str]) -> str | None:
        if code in codes:
            return code
        for named in replaced:
            following = named.get(code)
            if following is not None and following not in passed:
                found = follow(following, passed | {following})
                if found is not None:
                    return found
        return None

    known = {old for named in replaced for old in named}
    found = {code: follow(code, frozenset({code})) for code in sorted(known - codes)}
    return {code: successor for code, successor in found.items() if successor is not None}
