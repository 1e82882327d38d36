"""What classifying the past anew would ask, and what it has brought: before and after, by reason."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from calls.money import SPEECH
from calls.pipeline import RECLASSIFY
from calls.reasons import Taxonomy
from crm.reason_tables import reclassification, reclassified_call
from crm.reclassify import KEPT_BY_PERSON, NoSuchRun, Wanted, is_reviewed, waiting_calls
from crm.tables import call_analysis, job, paid_request, transcript, utterance
from crm.taxonomies import known_successors, stored_taxonomy

# So many transcripts tell how long they are on the whole.
_SAMPLE_SIZE = 200


@dataclass(frozen=True)
class Plan:
    """What a run would do: `ask_count` calls to ask about, `reviewed_count` whose reasons people have given, and how
    many calls have each reason now; None is no reason.
    """

    ask_count: int
    reviewed_count: int
    call_count_by_reason: Mapping[str | None, int]


@dataclass(frozen=True)
class Observed:
    """What asking about these calls took before, by model: (input, cached, output) tokens of `asked_count` askings.

    `text_bytes` is how much was said, on average, in one of the calls that are to be asked about.
    """

    asked_count: int
    tokens_by_model: Mapping[str, tuple[int, int, int]]
    text_bytes: float


@dataclass(frozen=True)
class Run:
    """One run as it stands. `moves` counts its answered calls by their reason before and after; codes before are those
    of the version then. `ended` counts the calls that have no other analysis, by the code that says why.

    `left_count`: calls that are not waited for, because the run was stopped or other work on them went first.
    `cost_microusd` is that of all requests about these calls since it began; None where one has no known price.
    """

    id: UUID
    taxonomy_version: str
    started_at: datetime
    stopped_at: datetime | None
    wanted: Wanted
    answered_count: int
    waiting_count: int
    left_count: int
    ended: Mapping[str, int]
    moves: Mapping[tuple[str | None, str | None], int]
    following: Mapping[str, str]
    cost_microusd: int | None

    @property
    def call_count(self) -> int:
        """All calls of the run."""
        return self.answered_count + self.waiting_count + self.left_count + sum(self.ended.values())

    @property
    def unchanged_count(self) -> int:
        """Answered calls whose reason is what it was, or what goes on in its place."""
        return sum(
            count for (before, after), count in self.moves.items() if self.following.get(before or "", before) == after
        )

    @property
    def state(self) -> str:
        """`running`, `stopped` (something is left), or `ended`."""
        if self.waiting_count:
            return "running"
        return "stopped" if self.stopped_at is not None and self.left_count else "ended"


def plan(connection: sa.Connection, current: Taxonomy, wanted: Wanted) -> Plan:
    """What a run of this wish would do now."""
    rows = connection.execute(
        waiting_calls(current, wanted)
        .with_only_columns(call_analysis.c.reason_code, is_reviewed().label("is_reviewed"), sa.func.count().label("n"))
        .group_by(call_analysis.c.reason_code, sa.text("is_reviewed"))
    ).all()
    by_reason: Counter[str | None] = Counter()
    for row in rows:
        by_reason[row.reason_code] += row.n
    reviewed = sum(row.n for row in rows if row.is_reviewed)
    return Plan(sum(by_reason.values()) - reviewed, reviewed, by_reason)


def observed(connection: sa.Connection, current: Taxonomy, wanted: Wanted) -> Observed:
    """What asking about these very calls took before, as the ledger has it; of those that nobody paid for, nothing."""
    ids = waiting_calls(current, wanted).where(~is_reviewed()).subquery()
    paid = sa.and_(paid_request.c.call_id == ids.c.id, paid_request.c.purpose != SPEECH)
    sums = (sa.func.sum(paid_request.c[name]) for name in ("input_tokens", "cached_tokens", "output_tokens"))
    tokens = {
        row[0]: (int(row[1]), int(row[2]), int(row[3]))
        for row in connection.execute(
            sa.select(paid_request.c.model, *sums).join_from(ids, paid_request, paid).group_by(paid_request.c.model)
        )
    }
    # A call is asked about once under each version; the revisions that people make are of the same version.
    asked = (
        sa.select(call_analysis.c.call_id, call_analysis.c.taxonomy_version)
        .join_from(ids, call_analysis, call_analysis.c.call_id == ids.c.id)
        .where(sa.exists().where(paid))
        .distinct()
        .subquery()
    )
    asked_count = connection.execute(sa.select(sa.func.count()).select_from(asked)).scalar_one()
    return Observed(asked_count, tokens, _text_bytes(connection, ids))


def latest_runs(connection: sa.Connection, limit: int = 20) -> list[UUID]:
    """The ids of the runs, the newest first."""
    rows = connection.execute(
        sa.select(reclassification.c.id)
        .order_by(reclassification.c.started_at.desc(), reclassification.c.id)
        .limit(limit)
    )
    return list(rows.scalars())


def find_run(connection: sa.Connection, reference: str = "") -> UUID:
    """The run whose id begins with `reference`; the newest one for "". Raises NoSuchRun."""
    for run_id in latest_runs(connection, 1000):
        if str(run_id).startswith(reference.lower()):
            return run_id
    raise NoSuchRun(f"no re-classification has the id `{reference}`" if reference else "nothing was re-classified yet")


def read_run(connection: sa.Connection, run_id: UUID) -> Run:
    """The run as it stands. Raises NoSuchRun."""
    head = connection.execute(sa.select(reclassification).where(reclassification.c.id == run_id)).one_or_none()
    if head is None:
        raise NoSuchRun(f"no re-classification has the id `{run_id}`")
    counts: Counter[str] = Counter()
    ended: Counter[str] = Counter()
    moves: Counter[tuple[str | None, str | None]] = Counter()
    for row in connection.execute(_outcomes(run_id, head.taxonomy_version)):
        if row.is_answered:
            counts["answered"] += row.n
            moves[row.before_code, row.after_code] += row.n
        elif row.ended_code is not None:
            ended[row.ended_code] += row.n
        else:
            counts["waiting" if row.is_waiting else "left"] += row.n
    return Run(
        id=run_id,
        taxonomy_version=head.taxonomy_version,
        started_at=head.started_at,
        stopped_at=head.stopped_at,
        wanted=Wanted(head.since, head.until, head.only_reason),
        answered_count=counts["answered"],
        waiting_count=counts["waiting"],
        left_count=counts["left"],
        ended=dict(sorted(ended.items())),
        moves=moves,
        following=known_successors(connection),
        cost_microusd=_cost(connection, run_id, head.started_at),
    )


def run_document(connection: sa.Connection, run: Run) -> dict[str, Any]:
    """The run with stable keys: counts, every reason before and after, and which calls went where."""
    found = stored_taxonomy(connection, run.taxonomy_version)
    before, after = Counter[str | None](), Counter[str | None]()
    for (was, became), count in run.moves.items():
        before[was] += count
        after[became] += count
    order = [*found.codes, *sorted(code for code in before if code is not None and code not in found.codes), None]
    listed = [code for code in order if before[code] or after[code]]
    moved = sorted(run.moves.items(), key=lambda item: (-item[1], str(item[0])))
    return {
        "id": str(run.id),
        "state": run.state,
        "taxonomy_version": run.taxonomy_version,
        "started_at": run.started_at.isoformat(),
        "since": run.wanted.since and run.wanted.since.isoformat(),
        "until": run.wanted.until and run.wanted.until.isoformat(),
        "only": run.wanted.only_reason or None,
        "calls": run.call_count,
        "answered": run.answered_count,
        "unchanged": run.unchanged_count,
        "changed": run.answered_count - run.unchanged_count,
        "waiting": run.waiting_count,
        "left": run.left_count,
        "kept_by_person": run.ended.get(KEPT_BY_PERSON, 0),
        "failed": {code: count for code, count in run.ended.items() if code != KEPT_BY_PERSON},
        "cost_microusd": run.cost_microusd,
        "reasons": [
            {
                "code": code,
                "label": found.label(code) if code else "No reason",
                "replaced_by": run.following.get(code or ""),
                "before": before[code],
                "after": after[code],
            }
            for code in listed
        ],
        "moves": [
            {"before": was, "after": became, "calls": count}
            for (was, became), count in moved
            if run.following.get(was or "", was) != became
        ],
    }


def _outcomes(run_id: UUID, version: str) -> sa.Select[Any]:
    item, was, became, later = reclassified_call, call_analysis.alias(), call_analysis.alias(), call_analysis.alias()
    first = (
        sa.select(sa.func.min(later.c.revision))
        .where(
            later.c.call_id == item.c.call_id,
            later.c.revision > item.c.before_revision,
            later.c.taxonomy_version == version,
        )
        .correlate(item)
        .scalar_subquery()
    )
    columns = (
        was.c.reason_code.label("before_code"),
        became.c.reason_code.label("after_code"),
        became.c.id.is_not(None).label("is_answered"),
        job.c.call_id.is_not(None).label("is_waiting"),
        item.c.ended_code,
    )
    outcomes = (
        sa.select(*columns)
        .select_from(item)
        .join(was, sa.and_(was.c.call_id == item.c.call_id, was.c.revision == item.c.before_revision))
        .outerjoin(became, sa.and_(became.c.call_id == item.c.call_id, became.c.revision == first))
        .outerjoin(job, sa.and_(job.c.call_id == item.c.call_id, job.c.step == RECLASSIFY.name))
        .where(item.c.reclassification_id == run_id)
        .subquery()
    )
    return sa.select(*outcomes.c, sa.func.count().label("n")).group_by(*outcomes.c)


def _cost(connection: sa.Connection, run_id: UUID, started_at: datetime) -> int | None:
    item = reclassified_call.c
    row = connection.execute(
        sa.select(
            sa.func.count().label("requests"),
            sa.func.count(paid_request.c.cost_microusd).label("priced"),
            sa.func.sum(paid_request.c.cost_microusd).label("cost_microusd"),
        )
        .join_from(reclassified_call, paid_request, paid_request.c.call_id == item.call_id)
        .where(
            item.reclassification_id == run_id,
            paid_request.c.paid_at >= started_at,
            paid_request.c.purpose != SPEECH,
        )
    ).one()
    return int(row.cost_microusd or 0) if row.priced == row.requests else None


def _text_bytes(connection: sa.Connection, ids: sa.Subquery) -> float:
    """How much was said in one of these calls, in bytes: the mean of some, whose ids have nothing to do with it."""
    some = sa.select(ids.c.id).order_by(ids.c.id).limit(_SAMPLE_SIZE).subquery()
    heard = sa.and_(transcript.c.call_id == some.c.id, transcript.c.is_current)
    texts = connection.execute(
        sa.select(utterance.c.text)
        .join_from(some, transcript, heard)
        .join(utterance, utterance.c.transcript_id == transcript.c.id)
    ).scalars()
    call_count = connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()
    return sum(len(text.encode()) for text in texts) / call_count if call_count else 0.0
