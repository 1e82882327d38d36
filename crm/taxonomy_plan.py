"""What loading other reasons would change: told before anything is, by the command, the page and the API alike."""

from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from calls.reasons import Taxonomy
from calls.taxonomy_changes import TaxonomyChanges, changes
from crm.reclassify import Wanted
from crm.reclassify_runs import plan
from crm.taxonomies import current_taxonomy, successors_under


@dataclass(frozen=True)
class TaxonomyPlan:
    """From the current version (`previous_version`, None where there is none) to `version`.

    `other_call_count` calls were classified under other reasons; for `lost_call_count` of them theirs is gone and none
    replaces it.
    """

    version: str
    title: str
    reason_count: int
    question_count: int
    previous_version: str | None
    changes: TaxonomyChanges
    other_call_count: int
    lost_call_count: int

    @property
    def is_news(self) -> bool:
        """Whether it is another version than the current one."""
        return self.version != self.previous_version


def plan_taxonomy(connection: sa.Connection, given: Taxonomy) -> TaxonomyPlan:
    """What would change if `given` became the current version; nothing does."""
    before = current_taxonomy(connection)
    following = successors_under(connection, given)
    earlier = plan(connection, given, Wanted()).call_count_by_reason
    lost = sum(count for code, count in earlier.items() if code not in given.codes and code not in following)
    return TaxonomyPlan(
        version=given.version,
        title=given.title,
        reason_count=len(given.reasons),
        question_count=len(given.questions),
        previous_version=before.version if before else None,
        changes=changes(before, given, following),
        other_call_count=sum(earlier.values()),
        lost_call_count=lost,
    )


def plan_document(found: TaxonomyPlan) -> dict[str, Any]:
    """The plan with stable keys: what `callwise reasons load --json` and `/api/v1` give."""
    return {
        "version": found.version,
        "title": found.title,
        "reasons": found.reason_count,
        "questions": found.question_count,
        "previous_version": found.previous_version,
        "changes": asdict(found.changes),
        "calls_under_other_reasons": found.other_call_count,
        "calls_without_counterpart": found.lost_call_count,
    }
