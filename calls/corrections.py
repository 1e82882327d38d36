"""What a person says of a call's analysis, and the analysis with that word in it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from enum import StrEnum

from calls.analysis import Analysis, NextStep, Outcome
from calls.checking import HEADLINE_LENGTH, MAX_STEP_COUNT, STEP_LENGTH, SUMMARY_LENGTH, plain_text
from calls.errors import CallwiseError
from calls.reasons import Taxonomy

OWNER_LENGTH = 100
_NUMBER = re.compile(r"\+[1-9]\d{4,14}")
_STEP = re.compile(r"next_steps\.(\d+)")

# What an outcome says of whether the matter is settled, as the engines have it; None: it does not say.
_IS_RESOLVED: Mapping[Outcome, bool | None] = {
    Outcome.RESOLVED: True,
    Outcome.SALE: True,
    Outcome.FOLLOW_UP: False,
    Outcome.ESCALATED: False,
    Outcome.UNRESOLVED: False,
    Outcome.NO_SALE: None,
    Outcome.UNKNOWN: None,
}


class Field(StrEnum):
    """What a person can have their say about; `approval` is that the summary may go to a CRM."""

    REASON = "reason"
    OUTCOME = "outcome"
    HEADLINE = "headline"
    SUMMARY = "summary"
    NEXT_STEPS = "next_steps"
    SPEAKERS = "speakers"
    CUSTOMER = "customer"
    APPROVAL = "approval"


# Those that stand in the analysis, in the order in which a page shows them.
OF_ANALYSIS = (Field.REASON, Field.OUTCOME, Field.HEADLINE, Field.SUMMARY, Field.NEXT_STEPS)


class WrongCorrection(CallwiseError):
    """What was said cannot be taken: empty, too long, or no number; the text names it."""

    code = "wrong_correction"


@dataclass(frozen=True)
class Changes:
    """What is right of a call, by a person's word; None: nothing is said of that.

    `reason` is a code of the current taxonomy, `agent_channel` 0 or 1, `customer` the id of a contact, a number in
    E.164 form (its contact is made where there is none), or "" for nobody who is known.
    """

    reason: str | None = None
    outcome: Outcome | None = None
    headline: str | None = None
    summary: str | None = None
    next_steps: tuple[NextStep, ...] | None = None
    agent_channel: int | None = None
    customer: str | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of what something is said of."""
        return tuple(one.name for one in fields(self) if getattr(self, one.name) is not None)

    def beyond(self, shown: Analysis) -> "Changes":
        """What is said beyond what was shown: a form sends back all that it holds, also what nobody touched.

        `shown` is the analysis as the person saw it, which may be redacted: its placeholders must not become the text.
        """
        return replace(
            self,
            reason=None if self.reason == shown.reason_code else self.reason,
            outcome=None if self.outcome == shown.outcome else self.outcome,
            headline=_unless_same(self.headline, shown.headline),
            summary=_unless_same(self.summary, shown.summary),
            next_steps=None if self.next_steps == shown.next_steps else self.next_steps,
        )


def checked(changes: Changes) -> Changes:
    """The changes with texts on one line and without unprintable signs. Raises WrongCorrection."""
    steps = changes.next_steps
    if steps is not None:
        if len(steps) > MAX_STEP_COUNT:
            raise WrongCorrection(f"next steps: {len(steps)} were given, {MAX_STEP_COUNT} is the most")
        steps = tuple(
            replace(
                step,
                text=_text("next step", step.text, STEP_LENGTH),
                owner=_text("owner of a next step", step.owner, OWNER_LENGTH) if step.owner.strip() else "",
            )
            for step in steps
        )
    if changes.agent_channel not in {None, 0, 1}:
        raise WrongCorrection(f"the agent's channel is {changes.agent_channel}; it is 0 or 1")
    return replace(
        changes,
        headline=None if changes.headline is None else _text("headline", changes.headline, HEADLINE_LENGTH),
        summary=None if changes.summary is None else _text("summary", changes.summary, SUMMARY_LENGTH),
        next_steps=steps,
        customer=None if changes.customer is None else changes.customer.strip(),
    )


def is_number(customer: str) -> bool:
    """Whether this is a number in E.164 form."""
    return _NUMBER.fullmatch(customer) is not None


def words_of(changes: Changes) -> dict[Field, str]:
    """What is said of the analysis, field by field, as texts that `with_word` takes."""
    found = {
        Field.REASON: changes.reason,
        Field.OUTCOME: None if changes.outcome is None else changes.outcome.value,
        Field.HEADLINE: changes.headline,
        Field.SUMMARY: changes.summary,
        Field.NEXT_STEPS: None if changes.next_steps is None else _steps_text(changes.next_steps),
    }
    return {field: word for field, word in found.items() if word is not None}


def word_of(analysis: Analysis, field: Field) -> str | None:
    """What the analysis says in one of OF_ANALYSIS, as the text that `with_word` takes; None: no reason."""
    if field is Field.REASON:
        return analysis.reason_code
    if field is Field.NEXT_STEPS:
        return _steps_text(analysis.next_steps)
    return analysis.outcome.value if field is Field.OUTCOME else str(getattr(analysis, field.value))


def with_word(analysis: Analysis, field: Field, word: str) -> Analysis:
    """The analysis with a person's word in one of its fields other than the reason.

    What supported another text, or was doubted of it, supports and doubts this one no more; next steps that are as
    they were keep their quotes.
    """
    if word_of(analysis, field) == word:
        return analysis
    if field is Field.NEXT_STEPS:
        return _with_steps(_without_quotes(analysis, field, evidence_too=False), _steps(word))
    given = _without_quotes(analysis, field)
    if field is Field.OUTCOME:
        outcome = Outcome(word)
        return replace(given, outcome=outcome, is_resolved=_IS_RESOLVED[outcome])
    if field is Field.HEADLINE:
        return replace(given, headline=word)
    return replace(given, summary=word, summary_kind="written")


def under_reason(
    analysis: Analysis, code: str, taxonomy: Taxonomy, following: Mapping[str, str] | None = None
) -> Analysis:
    """The analysis under this code of `taxonomy`, all the rest as it was; `following` are codes of earlier versions
    with those that go on in their place.

    What supported another reason, or was doubted of it, supports and doubts this one no more.
    """
    go_on = following or {}
    kept = [go_on.get(other, other) for other in analysis.secondary_reason_codes]
    was = analysis.reason_code
    given = analysis if was is not None and go_on.get(was, was) == code else _without_quotes(analysis, Field.REASON)
    return replace(
        given,
        reason_code=code,
        reason_confidence=None if given is not analysis else analysis.reason_confidence,
        secondary_reason_codes=tuple(dict.fromkeys(one for one in kept if one in taxonomy.codes and one != code)),
    )


def _without_quotes(analysis: Analysis, field: Field, *, evidence_too: bool = True) -> Analysis:
    evidence = analysis.evidence
    if evidence_too:
        evidence = tuple(item for item in evidence if item.field != field)
    return replace(
        analysis, evidence=evidence, skipped=tuple(item for item in analysis.skipped if item.feature != field)
    )


def _with_steps(analysis: Analysis, steps: tuple[NextStep, ...]) -> Analysis:
    places = {step: index for index, step in enumerate(steps)}
    evidence = []
    for item in analysis.evidence:
        found = _STEP.fullmatch(item.field)
        if found is None:
            evidence.append(item)
        elif int(found[1]) < len(analysis.next_steps) and analysis.next_steps[int(found[1])] in places:
            place = places[analysis.next_steps[int(found[1])]]
            evidence.append(replace(item, field=f"{Field.NEXT_STEPS}.{place}"))
    return replace(analysis, next_steps=steps, evidence=tuple(evidence))


def _steps_text(steps: tuple[NextStep, ...]) -> str:
    rows = [
        {"text": step.text, "owner": step.owner, "due_on": step.due_on.isoformat() if step.due_on else None}
        for step in steps
    ]
    return json.dumps(rows, ensure_ascii=False)


def _steps(word: str) -> tuple[NextStep, ...]:
    return tuple(
        NextStep(row["text"], row["owner"], date.fromisoformat(row["due_on"]) if row["due_on"] else None)
        for row in json.loads(word)
    )


def _unless_same(said: str | None, shown: str) -> str | None:
    return None if said is None or plain_text(said) == plain_text(shown) else said


def _text(name: str, said: str, length: int) -> str:
    plain = plain_text(said)
    if not plain:
        raise WrongCorrection(f"the {name} is empty")
    if len(plain) > length:
        raise WrongCorrection(f"the {name} has {len(plain)} characters; {length} is the most")
    return plain
