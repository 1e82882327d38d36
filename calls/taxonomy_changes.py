"""What another version of the owner's reasons changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from calls.reasons import Taxonomy


@dataclass(frozen=True)
class TaxonomyChanges:
    """Codes, each in the order of its version: `changed` ones mean something else or are said otherwise, `replaced` are
    removed ones that go on as another, by the code that they had.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    replaced: Mapping[str, str] = field(default_factory=dict)
    questions_added: tuple[str, ...] = ()
    questions_removed: tuple[str, ...] = ()
    questions_changed: tuple[str, ...] = ()


def changes(before: Taxonomy | None, after: Taxonomy, following: Mapping[str, str]) -> TaxonomyChanges:
    """From `before` to `after`; `following` are the codes that go on as others under `after`."""
    if before is None:
        return TaxonomyChanges(
            added=tuple(reason.code for reason in after.reasons),
            questions_added=tuple(question.code for question in after.questions),
        )
    old = {reason.code: replace(reason, replaces=()) for reason in before.reasons}
    new = {reason.code: replace(reason, replaces=()) for reason in after.reasons}
    asked = {question.code: question for question in before.questions}
    asks = {question.code: question for question in after.questions}
    gone = [code for code in old if code not in new]
    return TaxonomyChanges(
        added=tuple(code for code in new if code not in old),
        removed=tuple(code for code in gone if code not in following),
        changed=tuple(code for code in new if code in old and new[code] != old[code]),
        replaced={code: following[code] for code in gone if code in following},
        questions_added=tuple(code for code in asks if code not in asked),
        questions_removed=tuple(code for code in asked if code not in asks),
        questions_changed=tuple(code for code in asks if code in asked and asks[code] != asked[code]),
    )
